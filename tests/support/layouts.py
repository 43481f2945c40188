"""Documents as editors and other programs leave them: the same JSON, laid out in other ways."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import strategies as st

DATA = b'"data":{\n'
_NUMBER = re.compile(r'"\\u0000number([^"]*)"')


def document_of(archive: bytes) -> Any:
    """The document of an archive, whose numbers keep their digits when `text_of` writes them."""
    return json.loads(archive, parse_float=_kept, parse_int=_kept)


def _kept(digits: str) -> str:
    return f"\0number{digits}"


def text_of(document: Any, **layout: Any) -> bytes:
    """A document in the layout that options of `json.dumps` give it."""
    return _NUMBER.sub(r"\1", json.dumps(document, **layout)).encode()


def layouts() -> st.SearchStrategy[dict[str, Any]]:
    """Options of `json.dumps`."""
    return st.fixed_dictionaries(
        {
            "indent": st.sampled_from([None, 0, 1, 2, 4, "\t"]),
            "sort_keys": st.booleans(),
            "ensure_ascii": st.booleans(),
            "separators": st.sampled_from([None, (",", ":"), (" ,", " : "), (", ", ": ")]),
        }
    )


def shuffled(archive: bytes, draw: Any) -> bytes:
    """An archive whose records stand in any order, with commas and line ends as they come."""
    lines = archive.split(b"\n")
    first = lines.index(DATA.rstrip()) + 1
    last = len(lines) - 1 - lines[::-1].index(b"},")
    found: list[bytes] = []
    records: list[bytes] = []
    for line in lines[first:last]:
        if line.startswith(b"{"):
            records.append(line.removesuffix(b","))
            continue
        found += [record + draw(COMMAS) for record in draw(st.permutations(records))]
        records = []
        found.append(line)
    found = [draw(SPACES) + line + draw(SPACES) for line in found]
    end: bytes = draw(st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n\t\n"]))
    return end.join(lines[:first] + found + lines[last:])


COMMAS = st.sampled_from([b",", b",", b"", b" ,"])
SPACES = st.sampled_from([b"", b"", b" ", b"\t  "])
