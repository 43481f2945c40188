"""Secret fields by example: what an archive lacks, and where an import finds it."""

import asyncio
import io
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlalchemy

from databackup import (
    Collection,
    Field,
    Problem,
    Progress,
    Reference,
    Schema,
    diff,
    export_all,
    export_all_async,
    import_all,
    inspect_archive,
    iter_export,
    verify_archive,
)
from databackup.adapters.memory import MemoryRepository
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlite import SQLiteRepository
from databackup.archive.format import CollectionEnd
from databackup.errors import InvalidRecords, KeysDiffer, SchemaMismatch, SecretsMissing
from databackup.repository import BATCH_SIZE, Repository
from databackup.schema import kinds
from databackup.testing.harness import fill
from tests.operations.conftest import Make
from tests.support import sqlite
from tests.support.archives import Lines
from tests.support.club import Dataset, memory
from tests.support.migrating import rows_in

USERS = Collection(
    "users",
    key="id",
    fields={"id": int, "name": str, "password": str, "token": bytes | None},
    secret=["password", "token"],
)
SCHEMA = Schema(app="club", collections=[USERS])
OPEN = Schema(app="club", collections=[Collection("users", key="id", fields=USERS.fields[:2])])
ROWS: Dataset = {"users": [(1, "Ana", "pw-ana", b"\x00t"), (2, "Bo", "pw-bo", None)]}


def omitting(schema: Schema = SCHEMA, rows: Dataset | None = None) -> io.BytesIO:
    """An archive without secrets."""
    file = io.BytesIO()
    export_all(memory(ROWS if rows is None else rows, schema), file, secrets="omitted")
    file.seek(0)
    return file


def defaulting(collection: Collection, defaults: dict[str, Any]) -> Schema:
    """A schema of one collection, some of whose fields have defaults."""
    fields = [
        attrs.evolve(f, default=defaults[f.name]) if f.name in defaults else f
        for f in collection.fields
    ]
    return Schema(app="club", collections=[Collection("users", key="id", fields=fields)])


@pytest.fixture(params=["memory", "sqlite", "sqlalchemy"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A function that makes a store of each sort."""
    engines: list[sqlalchemy.Engine] = []

    def make(schema: Schema, rows: Dataset) -> Repository:
        if request.param == "memory":
            return memory(rows, schema)
        path = sqlite.create(tmp_path / f"{uuid.uuid4().hex}.db", schema)
        if request.param == "sqlite":
            repository: Repository = SQLiteRepository(path, schema)
        else:
            engines.append(sqlalchemy.create_engine(f"sqlite:///{path}"))
            repository = SQLAlchemyRepository(engines[-1], schema)
        fill(repository, rows)
        return repository

    yield make
    for engine in engines:
        engine.dispose()


def test_records_lack_secrets() -> None:
    """Header and schema say so, records have the other fields, and the report names the fields."""
    file = io.BytesIO()
    report = export_all(memory(ROWS, SCHEMA), file, secrets="omitted")
    lines = Lines.of(file.getvalue())
    assert [b'{"id":1,"name":"Ana"}', b'{"id":2,"name":"Bo"}'] == lines.collections["users"]
    assert b'"secrets":"omitted"' in lines.header
    assert b'"password":{"kind":"str","secret":true},' in lines.header
    assert b'"token":{"kind":"bytes","nullable":true,"secret":true}' in lines.header
    assert {"users": ("password", "token")} == report.omitted
    assert () == report.warnings


def test_secrets_are_included_unless_it_is_said() -> None:
    """An export by Python is a complete backup; its schema still says what is secret."""
    file = io.BytesIO()
    report = export_all(memory(ROWS, SCHEMA), file)
    assert b'"password":"pw-ana"' in file.getvalue()
    assert ("included", {}) == (
        inspect_archive(io.BytesIO(file.getvalue())).secrets,
        report.omitted,
    )
    assert ("password", "token") == inspect_archive(file_again(file)).collections["users"].secret
    repository = memory({}, SCHEMA)
    import_all(repository, file_again(file))
    assert ROWS == rows_in(repository)


def file_again(file: io.BytesIO) -> io.BytesIO:
    """The same bytes from their beginning."""
    return io.BytesIO(file.getvalue())


def test_iter_export_omits_too() -> None:
    """A stream has the same choice."""
    archive = b"".join(iter_export(memory(ROWS, SCHEMA), secrets="omitted"))
    assert b"pw-" not in archive
    assert "omitted" == inspect_archive(io.BytesIO(archive)).secrets


def test_nothing_secret_is_nothing_omitted() -> None:
    """A schema without secrets has the same archive, whatever is asked for."""
    rows: Dataset = {"users": [(1, "Ana")]}
    one, other = io.BytesIO(), io.BytesIO()
    export_all(memory(rows, OPEN), one)
    report = export_all(memory(rows, OPEN), other, secrets="omitted")
    assert Lines.of(one.getvalue()).header[150:] == Lines.of(other.getvalue()).header[150:]
    assert b'"secrets":"included"' in other.getvalue()
    assert {} == report.omitted


def test_unknown_choice_is_refused() -> None:
    """Another word is wrong usage, before anything is read."""
    with pytest.raises(ValueError, match="secrets is 'included' or 'omitted', not 'omit'"):
        iter_export(memory(ROWS, SCHEMA), secrets="omit")  # type: ignore[arg-type]


def test_store_keeps_its_own(store: Any) -> None:
    """Other fields are the archive's, secrets the store's of today."""
    repository = store(SCHEMA, {"users": [(1, "?", "pw-new", b"new"), (2, "Bo", "pw-bo", None)]})
    report = import_all(repository, omitting())
    wanted = [(1, "Ana", "pw-new", b"new"), (2, "Bo", "pw-bo", None)]
    assert wanted == rows_in(repository)["users"]
    assert (1, 1) == (report.changed, report.unchanged)
    assert {"users.password": 2, "users.token": 2} == report.secrets_kept
    assert {} == report.secrets_defaulted


@pytest.mark.parametrize("mode", ["merge", "add"])
def test_modes(store: Any, mode: Any) -> None:
    """A merge overwrites all but the secrets; an add leaves what is there as it is."""
    schema = defaulting(USERS, {"password": "made", "token": None})
    repository = store(schema, {"users": [(0, "Di", "pw-di", b""), (1, "?", "pw-new", b"new")]})
    report = import_all(repository, omitting(), mode=mode)
    name = "Ana" if mode == "merge" else "?"
    wanted = [(0, "Di", "pw-di", b""), (1, name, "pw-new", b"new"), (2, "Bo", "made", None)]
    assert wanted == rows_in(repository)["users"]
    assert 1 == report.added
    assert {"users.password": 1, "users.token": 1} == report.secrets_defaulted


def test_neither_record_nor_default(store: Any) -> None:
    """A new record without a default is a problem, nullable or not, and nothing changes."""
    rows: Dataset = {"users": [(1, "?", "pw-new", b"new")]}
    repository = store(SCHEMA, rows)
    with pytest.raises(SecretsMissing) as caught:
        import_all(repository, omitting())
    assert rows == rows_in(repository)
    expected = Problem(
        code="secret-omitted",
        message=(
            "the archive omits it, the store has no record of this key to keep it of, and the "
            "field has no default"
        ),
        collection="users",
        record=2,
        key=(2,),
        field="password",
        pointer="/data/users/1",
        expected="a record of this key in the store, or a default of the field",
    )
    assert (expected,) == caught.value.problems


def test_nullable_field_has_no_default_by_itself(store: Any) -> None:
    """Null is a default only where it is declared as one."""
    fields = [*USERS.fields[:2], USERS.fields[3]]
    schema = Schema(collections=[Collection("users", key="id", fields=fields)])
    archive = omitting(schema, {"users": [(1, "Ana", b"")]}).getvalue()
    with pytest.raises(SecretsMissing):
        import_all(store(schema, {}), io.BytesIO(archive))
    fields[2] = attrs.evolve(fields[2], default=None)
    schema = Schema(collections=[Collection("users", key="id", fields=fields)])
    repository = store(schema, {})
    import_all(repository, io.BytesIO(archive))
    assert [(1, "Ana", None)] == rows_in(repository)["users"]


def test_into_another_app_that_has_them_in_another_order(store: Any) -> None:
    """Where the fields stand is of no account, and neither is whether they are secret there."""
    fields = [attrs.evolve(f, secret=False) for f in reversed(USERS.fields)]
    schema = Schema(app="club", collections=[Collection("users", key="id", fields=fields)])
    repository = store(schema, {"users": [(None, "b", "?", 2), (b"a", "a", "?", 1)]})
    import_all(repository, omitting())
    assert [(b"a", "a", "Ana", 1), (None, "b", "Bo", 2)] == rows_in(repository)["users"]


def test_field_that_the_store_lacks_is_a_mismatch() -> None:
    """What is omitted is a field all the same."""
    with pytest.raises(SchemaMismatch, match=r"has the field users\.password, the target does not"):
        import_all(memory({}, OPEN), omitting())


@pytest.mark.parametrize("ordered", [True, False])
def test_many_batches(make: Make, ordered: bool) -> None:
    """Each record finds its own, across batches, in key order and in none."""
    size = 2 * BATCH_SIZE + 7
    rows: Dataset = {"users": [(i, f"n{i}", f"pw{i}", b"%d" % i) for i in range(size)]}
    now: Dataset = {"users": [(i, "", f"new{i}", None) for i in range(0, size, 3)]}
    schema = defaulting(USERS, {"password": "made", "token": b""})
    archive = omitting(schema, rows).getvalue()
    if not ordered:
        lines = Lines.of(archive)
        lines.header = lines.header.replace(b'"order":"key"', b'"order":"none"')
        lines.collections["users"].reverse()
        archive = lines.sealed(OPEN)
    repository = make(schema, now)
    report = import_all(repository, io.BytesIO(archive))
    expected = [
        (i, f"n{i}", f"new{i}" if i % 3 == 0 else "made", None if i % 3 == 0 else b"")
        for i in range(size)
    ]
    assert expected == rows_in(repository)["users"]
    kept = len(now["users"])
    assert {"users.password": kept, "users.token": kept} == report.secrets_kept
    assert size - kept == report.secrets_defaulted["users.token"]


def test_without_a_key_nothing_tells_whose_it_is(store: Any) -> None:
    """A collection without a key is refused where the store has records of it; nothing changes."""
    log = Collection("log", fields={"line": str, "secret": str}, secret=["secret"])
    schema = Schema(collections=[log])
    rows: Dataset = {"log": [("a", "pw-a")]}
    file = io.BytesIO()
    report = export_all(memory(rows, schema), file, secrets="omitted")
    assert ["log has no key"] == [warning[:14] for warning in report.warnings]
    repository = store(schema, rows)
    with pytest.raises(SecretsMissing, match="no key tells whose value") as caught:
        import_all(repository, file_again(file))
    assert [("log", "secret")] == [(p.collection, p.field) for p in caught.value.problems]
    assert rows == rows_in(repository)
    field = Field("secret", kinds.Str(), secret=True, default="none")
    defaulting = Schema(collections=[Collection("log", fields=[log.fields[0], field])])
    repository = store(defaulting, {})
    import_all(repository, file_again(file))
    assert [("a", "none")] == rows_in(repository)["log"]


def test_defaults_of_a_class() -> None:
    """A class's own default serves, a factory anew for each record, in the form of a row."""

    @attrs.define
    class User:
        id: int
        name: str
        token: str = attrs.field(factory=lambda: uuid.uuid4().hex)
        weight: float = 1

    users: list[User] = []
    collection = Collection.of(User, "users", key="id", secret=["token", "weight"])
    repository = MemoryRepository(Schema(collections=[collection]), {"users": users})
    fields = {"id": int, "name": str, "token": str, "weight": float}
    plain = Collection("users", key="id", fields=fields, secret=["token", "weight"])
    schema = Schema(collections=[plain])
    rows: Dataset = {"users": [(1, "Ana", "x", 0.5), (2, "Bo", "y", 0.5)]}
    import_all(repository, omitting(schema, rows))
    assert [("Ana", 1.0), ("Bo", 1.0)] == [(u.name, u.weight) for u in users]
    assert {32} == {len(user.token) for user in users}
    assert users[0].token != users[1].token
    users[0].name = "?"
    tokens = [user.token for user in users]
    import_all(repository, omitting(schema, rows))
    assert ["Ana", *tokens] == [users[0].name, *(user.token for user in users)]


def test_default_that_fails_or_does_not_fit_is_a_problem() -> None:
    """What a class's own default comes to is checked as any value, and named."""

    def fail() -> str:
        raise RuntimeError("pw-ana")

    @attrs.define
    class User:
        id: int
        name: str
        token: str = attrs.field(factory=fail)

    @attrs.define
    class Other:
        id: int
        name: str
        token: str = attrs.field(default=7)  # type: ignore[assignment]

    fields = {"id": int, "name": str, "token": str}
    plain = Schema(collections=[Collection("users", key="id", fields=fields, secret=["token"])])
    archive = omitting(plain, {"users": [(1, "Ana", "x")]}).getvalue()
    messages = []
    for model in (User, Other):
        schema = Schema(collections=[Collection.of(model, "users", key="id", secret=["token"])])
        with pytest.raises(InvalidRecords) as caught:
            import_all(MemoryRepository(schema, {"users": []}), io.BytesIO(archive))
        messages += [problem.message for problem in caught.value.problems]
    assert [
        "its default cannot be made: RuntimeError",
        "what it would keep, or get by default, is not valid: expected text, found (secret)",
    ] == messages


def test_diff_says_what_it_does_not_compare() -> None:
    """Fields that one side omits make no difference, and are named."""
    rows: Dataset = {"users": [(1, "Ana", "other", None), (2, "Bea", "other", None)]}
    found = diff(omitting(), memory(rows, SCHEMA), names=("then", "now"))
    users = found.collections["users"]
    assert (1, 1, ()) == (users.changed, users.unchanged, users.structure)
    expected = "then omits secrets, which are not compared: users.password, users.token"
    assert (expected,) == found.notes


def test_new_tables(tmp_path: Path) -> None:
    """Tables that are made hold defaults, or are not made at all."""
    (tmp_path / "t.db").touch()
    archive = omitting().getvalue()
    empty = SQLiteRepository.reflect(tmp_path / "t.db")
    with pytest.raises(SecretsMissing):
        import_all(empty, io.BytesIO(archive), create=True)
    assert {"sqlite_master": []} == sqlite.dump(tmp_path / "t.db")
    repository = SQLiteRepository(
        tmp_path / "t.db", defaulting(USERS, {"password": "made", "token": None})
    )
    seen: list[Progress] = []
    report = import_all(repository, io.BytesIO(archive), create=True, progress=seen.append)
    assert ("users",) == report.created
    assert [2] == [found.done for found in seen if found.stage == "measuring"]
    assert [(1, "Ana", "made", None), (2, "Bo", "made", None)] == rows_in(repository)["users"]


def test_totals_of_the_file_are_checked(store: Any) -> None:
    """A digest in the file that is not that of its records is found, secrets or not."""
    lines = Lines.of(omitting().getvalue())
    ends = {"users": CollectionEnd(2, "0" * 64)}
    rows: Dataset = {"users": [(1, "Ana", "a", None), (2, "Bo", "b", None)]}
    repository = store(SCHEMA, rows)
    with pytest.raises(InvalidRecords) as caught:
        import_all(repository, io.BytesIO(lines.sealed(OPEN, ends)))
    assert ["digest"] == [problem.code for problem in caught.value.problems]


def test_async_export_omits_too() -> None:
    """An export in a thread has the same choice."""
    file = io.BytesIO()
    report = asyncio.run(export_all_async(memory(ROWS, SCHEMA), file, secrets="omitted"))
    assert {"users": ("password", "token")} == report.omitted
    assert b"pw-" not in file.getvalue()


@pytest.mark.parametrize("ordered", [True, False])
def test_records_of_the_store_whose_keys_no_schema_allows(tmp_path: Path, ordered: bool) -> None:
    """A key that is a blob where text should be is nobody's, and in nobody's way."""
    users = Collection(
        "users", key="id", fields={"id": str, "name": str, "password": str}, secret=["password"]
    )
    schema = Schema(app="club", collections=[users])
    rows: Dataset = {"users": [("a", "Ana", "x"), ("b", "Bo", "x")]}
    lines = Lines.of(omitting(schema, rows).getvalue())
    if not ordered:
        lines.header = lines.header.replace(b'"order":"key"', b'"order":"none"')
        lines.collections["users"].reverse()
    narrow = Collection("users", key="id", fields=users.fields[:2])
    archive = lines.sealed(Schema(collections=[narrow]))
    now: Dataset = {"users": [("a", "?", "own a"), ("b", "?", "own b")]}
    repository = sqlite.repository(tmp_path / "t.db", schema, now)
    sqlite.run(tmp_path / "t.db", "INSERT INTO users VALUES (x'00', 'none', 'lost')")
    import_all(repository, io.BytesIO(archive))
    assert [("a", "Ana", "own a"), ("b", "Bo", "own b")] == rows_in(repository)["users"]


def test_diff_with_what_needs_the_field() -> None:
    """Where the other side has an omitted field in its key, in a reference, or alone, it stays."""
    token = Collection("users", key="token", fields={"token": bytes, "id": int})
    with pytest.raises(KeysDiffer):
        diff(omitting(), memory({"users": [(b"", 1)]}, Schema(collections=[token])))
    users = Collection("users", key="id", fields={"id": int, "password": str})
    posts = Collection(
        "posts",
        key="id",
        fields={"id": int, "by": str},
        references=[Reference("by", "users", "password")],
    )
    other = memory({"users": [(1, "a")], "posts": [(1, "a")]}, Schema(collections=[users, posts]))
    found = diff(omitting(), other, names=("a", "b")).collections["users"]
    assert "field password only in b" in found.structure
    less = Collection("users", key="id", fields={"id": int, "name": str, "password": str})
    found = diff(omitting(), memory({"users": []}, Schema(collections=[less]))).collections["users"]
    assert () == found.structure
    alone = Collection("users", fields={"password": str})
    found = diff(omitting(), memory({"users": []}, Schema(collections=[alone]))).collections[
        "users"
    ]
    assert 2 == found.removed


def test_references_of_an_archive_that_omits(store: Any) -> None:
    """Collections with secrets refer to each other as others do."""
    users = Collection(
        "users",
        key="id",
        fields={"id": int, "boss": int | None, "password": str},
        references=[Reference("boss", "users")],
        secret=["password"],
    )
    schema = Schema(app="club", collections=[users])
    rows: Dataset = {"users": [(1, 2, "a"), (2, None, "b")]}
    archive = omitting(schema, rows).getvalue()
    assert 2 == verify_archive(io.BytesIO(archive)).records
    repository = store(schema, {"users": [(1, None, "a"), (2, 1, "b")]})
    import_all(repository, io.BytesIO(archive))
    assert rows == rows_in(repository)
    lines = Lines.of(archive)
    lines.collections["users"][0] = b'{"id":1,"boss":9}'
    narrow = Collection("users", key="id", fields=users.fields[:2])
    spoilt = lines.sealed(Schema(collections=[narrow]))
    for read in (verify_archive, lambda file: import_all(repository, file)):
        with pytest.raises(InvalidRecords, match="points at users int 9, which is not there"):
            read(io.BytesIO(spoilt))


def test_diff_with_a_side_that_refers_by_the_field() -> None:
    """A field that is a reference on one side alone is not compared, and makes no difference."""
    fields = {"id": int, "boss": int | None}
    hidden = Schema(collections=[Collection("users", key="id", fields=fields, secret=["boss"])])
    users = Collection("users", key="id", fields=fields, references=[Reference("boss", "users")])
    rows: Dataset = {"users": [(1, None), (2, 1)]}
    found = diff(omitting(hidden, rows), memory(rows, Schema(collections=[users])))
    assert (True, 2) == (found.identical, found.unchanged)


def test_default_of_its_own_self_is_none() -> None:
    """A default that a class makes of the whole instance is none that a record could get."""

    @attrs.define
    class User:
        id: int
        token: str = attrs.field(default=attrs.Factory(lambda self: str(self.id), takes_self=True))

    schema = Schema(collections=[Collection.of(User, "users", key="id", secret=["token"])])
    plain = Collection("users", key="id", fields={"id": int, "token": str}, secret=["token"])
    archive = omitting(Schema(collections=[plain]), {"users": [(1, "x")]})
    with pytest.raises(SecretsMissing, match="the field has no default"):
        import_all(MemoryRepository(schema, {"users": []}), archive)
