"""Values as apps hold them: words with something between them, and small numbers.

What takes a text apart fails on these, not on random characters; and they meet now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from databackup.schema import kinds
from databackup.testing.strategies.values import field_values, key_values

if TYPE_CHECKING:
    from databackup.schema import Kind, Schema

_PARTS: Final = ("a", "b", "A", "é", "1", "20", " ", " ", ", ", ".", "-", "/", ":", "@", "\n")

_LIKELY: Final[dict[type[Kind], st.SearchStrategy[Any]]] = {
    kinds.Str: st.lists(st.sampled_from(_PARTS), max_size=8).map("".join),
    kinds.Int: st.integers(0, 3),
}


def likely_values(schema: Schema) -> dict[str, st.SearchStrategy[Any]]:
    """Strategies by `collection.field`, for fields of which there are such values beside others."""
    found = {}
    for collection in schema.collections:
        for field in collection.fields:
            likely = _LIKELY.get(type(field.value_kind))
            if likely is not None:
                any_values = key_values if field.name in collection.key else field_values
                found[f"{collection.name}.{field.name}"] = likely | likely | any_values(field)
    return found
