"""Between the host's lists and dicts and the entries of a table."""

from __future__ import annotations

import datetime
import decimal
import functools
import uuid
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import TYPE_CHECKING, Any, NamedTuple

from databackup.errors import Problem
from databackup.repository import Key, Row
from databackup.schema import Interval, KindError, RawText, StructuringError, kind
from databackup.schema.composite import Dict, Json, List, Nested
from databackup.schema.jsonvalues import MAX_DEPTH
from databackup.schema.secrets import WITHHELD, may_be_shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from databackup.schema import Collection, Schema

Contents = MutableSequence[Any] | MutableMapping[Any, Any]

_MAX_DEPTH = MAX_DEPTH + 16  # what is deeper cannot be archived and need not be copied
_TOLD_BY_REPR = {float, decimal.Decimal, datetime.datetime, datetime.time}
_TOLD_BY_EQUALITY = {
    bool,
    int,
    str,
    bytes,
    datetime.date,
    datetime.timedelta,
    uuid.UUID,
    Interval,
    RawText,
    type(None),
}


class Entry(NamedTuple):
    """A record, as the row and as the instance; `place` is where it stands in the contents."""

    place: int
    row: Row
    instance: Any


def differences(schema: Schema, contents: Mapping[str, Any]) -> Iterator[str]:
    """What keeps contents from fitting a schema."""
    for collection in schema.collections:
        if collection.name not in contents:
            yield f"nothing is given for {collection}"
            continue
        found = contents[collection.name]
        if isinstance(found, MutableMapping):
            if not collection.key:
                yield f"{collection} has no key, so its records must be in a list, not in a dict"
        elif not isinstance(found, MutableSequence):
            yield f"{collection} must be a list or a dict, not a {type(found).__name__}"
    seen: dict[int, str] = {}
    for name, found in contents.items():
        if (other := seen.setdefault(id(found), name)) != name:
            yield f"{other} and {name} are one and the same object: each needs a place of its own"
    for name in contents:
        if name not in schema:
            yield f"the schema has no collection {name!r}"


def read(collection: Collection, contents: Contents, problems: list[Problem]) -> dict[Any, Entry]:
    """The records by key; what is wrong with them is added to `problems`."""
    keyed = isinstance(contents, MutableMapping)
    items = contents.items() if isinstance(contents, MutableMapping) else _unkeyed(contents)
    copied = copier(collection)
    entries: dict[Any, Entry] = {}
    for number, (given, instance) in enumerate(items, 1):
        wrong = functools.partial(Problem, collection=collection.name, record=number)
        try:
            row = copied(collection.structurer.row(instance))
        except StructuringError as error:
            key, field = _known_key(collection, instance), error.field
            said = str(error) if may_be_shown(collection, field) else WITHHELD
            problems.append(wrong(code="invalid-record", message=said, key=key, field=field))
            continue
        key = collection.codec.key(row)
        refusal = key_refusal(collection, key)
        if refusal is not None:
            field, message = refusal
            problems.append(wrong(code="invalid-key", message=message, key=key, field=field))
        elif key and key in entries:
            message = f"record {entries[key].place + 1} has the same key"
            problems.append(wrong(code="duplicate-key", message=message, key=key))
        elif keyed and given != dict_key(collection, row, instance):
            message = f"the dict has it under another key, {kind.shown(given)}"
            problems.append(wrong(code="wrong-key", message=message, key=key))
        else:
            entries[key or number - 1] = Entry(number - 1, row, instance)
    return entries


def _unkeyed(records: Iterable[Any]) -> Iterator[tuple[None, Any]]:
    return ((None, record) for record in records)


def key_refusal(collection: Collection, key: Key) -> tuple[str, str] | None:
    """The field and the reason why a key cannot tell records apart, if so."""
    for name, part in zip(collection.key, key, strict=True):
        try:
            collection.field(name).form.encode(part)
        except KindError as error:
            return name, str(error)
        if part != part:  # noqa: PLR0124 - NaN alone differs from itself
            return name, "NaN is equal to nothing and cannot be a key"
    return None


def _known_key(collection: Collection, instance: Any) -> Key | None:
    """The key of an instance that gives no row, where it has one."""
    try:
        if collection.model is None:
            return tuple(instance[name] for name in collection.key) or None
        return tuple(getattr(instance, name) for name in collection.key) or None
    except (AttributeError, KeyError, TypeError):
        return None


def dict_key(collection: Collection, row: Row, instance: Any) -> Any:
    """What a dict of a collection has a record under."""
    if collection.model is None:
        key = collection.codec.key(row)
    else:
        key = tuple(getattr(instance, name) for name in collection.key)
    return key[0] if len(key) == 1 else key


def copier(collection: Collection) -> Callable[[Row], Row]:
    """A function that copies rows as far as they can be changed."""
    deep = [
        position
        for position, field in enumerate(collection.fields)
        if isinstance(field.value_kind, Json | List | Dict | Nested)
    ]
    if not deep:
        return lambda row: row

    def copied(row: Row) -> Row:
        values = list(row)
        for position in deep:
            values[position] = _copied(values[position])
        return tuple(values)

    return copied


def _copied(value: Any, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        return value
    if type(value) is list:
        return [_copied(item, depth + 1) for item in value]
    if type(value) is dict:
        return {key: _copied(item, depth + 1) for key, item in value.items()}
    return value


def mark(value: Any, depth: int = 0) -> Any:
    """What two values share only if they are the same, where Python's `==` is too kind.

    True and 1 differ, 1.0 and 1.00 as decimals, 0.0 and −0.0.
    """
    type_ = type(value)
    if type_ in _TOLD_BY_REPR:
        return type_, repr(value)
    if depth <= _MAX_DEPTH:
        if type_ is list or type_ is tuple:
            return type_, tuple(mark(item, depth + 1) for item in value)
        if type_ is dict:
            return type_, tuple((key, mark(item, depth + 1)) for key, item in value.items())
    return type_, value if type_ in _TOLD_BY_EQUALITY else id(value)


def copy_of(contents: Contents) -> Contents:
    """A list or dict of the same records."""
    return dict(contents) if isinstance(contents, MutableMapping) else list(contents)


def fill(contents: Any, new: Any) -> None:
    """Replace contents in place."""
    if isinstance(contents, MutableMapping):
        contents.clear()
        contents.update(new)
    else:
        contents[:] = new


def shown(key: Key) -> str:
    """A key as an error message shows it."""
    return ", ".join(map(kind.shown, key))
