"""The schema that a server's catalogue describes, without a server."""

from typing import Any

import pytest

from databackup.adapters.sqlalchemy.catalogue import Catalogue, Column, ForeignKey, TableInfo
from databackup.adapters.sqlalchemy.reflect import reflected_schema
from databackup.errors import SchemaError, StoreMismatch
from databackup.schema import Kind, Reference, Schema, kinds
from databackup.schema.composite import Json, Optional


class _Types:
    """A dialect that knows three types."""

    def kind(self, column: Column) -> Kind:
        """The kind of a declared type."""
        return {"int": kinds.Int(), "text": kinds.Str(), "json": Json()}[column.declared]

    def off_kind(self, column: Column) -> str:
        """Whether a type can hold more than its kind."""
        return "keep" if column.declared == "text" else "refuse"


def _table(name: str, *key: str, unique: Any = (), **columns: str) -> TableInfo:
    return TableInfo(
        name=name,
        sql=name,
        columns={
            n: Column(name=n, declared=declared.rstrip("?"), nullable=declared.endswith("?"))
            for n, declared in columns.items()
        },
        primary_key=key,
        unique=unique,
    )


PARENT = _table("p", "a", "b", a="int", b="text", c="text?", unique=(("c",),))
CHILD = _table("s.c", "id", id="int", x="text", y="int?", z="text?", w="int?")


def _key(columns: tuple[str, ...], to: tuple[str, ...], parent: str = "p") -> ForeignKey:
    return ForeignKey(name="k", table="s.c", columns=columns, parent=parent, to=to)


def _schema(*tables: TableInfo, keys: tuple[ForeignKey, ...] = (), **more: Any) -> Schema:
    catalogue = Catalogue(
        tables={table.name: table for table in tables},
        foreign_keys=keys,
        housekeeping={"alembic_version": "migrations"},
    )
    dialect: Any = _Types()
    options = {"app": None, "version": 1, "exclude": {}, "migrations": (), "versions": None} | more
    return reflected_schema(catalogue, dialect, **options)


def test_tables_are_collections() -> None:
    """With their keys, and what may be null; off its kind is kept what a type can hold."""
    schema = _schema(PARENT, app="shop", version=4)
    assert (schema.app, schema.version) == ("shop", 4)
    assert schema["p"].key == ("a", "b")
    assert [(f.name, f.kind, f.off_kind) for f in schema["p"].fields] == [
        ("a", kinds.Int(), "refuse"),
        ("b", kinds.Str(), "keep"),
        ("c", Optional(kinds.Str()), "keep"),
    ]
    assert [e.name for e in schema.excluded] == ["alembic_version"]


@pytest.mark.parametrize(
    "key,reference",
    [
        (_key(("y", "x"), ("a", "b")), Reference(("y", "x"), "p")),
        (_key(("x", "y"), ("b", "a")), Reference(("y", "x"), "p")),
        (_key(("z",), ("c",)), Reference("z", "p", "c")),
        (_key(("w",), ("c",)), None),
        (_key(("x",), ("b",)), None),
        (_key(("x",), ("gone",), "elsewhere"), None),
    ],
)
def test_foreign_keys(key: ForeignKey, reference: Reference | None) -> None:
    """References point at unique fields of the same kinds, at keys in their order."""
    expected = () if reference is None else (reference,)
    assert _schema(PARENT, CHILD, keys=(key, key))["s.c"].references == expected


def test_a_key_by_which_nothing_can_be_looked_up() -> None:
    """Such a table is one without a key."""
    assert _schema(_table("t", "j", j="json"))["t"].key == ()


def test_exclusions() -> None:
    """Tables and columns, with the references that need them."""
    schema = _schema(
        PARENT, CHILD, keys=(_key(("z",), ("c",)),), exclude={"p.c": "old", "s.c.w": "-"}
    )
    assert (schema["p"].field_names, schema["s.c"].references) == (("a", "b"), ())
    assert _schema(PARENT, CHILD, exclude={"p": "-"}).excluded[-1].name == "p"


@pytest.mark.parametrize(
    "name,message",
    [
        ("q", "there is no table, and no TABLE.COLUMN, 'q'"),
        ("p.a", "'p.a' is of the key"),
        ("s.c", "'s.c' is ambiguous"),
    ],
)
def test_wrong_exclusions(name: str, message: str) -> None:
    """What is not there, or would leave records without their keys."""
    tables = [PARENT, CHILD, _table("s", c="int")]
    with pytest.raises(SchemaError, match=message):
        _schema(*tables, exclude={name: "-"})


def test_a_table_that_cannot_be_backed_up() -> None:
    """It is refused with the reason, unless it is left out."""
    broken = TableInfo(name="f", sql="f", columns={}, problem="'f' is a foreign table")
    with pytest.raises(StoreMismatch, match="'f' is a foreign table"):
        _schema(PARENT, broken)
    assert "f" not in _schema(PARENT, broken, exclude={"f": "elsewhere"})
