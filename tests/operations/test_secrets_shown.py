"""What is secret is in no archive that omits it, and in no error, report or sample."""

import io
import json
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup import (
    Collection,
    Json,
    Recorder,
    Schema,
    diff,
    export_all,
    import_all,
    seal_archive,
    verify_archive,
)
from databackup.adapters.memory import MemoryRepository
from databackup.errors import (
    DatabackupError,
    InvalidEdit,
    InvalidRecords,
    RecordsNotTaken,
    RecordsRefused,
)
from databackup.operations.secrets import withholding
from databackup.schema.secrets import MASK, WITHHELD
from tests.support import sqlite
from tests.support.archives import Lines
from tests.support.club import Dataset, memory
from tests.support.migrating import of_today, old, step
from tests.support.wrappers import Passed, PassedTransaction

MARK = "zqXq"
FIELDS = {"id": int, "name": str, "password": str, "extra": Json}
USERS = Collection("users", key="id", fields=FIELDS, secret=["password", "extra"])
SCHEMA = Schema(app="club", collections=[USERS])
OPEN = Schema(app="club", collections=[Collection("users", key="id", fields=FIELDS)])


def texts(error: BaseException) -> str:
    """All that an error says, in every form, and its causes with it."""
    said = [*traceback.format_exception(error), repr(error)]
    if isinstance(error, DatabackupError):
        said += [str(error), json.dumps(error.as_json())]
    return "\n".join(said)


def told(error: BaseException) -> str:
    """As `texts`; it has no secret in it."""
    found = texts(error)
    assert MARK not in found
    return found


secrets = st.text(max_size=8).map(lambda text: MARK + text)
values = st.tuples(
    st.integers(0, 9),
    st.text(max_size=5),
    secrets,
    st.one_of(secrets, st.dictionaries(secrets, secrets, max_size=2), st.lists(secrets)),
)


def _unique(rows: list[Any]) -> list[Any]:
    return list({row[0]: row for row in rows}.values())


rows_of_users = st.lists(values, max_size=8).map(_unique)


@given(archived=rows_of_users, present=rows_of_users)
def test_nothing_shows_a_secret(archived: list[Any], present: list[Any]) -> None:
    """Neither the bytes of an archive, nor the report or the error of its import, nor a diff."""
    file = io.BytesIO()
    report = export_all(memory({"users": archived}, SCHEMA), file, secrets="omitted")
    assert MARK.encode() not in file.getvalue()
    assert MARK not in repr(report)
    repository = memory({"users": present}, SCHEMA)
    found = diff(memory({"users": archived}, SCHEMA), repository)
    assert MARK not in repr(found) + json.dumps(found.as_json())
    try:
        done = import_all(repository, io.BytesIO(file.getvalue()))
    except DatabackupError as error:
        told(error)
    else:
        assert MARK not in repr(done) + json.dumps(done.as_json())


def archive(rows: Dataset, schema: Schema = SCHEMA) -> bytes:
    """An archive with all secrets in it."""
    file = io.BytesIO()
    export_all(memory(rows, schema), file)
    return file.getvalue()


ROWS: Dataset = {"users": [(1, "Ana", f"{MARK}-ana", {MARK: MARK})]}
READERS: list[Callable[[bytes], object]] = [
    lambda data: verify_archive(io.BytesIO(data)),
    lambda data: verify_archive(io.BytesIO(data), SCHEMA),
    lambda data: seal_archive(io.BytesIO(data), io.BytesIO()),
    lambda data: import_all(memory({}, SCHEMA), io.BytesIO(data)),
    lambda data: import_all(memory({}, OPEN), io.BytesIO(data)),
    lambda data: diff(io.BytesIO(data), memory({}, OPEN)),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "before,after",
    [
        (f'"{MARK}-ana"'.encode(), f'["{MARK}-ana"]'.encode()),
        (f'"{MARK}":"{MARK}"'.encode(), f'"{MARK}":"a","{MARK}":"b"'.encode()),
        (f'"{MARK}":"{MARK}"'.encode(), f'"{MARK}":NaN'.encode()),
        (f'"{MARK}":"{MARK}"'.encode(), f'"{MARK}":{{"$int":"{MARK}"}}'.encode()),
        (f'"{MARK}":"{MARK}"'.encode(), f'"{MARK}":"\\ud800"'.encode()),
    ],
)
def test_spoilt_values(read: Callable[[bytes], object], before: bytes, after: bytes) -> None:
    """What is wrong with a secret is told without it, wherever it is read."""
    lines = Lines.of(archive(ROWS))
    lines.collections["users"] = [
        line.replace(before, after) for line in lines.collections["users"]
    ]
    data = lines.sealed(SCHEMA)
    with pytest.raises((InvalidRecords, InvalidEdit)) as caught:
        read(data)
    problem = caught.value.problems[0]
    assert ("users", 1) == (problem.collection, problem.record)
    assert MASK in told(caught.value)


def test_samples_of_a_diff() -> None:
    """A sample says that a secret differs; null, which is no secret, is shown as it is."""
    fields = {"id": int, "token": str | None}
    schema = Schema(collections=[Collection("users", key="id", fields=fields, secret=["token"])])
    old_, new = {"users": [(1, "a"), (2, None)]}, {"users": [(1, "b"), (2, "c"), (3, "d")]}
    found = diff(memory(old_, schema), memory(new, schema)).collections["users"]
    hidden = {"token": {"$secret": True}}
    expected = [(hidden, hidden), ({"token": None}, hidden), (None, hidden)]
    assert sorted(map(repr, expected)) == sorted(repr((r.old, r.new)) for r in found.sample)


def test_one_side_that_marks_hides_both() -> None:
    """A field is secret in a comparison where either side says so."""
    one, other = memory(ROWS, SCHEMA), memory({"users": [(1, "Ana", f"{MARK}!", MARK)]}, OPEN)
    for found in (diff(one, other), diff(other, one)):
        assert 1 == found.changed
        assert MARK not in repr(found)


@attrs.define
class _User:
    """A model whose validators say what they were given."""

    id: int
    name: str
    password: str = attrs.field()
    extra: Json

    @password.validator
    def _check(self, _attribute: Any, value: str) -> None:
        if value.endswith("-ana"):
            raise ValueError(f"{value} is too weak")

    def __attrs_post_init__(self) -> None:
        if self.name == "?":
            raise ValueError(f"nobody is called so: {self}")


MODEL = Schema(
    app="club", collections=[Collection.of(_User, "users", key="id", secret=["password", "extra"])]
)


@pytest.mark.parametrize("row", [(1, "Ana", f"{MARK}-ana", None), (1, "?", MARK, None)])
def test_what_a_model_says(row: Any) -> None:
    """A validator's words may have the value in them, and are withheld."""
    data = archive({"users": [row]}, SCHEMA)
    with pytest.raises(InvalidRecords) as caught:
        import_all(MemoryRepository(MODEL, {"users": []}), io.BytesIO(data))
    assert WITHHELD in told(caught.value)


def test_what_a_model_says_of_other_fields() -> None:
    """Words about a field that is not secret are passed on."""

    @attrs.define
    class User:
        id: int
        name: str = attrs.field(validator=attrs.validators.min_len(2))
        password: str
        extra: Json

    collection = Collection.of(User, "users", key="id", secret=["password", "extra"])
    repository = MemoryRepository(Schema(app="club", collections=[collection]), {"users": []})
    data = archive({"users": [(1, "A", MARK, None)]})
    with pytest.raises(InvalidRecords, match="Length of 'name' must be >= 2"):
        import_all(repository, io.BytesIO(data))


def test_contents_that_give_no_rows() -> None:
    """What lists in memory hold and no row can be is told without it."""
    contents: dict[str, Any] = {"users": [{"id": 1, "name": "Ana", "password": f"{MARK}"}]}
    with pytest.raises(InvalidRecords) as caught:
        export_all(MemoryRepository(SCHEMA, contents), io.BytesIO())
    told(caught.value)
    contents = {"users": [{"id": 1, "name": "Ana", "password": [MARK], "extra": None}]}
    with pytest.raises(InvalidRecords) as caught:
        export_all(MemoryRepository(SCHEMA, contents), io.BytesIO())
    assert MASK in told(caught.value)


def test_what_a_store_says() -> None:
    """The words of a store that refuses a record are withheld, and its key is named."""

    class _Refuses(PassedTransaction):
        def insert(self, collection: Collection, rows: Any) -> None:
            raise RecordsRefused(f"failing row contains {rows}")

    with pytest.raises(RecordsNotTaken) as caught:
        import_all(Passed(memory({}, SCHEMA), transaction=_Refuses), io.BytesIO(archive(ROWS)))
    assert WITHHELD in told(caught.value)
    assert (1,) == caught.value.problems[0].key


def test_what_a_store_says_at_the_end() -> None:
    """A refusal that comes with the commit is passed on without its words or its cause."""
    refused = RecordsRefused(f"Key (password)=({MARK}) already exists", "password")
    with pytest.raises(RecordsRefused) as caught, withholding(SCHEMA):
        raise refused
    assert WITHHELD in told(caught.value)
    assert "password" == caught.value.field


def test_what_a_store_says_when_all_is_written() -> None:
    """An import ends with such a refusal, too; where nothing is secret its words are passed on."""

    class _Refuses(PassedTransaction):
        def finish(self, counters: Any, *, allow_cascade: bool = False) -> None:
            raise RecordsRefused(f"Key (password)=({MARK}) already exists", "password")

    with pytest.raises(RecordsRefused) as caught:
        import_all(Passed(memory({}, SCHEMA), transaction=_Refuses), io.BytesIO(archive(ROWS)))
    assert WITHHELD in told(caught.value)
    refused = RecordsRefused("no")
    plain = Schema(collections=[Collection("t", key="id", fields={"id": int})])
    with pytest.raises(RecordsRefused) as caught, withholding(plain):
        raise refused
    assert refused is caught.value


def test_read_back() -> None:
    """A store that gives back another secret is found out, and neither value is shown."""

    class _Spoils(PassedTransaction):
        def insert(self, collection: Collection, rows: Any) -> None:
            self.transaction.insert(collection, [(*row[:2], row[2] + "!", row[3]) for row in rows])

    repository = Passed(memory({}, SCHEMA), transaction=_Spoils)
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(repository, io.BytesIO(archive(ROWS)))
    assert f"the store gives back {MASK} for {MASK}" in told(caught.value)


def test_read_back_of_what_was_filled_in() -> None:
    """Of an archive that omits secrets, the store must hold those that it was given."""
    field = attrs.evolve(USERS.fields[2], default=f"{MARK} made")
    users = Collection("users", key="id", fields=[*USERS.fields[:2], field])
    schema = Schema(collections=[users])
    file = io.BytesIO()
    export_all(memory({"users": [(1, "Ana", "x")]}, schema), file, secrets="omitted")

    class _Spoils(PassedTransaction):
        def insert(self, collection: Collection, rows: Any) -> None:
            self.transaction.insert(collection, [(*row[:2], row[2] + "!") for row in rows])

    repository = Passed(memory({}, schema), transaction=_Spoils)
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(repository, io.BytesIO(file.getvalue()))
    problem = caught.value.problems[0]
    assert ("read-back", "password", (1,)) == (problem.code, problem.field, problem.key)
    assert f"the store gives back {MASK} for {MASK}" in told(caught.value)


def test_value_of_the_store_that_no_schema_allows(tmp_path: Path) -> None:
    """What would be kept has to be valid, and is told of without it."""
    file = io.BytesIO()
    export_all(memory(ROWS, SCHEMA), file, secrets="omitted")
    path = tmp_path / "t.db"
    repository = sqlite.repository(
        path, SCHEMA, {"users": [(1, "?", "x", None), (2, "b", "y", None)]}
    )
    sqlite.run(path, f"UPDATE users SET password = x'{MARK.encode().hex()}' WHERE id = 1")
    with pytest.raises(InvalidRecords, match="what it would keep, or get by default") as caught:
        import_all(repository, io.BytesIO(file.getvalue()))
    assert ("password", (1,)) == (caught.value.problems[0].field, caught.value.problems[0].key)
    assert MASK in told(caught.value)


def _fails(m: Recorder) -> None:
    def fail(value: str) -> str:
        raise ValueError(f"what is {value}")

    m.change_kind("users", "password", str, using=fail)


def _spoils(m: Recorder) -> None:
    m.change_kind("users", "password", str, using=lambda value: [value])


@pytest.mark.parametrize("record", [_fails, _spoils])
@pytest.mark.parametrize("was_secret", [True, False])
def test_what_a_migration_says(tmp_path: Path, record: Any, was_secret: bool) -> None:
    """A function that fails on a secret, or spoils it, is named, whenever it became one."""
    then = USERS if was_secret else OPEN["users"]
    data = archive(ROWS, old(tmp_path, then))
    today = of_today(tmp_path, [USERS], step(record))
    with pytest.raises(InvalidRecords, match="the migration 1 to 2") as caught:
        import_all(memory({}, today), io.BytesIO(data))
    told(caught.value)


def test_read_back_remembers_what_was_filled_in() -> None:
    """Of many records, some kept and some made anew each time, the one that differs is named."""

    @attrs.define
    class User:
        id: int
        name: str
        password: str = attrs.field(factory=lambda: f"{MARK} {uuid.uuid4().hex}")

    users = [User(2, "?", "own"), User(5, "?", "own")]
    schema = Schema(
        app="club", collections=[Collection.of(User, "users", key="id", secret=["password"])]
    )
    fields = {"id": int, "name": str, "password": str}
    plain = Schema(
        app="club",
        collections=[Collection("users", key="id", fields=fields, secret=["password"])],
    )
    file = io.BytesIO()
    rows: Dataset = {"users": [(i, "Ana", "x") for i in range(1, 8)]}
    export_all(memory(rows, plain), file, secrets="omitted")

    class _Spoils(PassedTransaction):
        def insert(self, collection: Collection, rows: Any) -> None:
            spoilt = [(*row[:2], "!") if row[0] == 4 else row for row in rows]
            self.transaction.insert(collection, spoilt)

    repository = Passed(MemoryRepository(schema, {"users": users}), transaction=_Spoils)
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(repository, io.BytesIO(file.getvalue()))
    assert [((4,), 4)] == [(p.key, p.record) for p in caught.value.problems]
    told(caught.value)


def test_instances_that_give_no_rows() -> None:
    """What an instance holds and no row can is told of without it."""

    @attrs.define
    class User:
        id: int
        codes: list[str]

    schema = Schema(collections=[Collection.of(User, "users", key="id", secret=["codes"])])
    users = [User(1, MARK)]  # type: ignore[arg-type]
    with pytest.raises(InvalidRecords) as caught:
        export_all(MemoryRepository(schema, {"users": users}), io.BytesIO())
    assert WITHHELD in told(caught.value)
