import datetime
import decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import sqlmodel
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine, UserDefinedType

from databackup import Migration, Reference, export_all, import_all, migration
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlalchemy.types import kind_of
from databackup.errors import InvalidRecords, RecordsRefused, SchemaError, StoreMismatch
from databackup.schema import Kind, composite, kinds
from databackup.schema.interval import IntervalKind
from databackup.schema.versions import freeze
from tests.adapters.sqlalchemy.models import Base, Person, Shelf, Team, Thing, thing
from tests.support import sqlite


def _repository(engine: sa.Engine, **options: Any) -> SQLAlchemyRepository:
    return SQLAlchemyRepository.from_metadata(engine, Base.metadata, app="shop", **options)


def _fill(engine: sa.Engine) -> None:
    with Session(engine) as session, session.begin():
        ana = Person(id=1, name="Ana")
        session.add_all([ana, Shelf(room="B", number=3)])
        session.flush()
        team = Team(id=5, name="red", lead_id=1, members=[ana])
        session.add(team)
        session.flush()
        ana.team_name, ana.boss_id = "red", 1
        session.add_all([thing(1, room="B", shelf=3), thing(2, extra=None, text=None)])
        session.flush()
        # JSON comes back by value, its text without spaces.
        session.execute(sa.text("UPDATE things SET extra = replace(extra, ' ', '')"))


def _spoil(engine: sa.Engine) -> None:
    with Session(engine) as session, session.begin():
        session.execute(sa.text("DELETE FROM team_members"))
        session.execute(sa.text("UPDATE people SET name = '?', changed = '1999-01-01'"))
        session.execute(sa.text("DELETE FROM things"))


# -- what the schema is ------------------------------------------------------------------------


def test_every_table_is_a_collection(engine: sa.Engine) -> None:
    """Also one without a class; computed columns are no fields."""
    schema = _repository(engine, version=3).schema
    assert (schema.app, schema.version) == ("shop", 3)
    assert {c.name for c in schema.collections} == set(Base.metadata.tables)
    assert "upper_name" not in schema["people"].field_names
    assert schema["team_members"].key == ("team_id", "person_id")


def test_foreign_keys_are_references(engine: sa.Engine) -> None:
    """To itself, in a circle, by unique columns, and by keys of several columns in their order."""
    schema = _repository(engine).schema
    assert set(schema["people"].references) == {
        Reference("boss_id", "people"),
        Reference("team_name", "teams", "name"),
    }
    assert schema["teams"].references == (Reference("lead_id", "people"),)
    assert schema["things"].references == (Reference(("room", "shelf"), "shelves"),)
    assert set(schema["team_members"].references) == {
        Reference("team_id", "teams"),
        Reference("person_id", "people"),
    }


def test_migrations_and_versions(tmp_path: Path) -> None:
    """An archive of an older version of the models goes into today's."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    old, new = sa.MetaData(), sa.MetaData()
    sa.Table("a", old, sa.Column("id", sa.Integer, primary_key=True), sa.Column("x", sa.String))
    sa.Table("a", new, sa.Column("id", sa.Integer, primary_key=True), sa.Column("y", sa.String))

    def repository(metadata: sa.MetaData, version: int, *steps: Migration) -> SQLAlchemyRepository:
        return SQLAlchemyRepository.from_metadata(
            engine, metadata, app="a", version=version, migrations=steps, versions=tmp_path / "v"
        )

    old.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO a VALUES (1, 'one')"))
    freeze(repository(old, 1).schema)
    export_all(repository(old, 1), tmp_path / "old.json")
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE a RENAME COLUMN x TO y"))
        connection.execute(sa.text("DELETE FROM a"))
    renamed = migration(1, 2, lambda m: m.rename_field("a", "x", "y"))
    report = import_all(repository(new, 2, renamed), tmp_path / "old.json")
    assert report.added == 1
    with engine.connect() as connection:
        assert [(1, "one")] == connection.execute(sa.text("SELECT id, y FROM a")).all()


def test_a_foreign_key_between_other_kinds_is_no_reference(engine: sa.Engine) -> None:
    """The store's own check covers it."""
    metadata = sa.MetaData()
    sa.Table("a", metadata, sa.Column("id", sa.Integer, primary_key=True))
    sa.Table("b", metadata, sa.Column("a", sa.String, sa.ForeignKey("a.id")))
    sa.Table("c", metadata, sa.Column("d", sa.Integer, sa.ForeignKey("elsewhere.id")))
    found = SQLAlchemyRepository.from_metadata(
        engine, metadata, exclude=dict.fromkeys(Base.metadata.tables, "other tests")
    )
    metadata.create_all(engine, tables=[metadata.tables["a"], metadata.tables["b"]])
    assert [c.references for c in found._store._stated_schema.collections] == [(), (), ()]


_SQLITE, _POSTGRESQL, _MYSQL = (
    sa.make_url(f"{name}://").get_dialect()()
    for name in ("sqlite", "postgresql+psycopg", "mysql+pymysql")
)
_ALL = (_SQLITE, _POSTGRESQL, _MYSQL)


def _case(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "+".join(dialect.name for dialect in value)
    return getattr(value, "name", None) or repr(value) if isinstance(value, Kind) else repr(value)


class _Own(UserDefinedType[str]):
    def get_col_spec(self, **_: Any) -> str:
        return "OWN"


@pytest.mark.parametrize(
    "type_,dialects,kind",
    [
        (sa.Integer(), _ALL, kinds.Int()),
        (mysql.BIGINT(unsigned=True), [_MYSQL], kinds.Int()),
        (sa.Numeric(10, 2), _ALL, kinds.Decimal(2)),
        (sa.Numeric(), _ALL, kinds.Decimal()),
        (sa.Float(), _ALL, kinds.Float()),
        (sa.Double(), _ALL, kinds.Float()),
        (mysql.DOUBLE(), [_MYSQL], kinds.Float()),
        (sa.String(9), _ALL, kinds.Str()),
        (sa.UnicodeText(), _ALL, kinds.Str()),
        (sa.LargeBinary(), _ALL, kinds.Bytes()),
        (sa.VARBINARY(9), _ALL, kinds.Bytes()),
        (mysql.LONGBLOB(), [_MYSQL], kinds.Bytes()),
        (sa.PickleType(), _ALL, kinds.Bytes()),
        (sa.Boolean(), _ALL, kinds.Bool()),
        (sa.Date(), _ALL, kinds.Date()),
        (sa.Time(), _ALL, kinds.Time()),
        (sa.Time(timezone=True), [_POSTGRESQL], kinds.TimeTz()),
        (sa.DateTime(), _ALL, kinds.DateTime()),
        (sa.DateTime(timezone=True), [_POSTGRESQL], kinds.DateTimeTz()),
        (sa.DateTime(timezone=True), [_SQLITE, _MYSQL], kinds.DateTime()),
        (sa.Interval(), _ALL, kinds.Timedelta()),
        (postgresql.INTERVAL(), [_POSTGRESQL], IntervalKind()),
        (sa.Uuid(), _ALL, kinds.UUID()),
        (sa.Uuid(native_uuid=False), _ALL, kinds.UUID()),
        (sa.Enum("S", "M"), _ALL, composite.Enum(("S", "M"))),
        (sa.JSON(), _ALL, composite.Json()),
        (sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), _ALL, composite.Json()),
        (
            postgresql.ARRAY(sa.Integer, dimensions=2),
            [_POSTGRESQL],
            composite.List(composite.Optional(composite.List(composite.Optional(kinds.Int())))),
        ),
        (postgresql.INET(), [_POSTGRESQL], None),
        (postgresql.CITEXT(), [_POSTGRESQL], None),
        (postgresql.HSTORE(), [_POSTGRESQL], None),
        (postgresql.ARRAY(postgresql.INET), [_POSTGRESQL], None),
        (mysql.YEAR(), [_MYSQL], None),
        (mysql.SET("a"), [_MYSQL], None),
        (mysql.TIME(fsp=6), [_MYSQL], None),
        (_Own(), _ALL, None),
        (sa.types.NullType(), _ALL, None),
    ],
    ids=_case,
)
def test_kinds(type_: TypeEngine[Any], dialects: list[sa.Dialect], kind: Kind | None) -> None:
    """Each type has its kind; None where the type itself does not say it."""
    assert [kind] * len(dialects) == [kind_of(type_, dialect) for dialect in dialects]


def test_a_type_without_a_kind(engine: sa.Engine) -> None:
    """All such columns are named, with their types, and what to do."""
    metadata = sa.MetaData()
    columns: list[sa.Column[Any]] = [
        sa.Column("x", _Own),
        sa.Column("y", postgresql.INET),
        sa.Column("z", sa.Date),
    ]
    sa.Table("a", metadata, *columns)
    with pytest.raises(SchemaError, match="exclude the column") as caught:
        SQLAlchemyRepository.from_metadata(engine, metadata)
    assert [p.split(" does not")[0] for p in caught.value.problems] == [
        "a.x: the type _Own()",
        "a.y: the type INET()",
    ]
    SQLAlchemyRepository.from_metadata(engine, metadata, exclude={"a.x": "-", "a.y": "-"})


def test_a_part_of_the_key_cannot_be_excluded(engine: sa.Engine) -> None:
    """Records could not be told apart."""
    with pytest.raises(SchemaError, match=r"teams\.id is of the key"):
        _repository(engine, exclude={"teams.id": "-"})


def test_excluded_tables_and_columns(engine: sa.Engine) -> None:
    """They are in the header with their reasons, and references to them are none."""
    found = _repository(engine, exclude={"shelves": "no data", "people.changed": "noise"})
    assert "shelves" not in found.schema
    assert found.schema["things"].references == ()
    assert "changed" not in found.schema["people"].field_names
    assert {e.name: e.reason for e in found.schema.excluded} == {
        "shelves": "no data",
        "people.changed": "noise",
    }
    with found.snapshot():
        pass


def test_an_overlooked_table(engine: sa.Engine, path: Path) -> None:
    """A table that the metadata does not have is refused until it is left out."""
    sqlite.run(path, "CREATE TABLE sessions (id INTEGER PRIMARY KEY)")
    with pytest.raises(StoreMismatch, match="'sessions' is no collection"):
        export_all(_repository(engine), path.with_suffix(".json"))
    export_all(_repository(engine, exclude={"sessions": "logins"}), path.with_suffix(".json"))


def test_attached_databases_are_refused(engine: sa.Engine) -> None:
    """SQLite's other schemas are other files."""
    metadata = sa.MetaData()
    sa.Table("a", metadata, sa.Column("id", sa.Integer, primary_key=True), schema="other")
    with pytest.raises(SchemaError, match="attached databases"):
        SQLAlchemyRepository.from_metadata(engine, metadata)


def test_the_main_schema_is_the_default_one(engine: sa.Engine, path: Path) -> None:
    """A table that names it is found."""
    metadata = sa.MetaData()
    sa.Table("shelves", metadata, sa.Column("room", sa.String, primary_key=True), schema="main")
    exclude = dict.fromkeys(Base.metadata.tables.keys() - {"shelves"}, "-")
    sqlite.run(path, "DROP TABLE shelves", "CREATE TABLE shelves (room TEXT PRIMARY KEY)")
    found = SQLAlchemyRepository.from_metadata(engine, metadata, exclude=exclude)
    assert export_all(found, path.with_suffix(".json")).collections == {"main.shelves": 0}


# -- what goes round ---------------------------------------------------------------------------


def test_models_go_round(engine: sa.Engine, path: Path, tmp_path: Path) -> None:
    """What was exported comes back to the byte, whatever the host's defaults would do."""
    _fill(engine)
    before = sqlite.dump(path)
    repository = _repository(engine)
    export_all(repository, tmp_path / "a.json")
    _spoil(engine)
    report = import_all(repository, tmp_path / "a.json")
    assert (report.added, report.changed) == (3, 1)
    assert sqlite.dump(path) == before


def test_the_orm_reads_what_was_imported(engine: sa.Engine, tmp_path: Path) -> None:
    """Every type means the same to the host in a database that was empty."""
    _fill(engine)
    export_all(_repository(engine), tmp_path / "a.json")
    other = sa.create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    Base.metadata.create_all(other)
    import_all(_repository(other), tmp_path / "a.json")
    columns = [c.name for c in sa.inspect(Thing).columns]
    with Session(engine) as session, Session(other) as again:
        expected = [[getattr(t, c) for c in columns] for t in session.query(Thing)]
        assert [[getattr(t, c) for c in columns] for t in again.query(Thing)] == expected
        assert [m.name for m in again.get_one(Team, 5).members] == ["Ana"]
    other.dispose()


def test_values_are_those_of_the_kinds(engine: sa.Engine) -> None:
    """Not the text and the numbers that SQLite holds."""
    _fill(engine)
    repository = _repository(engine)
    collection = repository.schema["things"]
    with repository.snapshot() as snapshot:
        row = next(snapshot.rows(collection))[0]
    found = dict(zip(collection.field_names, row, strict=True))
    made = thing(1)
    same = ("id", "price", "ratio", "weight", "day", "clock", "moment", "length", "extra", "guid")
    assert {n: found[n] for n in same} == {n: getattr(made, n) for n in same}
    assert (found["colour"], found["loud"], found["flag"]) == ("BLUE", "QUIET", True)
    assert found["zoned"] == datetime.datetime(2026, 3, 2, 10, 15)  # noqa: DTZ001 - it is lost


@pytest.mark.parametrize(
    "column,stored",
    [("ratio", "'x'"), ("length", "'soon'"), ("guid", "'00'"), ("clock", "'10:15'")],
)
def test_values_off_their_kind_are_refused(
    engine: sa.Engine, path: Path, column: str, stored: str
) -> None:
    """What SQLAlchemy would not have written is named."""
    _fill(engine)
    sqlite.run(path, f"UPDATE things SET {column} = {stored}")
    with pytest.raises(InvalidRecords) as caught:
        export_all(_repository(engine), path.with_suffix(".json"))
    assert {problem.field for problem in caught.value.problems} == {column}


@pytest.mark.parametrize("text", ["0.1234567890123456", "1e400", "123456789012345678901.5"])
def test_decimals_that_no_double_holds(engine: sa.Engine, tmp_path: Path, text: str) -> None:
    """A decimal that SQLite would round is refused, with its field, and nothing is changed."""
    _fill(engine)
    repository = _repository(engine)
    collection = repository.schema["things"]
    place = collection.field_names.index("ratio")
    with repository.snapshot() as snapshot:
        row = list(next(snapshot.rows(collection))[0])
    row[place] = decimal.Decimal(text)

    with (
        pytest.raises(RecordsRefused, match="decimal") as caught,
        repository.transaction() as transaction,
    ):
        transaction.update(collection, [tuple(row)])
    assert caught.value.field == "ratio"


def test_sqlmodel(tmp_path: Path) -> None:
    """SQLModel's metadata needs nothing more."""

    class Heroes(sqlmodel.SQLModel, registry=sa.orm.registry()):
        pass

    class Hero(Heroes, table=True):
        id: int | None = sqlmodel.Field(default=None, primary_key=True)
        name: str
        worth: decimal.Decimal = decimal.Decimal(0)

    engine = sa.create_engine(f"sqlite:///{tmp_path / 'heroes.db'}")
    Heroes.metadata.create_all(engine)
    with sqlmodel.Session(engine) as session:
        session.add_all([Hero(name="Ana", worth=decimal.Decimal("1.5")), Hero(name="Bo")])
        session.commit()
    repository = SQLAlchemyRepository.from_metadata(engine, Heroes.metadata)
    assert export_all(repository, tmp_path / "a.json").records == 2
    with sqlmodel.Session(engine) as session:
        session.delete(session.get_one(Hero, 1))
        session.commit()
    assert import_all(repository, tmp_path / "a.json").added == 1
    with sqlmodel.Session(engine) as session:
        assert session.get_one(Hero, 1).worth == decimal.Decimal("1.5")
    engine.dispose()


# -- reflected ---------------------------------------------------------------------------------


def test_reflected(engine: sa.Engine, path: Path, tmp_path: Path) -> None:
    """Declared types are kinds; what was exported comes back to the byte."""
    _fill(engine)
    before = sqlite.dump(path)
    repository = SQLAlchemyRepository.reflect(engine, app="shop", exclude={"shelves": "-"})
    kinds_ = {f.name: f.value_kind.name for f in repository.schema["things"].fields}
    assert (kinds_["moment"], kinds_["flag"], kinds_["price"]) == ("datetime", "bool", "decimal")
    export_all(repository, tmp_path / "a.json")
    _spoil(engine)
    import_all(repository, tmp_path / "a.json")
    assert sqlite.dump(path) == before
