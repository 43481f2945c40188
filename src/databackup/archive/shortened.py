"""Floats that a program has shortened: `2` for `2.0`, `100000000000000000000` for `1e20`.

Many do. Where only a float can stand an integer without a tag is one, for an integer that is kept
there has the tag `$int`.
"""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any

from databackup.schema.composite import Dict, List, Nested, Optional
from databackup.schema.jsonvalues import is_tag
from databackup.schema.kinds import Float
from databackup.schema.offkind import Keep

if TYPE_CHECKING:
    from databackup.schema import Collection
    from databackup.schema.kind import Kind


def with_floats(records: list[Any], collection: Collection) -> list[Any]:
    """Records as they were parsed, with the floats that can stand there, and nothing else changed.

    Whatever else is wrong with a record stays as it is.
    """
    forms = {field.name: field.form for field in collection.fields if _may_hold(field.form)}
    return [_members(record, forms) for record in records] if forms else records


def _may_hold(kind: Kind) -> bool:
    """Whether a float may stand somewhere in the values of a kind."""
    match kind:
        case Float() | Keep():
            return True
        case Optional():
            return _may_hold(kind.inner)
        case List():
            return _may_hold(kind.items)
        case Dict():
            return _may_hold(kind.values)
        case Nested():
            return any(_may_hold(inner) for _name, inner in kind.members)
    return False


def _restored(form: Any, kind: Kind) -> Any:
    match kind:
        case Float():
            form = _float(form)
        case Keep() if is_tag(form) and "$json" not in form:
            form = {tag: _float(v) if tag == "$float" else v for tag, v in form.items()}
        case Keep() | Optional():
            form = _restored(form, kind.inner)
        case List() if type(form) is list:
            form = [_restored(item, kind.items) for item in form]
        case Dict() | Nested() if is_tag(form):  # one that is escaped, or else is refused
            form = {tag: _object(inner, kind) for tag, inner in form.items()}
        case Dict() | Nested():
            form = _object(form, kind)
    return form


def _object(form: Any, kind: Dict | Nested) -> Any:
    if type(form) is not dict:
        return form
    if isinstance(kind, Nested):
        return _members(form, dict(kind.members))
    return {name: _restored(value, kind.values) for name, value in form.items()}


def _members(form: Any, kinds: dict[str, Kind]) -> Any:
    if type(form) is not dict:
        return form
    return {n: _restored(value, kinds[n]) if n in kinds else value for n, value in form.items()}


def _float(value: Any) -> Any:
    """The float that an integer is the value or the shortest text of, or else what was given."""
    if type(value) is not int:
        return value
    try:
        double = float(value)
    except OverflowError:
        return value
    return double if value in (int(double), int(decimal.Decimal(repr(double)))) else value
