"""PostgreSQL's text of arrays, `{1,2,NULL,"a b"}`, of one dimension."""

from __future__ import annotations

import re
from typing import Final

_ITEM: Final = re.compile(
    # PostgreSQL's white space is that of ASCII, and what else is none stands without quotes.
    r'"((?:[^"\\]|\\.)*+)"|([^",{} \t-\r\\]++(?:[^",{}\\]*[^",{} \t-\r\\])?)',
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_PLAIN: Final = re.compile(r"[^\s\",{}\\]+")


def parse_array(text: str) -> list[str | None] | None:
    """The elements as text; None for arrays of more dimensions or with bounds of their own."""
    if not (text.startswith("{") and text.endswith("}")):
        return None
    if text == "{}":
        return []
    items: list[str | None] = []
    place, end = 1, len(text) - 1
    while True:
        match = _ITEM.match(text, place, end)
        if match is None:
            return None
        quoted, bare = match.groups()
        if bare is None:
            items.append(_ESCAPE.sub(r"\1", quoted))
        else:
            items.append(None if bare.upper() == "NULL" else bare)
        place = match.end()
        if place == end:
            return items
        if text[place] != ",":
            return None
        place += 1


def array_text(items: list[str | None]) -> str:
    """The text of an array."""
    return "{" + ",".join(map(_item, items)) + "}"


def _item(item: str | None) -> str:
    if item is None:
        return "NULL"
    if _PLAIN.fullmatch(item) and item.upper() != "NULL":
        return item
    return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'
