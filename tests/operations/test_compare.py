"""Comparing by merging: what equals what."""

from databackup import Collection
from databackup.operations.compare import Comparison, Difference, Sides

NOTES = Collection("notes", fields={"id": int, "text": str}, key="id")


def test_what_no_schema_allows_equals_nothing() -> None:
    """Not even another one of its sort, at the same place, among records that are equal."""
    rows = [(1, "a"), (2, b"no text"), (3, "c")]
    forms = [b'{"id":1}', None, b'{"id":3}']
    comparison = Comparison(NOTES)
    found = list(comparison.by_merging([Sides(forms, rows)], [Sides(forms, rows)]))
    assert [Difference(rows[1], rows[1])] == found
    assert 2 == comparison.unchanged
