import datetime
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy

from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.adapters.sqlalchemy.mysql import DIALECT
from databackup.errors import RecordsRefused, StoreFailed, StoreMismatch
from databackup.schema import Collection, Field, Kind, RawText, Schema, kinds
from databackup.schema.composite import Dict, Enum, Json, Native, Optional
from databackup.testing.harness import all_rows, fill, stored, writing
from tests.support import mysql

_NAIVE = datetime.datetime(2026, 11, 22, 10, 15, 0, 1)  # noqa: DTZ001 - naive is meant
_AWARE = _NAIVE.replace(tzinfo=datetime.UTC)
_ID = uuid.UUID("01234567-89ab-cdef-8123-456789abcdef")


def _repository(engine: sqlalchemy.Engine, declared: str, kind: Kind) -> SQLAlchemyRepository:
    mysql.run(engine, f"CREATE TABLE things (id INT PRIMARY KEY, v {declared}) CHARSET utf8mb4")
    things = Collection("things", fields=[Field("id", kinds.Int()), Field("v", kind)], key="id")
    return SQLAlchemyRepository(engine, Schema(collections=[things]))


def _rows(repository: SQLAlchemyRepository) -> list[tuple[Any, ...]]:
    with repository.snapshot() as snapshot:
        return all_rows(snapshot, repository.schema["things"])


HELD: list[tuple[str, Kind, list[Any]]] = [
    ("TINYINT", kinds.Int(), [-128, 127]),
    ("SMALLINT UNSIGNED", kinds.Int(), [0, 65_535]),
    ("MEDIUMINT", kinds.Int(), [-(2**23), 2**23 - 1]),
    ("INT UNSIGNED ZEROFILL", kinds.Int(), [0, 7, 2**32 - 1]),
    ("BIGINT UNSIGNED", kinds.Int(), [0, 2**63, 2**64 - 1]),
    ("DECIMAL(65)", kinds.Int(), [10**65 - 1, 1 - 10**65, 0]),
    ("VARCHAR(99)", kinds.Int(), [10**90, 2**53, -5, 0]),
    ("BIT(64)", kinds.Int(), [0, 1, 2**64 - 1]),
    ("BIT(1)", kinds.Bool(), [False, True]),
    ("BOOLEAN", kinds.Bool(), [False, True]),
    ("YEAR", kinds.Int(), [0, 1901, 2026, 2155]),
    ("FLOAT", kinds.Float(), [0.10000000149011612, 1.5, -3.4028234663852886e38, 1e-45 * 0]),
    ("DOUBLE", kinds.Float(), [0.1, 5e-324, 1.7976931348623157e308, -1 / 3]),
    ("DOUBLE UNSIGNED", kinds.Float(), [0.0, 0.1]),
    ("DECIMAL(5,2)", kinds.Decimal(2), [Decimal("1.10"), Decimal("-999.99"), Decimal("0.00")]),
    ("VARCHAR(99)", kinds.Decimal(), [Decimal("1.10"), Decimal("NaN"), Decimal("1E+3")]),
    ("CHAR(5)", kinds.Str(), ["", " a", "ééééé", "😀"]),
    ("VARCHAR(5)", kinds.Str(), ["", "a    ", "😀😀😀😀😀", "\0", "'\"\\%s"]),
    ("TINYTEXT", kinds.Str(), ["a" * 255, "é" * 127]),
    ("LONGTEXT", kinds.Str(), ["a" * 70_000]),
    ("VARCHAR(5) CHARACTER SET utf8mb3", kinds.Str(), ["é\uffff"]),
    ("VARCHAR(5) CHARACTER SET latin1", kinds.Str(), ["é€"]),
    ("VARCHAR(5) CHARACTER SET utf16", kinds.Str(), ["é😀"]),
    ("ENUM('a','B ','it''s','x,y','c\\\\d')", kinds.Str(), ["a", "it's", "x,y", "c\\d"]),
    ("ENUM('red','green')", Enum(("red", "green")), ["green", "red"]),
    ("VARCHAR(9)", Enum(("red", "")), ["", "red"]),
    ("SMALLINT", Enum((0, -1)), [0, -1]),
    ("SET('a','b','c')", kinds.Str(), ["", "a", "a,c", "a,b,c"]),
    ("BINARY(3)", kinds.Bytes(), [b"a\0\0", b"\xff'\\"]),
    ("VARBINARY(3)", kinds.Bytes(), [b"", b"a\0", b"a  "]),
    ("BLOB", kinds.Bytes(), [b"", bytes(range(256))]),
    ("DATE", kinds.Date(), [datetime.date.min, datetime.date.max]),
    ("TIME(6)", kinds.Time(), [datetime.time(), datetime.time(23, 59, 59, 999_999)]),
    (
        "TIME(6)",
        kinds.Timedelta(),
        [timedelta(hours=838, minutes=59), timedelta(hours=-30, microseconds=-1), timedelta()],
    ),
    ("TIME(3)", kinds.Timedelta(), [timedelta(milliseconds=-1)]),
    ("BIGINT", kinds.Timedelta(), [timedelta(microseconds=-1), timedelta(days=36_500)]),
    ("DATETIME(6)", kinds.Timedelta(), [timedelta(microseconds=-1), timedelta(days=36_500)]),
    ("VARCHAR(99)", kinds.Timedelta(), [timedelta.min, timedelta.max]),
    ("DATETIME(6)", kinds.DateTime(), [_NAIVE, datetime.datetime.min]),  # noqa: DTZ901
    ("DATETIME(6)", kinds.DateTimeTz(), [_AWARE]),
    ("TIMESTAMP(6) NULL", kinds.DateTimeTz(), [_AWARE]),
    ("TIMESTAMP(6) NULL", kinds.DateTime(), [_NAIVE]),
    ("VARCHAR(40)", kinds.TimeTz(), [datetime.time(1, tzinfo=datetime.UTC)]),
    ("UUID", kinds.UUID(), [_ID, uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)]),
    ("CHAR(36)", kinds.UUID(), [_ID]),
    ("CHAR(32)", kinds.UUID(), [_ID]),
    ("BINARY(16)", kinds.UUID(), [_ID, uuid.UUID(int=32)]),
    ("INET6", Native("inet6"), ["::1", "2001:db8::ff00:42:8329"]),
    (
        "JSON",
        Json(),
        [{"b": 1, "a": [None, 1.5, "é😀\0"]}, 2**64 * 10, "", Decimal("0." + "1" * 40)],
    ),
    ("JSON", Dict(kinds.Date()), [{"a": datetime.date(2024, 2, 29)}]),
    ("POINT", kinds.Bytes(), [bytes(4) + b"\1" + b"\1\0\0\0" + bytes(16)]),
]


@pytest.mark.parametrize("declared,kind,values", HELD, ids=[f"{d} {k.name}" for d, k, _ in HELD])
def test_types_hold_values(
    engine: sqlalchemy.Engine, declared: str, kind: Kind, values: list[Any]
) -> None:
    """Values come back exactly, inserted and updated, and NULL, too."""
    repository = _repository(engine, declared, Optional(kind))
    null = [(len(values), None)]
    rows = list(enumerate(values)) + null
    fill(repository, {"things": rows})
    assert list(map(repr, rows)) == list(map(repr, _rows(repository)))
    turned = [(n, v) for (n, _), (_, v) in zip(rows, reversed(rows), strict=True)]
    with writing(repository) as transaction:
        transaction.update(repository.schema["things"], turned)
    assert list(map(repr, turned)) == list(map(repr, _rows(repository)))


REFUSED: list[tuple[str, Kind, Any]] = [
    ("TINYINT", kinds.Int(), 128),
    ("INT UNSIGNED", kinds.Int(), -1),
    ("BIGINT", kinds.Int(), 2**63),
    ("BIGINT UNSIGNED", kinds.Int(), 2**64),
    ("DECIMAL(3)", kinds.Int(), 1000),
    ("BIT(3)", kinds.Int(), 8),
    ("YEAR", kinds.Int(), 1),
    ("YEAR", kinds.Int(), 2156),
    ("FLOAT", kinds.Float(), 0.1),
    ("FLOAT", kinds.Float(), 1e300),
    ("FLOAT(10,2)", kinds.Float(), 0.125),
    ("DOUBLE(10,2)", kinds.Float(), 0.125),
    ("DOUBLE", kinds.Float(), float("nan")),
    ("DOUBLE", kinds.Float(), float("-inf")),
    ("DOUBLE", kinds.Float(), -0.0),
    ("DOUBLE UNSIGNED", kinds.Float(), -1.0),
    ("DECIMAL(5,2)", kinds.Decimal(2), Decimal("1.125")),
    ("DECIMAL(5,2)", kinds.Decimal(2), Decimal(1000)),
    ("DECIMAL(5,2) UNSIGNED", kinds.Decimal(2), Decimal(-1)),
    ("DECIMAL(5,2)", kinds.Decimal(2), Decimal("NaN")),
    ("DECIMAL(65,30)", kinds.Decimal(30), Decimal("1E+999999")),
    ("CHAR(5)", kinds.Str(), "a "),
    ("VARCHAR(5)", kinds.Str(), "aaaaaa"),
    ("VARCHAR(5)", kinds.Str(), "aaaaa "),
    ("VARCHAR(5)", kinds.Str(), "\ud800"),
    ("TINYTEXT", kinds.Str(), "a" * 256),
    ("TINYTEXT", kinds.Str(), "é" * 128),
    ("TINYTEXT CHARACTER SET latin1", kinds.Str(), "a" * 256),
    ("VARCHAR(5) CHARACTER SET utf8mb3", kinds.Str(), "😀"),
    ("VARCHAR(5) CHARACTER SET latin1", kinds.Str(), "ł"),
    ("ENUM('a','b')", kinds.Str(), "A"),
    ("ENUM('a','b')", kinds.Str(), "1"),
    ("ENUM('a','b')", kinds.Str(), "a "),
    ("ENUM('a','b')", kinds.Str(), ""),
    ("SET('a','b')", kinds.Str(), "b,a"),
    ("SET('a','b')", kinds.Str(), "a,a"),
    ("SET('a','b')", kinds.Str(), "c"),
    ("SET('a','b')", kinds.Str(), "A"),
    ("BINARY(3)", kinds.Bytes(), b"a"),
    ("VARBINARY(3)", kinds.Bytes(), b"aaaa"),
    ("TINYBLOB", kinds.Bytes(), b"a" * 256),
    ("TIME", kinds.Time(), datetime.time(0, 0, 0, 1)),
    ("TIME(3)", kinds.Time(), datetime.time(0, 0, 0, 1)),
    ("TIME", kinds.Timedelta(), timedelta(hours=839)),
    ("TIME", kinds.Timedelta(), timedelta(microseconds=1)),
    ("BIGINT", kinds.Timedelta(), timedelta.max),
    ("DATETIME(6)", kinds.Timedelta(), timedelta.max),
    ("DATETIME", kinds.DateTime(), _NAIVE),
    ("DATETIME(5)", kinds.DateTime(), _NAIVE),
    ("DATETIME(3)", kinds.DateTimeTz(), _AWARE),
    ("TIMESTAMP NULL", kinds.DateTimeTz(), _AWARE),
    ("TIMESTAMP(6) NULL", kinds.DateTimeTz(), _AWARE.replace(year=1969)),
    ("TIMESTAMP NOT NULL", Optional(kinds.DateTimeTz()), None),
    ("INT NOT NULL DEFAULT 7", Optional(kinds.Int()), None),
    ("INET6", Native("inet6"), "nothing"),
    ("VARCHAR(9) CHECK (v <> 'b')", kinds.Str(), "b"),
    ("VARCHAR(9) UNIQUE", kinds.Str(), "FIRST"),
]  # fmt: skip


@pytest.mark.parametrize(
    "declared,kind,value", REFUSED, ids=[f"{d} {v!r:.20}" for d, _, v in REFUSED]
)
def test_what_would_be_changed_is_refused(
    engine: sqlalchemy.Engine, declared: str, kind: Kind, value: Any
) -> None:
    """What a column would change or refuse is refused, inserted or updated; nothing is kept."""
    mysql.run(
        engine,
        f"CREATE TABLE things (id INT PRIMARY KEY, v {declared}, w VARCHAR(9)) CHARSET utf8mb4",
        "INSERT IGNORE INTO things VALUES (1, 'first', 'w'), (2, 1, 'w')",
    )
    fields = [Field("id", kinds.Int()), Field("v", kind), Field("w", Optional(kinds.Str()))]
    things = Collection("things", fields=fields, key="id")
    repository = SQLAlchemyRepository(engine, Schema(collections=[things]))
    before = mysql.query(engine, "SELECT * FROM things")
    for write in ("insert", "update"):
        with (
            pytest.raises(RecordsRefused) as caught,
            repository.transaction() as transaction,
        ):
            getattr(transaction, write)(things, [(9 if write == "insert" else 2, value, "x")])
        expected = None if "CHECK" in declared or "UNIQUE" in declared else "v"
        assert expected in (None, caught.value.field), str(caught.value)
        assert "things" in str(caught.value)
        assert before == mysql.query(engine, "SELECT * FROM things")


MISFITS = [
    ("FLOAT", kinds.Decimal(2)),
    ("DOUBLE", kinds.Int()),
    ("INT", kinds.Str()),
    ("BLOB", kinds.Str()),
    ("TEXT", kinds.Bytes()),
    ("DATE", kinds.DateTime()),
    ("DECIMAL(5,2)", kinds.Int()),
    ("VARCHAR(20)", kinds.UUID()),
]


@pytest.mark.parametrize("declared,kind", MISFITS)
def test_types_that_cannot_hold_a_kind_are_named(
    engine: sqlalchemy.Engine, declared: str, kind: Kind
) -> None:
    """A column of a type that no value of its field's kind fits is a mismatch."""
    with pytest.raises(StoreMismatch, match=r"things\.v .* cannot hold"):
        _rows(_repository(engine, declared, Optional(kind)))


def test_every_type_has_a_kind_that_it_can_hold(engine: sqlalchemy.Engine) -> None:
    """What reflection makes of a column is a kind whose values the column takes."""
    for number, declared in enumerate(dict.fromkeys(declared for declared, _, _ in HELD)):
        mysql.run(engine, f"CREATE TABLE t{number} (v {declared})")
    with engine.connect() as connection:
        catalogue = DIALECT.catalogue(connection, ())
    for info in catalogue.tables.values():
        column = info.columns["v"]
        kind = DIALECT.kind(column)
        assert DIALECT.unsuitable(Field("v", kind), column) is None, column.declared


def test_values_that_no_kind_has_are_passed_on(engine: sqlalchemy.Engine) -> None:
    """Zero dates, long times and invalid JSON are read as they are, so that they can be named."""
    mysql.run(
        engine,
        "SET sql_mode = ''",
        "CREATE TABLE things (id INT PRIMARY KEY, d DATE, dt DATETIME, t TIME, b TINYINT(1), "
        "j LONGTEXT, e ENUM('a'), u CHAR(36))",
        "INSERT INTO things VALUES "
        f"(1, '0000-00-00', '2020-00-00', '25:00:00', 2, '{{', 'b', '{str(_ID).upper()}')",
    )
    found = {
        "d": kinds.Date(),
        "dt": kinds.DateTime(),
        "t": kinds.Time(),
        "b": kinds.Bool(),
        "j": Json(),
        "e": Enum(("a",)),
        "u": kinds.UUID(),
    }
    fields = [Field("id", kinds.Int()), *(Field(n, Optional(k)) for n, k in found.items())]
    things = Collection("things", fields=fields, key="id")
    (row,) = _rows(SQLAlchemyRepository(engine, Schema(collections=[things])))
    expected = ("0000-00-00", "2020-00-00 00:00:00", timedelta(hours=25), 2, RawText(b"{"), "")
    assert (*expected, str(_ID).upper()) == row[1:]


def test_invisible_and_generated_columns(engine: sqlalchemy.Engine) -> None:
    """Invisible columns are read and written; generated ones are neither, and no column of ours."""
    mysql.run(
        engine,
        "CREATE TABLE things (id INT PRIMARY KEY, v INT INVISIBLE, "
        "g INT AS (id + 1) STORED, h INT AS (id + 2) VIRTUAL)",
    )
    things = Collection("things", fields={"id": int, "v": int | None}, key="id")
    repository = SQLAlchemyRepository(engine, Schema(collections=[things]))
    fill(repository, {"things": [(1, 5)]})
    assert [(1, 5)] == _rows(repository)
    assert [(1, 5, 2, 3)] == mysql.query(engine, "SELECT id, v, g, h FROM things")


def test_columns_set_by_an_update_keep_their_values(engine: sqlalchemy.Engine) -> None:
    """ON UPDATE CURRENT_TIMESTAMP changes neither a field nor a column outside the schema."""
    on_update = "TIMESTAMP NOT NULL DEFAULT '2020-01-01' ON UPDATE CURRENT_TIMESTAMP"
    mysql.run(
        engine, f"CREATE TABLE things (id INT PRIMARY KEY, v INT, a {on_update}, b {on_update})"
    )
    things = Collection(
        "things",
        fields={"id": int, "v": int, "a": datetime.datetime},
        key="id",
        exclude={"b": "the server's own"},
    )
    repository = SQLAlchemyRepository(engine, Schema(collections=[things]))
    old = datetime.datetime(2001, 1, 1)  # noqa: DTZ001
    fill(repository, {"things": [(1, 1, old)]})
    with writing(repository) as transaction:
        transaction.update(things, [(1, 2, old)])
    assert [(1, 2, 2001, 2020)] == mysql.query(engine, "SELECT id, v, year(a), year(b) FROM things")


def test_a_lower_case_collation_never_merges_keys(engine: sqlalchemy.Engine) -> None:
    """Under a collation that folds, a key is found, updated and deleted to the byte alone."""
    repository = _texts(engine, "utf8mb4_general_ci")
    texts = repository.schema["texts"]
    fill(repository, {"texts": [("a", 1), ("é ", 2), ("b", 3)]})
    for other in ("A", "á", "a ", "e", "É", "é"):
        with repository.transaction() as transaction:
            assert [] == transaction.get(texts, [(other,)])
            for write, rows in (("update", [(other, 9)]), ("delete", [(other,)])):
                with pytest.raises(RecordsRefused, match="not there"), transaction.savepoint():
                    getattr(transaction, write)(texts, rows)
    for other in ("A", "á", "a ", "B"):
        with pytest.raises(RecordsRefused, match="Duplicate") as caught:  # noqa: SIM117
            with repository.transaction() as transaction:
                transaction.insert(texts, [(other, 9)])
        assert "texts" in str(caught.value)
    assert {"texts": [("str 'a'", "int 1"), ("str 'b'", "int 3"), ("str 'é '", "int 2")]} == stored(
        repository
    )


@pytest.mark.parametrize(
    "collation,ordered",
    [
        ("utf8mb4_general_ci", False),
        ("utf8mb4_bin", False),
        ("utf8mb4_nopad_bin", True),
        ("utf8mb3_nopad_bin", True),
        ("latin1_swedish_ci", False),
        ("latin1_nopad_bin", False),
        ("utf16_general_ci", False),
        ("utf8mb4_danish_ci", False),
    ],
)
def test_every_collation_gives_each_record_once(
    engine: sqlalchemy.Engine, collation: str, ordered: bool
) -> None:
    """Rows come once, in pages of any size; in the order of their bytes where that is said."""
    repository = _texts(engine, collation)
    texts = [
        "",
        "!",
        "\t",
        "\n",
        "a\t",
        "a\x01",
        "a!",
        "aa",
        "ab",
        "B",
        "z",
        "é",
        "ÿ",
        "_",
        "ß",
    ]
    rows = [(text, number) for number, text in enumerate(texts)]
    fill(repository, {"texts": rows})
    assert ("texts" in repository.capabilities.ordered_rows) is ordered
    with repository.snapshot() as snapshot:
        for size in (1, 2, 3, 100):
            found = all_rows(snapshot, repository.schema["texts"], size)
            in_order = sorted(rows, key=lambda row: row[0].encode())
            assert in_order == (found if ordered else sorted(found, key=lambda r: r[0].encode()))
        keys = [(text,) for text in texts]
        assert len(texts) == len(snapshot.get(repository.schema["texts"], keys))


def _texts(engine: sqlalchemy.Engine, collation: str) -> SQLAlchemyRepository:
    charset = collation.partition("_")[0]
    mysql.run(
        engine,
        f"CREATE TABLE texts (k VARCHAR(20) PRIMARY KEY, v INT) "
        f"CHARACTER SET {charset} COLLATE {collation}",
    )
    texts = Collection("texts", fields={"k": str, "v": int}, key="k")
    return SQLAlchemyRepository(engine, Schema(collections=[texts]))


KEYED: list[tuple[str, Kind, list[Any]]] = [
    *((declared, kind, values) for declared, kind, values in HELD if kind.can_be_key
      and declared.partition("(")[0] not in ("LONGTEXT", "TINYTEXT", "BLOB", "POINT")),
]  # fmt: skip


@pytest.mark.parametrize("declared,kind,values", KEYED, ids=[f"{d} {k.name}" for d, k, _ in KEYED])
def test_keys_of_every_type(
    engine: sqlalchemy.Engine, declared: str, kind: Kind, values: list[Any]
) -> None:
    """Keys of every type are read in pages, found, updated and deleted."""
    declared = declared.removesuffix(" NULL")
    mysql.run(engine, f"CREATE TABLE things (k {declared}, n INT, PRIMARY KEY (k, n))")
    fields = [Field("k", kind), Field("n", kinds.Int()), Field("v", Optional(kinds.Int()))]
    mysql.run(engine, "ALTER TABLE things ADD v INT")
    things = Collection("things", fields=fields, key=("k", "n"))
    repository = SQLAlchemyRepository(engine, Schema(collections=[things]))
    rows = [(value, number, None) for value in values for number in (2, 1)]
    fill(repository, {"things": rows})
    with repository.snapshot() as snapshot:
        for size in (1, 2, 99):
            assert sorted(map(repr, rows)) == sorted(map(repr, all_rows(snapshot, things, size)))
        assert sorted(map(repr, rows)) == sorted(
            map(repr, snapshot.get(things, [row[:2] for row in rows]))
        )
    with writing(repository) as transaction:
        transaction.update(things, [(*row[:2], 7) for row in rows])
        assert {7} == {row[2] for row in all_rows(transaction, things)}
        transaction.delete(things, [row[:2] for row in rows])
        assert 0 == transaction.count(things)


def test_a_count_that_differs_is_an_error(
    engine: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot that reads fewer records than there are says so."""
    repository = _repository(engine, "INT", Optional(kinds.Int()))
    fill(repository, {"things": [(1, 1), (2, 2)]})
    with repository.snapshot() as snapshot:
        monkeypatch.setattr(type(snapshot), "count", lambda *_: 3)
        with pytest.raises(StoreFailed, match="2 records were read of 3"):
            all_rows(snapshot, repository.schema["things"])
