"""What tables are to be made for a schema, whatever the engine."""

import time

import pytest

from databackup import Collection, Reference, Schema
from databackup.adapters._newtables import NewTable, new_tables
from databackup.adapters._sql import tables_of
from databackup.repository import Extent, Needs
from databackup.schema import kinds
from tests.support.clock import within


def _made(schema: Schema, needs: Needs | None = None) -> dict[str, NewTable]:
    tables = new_tables(schema, tables_of(schema, None), [], needs or Needs())
    return {table.collection: table for table in tables}


def _chain() -> Schema:
    """C refers to b, which refers to a."""
    return Schema(
        collections=[
            Collection("c", fields={"b": kinds.Decimal(3)}, references=[Reference("b", "b", "n")]),
            Collection(
                "b", key="id", fields={"id": int, "n": kinds.Decimal(2)},
                references=[Reference("n", "a")],
            ),
            Collection("a", key="k", fields={"k": kinds.Decimal(2)}),
        ]
    )  # fmt: skip


def test_what_is_compared_is_alike() -> None:
    """Along a chain of references columns have one extent and one kind."""
    extents = {"c": {"b": Extent(digits=9)}, "a": {"k": Extent(digits=4, scales=(1, 5))}}
    made = _made(_chain(), Needs(extents))
    assert ["a", "b", "c"] == list(made)
    columns = [made["a"].columns[0], made["b"].columns[1], made["c"].columns[0]]
    assert {Extent(digits=9, scales=(1, 5))} == {column.extent for column in columns}
    assert {kinds.Decimal()} == {column.kind for column in columns}
    assert [1, 1, 1] == [column.parts for column in columns]


def test_what_is_pointed_at_is_unique() -> None:
    """Unless it is the key."""
    made = _made(_chain())
    assert [(), (("n",),)] == [made[name].unique for name in "ab"]


def test_the_order_of_what_is_pointed_at() -> None:
    """Columns stand in a foreign key as in the key, or as in the table."""
    fields = {"a": int, "b": int, "c": int}
    schema = Schema(
        collections=[
            Collection("t", key=("b", "a"), fields=fields),
            Collection(
                "u",
                fields=fields,
                references=[
                    Reference(("a", "b"), "t", ("a", "b")),
                    Reference(("a", "b"), "t", ("c", "a")),
                    Reference(("b", "a"), "t", ("a", "c")),
                ],
            ),
        ]
    )
    made = _made(schema)
    assert (("a", "c"),) == made["t"].unique
    assert [(("b", "a"), ("b", "a")), (("b", "a"), ("a", "c"))] == [
        (r.columns, r.to) for r in made["u"].references
    ]


@pytest.mark.parametrize("extent", [Extent(), Extent(least=0, largest=2**63)])
def test_which_key_counts(extent: Extent) -> None:
    """One integer of 64 bits that is no reference."""
    schema = Schema(
        collections=[
            Collection("t", key="id", fields={"id": int}),
            Collection("u", key="id", fields={"id": int}, references=[Reference("id", "t")]),
            Collection("v", key=("a", "b"), fields={"a": int, "b": int}),
            Collection("w", key="s", fields={"s": str, "n": int}),
        ]
    )
    made = _made(schema, Needs({"t": {"id": extent}}))
    counted = [c.name for table in made.values() for c in table.columns if c.counted]
    assert (["id"] if extent.largest is None else []) == counted


@pytest.mark.parametrize("to", [(), ("k",), ("u",)])
def test_many_references(to: tuple[str, ...]) -> None:
    """Thousands of them to one field take no time to speak of."""
    names = [f"f{number}" for number in range(4_000)]
    schema = Schema(
        collections=[
            Collection(
                "t",
                key="k",
                fields={"k": int, "u": int, **dict.fromkeys(names, int)},
                references=[Reference(name, "t", to) for name in names],
            )
        ]
    )
    needs = Needs({"t": dict.fromkeys(names, Extent(least=0, largest=5))})
    start = time.process_time()
    (table,) = _made(schema, needs).values()
    assert 4_000 == len(table.references)
    assert time.process_time() - start < 3


def test_names_of_very_many_tables_and_columns() -> None:
    """Are looked through once."""
    fields = {f"f{number}": int for number in range(10_000)}
    wide = Schema(collections=[Collection("t", key="f0", fields=fields)])
    many = Schema(collections=[Collection(name, key="id", fields={"id": int}) for name in fields])
    with within(1):
        assert 1 == len(tables_of(wide, None))
        assert 10_000 == len(tables_of(many, None))
