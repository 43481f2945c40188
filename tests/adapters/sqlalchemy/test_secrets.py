"""Secret columns behind SQLAlchemy: marked, left out, kept, and never in what a server says."""

import io
import json
import traceback
from typing import Any

import attrs
import pytest
import sqlalchemy as sa

from databackup import Collection, Schema, export_all, import_all, inspect_archive
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import DatabackupError, RecordsNotTaken, SchemaError
from databackup.repository import Repository
from databackup.schema.narrowed import secret_fields
from databackup.schema.secrets import WITHHELD
from tests.support.engines import Database

MARK = "zqXq"
METADATA = sa.MetaData()
USERS = sa.Table(
    "users",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("email", sa.String(50), nullable=False, unique=True),
    sa.Column("password", sa.String(80), nullable=False),
    sa.Column("seed", sa.LargeBinary),
)
SECRET = ["users.password", "users.seed"]
MARKED = {"users": {"password", "seed"}}


def test_metadata(engine: sa.Engine) -> None:
    """Columns of a MetaData are named as they are for exclusions."""
    repository = SQLAlchemyRepository.from_metadata(engine, METADATA, secret=SECRET)
    assert MARKED == secret_fields(repository.schema)
    with pytest.raises(SchemaError, match="there is no field 'users"):
        SQLAlchemyRepository.from_metadata(engine, METADATA, secret=["users.passwd"])


def test_reflected_file(engine: sa.Engine) -> None:
    """Columns of a SQLite file are, too, by either adapter."""
    METADATA.create_all(engine)
    path = str(engine.url.database)
    repositories: list[Repository] = [
        SQLAlchemyRepository.reflect(engine, secret=SECRET),
        SQLiteRepository.reflect(path, secret=SECRET),
    ]
    for repository in repositories:
        assert MARKED == secret_fields(repository.schema)


def _rows(size: int, secret: str) -> list[dict[str, Any]]:
    return [
        {"id": i, "email": f"{i}@x", "password": f"{secret}{i}", "seed": f"{secret}{i}".encode()}
        for i in range(1, size + 1)
    ]


def _write(engine: sa.Engine, rows: list[dict[str, Any]]) -> None:
    with engine.begin() as connection:
        connection.execute(USERS.delete())
        if rows:
            connection.execute(USERS.insert(), rows)


def test_servers_keep_their_own(database: Database) -> None:
    """Of many records each keeps its own, while the archive's other fields are written."""
    METADATA.create_all(database.engine)
    _write(database.engine, _rows(1000, MARK))
    repository = SQLAlchemyRepository.reflect(database.engine, secret=SECRET)
    file = io.BytesIO()
    export_all(repository, file, secrets="omitted")
    assert MARK.encode() not in file.getvalue()
    assert "omitted" == inspect_archive(io.BytesIO(file.getvalue())).secrets
    _write(database.engine, _rows(1200, "new"))
    database.run("UPDATE users SET email = 'other' WHERE id = 7")
    report = import_all(repository, io.BytesIO(file.getvalue()))
    assert (0, 1, 200, 999) == (report.added, report.changed, report.deleted, report.unchanged)
    found = database.query("SELECT id, email, password, seed FROM users ORDER BY id")
    assert [tuple(row.values()) for row in _rows(1000, "new")] == [
        (*row[:3], bytes(row[3])) for row in found
    ]


def test_servers_words_are_withheld(database: Database) -> None:
    """A server shows the record that it refuses; what comes out of the import does not."""
    METADATA.create_all(database.engine)
    plain = SQLAlchemyRepository.reflect(database.engine)
    marked = SQLAlchemyRepository.reflect(database.engine, secret=SECRET)
    file = io.BytesIO()
    _write(database.engine, _rows(3, MARK))
    export_all(marked, file)
    _write(database.engine, [])
    database.run(f"ALTER TABLE users ADD CONSTRAINT weak CHECK (password <> '{MARK}2')")
    for repository in (plain, marked):
        with pytest.raises(RecordsNotTaken) as caught:
            import_all(repository, io.BytesIO(file.getvalue()))
        assert [(2,)] == [problem.key for problem in caught.value.problems]
        said = "".join(traceback.format_exception(caught.value))
        assert isinstance(caught.value, DatabackupError)
        assert MARK not in said + json.dumps(caught.value.as_json())
        assert WITHHELD in said


def test_servers_fill_empty_tables(database: Database) -> None:
    """New records get defaults on the way that is made for many, where a store answers nothing."""
    METADATA.create_all(database.engine)
    _write(database.engine, _rows(1000, MARK))
    file = io.BytesIO()
    reflected = SQLAlchemyRepository.reflect(database.engine, secret=SECRET)
    export_all(reflected, file, secrets="omitted")
    _write(database.engine, [])
    fields = [
        attrs.evolve(field, default="made") if field.name == "password" else field
        for field in reflected.schema["users"].fields
    ]
    fields[-1] = attrs.evolve(fields[-1], default=None)
    schema = Schema(collections=[Collection("users", key="id", fields=fields)])
    repository = SQLAlchemyRepository(database.engine, schema)
    report = import_all(repository, io.BytesIO(file.getvalue()))
    assert (1000, {"users.password": 1000, "users.seed": 1000}) == (
        report.added,
        report.secrets_defaulted,
    )
    found = database.query("SELECT DISTINCT password, seed FROM users")
    assert [("made", None)] == [tuple(row) for row in found]
