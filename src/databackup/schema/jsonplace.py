"""Where in a record's text a flaw stands, for text that cannot be parsed as a whole."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import attrs

from databackup.schema.jsonshort import Shortened, as_read, shortened
from databackup.schema.jsontext import (
    JsonTextError,
    TooDeepError,
    find_flaw,
    is_text,
    parse_json,
)
from databackup.schema.jsonvalues import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Sequence

# As in jsontext: from every quote on it matches, so that no text is looked at twice.
_STRING: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_STRINGS: Final = re.compile(_STRING, re.DOTALL)
# Commas with strings and scalars between them are one.
_TOKEN: Final = re.compile(
    rf"({_STRING})(?:[ \t\r\n]*+(:))?|[][{{}}:]"
    rf'|(?:,[^][{{}}",:]*+(?:{_STRING}[ \t\r\n]*+(?=[],}}]))?+)++',
    re.DOTALL,
)
_SPACES: Final = re.compile(r"[ \t]*+")
_FIELD_OF_DOCUMENT: Final = 4  # the steps `data`, collection, record, field
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
        outline = _Outline(shortened(line[: cause.start]), key=key)
        return Place(outline.steps, outline.key())
    read = as_read(line, error)
    if isinstance(cause, json.JSONDecodeError):
        outline = _Outline(read, cause.pos, cause.pos, key)
        return Place(outline.steps, outline.key())
    if isinstance(error, TooDeepError):
        outline = _Outline(read, key=key)
        return Place(outline.steps_to_depth[:_FIELD], outline.key())
    flaw = find_flaw(read.text, error)
    outline = _Outline(read, flaw, key=key)
    return Place(_steps_to_found(flaw, outline), outline.key())


def steps_to_flaw(text: bytes, error: JsonTextError) -> tuple[str | int, ...]:
    """The names and positions that lead to the first value that `parse_json` refuses by `error`.

    For UTF-8 that is JSON by its syntax at least up to there; empty where no value is to blame. Of
    a document that is too deep they lead to the field, or whatever is as deep.
    """
    read = as_read(text, error)
    if isinstance(error, TooDeepError):
        return _Outline(read).steps_to_depth[:_FIELD_OF_DOCUMENT]
    flaw = find_flaw(read.text, error)
    return _steps_to_found(flaw, _Outline(read, flaw, flaw))


def _steps_to_found(flaw: int | None, outline: _Outline) -> tuple[str | int, ...]:
    if flaw is None:
        return ()
    # Where an object is closed, its last name is the last step.
    return outline.steps[:-1] if outline.text[flaw] == "}" else outline.steps


class _Outline:
    """A JSON text by its brackets, commas and names: `steps` lead to a flaw in it.

    It ends where the record does, or where a colon follows no name. So it has no more tokens than
    some to each value that is counted for the limit, in whatever text.
    """

    def __init__(
        self,
        short: Shortened,
        flaw: int | None = None,
        end: int | None = None,
        key: Sequence[str] = (),
    ) -> None:
        self._short = short
        self.text = short.text
        self._end = len(short.text) if end is None else end
        self._key = key
        self._fields: dict[str | None, list[int]] = {name: [] for name in key}
        # By open container: the position in an array, the name in an object once it is known.
        self._places: list[int | str | None] = []
        self.steps_to_depth: tuple[int | str, ...] = ()
        flaw = self._end if flaw is None else flaw
        goes_on = self._read(0, flaw)
        self.steps = tuple(_steps(self._places)) if goes_on else ()
        if goes_on:
            self._read(flaw, self._end)

    def _read(self, start: int, end: int) -> bool:
        """Take in a part of the text, and whether the record may go on behind it."""
        places = self._places
        name = ""  # that a colon may follow
        for found in _TOKEN.finditer(self.text, start, end):
            if found[1]:
                name = found[1]
                if found[2]:
                    self._take_name(name, found.end())
                    name = ""
                continue
            mark = found[0]
            if mark in "[{":
                self._open(mark)
            elif mark in "]}":
                del places[-1:]
                if not places:
                    return False
            elif mark == ":":
                if not name:
                    return False
                self._take_name(name, found.end())
            elif places:
                place = places[-1]
                places[-1] = place + _commas(mark) if type(place) is int else None
            name = ""
        return True

    def _open(self, mark: str) -> None:
        self._places.append(0 if mark == "[" else None)
        if len(self._places) > MAX_DEPTH and not self.steps_to_depth:
            self.steps_to_depth = tuple(_steps(self._places))

    def _take_name(self, mark: str, end: int) -> None:
        if not self._places or type(self._places[-1]) is int:
            return
        self._places[-1] = mark
        if len(self._places) == _FIELD and (name := _name(mark)) in self._fields:
            self._fields[name].append(end)

    def key(self) -> tuple[Any, ...] | None:
        """The forms of the key's fields, None where not each of them can be told for sure."""
        try:
            return tuple(map(self._form, self._key)) or None
        except (ValueError, LookupError, RecursionError):
            return None

    def _form(self, name: str) -> Any:
        (start,) = self._fields[name]
        start = _SPACES.match(self.text, start).end()  # type: ignore[union-attr] # matches always
        _value, end = _DECODER.raw_decode(self.text, start)
        if end >= self._end:
            raise ValueError("it may go on")
        return parse_json(self._short.between(start, end))


def _commas(mark: str) -> int:
    return (_STRINGS.sub("", mark) if '"' in mark else mark).count(",")


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
