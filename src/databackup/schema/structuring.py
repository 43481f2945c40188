"""Between rows and instances of a collection's model, with cattrs.

A row's values are plain: an enumeration's value, a dict for a nested class, a list for any
sequence. cattrs coerces in silence, so every built-in type gets a hook that only passes on what is
of that type already. Types of the host's own go through the hooks of its converter.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import operator
import typing
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import attrs
import cattrs
import msgspec

from databackup.schema import kinds
from databackup.schema.classes import SCALARS
from databackup.schema.compiled import Row
from databackup.schema.composite import Dict, List, Nested, Optional
from databackup.schema.kind import KindError, StructuringError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from databackup.schema.kind import Kind
    from databackup.schema.model import Collection

_FLOAT = kinds.Float()
# cattrs makes a list of anything that can be iterated over, of a text its letters.
_NO_LISTS = (str, bytes, bytearray, Mapping, AbstractSet)
_GROUPS = (cattrs.ClassValidationError, cattrs.IterableValidationError)


class Structurer:
    """The functions between rows and instances of one collection's model.

    Without a model an instance is a dict of plain values.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._names = collection.field_names
        self._model = collection.model
        if self._model is None:
            return
        converter = self._converter = _converter_of(collection)
        self._to_dict: Callable[[Any], dict[str, Any]] = converter.get_unstructure_hook(self._model)
        self._from_dict: Callable[[Any, Any], Any] = converter.get_structure_hook(self._model)
        self._pick = operator.itemgetter(*self._names)
        self._floats = [
            position
            for position, field in enumerate(collection.fields)
            if isinstance(field.value_kind, kinds.Float)
        ]
        self._holders = [
            (field.name, field.kind)
            for field in collection.fields
            if isinstance(field.value_kind, List | Dict | Nested)
        ]

    @functools.cached_property
    def may_object(self) -> bool:
        """Whether the model runs code of the host's own on what it is given."""
        return self._collection.converter is not None or _runs_code(self._model)

    def instance(self, row: Row) -> Any:
        """The instance a row stands for. Raises `StructuringError`."""
        values = dict(zip(self._names, row, strict=True))
        if self._model is None:
            return values
        try:
            return self._from_dict(values, self._model)
        except Exception as error:
            # Whatever a host's validator or hook raises is its word on the record.
            raise self._explain(error, values) from error

    def row(self, instance: Any) -> Row:
        """The row of an instance. Raises `StructuringError`."""
        try:
            if self._model is None:
                return self._row_of_dict(instance)
            _require_instance(instance, self._model)
            for name, kind in self._holders:
                with _naming(name):
                    _require_lists(kind, getattr(instance, name))
            picked = self._pick(self._to_dict(instance))
        except StructuringError:
            raise
        except Exception as error:
            raise StructuringError(f"{type(error).__name__}: {error}") from error
        return self._with_doubles(picked if len(self._names) > 1 else (picked,))

    def plain(self, name: str, value: Any) -> Any:
        """A value of one field of the model as it stands in a row."""
        made = self._converter.unstructure(value)
        if type(made) is int and isinstance(self._collection.field(name).value_kind, kinds.Float):
            with contextlib.suppress(KindError):
                return _FLOAT.decode(made)
        return made

    def with_excluded_of(self, old: Any, new: Any) -> Any:
        """The new instance with what the schema leaves out as the old one has it."""
        prefix = f"{self._collection}."
        left_out = {e.name.removeprefix(prefix) for e in self._collection.excluded}
        if not left_out or self._model is None:
            return new
        if attrs.has(self._model):
            fields = [f for f in attrs.fields(self._model) if f.name in left_out and f.init]
            return attrs.evolve(new, **{f.alias: getattr(old, f.name) for f in fields})
        names = [f.name for f in dataclasses.fields(new) if f.name in left_out and f.init]
        return dataclasses.replace(new, **{name: getattr(old, name) for name in names})

    def changed_field(self, row: Row) -> str | None:
        """The first field that the model gives back otherwise than it was given, if any.

        Raises `StructuringError` where the model refuses the row.
        """
        back = self.row(self.instance(row))
        return next(
            (
                field.name
                for field, given, got in zip(self._collection.fields, row, back, strict=True)
                if given is not got and not _same(field.form, given, got)
            ),
            None,
        )

    def _row_of_dict(self, record: Any) -> Row:
        if type(record) is not dict:
            raise StructuringError(f"expected a dict, found {type(record).__name__}")
        for name in self._names:
            if name not in record:
                raise StructuringError("no such field", name)
        for name in record.keys() - set(self._names):
            raise StructuringError("unknown field", str(name))
        return tuple(record[name] for name in self._names)

    def _with_doubles(self, row: Row) -> Row:
        """An int where the model says float stands for the double, as it does in Python."""
        if not any(type(row[position]) is int for position in self._floats):
            return row
        values = list(row)
        for position in self._floats:
            value = values[position]
            if type(value) is int:
                with contextlib.suppress(KindError):
                    values[position] = _FLOAT.decode(value)
        return tuple(values)

    def _explain(self, error: Exception, values: dict[str, Any]) -> StructuringError:
        field = None
        while isinstance(error, _GROUPS):
            noted, bare = error.group_exceptions()
            if noted:
                error, note = noted[0]
                field = field or getattr(note, "name", None)
            elif bare:
                error = bare[0]
        field = field or self._field_whose_validator_raises(values)
        # attrs puts a sentence first and what it is about behind it; cattrs leaves it empty.
        text = str(error.args[0]) if error.args else ""
        return StructuringError(text or str(error) or type(error).__name__, field)

    def _field_whose_validator_raises(self, values: dict[str, Any]) -> str | None:
        """Ask converters and validators of attrs, on a bare instance, which of them objects."""
        model = self._model
        if model is None or not attrs.has(model):
            return None
        instance = object.__new__(model)
        fields = attrs.fields(model)
        for field in fields:
            try:
                self._set(instance, field, values)
            except Exception:  # noqa: BLE001 - a host's converter raises what it likes
                return str(field.name)
        for field in fields:
            if field.validator is None or not hasattr(instance, field.name):
                continue
            try:
                field.validator(instance, field, getattr(instance, field.name))
            except Exception:  # noqa: BLE001 - a host's validator raises what it likes
                return str(field.name)
        return None

    def _set(self, instance: Any, field: Any, values: dict[str, Any]) -> None:
        """Set an attribute as `__init__` would: structured, or the default; then converted."""
        default = field.default
        if field.name in values:
            value = values[field.name]
            value = value if field.type is None else self._converter.structure(value, field.type)
        elif isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            value = default.factory(instance) if default.takes_self else default.factory()
        elif default is attrs.NOTHING:
            return
        else:
            value = default
        convert = field.converter
        if convert is not None:
            takes = hasattr(convert, "takes_self")
            value = convert(value, instance, field) if takes else convert(value)
        object.__setattr__(instance, field.name, value)


def _require_instance(instance: Any, model: type[Any]) -> None:
    # A subclass may hold more than the schema knows of, and would come back without it.
    if type(instance) is not model:
        found = type(instance).__name__
        raise StructuringError(f"expected an instance of {model.__name__}, found {found}")


def _runs_code(model: Any, seen: frozenset[Any] = frozenset()) -> bool:
    """Whether a class, or one its fields are made of, has validators, converters or hooks."""
    parts = typing.get_args(model)
    if parts:
        return any(_runs_code(part, seen) for part in parts)
    if model in seen or not isinstance(model, type):
        return False
    if attrs.has(model):
        fields = attrs.fields(model)
        if any(field.validator or field.converter for field in fields):
            return True
        types = [field.type for field in fields]
        made = "__attrs_init__" not in vars(model)
    elif dataclasses.is_dataclass(model):
        types = list(typing.get_type_hints(model).values())
        made = model.__dataclass_params__.init  # type: ignore[attr-defined]
    else:
        return False
    hooks = ("__attrs_pre_init__", "__attrs_post_init__", "__post_init__")
    if not made or any(hasattr(model, hook) for hook in hooks):
        return True
    return any(_runs_code(type_, seen | {model}) for type_ in types)


@contextlib.contextmanager
def _naming(field: str) -> Iterator[None]:
    try:
        yield
    except KindError as error:
        raise StructuringError(str(error), field) from error


def _require_lists(kind: Kind, value: Any) -> None:
    """See that what a list is to be made of has an order, and is no text. Raises `KindError`."""
    if isinstance(kind, Optional):
        _require_lists(kind.inner, value)
    elif isinstance(kind, List):
        if isinstance(value, _NO_LISTS):
            raise kind.refused(value)
        if isinstance(value, list | tuple):
            for item in value:
                _require_lists(kind.items, item)
    elif isinstance(kind, Dict) and isinstance(value, Mapping):
        for item in value.values():
            _require_lists(kind.values, item)
    elif isinstance(kind, Nested) and kind.model is not None and isinstance(value, kind.model):
        for name, inner in kind.members:
            _require_lists(inner, getattr(value, name))


def _same(kind: Kind, given: Any, got: Any) -> bool:
    """Whether two values have one canonical form; in Python True == 1 == 1.0, and 0.0 == -0.0."""
    try:
        forms = kind.canonical(given), kind.canonical(got)
    except KindError:
        return False
    return msgspec.json.encode(forms[0]) == msgspec.json.encode(forms[1])


def _converter_of(collection: Collection) -> cattrs.Converter:
    host = collection.converter or cattrs.Converter()
    newer: dict[str, Any] = {"use_alias": False} if hasattr(host, "use_alias") else {}
    converter = host.copy(
        unstruct_strat=cattrs.UnstructureStrategy.AS_DICT,
        dict_factory=dict,
        omit_if_default=False,
        forbid_extra_keys=True,
        detailed_validation=True,
        unstruct_collection_overrides={tuple: list},
        **newer,
    )
    for type_ in SCALARS:
        converter.register_structure_hook(type_, _exactly(type_, host))
        converter.register_unstructure_hook(type_, _as_it_is(type_, host))
    return converter


# Hooks for a class serve its subclasses, too: those are the host's, or enumerations.


def _exactly(scalar: Any, host: cattrs.Converter) -> Callable[[Any, Any], Any]:
    def structure(value: Any, type_: Any) -> Any:
        if type_ is not scalar:
            return host.get_structure_hook(type_)(value, type_)
        if type(value) is not scalar:
            raise TypeError(f"expected {scalar.__name__}, found {shown(value)}")
        return value

    return structure


def _as_it_is(scalar: Any, host: cattrs.Converter) -> Callable[[Any], Any]:
    def unstructure(value: Any) -> Any:
        if type(value) is scalar or not isinstance(value, scalar):
            return value
        plain = host.get_unstructure_hook(type(value))(value)
        return plain.value if isinstance(plain, enum.Enum) else plain

    return unstructure
