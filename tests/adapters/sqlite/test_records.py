import contextlib
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import RecordsRefused, StoreFailed
from databackup.repository import Row
from databackup.schema import (
    Collection,
    Field,
    Kind,
    RawText,
    Reference,
    Schema,
    composite,
    kinds,
)
from tests.adapters.sqlite.helpers import insert, read, rows_of, undone
from tests.support import sqlite

Make = Callable[..., Path]


def reflected(path: Path, name: str = "t") -> tuple[SQLiteRepository, Collection]:
    """A repository as its catalogue has it, and one of its collections."""
    repository = SQLiteRepository.reflect(path)
    return repository, repository.schema[name]


# -- constraints -------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["IGNORE", "REPLACE", "ROLLBACK", "FAIL"])
def test_the_tables_own_conflict_clauses_do_not_act(database: Make, action: str) -> None:
    """A record is written or refused: not dropped, not put in another's place."""
    path = database(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, "
        f"u TEXT UNIQUE ON CONFLICT {action}, n TEXT NOT NULL ON CONFLICT {action} DEFAULT 'd')",
        "INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'x')",
    )
    fields = {"id": int, "u": str, "n": str | None}
    schema = Schema(collections=[Collection("t", key="id", fields=fields)])
    repository = SQLiteRepository(path, schema)
    for write, row, reason in [
        ("insert", (3, "a", "x"), "UNIQUE constraint failed: t.u"),
        ("update", (2, "a", "x"), "UNIQUE constraint failed: t.u"),
        ("insert", (3, "c", None), "NOT NULL constraint failed: t.n"),
        ("update", (2, "b", None), "NOT NULL constraint failed: t.n"),
    ]:
        with undone(repository) as transaction:
            with pytest.raises(RecordsRefused, match=reason), transaction.savepoint():
                getattr(transaction, write)(schema["t"], [row])
            assert [(1, "a", "x"), (2, "b", "x")] == rows_of(repository, transaction, "t")


def test_a_key_that_is_there_already_is_refused(database: Make) -> None:
    """An insert does not replace the record of its key."""
    path = database("CREATE TABLE t (id INTEGER PRIMARY KEY, x)", "INSERT INTO t VALUES (1, 'a')")
    repository, t = reflected(path)
    with (
        undone(repository) as transaction,
        pytest.raises(RecordsRefused, match=r"UNIQUE constraint failed: t\.id"),
    ):
        transaction.insert(t, [(2, "b"), (1, "c")])


@pytest.mark.parametrize("write", ["update", "delete"])
def test_a_key_without_a_record_is_refused(database: Make, write: str) -> None:
    """Rows that were not found are counted."""
    path = database("CREATE TABLE t (id INTEGER PRIMARY KEY, x)", "INSERT INTO t VALUES (1, 'a')")
    repository, t = reflected(path)
    rows = [(1, "b"), (2, "b"), (3, "b")] if write == "update" else [(1,), (2,), (3,)]
    with undone(repository) as transaction:
        with pytest.raises(RecordsRefused, match="2 of the records are not there"):
            getattr(transaction, write)(t, rows)
        with pytest.raises(RecordsRefused, match="1 of the records is not there"):
            getattr(transaction, write)(t, rows[2:])


def test_a_table_of_nothing_but_a_key_can_be_updated(database: Make) -> None:
    """An update of an association table finds its records, and changes nothing."""
    path = database(
        "CREATE TABLE t (a INT, b INT, PRIMARY KEY (b, a))", "INSERT INTO t VALUES (1, 2)"
    )
    repository, t = reflected(path)
    assert ("b", "a") == t.key
    with repository.transaction() as transaction:
        transaction.update(t, [(1, 2)])
        with pytest.raises(RecordsRefused), transaction.savepoint():
            transaction.update(t, [(2, 1)])
        assert [(1, 2)] == transaction.get(t, [(2, 1), (1, 2)])


def test_nothing_cascades_on_delete_and_insert(database: Make) -> None:
    """A parent taken out and put in anew keeps its children, in the schema and outside it."""
    path = database(
        "CREATE TABLE parents (id INTEGER PRIMARY KEY, x TEXT UNIQUE)",
        "CREATE TABLE children (id INTEGER PRIMARY KEY, p REFERENCES parents ON DELETE CASCADE)",
        "CREATE TABLE outside (id INTEGER PRIMARY KEY, p REFERENCES parents ON DELETE CASCADE)",
        "INSERT INTO parents VALUES (1, 'a')",
        "INSERT INTO children VALUES (1, 1)",
        "INSERT INTO outside VALUES (1, 1)",
    )
    repository = SQLiteRepository.reflect(path, exclude={"outside": "not ours"})
    parents = repository.schema["parents"]
    for take_out in ("delete", "clear"):
        with repository.transaction() as transaction:
            if take_out == "delete":
                transaction.delete(parents, [(1,)])
            else:
                transaction.clear(parents)
            transaction.insert(parents, [(1, "b")])
            transaction.finish({})
        assert [(1, 1)] == sqlite.query(path, "SELECT * FROM children")
        assert [(1, 1)] == sqlite.query(path, "SELECT * FROM outside")


def test_columns_outside_the_schema_keep_their_values(database: Make) -> None:
    """An update leaves excluded columns alone, and an insert gives them their default."""
    path = database(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, secret TEXT DEFAULT 'none')",
        "INSERT INTO t VALUES (1, 'a', 's')",
    )
    repository = SQLiteRepository.reflect(path, exclude={"t.secret": "a secret"})
    with repository.transaction() as transaction:
        transaction.update(repository.schema["t"], [(1, "b")])
        transaction.insert(repository.schema["t"], [(2, "c")])
    assert [(1, "b", "s"), (2, "c", "none")] == sqlite.query(path, "SELECT * FROM t")


def test_generated_columns_are_neither_read_nor_written(database: Make) -> None:
    """They are no fields, though table_info does not tell of them, and SQLite computes them."""
    path = database(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x INT, "
        "twice INT AS (x * 2), thrice INT AS (x * 3) STORED)",
    )
    repository, t = reflected(path)
    assert ("id", "x") == t.field_names
    insert(repository, "t", (1, 5))
    assert [(1, 5, 10, 15)] == sqlite.query(path, "SELECT * FROM t")


def test_errors_of_the_tables_expressions_are_the_records_fault(database: Make) -> None:
    """A CHECK that a value makes fail refuses the record; a missing function fails the store."""
    path = database(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, j TEXT CHECK (json_extract(j, '$.a') < 5))",
        "CREATE TABLE own (id INTEGER PRIMARY KEY, x TEXT)",
    )
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.create_function("mine", 1, lambda x: x, deterministic=True)
        connection.execute("CREATE INDEX i ON own (mine(x))")
        connection.commit()
    repository, t = reflected(path)
    with undone(repository) as transaction:
        for text in ("{", '{"a": 7}'):
            with pytest.raises(RecordsRefused), transaction.savepoint():
                transaction.insert(t, [(1, text)])
        with pytest.raises(StoreFailed, match="mine"):
            transaction.insert(repository.schema["own"], [(1, "x")])


# -- keys --------------------------------------------------------------------------------------


def test_keys_are_told_apart_by_case_and_space(database: Make) -> None:
    """A NOCASE or RTRIM key finds only what is the same to the byte, by its own index."""
    for collation in ("NOCASE", "RTRIM"):
        path = database(
            "DROP TABLE IF EXISTS t",
            f"CREATE TABLE t (k TEXT PRIMARY KEY COLLATE {collation}, x)",
            "INSERT INTO t VALUES ('a', '1')",
        )
        repository, t = reflected(path)
        other = ("A",) if collation == "NOCASE" else ("a ",)
        with undone(repository) as transaction:
            assert [("a", "1")] == transaction.get(t, [other, ("a",)])
            for write, row in (("update", (*other, "2")), ("delete", other)):
                with pytest.raises(RecordsRefused, match="not there"), transaction.savepoint():
                    getattr(transaction, write)(t, [row])
            transaction.update(t, [("a", "2")])
            assert [("a", "2")] == rows_of(repository, transaction, "t")
            plan = transaction._plans["t"]
            explained = transaction._connection.execute(
                f"EXPLAIN QUERY PLAN {plan.delete()}", ("a",)
            )
            assert "USING INDEX" in str(explained.fetchall())


def test_keys_are_told_apart_by_storage(database: Make) -> None:
    """The text '7' is not the integer 7, whatever a column's affinity makes equal."""
    path = database(
        "CREATE TABLE ints (k INT PRIMARY KEY, x)",
        "CREATE TABLE texts (k TEXT PRIMARY KEY, x)",
        "INSERT INTO ints VALUES (7, 'a'), ('x', 'b')",
        "INSERT INTO texts VALUES ('7', 'a'), (x'37', 'b')",
    )
    repository = SQLiteRepository.reflect(path)
    ints, texts = repository.schema["ints"], repository.schema["texts"]
    with undone(repository) as transaction:
        assert [] == transaction.get(ints, [("7",), (b"7",), (2**70,), ("\ud800",)])
        assert [(7, "a"), ("x", "b")] == transaction.get(ints, [(7,), ("x",)])
        assert [] == transaction.get(texts, [(7,), (7.0,)])
        assert [("7", "a"), (b"7", "b")] == transaction.get(texts, [("7",), (b"7",)])
        with pytest.raises(RecordsRefused), transaction.savepoint():
            transaction.delete(texts, [(7,)])
        transaction.delete(texts, [(b"7",)])
        assert [("7", "a")] == rows_of(repository, transaction, "texts")


def test_a_number_as_a_key_can_change_its_storage(database: Make) -> None:
    """1 and 1.0 are one key of a column without affinity, and two values."""
    path = database("CREATE TABLE t (k PRIMARY KEY, x)", "INSERT INTO t VALUES (1, 'a')")
    repository, t = reflected(path)
    with repository.transaction() as transaction:
        transaction.update(t, [(1.0, "a")])
    assert [("real",)] == sqlite.query(path, "SELECT typeof(k) FROM t")


def test_rows_come_in_key_order(database: Make) -> None:
    """Numbers by value, then text by its bytes, then blobs: whatever the column's collation."""
    path = database("CREATE TABLE t (k COLLATE NOCASE PRIMARY KEY)")
    values: list[Any] = [b"\x00", "b", "a", "B ", "é", "Z", 10, 9.5, -1, "", "10", 2**60, b""]
    repository, t = reflected(path)
    insert(repository, "t", *((value,) for value in values))
    found = read(repository, "t")
    assert frozenset({"t"}) == repository.capabilities.ordered_rows
    assert sorted(t.codec.sort_keys(found)) == t.codec.sort_keys(found)
    assert [-1, 9.5, 10, 2**60, "", "10", "B ", "Z", "a", "b", "é", b"", b"\x00"] == [
        value for (value,) in found
    ]


def test_dangling_compares_to_the_byte(database: Make) -> None:
    """Each value that no key equals comes once, up to the limit; NULL points nowhere."""
    path = database(
        "CREATE TABLE p (k TEXT COLLATE NOCASE PRIMARY KEY)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, k TEXT COLLATE NOCASE REFERENCES p)",
        "INSERT INTO p VALUES ('a'), ('b')",
        "INSERT INTO c (k) VALUES ('A'), ('a'), ('b'), ('x'), ('X'), ('x'), (x'62'), (NULL)",
    )
    reference = Reference("k", "p")
    k = Field("k", composite.Optional(kinds.Str()), off_kind="keep")
    c = Collection("c", key="id", fields=[Field("id", kinds.Int()), k], references=[reference])
    p = Collection("p", key="k", fields={"k": str})
    repository = SQLiteRepository(path, Schema(collections=[c, p]))
    with undone(repository) as transaction:
        found = transaction.dangling(c, c.references[0], 10)
        assert {("A",), ("x",), ("X",), (b"b",)} == set(found)
        assert 4 == len(found)
        assert 2 == len(transaction.dangling(c, c.references[0], 2))


# -- what SQLite would change ------------------------------------------------------------------

_SPECIAL: list[Any] = [
    *[math.nan, math.inf, -0.0, 0.0, 5.0, 1e18, 2.0**63, -(2.0**63), 1e300, 0.1, 5, 2**62],
    *["007", "1e5", " 12 ", "12345678901234567.12", "1e400", ".", "1.e1", "\u0661", "nan", "-.5"],
]
_values: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(),
    st.text("0123456789+-.eE \t\n\v\f\r", max_size=6),
    st.sampled_from(_SPECIAL),
    st.binary(),
)
_KINDS: dict[str, Kind] = {
    "INTEGER": kinds.Int(),
    "TEXT": kinds.Str(),
    "REAL": kinds.Float(),
    "NUMERIC": kinds.Float(),
    "BLOB": kinds.Bytes(),
    "": kinds.Str(),
}


def exactly(value: Any) -> tuple[type[Any], Any]:
    """What tells 1 from 1.0, 0.0 from -0.0, and finds NaN equal."""
    return type(value), repr(value)


@pytest.fixture(scope="module")
def typed() -> Any:
    """A repository of a table with a column of each affinity, and its connection."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for number, declared in enumerate(_KINDS):
            connection.execute(f"CREATE TABLE t{number} (v {declared})")
        yield SQLiteRepository.reflect(connection), connection


def hold_or_refuse(typed: Any, value: Any, number: int) -> None:
    """See that a value is refused where SQLite itself would change it, and only there."""
    repository, connection = typed
    collection = repository.schema[f"t{number}"]
    connection.execute("BEGIN")
    connection.execute(f"INSERT INTO t{number} VALUES (?)", (value,))
    ((held,),) = connection.execute(f"SELECT * FROM t{number}").fetchall()
    connection.execute("ROLLBACK")
    with undone(repository) as transaction:
        if exactly(value) == exactly(held):
            transaction.insert(collection, [(value,)])
            ((found,),) = rows_of(repository, transaction, collection.name)
            assert exactly(value) == exactly(found)
        else:
            with pytest.raises(RecordsRefused, match=f"^t{number}.v: "):
                transaction.insert(collection, [(value,)])


@given(value=_values, number=st.integers(0, len(_KINDS) - 1))
def test_a_value_is_held_as_it_is_or_refused(typed: Any, value: Any, number: int) -> None:
    """What SQLite itself would change is refused, and nothing else is."""
    hold_or_refuse(typed, value, number)


@pytest.mark.parametrize("number", range(len(_KINDS)))
@pytest.mark.parametrize("value", _SPECIAL)
def test_special_values_are_held_or_refused(typed: Any, value: Any, number: int) -> None:
    """NaN becomes NULL, -0.0 loses its sign, '007' becomes 7, 5 becomes '5' or 5.0, and so on.

    '12345678901234567.12' loses digits; each by the affinity of its column.
    """
    hold_or_refuse(typed, value, number)


@pytest.mark.parametrize(
    "declared, value, reason",
    [
        ("REAL", math.nan, "t.v: NULL would be made of NaN: float nan"),
        ("REAL", -0.0, "t.v: the sign of -0.0 would be lost"),
        ("REAL", 5, "t.v: a float would be made of it: int 5"),
        ("NUMERIC", 5.0, "t.v: an integer would be made of it"),
        ("NUMERIC", "007", "t.v: a number would be made of the text: str '007'"),
        ("TEXT", 5, "t.v: text would be made of the number"),
        ("BLOB", {1}, "t.v: SQLite has no type set"),
        ("BLOB", 2**63, "t.v: an integer beyond 64 bits"),
        ("BLOB", "\ud800", "t: 'utf-8' codec can't encode"),
        ("TEXT", "x" * 1001, "t: string or blob too big"),
    ],
)
def test_what_is_refused_names_the_column(
    database: Make, declared: str, value: Any, reason: str
) -> None:
    """A refused value is named with its column, and why."""
    path = database(f"CREATE TABLE t (v {declared})")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000)
        return connection

    repository = SQLiteRepository.reflect(connect)
    with undone(repository) as transaction, pytest.raises(RecordsRefused, match=reason):
        transaction.insert(repository.schema["t"], [(None,), (value,)])


def test_a_typeless_column_keeps_negative_zero(database: Make) -> None:
    """Only an affinity takes its sign away."""
    repository, _ = reflected(database("CREATE TABLE t (v)"))
    insert(repository, "t", (-0.0,))
    assert "-0.0" == repr(read(repository, "t")[0][0])


def test_an_any_column_of_a_strict_table_has_no_affinity(database: Make) -> None:
    """ANY means numeric affinity in other tables, and none in a strict one."""
    repository, _ = reflected(database("CREATE TABLE t (v ANY) STRICT"))
    rows = [("007",), (5.0,), (5,), (-0.0,)]
    insert(repository, "t", *rows)
    assert [exactly(v) for (v,) in rows] == [exactly(v) for (v,) in read(repository, "t")]


def test_a_strict_table_refuses_other_types(database: Make) -> None:
    """Text for a strict integer is the record's fault."""
    repository, t = reflected(database("CREATE TABLE t (v INTEGER) STRICT"))
    with (
        undone(repository) as transaction,
        pytest.raises(RecordsRefused, match=r"cannot store TEXT value in INTEGER column t\.v"),
    ):
        transaction.insert(t, [("abc",)])


def test_every_columns_own_types_are_kept(database: Make) -> None:
    """Types belong to values: an INTEGER column gives back the text and the blob that it holds."""
    path = database(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, i INTEGER, n NUMERIC)",
        "INSERT INTO t VALUES (1, 'text', x'00ff'), (2, 1.5, 'abc'), (3, x'', 9e999)",
    )
    repository, t = reflected(path)
    rows = [(1, "text", b"\x00\xff"), (2, 1.5, "abc"), (3, b"", math.inf)]
    assert rows == read(repository, "t")
    before = sqlite.dump(path)
    with repository.transaction() as transaction:
        transaction.clear(t)
        transaction.insert(t, rows)
    assert before == sqlite.dump(path)


# -- text --------------------------------------------------------------------------------------

RAW = RawText(b"\xff\x00abc")


def test_text_that_is_no_utf8_survives(database: Make) -> None:
    """It is read as RawText, wherever it stands among other records, and written as text again."""
    path = database("CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)")
    rows: list[Row] = [(f"{n:02}", "good") for n in range(10)]
    rows[3], rows[4], rows[9] = ("03", RAW), ("04", RawText(b"\xc3")), (RawText(b"\x80"), RAW)
    repository, t = reflected(path)
    insert(repository, "t", *rows)
    for size in (1, 2, 3, 10, 1000):
        with repository.snapshot() as snapshot:
            batches = list(snapshot.rows(t, batch_size=size))
        assert rows == [row for batch in batches for row in batch]
        assert size >= max(map(len, batches))
    assert [("text", b"\xff\x00abc")] == sqlite.query(
        path, "SELECT typeof(v), CAST(v AS BLOB) FROM t WHERE k = '03'"
    )
    with repository.transaction() as transaction:
        assert [rows[9]] == transaction.get(t, [rows[9][:1]])
        transaction.update(t, [(rows[9][0], "now good"), ("00", RAW)])
        transaction.delete(t, [("03",), ("04",)])
    assert [("00", RAW), *rows[1:3], *rows[5:9], (rows[9][0], "now good")] == read(repository, "t")
    with repository.transaction() as transaction:
        transaction.delete(t, [rows[9][:1]])
        assert [] == transaction.get(t, [rows[9][:1]])


def test_a_driver_that_skips_such_a_record_is_noticed(
    database: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the module ever read on behind the text that it could not decode, nothing is lost."""
    from databackup.adapters.sqlite import connection as module  # noqa: PLC0415

    path = database("CREATE TABLE t (v TEXT)", "INSERT INTO t VALUES (CAST(x'ff' AS TEXT)), ('a')")
    repository, _ = reflected(path)
    monkeypatch.setattr(module, "_text", lambda data: data.decode("latin-1"))
    with pytest.raises(StoreFailed, match="no UTF-8 cannot be read"):
        read(repository, "t")


def test_a_utf16_database_takes_no_such_text(path: Path) -> None:
    """Bytes mean something else there; and its order of text is not that of UTF-8."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        connection.execute("CREATE TABLE t (k TEXT PRIMARY KEY)")
        connection.execute("CREATE TABLE n (k INTEGER PRIMARY KEY)")
    repository, t = reflected(path)
    insert(repository, "t", ("a\x00é😀",))
    assert [("a\x00é😀",)] == read(repository, "t")
    assert frozenset({"n"}) == repository.capabilities.ordered_rows
    with undone(repository) as transaction, pytest.raises(RecordsRefused, match="UTF-16"):
        transaction.insert(t, [(RAW,)])


@given(text=st.text(st.characters(codec="utf-8")))
def test_text_survives(typed: Any, text: str) -> None:
    """Any text does, with NUL in it, too, at which SQLite's own length() stops."""
    repository, _ = typed
    with undone(repository) as transaction:
        transaction.insert(repository.schema["t1"], [(text,), (text + "\x00" + text,)])
        expected = [(text,), (text + "\x00" + text,)]
        assert expected == rows_of(repository, transaction, "t1")
