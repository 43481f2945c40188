"""Previews of imports into servers' databases, and of what has to be made there."""

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from databackup import export_all, import_all, preview_import, seal_archive
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import InvalidRecords, StalePlan
from tests.support import mysql, pgtables

METADATA = sa.MetaData()
TEAMS = sa.Table(
    "teams",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(40), nullable=False),
    sa.Column("budget", sa.Numeric(10, 2), nullable=False),
)
PLAYERS = sa.Table(
    "players",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("team", sa.ForeignKey("teams.id"), nullable=False),
)
AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("player", sa.ForeignKey("players.id")),
)


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An engine of each sort, with tables and records."""
    if request.param == "sqlite":
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
        yield _filled(engine)
        engine.dispose()
    elif request.param == "postgresql":
        with pgtables.engine_of(request.getfixturevalue("postgresql_url")) as engine:
            yield _filled(engine)
    else:
        with mysql.engine() as engine:
            yield _filled(engine)


def _filled(engine: sa.Engine) -> sa.Engine:
    METADATA.create_all(engine)
    with engine.begin() as connection:
        teams = [{"id": n, "name": f"T{n}", "budget": Decimal(n)} for n in range(1000)]
        connection.execute(TEAMS.insert(), teams)
        connection.execute(PLAYERS.insert(), [{"id": n, "team": n} for n in range(900)])
    return engine


def _store(engine: sa.Engine) -> SQLAlchemyRepository:
    return SQLAlchemyRepository.from_metadata(
        engine, METADATA, app="club", version=1, exclude={"audit": "kept for ever"}
    )


def _archive(engine: sa.Engine) -> bytes:
    file = io.BytesIO()
    export_all(_store(engine), file)
    return file.getvalue()


def _run(engine: sa.Engine, *statements: Any) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)


def test_the_numbers_are_those_of_the_import(engine: sa.Engine) -> None:
    """On every engine, with records that differ at the begin, in the middle and at the end."""
    archive = _archive(engine)
    assert preview_import(_store(engine), io.BytesIO(archive)).identical
    _run(
        engine,
        PLAYERS.delete().where(PLAYERS.c.id.in_([0, 500, 899])),
        TEAMS.update().where(TEAMS.c.id.in_([0, 1, 700])).values(budget=Decimal("1.25")),
        TEAMS.insert().values(id=2000, name="New", budget=Decimal(1)),
    )
    store = _store(engine)
    plan = preview_import(store, io.BytesIO(archive))
    assert (3, 3, 1) == (plan.added, plan.changed, plan.deleted)
    assert {"name": "New", "budget": "1.00"} == plan.collections["teams"].sample[-1].old
    report = import_all(store, io.BytesIO(archive), plan=plan)
    assert report.collections == {name: c.changes for name, c in plan.collections.items()}
    assert preview_import(store, io.BytesIO(archive)).identical


def test_a_store_that_changes(engine: sa.Engine) -> None:
    """The plan is refused in the import's own transaction, by what it then sees."""
    archive = _archive(engine)
    _run(engine, PLAYERS.delete().where(PLAYERS.c.id == 7))
    plan = preview_import(_store(engine), io.BytesIO(archive))
    _run(engine, TEAMS.update().where(TEAMS.c.id == 5).values(name="Other"))
    with pytest.raises(StalePlan, match="teams"):
        import_all(_store(engine), io.BytesIO(archive), plan=plan)
    with engine.connect() as connection:
        assert 899 == connection.scalar(sa.select(sa.func.count()).select_from(PLAYERS))


def test_references_and_what_refers_from_outside(engine: sa.Engine) -> None:
    """Dangling references are named without a write, and tables outside are warned of."""
    archive = _archive(engine)
    _run(
        engine,
        PLAYERS.insert().values(id=5000, team=1),
        AUDIT.insert().values(id=1, player=5000),
    )
    plan = preview_import(_store(engine), io.BytesIO(archive))
    (warning,) = plan.warnings
    assert "audit (player)" in warning
    _run(engine, AUDIT.delete(), PLAYERS.delete(), TEAMS.delete().where(TEAMS.c.id == 3))
    teams = _archive(engine)
    _run(
        engine,
        TEAMS.insert().values(id=3, name="T3", budget=Decimal(3)),
        PLAYERS.insert().values(id=1, team=3),
    )
    store = _store(engine)
    assert 0 == preview_import(store, io.BytesIO(teams)).problem_count
    plan = preview_import(store, io.BytesIO(archive), mode="add")
    assert (899, 1, 0) == (plan.added, plan.kept, plan.problem_count)
    edited = archive.replace(b'{"id":899,"team":899}', b'{"id":899,"team":8990}')
    sealed = io.BytesIO()
    seal_archive(io.BytesIO(edited), sealed)
    plan = preview_import(store, io.BytesIO(sealed.getvalue()))
    (problem,) = plan.problems
    assert ("dangling-reference", "players", 900) == (
        problem.code,
        problem.collection,
        problem.record,
    )
    with pytest.raises(InvalidRecords):
        import_all(store, io.BytesIO(sealed.getvalue()))


def test_tables_that_would_be_made(engine: sa.Engine) -> None:
    """Nothing is made before the import does what was said.

    MariaDB refers from a new table to no column of another type, and so all are new there.
    """
    archive = _archive(engine)
    _run(engine, AUDIT.delete())
    gone = [AUDIT, PLAYERS, *([TEAMS] if engine.dialect.name == "mysql" else [])]
    METADATA.drop_all(engine, gone)
    there = set(METADATA.tables) - {table.name for table in gone}
    store = SQLAlchemyRepository.reflect(engine)
    plan = preview_import(store, io.BytesIO(archive), create=True)
    assert {"teams", "players"} - there == set(plan.created)
    assert (1900, 1000 * len(there)) == (plan.added + plan.unchanged, plan.unchanged)
    assert there == set(sa.inspect(engine).get_table_names())
    report = import_all(store, io.BytesIO(archive), plan=plan)
    assert (plan.created, plan.added) == (report.created, report.added)
