"""What differs, as people read it. Every foreign text goes through `visible`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from databackup.archive.text import dump
from databackup.cli import render
from databackup.cli.text import counted, visible
from databackup.operations.samples import excerpts
from databackup.schema.secrets import MASK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from databackup.operations.differences import CollectionDiff, Diff, RecordDiff, What

_STYLES: Final = {"added": "green", "changed": "yellow", "removed": "red", "deleted": "red"}
_MARKS: Final[dict[What, str]] = {"added": "+", "changed": "~", "removed": "-", "deleted": "-"}
_INDENT: Final = (0, 0, 0, 2)
_VALUE: Final = 60  # characters of a value
_LINE: Final = 160  # columns of a line, where no terminal ends sooner


def compared(found: Diff) -> RenderableType:
    """What differs between two sides: the numbers, and then the sample of each collection."""
    parts: list[RenderableType] = [Text(_headline(found))]
    parts += [Text(visible(note), "dim") for note in found.notes]
    if found.collections:
        parts.append(Padding(_counts(found), _INDENT))
    for name, collection in found.collections.items():
        if collection.structure or collection.sample:
            parts += [Text(""), Text(visible(name), "bold"), *_lines(collection)]
    return Group(*parts)


def _headline(found: Diff) -> str:
    sides = f"{visible(found.a)} and {visible(found.b)}"
    if not found.identical:
        return f"{sides} differ"
    records = counted(found.unchanged, "record")
    return f"{sides} hold the same: {records} of {counted(len(found.collections), 'collection')}"


def _counts(found: Diff) -> RenderableType:
    columns = {
        what: {name: getattr(item, what) for name, item in found.collections.items()}
        for what in ("added", "changed", "removed", "unchanged")
    }
    return render.counts(columns, _STYLES)


def _lines(found: CollectionDiff) -> Iterator[RenderableType]:
    for difference in found.structure:
        yield Padding(Text.assemble(("! ", "bold"), visible(difference)), _INDENT)
    yield from sampled(found.sample, found)


def sampled(sample: Sequence[RecordDiff], numbers: object) -> Iterator[RenderableType]:
    """The records of a sample, and how many more there are, by numbers that have their names."""
    for record in sample:
        yield from _record(record)
    shown = [record.what for record in sample]
    left = {what: getattr(numbers, what, 0) - shown.count(what) for what in _MARKS}
    more = ", ".join(f"{number:,} more {what}" for what, number in left.items() if number)
    if more and shown:
        yield Text(f"  and {more}", "dim")


def _record(record: RecordDiff) -> Iterator[RenderableType]:
    style = _STYLES[record.what]
    line = Text.assemble("  ", (f"{_MARKS[record.what]} ", style), (_fields(record.key), style))
    if record.old is not None and record.new is not None:
        yield _line(line)
        for name, old in record.old.items():
            yield from _change(name, old, record.new[name])
    else:
        fields = _fields((record.old if record.new is None else record.new) or {})
        line.append(("  " if record.key and fields else "") + fields)
        yield _line(line)


def _change(name: str, old: Any, new: Any) -> Iterator[RenderableType]:
    field = excerpts(visible(name), "", _VALUE)[0]
    before, after = excerpts(_text(old), _text(new), _VALUE)
    if len(before) + len(after) <= _VALUE:
        yield _line(Text.assemble("      ", field, "  ", (before, "red"), " -> ", (after, "green")))
    else:
        yield _line(Text(f"      {field}"))
        yield _line(Text.assemble("        ", ("- ", "red"), (before, "red")))
        yield _line(Text.assemble("        ", ("+ ", "green"), (after, "green")))


def _fields(fields: Mapping[str, Any]) -> str:
    """Names and values on one line, as much as fits."""
    text = ""
    for name, value in fields.items():
        shown = excerpts(_text(value), "", _VALUE)[0]
        text += f"{'  ' if text else ''}{visible(name)} {shown}"
        if len(text) > _LINE:
            break  # the rest would not be seen
    return text


def _text(value: Any) -> str:
    """The JSON of a value, numbers as archives have them; of a shortened one what there is."""
    if type(value) is dict and len(value) == 1:
        match value:
            case {"$shortened": str(text)} | {"$number": str(text)}:
                return visible(text)
            case {"$invalid": str(text)}:
                return f"not allowed: {visible(text)}"
            case {"$secret": True}:
                return MASK
    return visible(msgspec.json.format(dump(value), indent=0).decode())


def _line(text: Text) -> Text:
    """One line, cut where the terminal ends, or sooner."""
    text.truncate(_LINE, overflow="ellipsis")
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text
