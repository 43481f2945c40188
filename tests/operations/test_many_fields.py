"""Headers that describe very many fields or collections, within the limits."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup import diff, seal_archive, verify_archive
from databackup.operations.diff import _chosen
from databackup.schema import Collection, Schema
from tests.archive.support import archive_of
from tests.support.clock import within

ORDERS = st.lists(st.sampled_from("abcdefg"), unique=True)


@pytest.mark.parametrize("fields, collections", [(20_000, 1), (900, 10), (1, 2_000)])
def test_they_take_no_time(fields: int, collections: int) -> None:
    """Verify, seal and diff take time by what a file describes, and not by its square."""
    described = dict.fromkeys((f"f{n}" for n in range(fields)), int)
    schema = Schema(collections=[Collection(f"c{n}", fields=described) for n in range(collections)])
    rows: list[Any] = [tuple(range(fields))] * 2
    archive = archive_of(schema, {f"c{n}": rows for n in range(min(collections, 10))})
    with within(6):
        verify_archive(io.BytesIO(archive))
        seal_archive(io.BytesIO(archive), io.BytesIO())
        found = diff(io.BytesIO(archive), io.BytesIO(archive)).collections["c0"]
        assert (2, 0) == (found.unchanged, found.changed)


@given(ORDERS, ORDERS)
def test_collections_are_compared_in_an_order_of_both(a: list[str], b: list[str]) -> None:
    """The first side's order, and before each collection of both what only the second has there."""
    old: Any = SimpleNamespace(order=tuple(a), schema=set(a), is_selection=False)
    new: Any = SimpleNamespace(order=tuple(b), schema=set(b), is_selection=False)
    expected: dict[str, None] = {}
    for name in a:
        ahead = b[: b.index(name)] if name in b else []
        expected |= dict.fromkeys([*(other for other in ahead if other not in a), name])
    assert [*(expected | dict.fromkeys(b))] == _chosen(old, new, None)
