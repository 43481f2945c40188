"""From Python types to kinds: annotations of attrs classes and dataclasses, and plain mappings."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import inspect
import types
import typing
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import attrs

from databackup.errors import SchemaError
from databackup.schema import composite, kinds
from databackup.schema.interval import Interval, IntervalKind
from databackup.schema.kind import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import cattrs

Json = Annotated[Any, composite.Json()]
"""The annotation of a field that holds any JSON value."""
AwareDatetime = Annotated[datetime.datetime, kinds.DateTimeTz()]
"""The annotation of a datetime with an offset; a plain `datetime` has none."""
AwareTime = Annotated[datetime.time, kinds.TimeTz()]
"""The annotation of a time of day with an offset; a plain `time` has none."""

SCALARS: dict[Any, Kind] = {
    bool: kinds.Bool(),
    str: kinds.Str(),
    int: kinds.Int(),
    float: kinds.Float(),
    bytes: kinds.Bytes(),
    decimal.Decimal: kinds.Decimal(),
    datetime.date: kinds.Date(),
    datetime.time: kinds.Time(),
    datetime.datetime: kinds.DateTime(),
    datetime.timedelta: kinds.Timedelta(),
    uuid.UUID: kinds.UUID(),
    Interval: IntervalKind(),
}
_LISTS = (list, tuple, collections.abc.Sequence)
_DICTS = (dict, collections.abc.Mapping)


class _Unsupported(Exception):
    """A type that no kind stands for; the message says which and why."""


@attrs.frozen
class _Resolver:
    """Resolves types to kinds, with the host's converter and its own types."""

    converter: cattrs.Converter | None = None
    own: Mapping[Any, Any] = attrs.field(factory=dict)
    above: tuple[Any, ...] = ()

    def kind(self, type_: Any) -> Kind:
        if isinstance(type_, Kind):
            return type_
        if not _is_hashable(type_):
            raise _Unsupported(f"{_name(type_)} is not supported")
        if type_ in self.own:
            return _Resolver(self.converter).kind(self.own[type_])
        if type_ in SCALARS:
            return SCALARS[type_]
        if isinstance(type_, typing.NewType):
            return self.kind(type_.__supertype__)
        if type(type_).__name__ == "TypeAliasType":
            return self.kind(type_.__value__)
        return self._class(type_) if inspect.isclass(type_) else self._generic(type_)

    def _generic(self, type_: Any) -> Kind:
        origin, arguments = typing.get_origin(type_), typing.get_args(type_)
        if origin is Annotated:
            stated = [item for item in type_.__metadata__ if isinstance(item, Kind)]
            return stated[-1] if stated else self.kind(arguments[0])
        if origin in (typing.Union, types.UnionType):
            return self._union(arguments)
        if origin is typing.Literal:
            return _enum(arguments, None)
        if origin in _LISTS or origin in _DICTS:
            return self._container(type_, origin, arguments)
        raise _Unsupported(f"{_name(type_)} is not supported")

    def _union(self, arguments: tuple[Any, ...]) -> Kind:
        rest = [argument for argument in arguments if argument is not type(None)]
        if len(rest) != 1:
            raise _Unsupported("a union of several types is not supported, only X | None")
        inner = self.kind(rest[0])
        return inner if isinstance(inner, composite.Optional) else composite.Optional(inner)

    def _container(self, type_: Any, origin: Any, arguments: tuple[Any, ...]) -> Kind:
        if not arguments:
            raise _Unsupported(f"{_name(type_)} is not supported without what it holds")
        if origin in _DICTS:
            if arguments[0] is not str:
                raise _Unsupported(f"{_name(type_)} is not supported: keys must be str")
            return composite.Dict(self.kind(arguments[1]))
        if origin is tuple and arguments[1:] != (Ellipsis,):
            raise _Unsupported(f"{_name(type_)} is not supported, only tuple[X, ...]")
        return composite.List(self.kind(arguments[0]))

    def _class(self, model: type[Any]) -> Kind:
        if self._has_own_hook(model):
            return self._own_form(model)
        if issubclass(model, enum.Enum):
            if issubclass(model, enum.Flag):
                raise _Unsupported(f"the flag {_name(model)} is not supported")
            return _enum([member.value for member in model], model)
        if attrs.has(model) or dataclasses.is_dataclass(model):
            if model in self.above:
                raise _Unsupported(f"{_name(model)} contains itself")
            return self._nested(model)
        raise _Unsupported(f"{_name(model)} is not supported")

    def _nested(self, model: type[Any]) -> Kind:
        inner = _Resolver(self.converter, self.own, (*self.above, model))
        try:
            annotations = _annotations(model)
        except Exception as error:
            raise _Unsupported(_unresolved(model, error)) from error
        for name in sorted(_not_in_init(model)):
            raise _Unsupported(
                f"{_name(model)}.{name} is not an argument of __init__ and cannot be given back"
            )
        members = []
        for name, type_ in annotations.items():
            try:
                members.append((name, inner.kind(type_)))
            except _Unsupported as error:
                raise _Unsupported(f"{_name(model)}.{name}: {error}") from error
        return composite.Nested(tuple(members), model)

    def _has_own_hook(self, model: type[Any]) -> bool:
        """Whether the host's converter has a hook for a class, rather than one cattrs makes."""
        if self.converter is None:
            return False
        hook = self.converter.get_unstructure_hook(model)
        made = getattr(hook, "overrides", None)
        if made is not None:
            return bool(made)
        return not (getattr(hook, "__module__", None) or "").startswith("cattrs")

    def _own_form(self, model: type[Any]) -> Kind:
        hook = self.converter.get_unstructure_hook(model)  # type: ignore[union-attr]
        try:
            returns = typing.get_type_hints(hook, include_extras=True).get("return")
        except Exception:  # noqa: BLE001 - a hook may be anything that can be called
            returns = None
        if returns in (None, Any, model):
            return composite.Json()
        return _Resolver(self.converter, self.own, self.above).kind(returns)


def _enum(values: Iterable[Any], model: type[Any] | None) -> Kind:
    found = tuple(values)
    if not found or {type(value) for value in found} not in ({str}, {int}):
        raise _Unsupported("only an enumeration of texts or of integers is supported")
    if any(type(value) is int and abs(value) > kinds.MAX_PLAIN_INT for value in found):
        raise _Unsupported("an enumeration of integers beyond 2^53−1 is not supported")
    return composite.Enum(found, model)


def _is_hashable(type_: Any) -> bool:
    try:
        hash(type_)
    except TypeError:
        return False
    return True


def _unresolved(model: type[Any], error: Exception) -> str:
    """What the annotations of a class raise, with the fields that speak of an unknown name."""
    unknown = error.name if isinstance(error, NameError) else None
    own = [
        name
        for base in model.__mro__
        for name, stated in vars(base).get("__annotations__", {}).items()
        if unknown and unknown in str(stated)
    ]
    place = ".".join([_name(model), *own[:1]])
    return f"{place}: the annotation cannot be resolved: {type(error).__name__}: {error}"


def _name(type_: Any) -> str:
    return type_.__qualname__ if inspect.isclass(type_) else str(type_)


def _annotations(model: type[Any]) -> dict[str, Any]:
    """The types of a class's fields, resolved; fields without an annotation are `Any`."""
    if attrs.has(model):
        attrs.resolve_types(model, include_extras=True)
        return {field.name: field.type or Any for field in attrs.fields(model)}
    hints = typing.get_type_hints(model, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(model)}


def _fields_of(model: type[Any]) -> tuple[Any, ...]:
    return attrs.fields(model) if attrs.has(model) else dataclasses.fields(model)


def _not_in_init(model: type[Any]) -> set[str]:
    return {field.name for field in _fields_of(model) if not field.init}


def _without_default(model: type[Any]) -> set[str]:
    missing = (attrs.NOTHING, dataclasses.MISSING)
    return {
        field.name
        for field in _fields_of(model)
        if field.init
        and field.default in missing
        and getattr(field, "default_factory", dataclasses.MISSING) is dataclasses.MISSING
    }


def default_maker(model: type[Any], name: str) -> Callable[[], Any] | None:
    """What makes the default of a class's field; None where it has none, or one of its own self."""
    field = next(field for field in _fields_of(model) if field.name == name)
    factory = getattr(field, "default_factory", dataclasses.MISSING)
    if factory is not dataclasses.MISSING:
        return typing.cast("Callable[[], Any]", factory)
    default = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return None if default.takes_self else typing.cast("Callable[[], Any]", default.factory)
    is_missing = default is attrs.NOTHING or default is dataclasses.MISSING
    return None if is_missing else lambda: default


def kinds_of_class(
    model: type[Any],
    *,
    converter: cattrs.Converter | None,
    own: Mapping[Any, Any],
    exclude: Mapping[str, str],
) -> dict[str, Kind]:
    """The kinds of a class's fields by name. Raises `SchemaError` naming class, field and type."""
    name = _name(model)
    if not (inspect.isclass(model) and (attrs.has(model) or dataclasses.is_dataclass(model))):
        raise SchemaError.of(name, ["not an attrs class or a dataclass"])
    try:
        annotations = _annotations(model)
    except Exception as error:
        # Annotations are the host's expressions, and raise what they like.
        raise SchemaError.of(
            "types that cannot be backed up", [_unresolved(model, error)]
        ) from error
    unknown = [
        f"{name} has no field {field!r} to exclude" for field in exclude if field not in annotations
    ]
    left_out = [
        f"{name}.{field} is not an argument of __init__ and cannot be given back: exclude it"
        for field in _not_in_init(model) - exclude.keys()
    ]
    needed = [
        f"{name}.{field} has no default, and a record given back would lack it: do not exclude it"
        for field in sorted(_without_default(model) & exclude.keys())
    ]
    wanted = {field: type_ for field, type_ in annotations.items() if field not in exclude}
    problems = [*unknown, *left_out, *needed]
    return _resolve(name, wanted, _Resolver(converter, own, (model,)), problems)


def kinds_of_mapping(collection: str, fields: Mapping[str, Any]) -> dict[str, Kind]:
    """The kinds of fields given as types or kinds. Raises `SchemaError`."""
    return _resolve(collection, fields, _Resolver(), [])


def _resolve(
    owner: str, types_: Mapping[str, Any], resolver: _Resolver, problems: list[str]
) -> dict[str, Kind]:
    found = {}
    for name, type_ in types_.items():
        try:
            found[name] = resolver.kind(type_)
        except _Unsupported as error:
            problems.append(f"{owner}.{name}: {error}")
    if problems:
        raise SchemaError.of("types that cannot be backed up", problems)
    return found
