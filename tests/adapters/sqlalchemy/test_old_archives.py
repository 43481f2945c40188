"""Old archives into databases, and databases as old archives, through SQLAlchemy."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from databackup import (
    Collection,
    Recorder,
    Reference,
    Schema,
    export_all,
    import_all,
    migration,
)
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import InvalidRecords
from databackup.migrations.way import check_chain
from databackup.schema.versions import freeze
from tests.support import mysql, pgtables
from tests.support.club import memory
from tests.support.migrating import archive_of, of_today, old, rows_in

PEOPLE = Collection("people", key="id", fields={"id": int, "name": str, "city": str | None})
MENUS = Collection(
    "menus",
    key="id",
    fields={"id": int, "dish": str, "cook": int},
    references=[Reference("cook", "people")],
)
SIZE = 2500
ROWS: dict[str, list[Any]] = {
    "people": [(n, f"Ana {n}", f"C{n % 7}") for n in range(1, SIZE + 1)],
    "menus": [(n, f"d{n}", n) for n in range(1, SIZE + 1)],
}

METADATA = sa.MetaData()
sa.Table(
    "cooks",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(40), nullable=False),
)
sa.Table(
    "menus",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("cook", sa.ForeignKey("cooks.id"), nullable=False),
    sa.Column("dish", sa.String(40), nullable=False),
    sa.Column("city", sa.String(40)),
)


@migration(1, 2)
def moves(m: Recorder) -> None:
    """A collection gets another name, and a field another place."""
    m.rename_collection("people", "cooks")
    m.move_field("cooks", "city", "menus", via="cook")
    m.change_kind("cooks", "name", str, using=str.upper, inverse=str.title)


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An engine of each sort, with the tables of today."""
    if request.param == "sqlite":
        made = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
        METADATA.create_all(made)
        yield made
        made.dispose()
        return
    if request.param == "postgresql":
        opened = pgtables.engine_of(request.getfixturevalue("postgresql_url"))
    else:
        opened = mysql.engine()
    with opened as made:
        METADATA.create_all(made)
        yield made


def test_old_archives(engine: sa.Engine, tmp_path: Path) -> None:
    """from_metadata takes migrations and versions; records come in, and out as they were."""
    first = old(tmp_path, PEOPLE, MENUS)
    repository = SQLAlchemyRepository.from_metadata(
        engine, METADATA, app="club", version=2, migrations=[moves], versions=tmp_path
    )
    assert (moves,) == repository.schema.migrations
    archive = archive_of(first, ROWS)
    report = import_all(repository, io.BytesIO(archive))
    assert 2 * SIZE == report.added
    found = rows_in(repository)
    assert [(1, "ANA 1"), (2, "ANA 2")] == sorted(found["cooks"])[:2]
    assert (1, 1, "d1", "C1") == min(found["menus"])
    assert 2 * SIZE == import_all(repository, io.BytesIO(archive)).unchanged
    back = io.BytesIO()
    export_all(repository, back, version=1)
    there = memory({}, Schema(app="club", collections=[PEOPLE, MENUS]))
    import_all(there, io.BytesIO(back.getvalue()))
    assert ROWS == {name: sorted(rows) for name, rows in rows_in(there).items()}


def test_reflected(engine: sa.Engine, tmp_path: Path) -> None:
    """Reflect takes them as well: the tables of today, and an archive from before a change."""
    before = SQLAlchemyRepository.reflect(engine, app="club", versions=tmp_path)
    freeze(before.schema)
    with engine.begin() as connection:
        connection.execute(METADATA.tables["cooks"].insert(), [{"id": 1, "name": "Ana"}])
    archive = io.BytesIO()
    export_all(before, archive)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM cooks"))
        connection.execute(sa.text("ALTER TABLE cooks ADD COLUMN stars INTEGER"))

    @migration(1, 2)
    def stars(m: Recorder) -> None:
        off_kind = before.schema["cooks"].field("name").off_kind
        m.add_field("cooks", "stars", int | None, off_kind=off_kind)

    today = SQLAlchemyRepository.reflect(
        engine, app="club", version=2, migrations=[stars], versions=tmp_path
    )
    assert 1 == import_all(today, io.BytesIO(archive.getvalue())).added
    assert [(1, "Ana", None)] == rows_in(today)["cooks"]
    freeze(today.schema)
    check_chain(today.schema)


def test_refused(engine: sa.Engine, tmp_path: Path) -> None:
    """Nothing of an archive that cannot be migrated stays in a database."""
    first = old(tmp_path, PEOPLE, MENUS)
    repository = SQLAlchemyRepository.from_metadata(
        engine, METADATA, app="club", version=2, migrations=[moves], versions=tmp_path
    )
    archive = archive_of(
        first, {**ROWS, "menus": [*ROWS["menus"], (SIZE + 1, "x", 1), (0, "x" * 5, -1)]}
    )
    with pytest.raises(InvalidRecords, match="not there"):
        import_all(repository, io.BytesIO(archive))
    assert {"cooks": [], "menus": []} == rows_in(repository)


def test_tables_are_made(tmp_path: Path) -> None:
    """create=True makes those of today's schema."""
    first = old(tmp_path, PEOPLE, MENUS)
    today = of_today(
        tmp_path,
        [
            Collection("cooks", key="id", fields={"id": int, "name": str}),
            Collection(
                "menus",
                key="id",
                fields={"id": int, "cook": int, "dish": str, "city": str | None},
                references=[Reference("cook", "cooks")],
            ),
        ],
        moves,
    )
    path = tmp_path / "new.db"
    other = tmp_path / "other.db"
    path.touch()
    other.touch()
    for repository in (
        SQLiteRepository(path, today),
        SQLAlchemyRepository(sa.create_engine(f"sqlite:///{other}"), today),
    ):
        report = import_all(repository, io.BytesIO(archive_of(first, ROWS)), create=True)
        assert {"cooks", "menus"} == set(report.created)
        assert (1, 1, "d1", "C1") == rows_in(repository)["menus"][0]
        assert report.migrated is not None
