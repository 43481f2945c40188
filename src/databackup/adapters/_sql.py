"""What the adapters of SQL stores share: names of tables and columns, and JSON as text."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from databackup.errors import SchemaError
from databackup.schema import KindError, RawText
from databackup.schema.jsontext import parse_all_fast, parse_fast, parse_json
from databackup.schema.jsonvalues import is_plain, unwrap, wrap

if TYPE_CHECKING:
    from collections.abc import Collection as Names
    from collections.abc import Iterable, Iterator, Mapping

    from databackup.adapters._binding import Convert
    from databackup.schema import Collection, Kind, Schema
    from databackup.schema.composite import Json


MARKS: Final = "databackup_imports"
"""The table in which imports leave their marks."""
NEWEST_MARKS: Final = 100
HOUSEKEEPING: Final[Mapping[str, str]] = {
    "alembic_version": "the migrations that Alembic has run",
    "django_migrations": "the migrations that Django has run",
    MARKS: "the marks that imports have left",
}
"""Tables that are no app's data, each with the reason to leave it out."""


@attrs.frozen
class Table:
    """Where a collection lives: its table, and the columns that are not named as their fields."""

    name: str
    columns: Mapping[str, str] = attrs.field(factory=dict)

    def column(self, field: str) -> str:
        """The column of a field."""
        return self.columns.get(field, field)


def tables_of(schema: Schema, given: Mapping[str, str | Table] | None) -> dict[str, Table]:
    """The table of each collection by the collection's name.

    Raises `SchemaError` where `given` names a collection or a field that the schema does not have,
    or one table for two collections.
    """
    stated = {
        name: Table(table) if isinstance(table, str) else table
        for name, table in (given or {}).items()
    }
    tables = {c.name: stated.get(c.name, Table(c.name)) for c in schema.collections}
    problems = [f"{name!r} is no collection" for name in stated if name not in schema]
    for collection in schema.collections:
        problems += _unknown_fields(collection, tables[collection.name])
    names = _repeated(table.name for table in tables.values())
    problems += [f"two collections in {name!r}" for name in names]
    if problems:
        raise SchemaError.of("the names of tables do not fit the schema", problems)
    return tables


def _unknown_fields(collection: Collection, table: Table) -> Iterator[str]:
    known = {*collection.field_names, *_excluded_fields(collection)}
    yield from (f"{collection} has no field {f!r}" for f in table.columns if f not in known)
    for column in _repeated(table.column(name) for name in collection.field_names):
        yield f"two fields of {collection} in the column {column!r}"


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _excluded_fields(collection: Collection) -> list[str]:
    return [e.name.removeprefix(f"{collection.name}.") for e in collection.excluded]


def differences(
    schema: Schema, tables: Mapping[str, Table], store: Mapping[str, Names[str]]
) -> Iterator[str]:
    """What the store lacks, and what of it the schema overlooks.

    `store` has the columns that could be backed up by table; generated ones are not among them.
    """
    excluded = {exclusion.name for exclusion in schema.excluded}
    covered = set()
    for collection in schema.collections:
        table = tables[collection.name]
        covered.add(table.name)
        if table.name not in store:
            yield f"no table {table.name!r} for the collection {collection.name!r}"
            continue
        columns = {table.column(field): field for field in collection.field_names}
        for column, field in columns.items():
            if column not in store[table.name]:
                yield f"no column {table.name}.{column} for the field {field!r}"
        left_out = {*excluded, *_excluded_columns(collection, table)}
        for column in store[table.name]:
            names = {f"{table.name}.{column}", f"{collection.name}.{column}"}
            if column not in columns and not names & left_out:
                yield f"the column {table.name}.{column} is no field of {collection.name!r}"
    for name in store:
        if name not in covered and name not in excluded:
            yield f"the table {name!r} is no collection"


def _excluded_columns(collection: Collection, table: Table) -> Iterable[str]:
    return (f"{table.name}.{table.column(field)}" for field in _excluded_fields(collection))


# -- JSON as text ------------------------------------------------------------------------------

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def json_text(value: Any) -> str:
    """A JSON value as compact text; its numbers may be Decimals."""
    return _ENCODER.encode(value).decode()


def json_texts(values: list[Any]) -> list[str]:
    """As `json_text`, for many values."""
    return _ENCODER.encode_lines(values).decode().split("\n")[:-1]


def stored_json(form: Any) -> Any:
    """A kind's JSON form without the escapes of archives: what the host's own JSON looks like.

    Raises `KindError` for a JSON null that only its escape tells from nothing.
    """
    if type(form) is list:
        return [stored_json(item) for item in form]
    if type(form) is dict:
        if form == {"$json": None}:
            raise KindError("null only once: SQL text cannot tell it from nothing", "JSON_NULL")
        return {name: stored_json(item) for name, item in unwrap(form).items()}
    return form


def json_form(stored: Any) -> Any:
    """The opposite of `stored_json`: a JSON value as the form that a kind decodes."""
    if type(stored) is list:
        return [json_form(item) for item in stored]
    if type(stored) is dict:
        return wrap({name: json_form(item) for name, item in stored.items()})
    return stored


@attrs.frozen(repr=False)
class SqlValue:
    """What a JSON value cannot be told from, so that no kind takes it: NULL, or a number."""

    value: Any

    def __repr__(self) -> str:
        return "NULL" if self.value is None else f"{self.value!r} that is no text"


def json_writer(kind: Kind) -> Convert:
    """A function that writes values of lists, dicts and nested classes as JSON text."""
    return lambda value: json_text(stored_json(kind.encode(value)))


def json_reader(kind: Kind) -> Convert:
    """The opposite of `json_writer`; what is no such text is passed on as it is."""

    def read(stored: Any) -> Any:
        if type(stored) is not str:
            return stored
        try:
            return kind.decode(json_form(parse_json(stored)))
        except ValueError:
            return stored

    return read


def read_json(stored: list[Any]) -> list[Any] | None:
    """The values of a column of JSON texts, but for that of null."""
    if set(map(type, stored)) != {str}:
        return None
    values = parse_all_fast(stored)
    return None if values is None or None in values else values


def write_json(values: list[Any]) -> list[Any] | None:
    """The texts of plain lists and dicts; msgspec alone would make JSON of much that is none."""
    if not {list, dict}.issuperset(map(type, values)) or not all(map(is_plain, values)):
        return None
    try:
        return json_texts(values)
    except ValueError:  # a lone surrogate
        return None


def parsed_json(kind: Json, text: str) -> Any:
    """The value of a JSON text; `RawText` where it has none that an archive holds.

    The text may be JSON, and deeper than any archive, or with a lone surrogate.
    """
    fast = parse_fast(text)
    if fast is not None:
        return fast[0]
    try:
        value = parse_json(text)
        kind.encode(value)
    except ValueError:
        return RawText(text.encode())
    return value
