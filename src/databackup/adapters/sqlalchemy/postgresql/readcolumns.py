"""Whole columns of PostgreSQL's text as the archive's forms, which most of it is already.

A function gives None where something in its column is out of the usual: then the rows are read
value by value.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from databackup.adapters.sqlalchemy.postgresql.forms import TEXTS
from databackup.schema import composite, kinds
from databackup.schema.columns import are_plain_texts, present
from databackup.schema.jsontext import parse_all_fast
from databackup.schema.jsonvalues import is_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from databackup.adapters.sqlalchemy.catalogue import Column
    from databackup.schema import Field, Kind

    Texts = list[str]
    Read = Callable[[Texts], list[Any] | None]
    ReadColumn = Callable[[list[str | None]], list[Any] | None]

_ENCODER: Final = msgspec.json.Encoder()
_INTEGERS: Final = msgspec.json.Decoder(list[int])
_FLOATS: Final = msgspec.json.Decoder(list[float])
_NAIVE: Final = msgspec.json.Decoder(list[Annotated[datetime.datetime, msgspec.Meta(tz=False)]])
_AWARE: Final = msgspec.json.Decoder(list[Annotated[datetime.datetime, msgspec.Meta(tz=True)]])
_BOOLS: Final = {"true": True, "false": False}
_DATE: Final = {len("2026-11-22")}
_TIME: Final = {len("10:15:00")}
_DATETIME: Final = {len("2026-11-22 10:15:00")}
_DATETIMETZ: Final = {len("2026-11-22 10:15:00+00")}


def column_reader(field: Field, column: Column) -> ReadColumn | None:
    """The function that reads a field's column at once, None where there is none."""
    read = _reader(field.value_kind, column.details.name)
    if read is None:
        return None
    nullable = field.nullable

    def whole(texts: list[str | None]) -> list[Any] | None:
        if None not in texts:
            return read(texts)  # type: ignore[arg-type]
        if not nullable:
            return None
        given = present(texts)
        done = read(given) if given else []  # type: ignore[arg-type]
        if done is None:
            return None
        rest = iter(done)
        return [None if text is None else next(rest) for text in texts]

    if isinstance(field.value_kind, composite.Json) and nullable:
        # JSON's null has a form of its own there.
        return lambda texts: None if "null" in texts else whole(texts)
    return whole


def _reader(kind: Kind, type_name: str) -> Read | None:
    if isinstance(kind, kinds.Str) and type_name in TEXTS:
        return _as_they_are
    if isinstance(kind, composite.Native):
        return _as_they_are
    if isinstance(kind, composite.Enum) and kind.values and type(kind.values[0]) is str:
        labels = set(kind.values)
        return lambda texts: texts if labels.issuperset(texts) else None
    return _READERS.get((type(kind), type_name))


def _as_they_are(texts: Texts) -> list[Any]:
    return texts


def _integers(texts: Texts) -> list[Any]:
    values = _INTEGERS.decode(f"[{','.join(texts)}]")
    if -kinds.MAX_PLAIN_INT <= min(values) and max(values) <= kinds.MAX_PLAIN_INT:
        return values
    return [v if abs(v) <= kinds.MAX_PLAIN_INT else str(v) for v in values]


def _floats(texts: Texts) -> list[Any] | None:
    try:
        return _FLOATS.decode(f"[{','.join(texts)}]")
    except msgspec.DecodeError:
        return None  # NaN or an infinity


def _decimals(texts: Texts) -> list[Any] | None:
    return texts if max(map(len, texts)) < kinds.MAX_DECIMAL_DIGITS else None


def _dates(texts: Texts) -> list[Any] | None:
    return texts if set(map(len, texts)) == _DATE else None


def _times(texts: Texts) -> list[Any] | None:
    return texts if set(map(len, texts)) == _TIME and max(texts) < "24" else None


def _naive(texts: Texts) -> list[Any] | None:
    joined = "\n".join(texts).replace(" ", "T")
    if set(map(len, texts)) == _DATETIME:
        return joined.split("\n")
    return _moments(_NAIVE, joined)


def _aware(texts: Texts) -> list[Any] | None:
    joined = "\n".join(texts).replace(" ", "T").replace("+00", "Z")
    if set(map(len, texts)) == _DATETIMETZ:
        return joined.split("\n")
    return _moments(_AWARE, joined)


def _moments(decoder: msgspec.json.Decoder[list[Any]], joined: str) -> list[Any] | None:
    """Datetimes with fractions of seconds, whose zeros at the end PostgreSQL leaves out."""
    try:
        return decoder.decode('["' + joined.replace("\n", '","') + '"]')
    except (msgspec.DecodeError, ValueError):
        return None  # before the year 1, after 9999, or infinite


def _bytes(texts: Texts) -> list[Any]:
    return [bytes.fromhex(text[2:]) for text in texts]


def _json(texts: Texts) -> list[Any] | None:
    values = parse_all_fast(texts)
    if values is None:
        return None
    lines = _ENCODER.encode_lines(values)
    return values if are_plain_texts(lines) or all(map(is_plain, values)) else None


_READERS: Final[dict[tuple[type[Kind], str], Read]] = {
    (kinds.Bool, "bool"): lambda texts: list(map(_BOOLS.__getitem__, texts)),
    **{(kinds.Int, name): _integers for name in ("int2", "int4", "int8")},
    **{(kinds.Float, name): _floats for name in ("float4", "float8")},
    (kinds.Decimal, "numeric"): _decimals,
    (kinds.Bytes, "bytea"): _bytes,
    (kinds.Date, "date"): _dates,
    (kinds.Time, "time"): _times,
    (kinds.DateTime, "timestamp"): _naive,
    (kinds.DateTimeTz, "timestamptz"): _aware,
    (kinds.UUID, "uuid"): _as_they_are,
    (composite.Json, "json"): _json,
    (composite.Json, "jsonb"): _json,
}
