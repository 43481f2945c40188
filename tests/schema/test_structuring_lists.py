"""Instances whose lists are no lists."""

from typing import Any

import attrs
import pytest

from databackup.schema import Collection, StructuringError


@attrs.define
class Dish:
    """A dish with names in lists at several depths."""

    id: int
    allergens: list[str]
    menus: dict[str, list[str]] = attrs.field(factory=dict)
    rows: tuple[tuple[str, ...], ...] = ()
    note: list[str] | None = None


@attrs.define
class Course:
    """A class in a class."""

    dish: Dish


@pytest.mark.parametrize(
    "dish, field",
    [
        (Dish(1, "vegan"), "allergens"),  # type: ignore[arg-type]
        (Dish(1, {"b", "a"}), "allergens"),  # type: ignore[arg-type]
        (Dish(1, {"a": 1}), "allergens"),  # type: ignore[arg-type]
        (Dish(1, [], {"monday": "soup"}), "menus"),  # type: ignore[dict-item]
        (Dish(1, [], {}, ("ab",)), "rows"),  # type: ignore[arg-type]
        (Dish(1, [], note="x"), "note"),  # type: ignore[arg-type]
    ],
)
def test_a_text_or_a_set_is_no_list(dish: Any, field: str) -> None:
    """A text, a set or a dict where a list should be is named, not taken apart into a list."""
    with pytest.raises(StructuringError, match="expected an array") as caught:
        Collection.of(Dish, "dishes", key="id").structurer.row(dish)
    assert field == caught.value.field
    with pytest.raises(StructuringError, match="expected an array") as caught:
        Collection.of(Course, "courses").structurer.row(Course(dish))
    assert "dish" == caught.value.field


def test_lists_and_tuples_are_lists() -> None:
    """Lists and tuples both become lists of a row, at every depth, and nothing stays nothing."""
    dish = Dish(1, ["nuts"], {"monday": ["soup"]}, (("a", "b"), ()))
    row = Collection.of(Dish, "dishes", key="id").structurer.row(dish)
    assert (1, ["nuts"], {"monday": ["soup"]}, [["a", "b"], []], None) == row
