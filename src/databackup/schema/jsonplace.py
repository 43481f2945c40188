"""Where in a record's text a flaw stands, for text that cannot be parsed as a whole."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import attrs

from databackup.schema.jsontext import (
    JsonTextError,
    TooDeepError,
    is_text,
    parse_json,
    steps_to_flaw,
)
from databackup.schema.jsonvalues import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Sequence

# As in jsontext: from every quote on it matches, so that no text is looked at twice.
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[][{},:]', re.DOTALL)
_SPACES: Final = re.compile(r"[ \t]*+")
_FIELD: Final = 1  # how many containers are open where a record's fields stand
_MAX_STEPS: Final = 1000
_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


@attrs.frozen
class Place:
    """The steps from a record to a flaw in it, and the forms of its key where they can be told."""

    steps: tuple[str | int, ...]
    key: tuple[Any, ...] | None


def place_of_flaw(line: bytes, error: JsonTextError, key: Sequence[str]) -> Place:
    """Where in a record's line its first flaw is, which `error` tells of. It raises nothing."""
    cause = error.__cause__
    if isinstance(cause, UnicodeDecodeError):
        text = line[: cause.start].decode()
        outline = _Outline(text, len(text))
        steps = outline.steps
    else:
        text = line.decode(errors="replace")
        if isinstance(cause, json.JSONDecodeError):
            outline = _Outline(text, cause.pos)
            steps = outline.steps
        else:
            outline = _Outline(text, len(text))
            too_deep = isinstance(error, TooDeepError)
            steps = outline.steps_to_depth[:_FIELD] if too_deep else steps_to_flaw(text)
    return Place(steps, outline.forms(key))


class _Outline:
    """The first part of a JSON text by its brackets, commas and names: `steps` lead to its end."""

    def __init__(self, text: str, end: int) -> None:
        self._text = text
        self._end = end
        self._fields: dict[str, list[int]] = {}
        # By open container: the position in an array, the name in an object once it is known.
        places: list[int | str | None] = []
        self.steps_to_depth: tuple[int | str, ...] = ()
        last = ""
        for found in _TOKEN.finditer(text, 0, end):
            mark = found[0]
            if mark in "[{":
                places.append(0 if mark == "[" else None)
                if len(places) > MAX_DEPTH and not self.steps_to_depth:
                    self.steps_to_depth = tuple(_steps(places))
            elif mark in "]}":
                del places[-1:]
            elif mark == "," and places:
                place = places[-1]
                places[-1] = place + 1 if type(place) is int else None
            elif mark == ":" and places and type(places[-1]) is not int:
                places[-1] = last
                name = _name(last) if len(places) == _FIELD else None
                if name is not None:
                    self._fields.setdefault(name, []).append(found.end())
            else:
                last = mark
        self.steps = tuple(_steps(places))

    def forms(self, names: Sequence[str]) -> tuple[Any, ...] | None:
        """The forms of some fields, None where not each of them can be told for sure."""
        try:
            return tuple(map(self._form, names)) or None
        except (ValueError, LookupError, RecursionError):
            return None

    def _form(self, name: str) -> Any:
        (start,) = self._fields[name]
        start = _SPACES.match(self._text, start).end()  # type: ignore[union-attr] # matches always
        _value, end = _DECODER.raw_decode(self._text, start)
        if end >= self._end:
            raise ValueError("it may go on")
        return parse_json(self._text[start:end])


def _steps(places: list[int | str | None]) -> list[int | str]:
    steps: list[int | str] = []
    for place in places[:_MAX_STEPS]:
        step = _name(place) if type(place) is str else place
        if step is None:
            break
        steps.append(step)
    return steps


def _name(mark: str) -> str | None:
    """A name as it reads, or as it is written where it is no text; None where it is no JSON."""
    try:
        name = json.loads(mark)
    except ValueError:
        return None
    return name if is_text(name) else mark
