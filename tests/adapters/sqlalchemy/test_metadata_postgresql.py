"""The models on a server: what a `MetaData` says fits what the server's dialect reads."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from databackup import export_all, import_all, inspect_archive
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import StoreMismatch
from databackup.schema import Reference, composite, kinds
from tests.adapters.sqlalchemy.models import Base, Person, Shelf, Team, Thing, thing


@pytest.fixture
def engine(postgresql_url: str) -> Iterator[sa.Engine]:
    """A database with records of all models."""
    engine = sa.create_engine(postgresql_url)
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        ana = Person(id=1, name="Ana")
        session.add_all([ana, Shelf(room="B", number=3)])
        session.flush()
        session.add(Team(id=5, name="red", lead_id=1, members=[ana]))
        session.flush()
        ana.team_name = "red"
        session.add_all([thing(1, room="B", shelf=3), thing(2, extra=None, text=None)])
    yield engine
    engine.dispose()


def test_models_go_round(engine: sa.Engine, tmp_path: Path) -> None:
    """The ORM reads after the import what it read before."""
    columns = [column.name for column in sa.inspect(Thing).columns]
    with Session(engine) as session:
        before = [[getattr(t, c) for c in columns] for t in session.query(Thing)]
    repository = SQLAlchemyRepository.from_metadata(engine, Base.metadata)
    export_all(repository, tmp_path / "a.json")
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM team_members"))
        connection.execute(sa.text("DELETE FROM things"))
        connection.execute(sa.text("UPDATE people SET changed = '1999-01-01'"))
    report = import_all(repository, tmp_path / "a.json")
    assert (report.added, report.changed) == (3, 1)
    with Session(engine) as session:
        assert [[getattr(t, c) for c in columns] for t in session.query(Thing)] == before


def test_digests_are_those_of_sqlite(engine: sa.Engine, tmp_path: Path) -> None:
    """Of all tables but the one whose offsets SQLite loses."""
    exclude = {"things.zoned": "SQLite loses its offset"}
    source = SQLAlchemyRepository.from_metadata(engine, Base.metadata, exclude=exclude)
    export_all(source, tmp_path / "a.json")
    other = sa.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    metadata = sa.MetaData()
    for table in Base.metadata.tables.values():
        table.to_metadata(metadata)
    metadata.tables["things"].c.zoned.nullable = True
    metadata.create_all(other)
    target = SQLAlchemyRepository.from_metadata(other, metadata, exclude=exclude)
    import_all(target, tmp_path / "a.json")
    export_all(target, tmp_path / "b.json")
    digests = [
        {name: c.digest for name, c in inspect_archive(tmp_path / file).collections.items()}
        for file in ("a.json", "b.json")
    ]
    assert digests[0] == digests[1]
    other.dispose()


def test_types_of_the_engine(engine: sa.Engine) -> None:
    """The database itself is asked what they hold."""
    metadata = sa.MetaData()
    sa.Table(
        "hosts", metadata, sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("address", postgresql.INET), sa.Column("tags", postgresql.ARRAY(sa.Text)),
    )  # fmt: skip
    metadata.create_all(engine)
    exclude = dict.fromkeys(Base.metadata.tables, "other tests")
    found = SQLAlchemyRepository.from_metadata(engine, metadata, exclude=exclude).schema["hosts"]
    assert isinstance(found.field("address").value_kind, composite.Native)
    assert found.field("tags").value_kind == composite.List(composite.Optional(kinds.Str()))


def test_schemas(engine: sa.Engine, tmp_path: Path) -> None:
    """Tables of other schemas are found; the default one may be named."""
    metadata = sa.MetaData()
    sa.Table("a", metadata, sa.Column("id", sa.Integer, primary_key=True), schema="public")
    sa.Table(
        "b", metadata, sa.Column("id", sa.ForeignKey("public.a.id"), primary_key=True),
        schema="Other One",
    )  # fmt: skip
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema("Other One"))
        metadata.create_all(connection)
        connection.execute(sa.text("INSERT INTO a VALUES (1)"))
        connection.execute(sa.text('INSERT INTO "Other One".b VALUES (1)'))
    exclude = dict.fromkeys(Base.metadata.tables, "other tests")
    found = SQLAlchemyRepository.from_metadata(engine, metadata, exclude=exclude)
    assert found.schema["Other One.b"].references == (Reference("id", "public.a"),)
    report = export_all(found, tmp_path / "a.json")
    assert report.collections == {"public.a": 1, "Other One.b": 1}


def test_an_overlooked_table(engine: sa.Engine, tmp_path: Path) -> None:
    """As on every store."""
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE sessions (id int PRIMARY KEY)"))
    with pytest.raises(StoreMismatch, match="sessions"):
        export_all(SQLAlchemyRepository.from_metadata(engine, Base.metadata), tmp_path / "a.json")


def test_reflected(engine: sa.Engine, tmp_path: Path) -> None:
    """The catalogue says the same of the models, but for what has no type of its own."""
    found = SQLAlchemyRepository.reflect(engine, app="shop", version=2)
    stated = SQLAlchemyRepository.from_metadata(engine, Base.metadata)
    assert (found.schema.app, found.schema.version) == ("shop", 2)
    for collection in stated.schema.collections:
        other = found.schema[collection.name]
        assert other.key == collection.key
        assert set(other.references) == set(collection.references)
        differ = {f.name for f in collection.fields if f.kind != other.field(f.name).kind}
        assert differ <= {"length"}  # an interval may be of months there
    report = export_all(found, tmp_path / "a.json")
    assert import_all(found, tmp_path / "a.json").unchanged == report.records
