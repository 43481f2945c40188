"""What an app backs up: `Schema`, `Collection`, `Field`, `Reference`. All frozen."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import attrs

from databackup.errors import SchemaError
from databackup.schema import classes, compiled, secrets
from databackup.schema.composite import Optional
from databackup.schema.defaults import NO_DEFAULT
from databackup.schema.kind import Kind, KindError
from databackup.schema.offkind import Keep

if TYPE_CHECKING:
    import cattrs

    from databackup.schema import structuring
    from databackup.schema.recording import Migration

OffKind = Literal["refuse", "keep"]
_LISTED: Final = 20  # names in a message


@attrs.frozen
class Field:
    """A named value of a record and its kind.

    `off_kind="keep"` takes values that are not of the kind and writes them under a tag. A `secret`
    field is left out of an export with `secrets="omitted"`; its import then gives `default` to
    records that the store does not have. Neither is part of a schema's version.
    """

    name: str
    kind: Kind
    off_kind: OffKind = "refuse"
    secret: bool = attrs.field(default=False, kw_only=True)
    default: Any = attrs.field(default=NO_DEFAULT, kw_only=True, eq=False)

    def __attrs_post_init__(self) -> None:
        problems = []
        kind: object = self.kind
        secret: object = self.secret
        if self.name != "" and not _is_name(self.name):
            problems.append("its name is not text that UTF-8 can hold")
        if not isinstance(kind, Kind):
            problems.append(f"its kind is {kind!r}, which is no Kind")
        if self.off_kind not in get_args(OffKind):
            problems.append(f"off_kind is 'refuse' or 'keep', not {self.off_kind!r}")
        if type(secret) is not bool:
            problems.append(f"secret is true or false, not {secret!r}")
        if not problems and self.default is not NO_DEFAULT:
            try:
                self.form.encode(self.default)
            except KindError as error:
                problems.append(f"its default is not of its kind: expected {error.expected}")
        if problems:
            raise SchemaError.of(f"the field {self.name!r}", problems)

    @property
    def form(self) -> Kind:
        """The kind that encodes this field: its own, or its own with tags."""
        return Keep(self.kind) if self.off_kind == "keep" else self.kind

    @property
    def nullable(self) -> bool:
        """Whether the value may be absent."""
        return isinstance(self.kind, Optional)

    @property
    def value_kind(self) -> Kind:
        """The kind of a value that is there."""
        return self.kind.inner if isinstance(self.kind, Optional) else self.kind


def _names(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else _all_of(value, "names of fields")


@attrs.frozen
class Reference:
    """Fields of one collection that point at a record of another, or of the same.

    They point at its key, or at the unique fields named in `to`.
    """

    fields: tuple[str, ...] = attrs.field(converter=_names)
    collection: str
    to: tuple[str, ...] = attrs.field(default=(), converter=_names)


@attrs.frozen
class Exclusion:
    """Something a store holds that is not backed up, and why."""

    name: str
    reason: str


@attrs.frozen(init=False, slots=False)
class Collection:
    """One kind of record: name, fields, key, references, and the class that models it.

    `fields` maps names to types or kinds. Without a `key`, records have no identity and the
    collection is compared and replaced as a whole. `secret` names fields that are secret.
    """

    name: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    references: tuple[Reference, ...]
    model: type[Any] | None = attrs.field(eq=False)
    converter: cattrs.Converter | None = attrs.field(eq=False, repr=False)
    excluded: tuple[Exclusion, ...]

    def __init__(
        self,
        name: str,
        *,
        fields: Mapping[str, Any] | Iterable[Field],
        key: str | Iterable[str] = (),
        references: Iterable[Reference] = (),
        exclude: Mapping[str, str] | None = None,
        secret: str | Iterable[str] = (),
        model: type[Any] | None = None,
        converter: cattrs.Converter | None = None,
    ) -> None:
        if isinstance(fields, Mapping):
            kinds = classes.kinds_of_mapping(str(name), fields)
            fields = [Field(*item) for item in kinds.items()]
        found = _all_of(fields, f"the fields of {name}")
        self.__attrs_init__(
            name=name,
            fields=secrets.marked(str(name), found, _names(secret)),
            key=_names(key),
            references=_require(Reference, references, f"the references of {name}"),
            model=model,
            converter=converter,
            excluded=tuple(
                Exclusion(f"{name}.{n}", why)
                for n, why in _reasons(exclude, f"what {name} excludes").items()
            ),
        )

    @classmethod
    def of(
        cls,
        model: type[Any],
        name: str,
        *,
        key: str | Iterable[str] = (),
        references: Iterable[Reference] = (),
        exclude: Mapping[str, str] | None = None,
        secret: str | Iterable[str] = (),
        kinds: Mapping[type[Any], Any] | None = None,
        converter: cattrs.Converter | None = None,
    ) -> Collection:
        """The collection that an attrs class or a dataclass models.

        `converter` structures types of the host's own; `kinds` says which type or kind such a type
        is stored as (by default what its unstructure hook is annotated to return, else any JSON).
        `exclude` maps fields that are not backed up to the reason; `secret` names fields that are
        secret, whose defaults are the class's own. Raises `SchemaError` for every field whose type
        is not supported.
        """
        found = classes.kinds_of_class(
            model, converter=converter, own=kinds or {}, exclude=exclude or {}
        )
        return cls(
            name,
            fields=[Field(*item) for item in found.items()],
            key=key,
            references=references,
            exclude=exclude,
            secret=secret,
            model=model,
            converter=converter,
        )

    def __str__(self) -> str:
        return self.name

    @functools.cached_property
    def field_names(self) -> tuple[str, ...]:
        """The names of the fields, in order."""
        return tuple(field.name for field in self.fields)

    @functools.cached_property
    def key_positions(self) -> tuple[int, ...]:
        """Where in a row the parts of the key stand."""
        return self.positions(self.key)

    def field(self, name: str) -> Field:
        """The field of a name. Raises KeyError."""
        return self._by_name[name]

    def positions(self, names: Iterable[str]) -> tuple[int, ...]:
        """Where in a row the fields of these names stand. Raises KeyError."""
        return tuple(self._places[name] for name in names)

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.field_names)}

    def has_field(self, name: str) -> bool:
        """Whether there is a field of a name, found in no time among many."""
        return name in self._by_name

    @functools.cached_property
    def _by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}

    @functools.cached_property
    def codec(self) -> compiled.Codec:
        """The compiled functions between rows and JSON forms."""
        return compiled.Codec(self)

    @functools.cached_property
    def structurer(self) -> structuring.Structurer:
        """The compiled functions between rows and instances of the model."""
        # Slow to import for cattrs' sake, and needed only where a model is.
        from databackup.schema import structuring  # noqa: PLC0415

        return structuring.Structurer(self)


@attrs.frozen(init=False, slots=False)
class Schema:
    """What an app backs up. Built whole or refused whole: `SchemaError` lists all that is wrong.

    `migrations` are the steps from older versions, each made by `migration`; `versions` is the
    folder of the versions that were frozen, without which no older archive is read.
    """

    collections: tuple[Collection, ...]
    app: str | None
    version: int
    excluded: tuple[Exclusion, ...]
    migrations: tuple[Migration, ...]
    versions: str | os.PathLike[str] | None = attrs.field(eq=False)

    def __init__(
        self,
        *,
        collections: Sequence[Collection],
        app: str | None = None,
        version: int = 1,
        exclude: Mapping[str, str] | None = None,
        migrations: Iterable[Migration] = (),
        versions: str | os.PathLike[str] | None = None,
    ) -> None:
        found = _require(Collection, collections, "the schema's collections")
        reasons = _reasons(exclude, "what the schema excludes")
        stated = {n: Exclusion(n, why) for n, why in reasons.items()}
        stated |= {exclusion.name: exclusion for c in found for exclusion in c.excluded}
        self.__attrs_init__(
            collections=found,
            app=app,
            version=version,
            excluded=tuple(stated.values()),
            migrations=_all_of(migrations, "the schema's migrations"),
            versions=versions,
        )
        problems = [*_schema_problems(self), *_migration_problems(self)]
        if problems:
            raise SchemaError.of("the schema is not sound", problems)

    def __getitem__(self, name: str) -> Collection:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def excluding(self, more: Mapping[str, str]) -> Schema:
        """This schema with more that a store holds and that is not backed up, each with a reason.

        What is excluded already keeps its own reason.
        """
        known = {exclusion.name: exclusion.reason for exclusion in self.excluded}
        return Schema(
            collections=self.collections,
            app=self.app,
            version=self.version,
            exclude={**more, **known},
            migrations=self.migrations,
            versions=self.versions,
        )

    @functools.cached_property
    def _by_name(self) -> dict[str, Collection]:
        return {collection.name: collection for collection in self.collections}

    @functools.cached_property
    def ordered(self) -> tuple[Collection, ...]:
        """The collections, each after those it refers to where no cycle forbids it."""
        ordered: dict[str, Collection] = {}
        met: set[str] = set()
        for first in self.collections:
            # Depth first, on a stack of its own: chains may be longer than Python's recursion.
            stack = [] if first.name in met else [(first, iter(first.references))]
            met.add(first.name)
            while stack:
                collection, references = stack[-1]
                name = next((r.collection for r in references if r.collection not in met), None)
                if name is None:
                    ordered[collection.name] = collection
                    stack.pop()
                else:
                    met.add(name)
                    stack.append((self[name], iter(self[name].references)))
        return tuple(ordered.values())


def _all_of(items: object, what: str) -> tuple[Any, ...]:
    if not isinstance(items, Iterable):
        raise SchemaError.of(what, [f"expected a list, not {items!r}"])
    return tuple(items)


def _reasons(exclude: object, what: str) -> Mapping[str, str]:
    if not isinstance(exclude, Mapping | None):
        raise SchemaError.of(what, [f"expected reasons by name, not {exclude!r}"])
    return exclude or {}


def _require(kind: type[Any], items: Iterable[Any], what: str) -> tuple[Any, ...]:
    found = _all_of(items, what)
    strangers = [item for item in found if not isinstance(item, kind)]
    if strangers:
        raise SchemaError.of(what, [f"{item!r} is no {kind.__name__}" for item in strangers])
    return found


def _schema_problems(schema: Schema) -> Iterable[str]:
    if schema.app is not None and not _is_name(schema.app):
        yield f"the app's name is text that is not empty, not {schema.app!r}"
    if type(schema.version) is not int or schema.version < 1:
        yield f"the version is an integer from 1 on, not {schema.version!r}"
    folder: object = schema.versions
    if not isinstance(folder, str | os.PathLike | None):
        yield f"the folder of versions is a path, not {folder!r}"
    for exclusion in schema.excluded:
        if not _is_name(exclusion.name) or not _is_name(exclusion.reason):
            yield f"what is excluded has a name and a reason, not {exclusion!r}"
    seen: set[str] = set()
    for collection in schema.collections:
        if collection.name in seen:
            yield f"two collections are named {collection.name!r}"
        seen.add(collection.name)
        yield from _collection_problems(collection)
        yield from secrets.secret_reference_problems(schema, collection)
        for reference in collection.references:
            yield from _reference_problems(schema, collection, reference)


def _migration_problems(schema: Schema) -> Iterable[str]:
    if not schema.migrations or type(schema.version) is not int:
        return ()
    from databackup.schema.recording import chain_problems  # noqa: PLC0415 - it needs this module

    return chain_problems(schema.migrations, schema.version)


def _collection_problems(collection: Collection) -> Iterable[str]:
    name = collection.name
    if not _is_name(name):
        yield f"a collection's name is text that is not empty, not {name!r}"
    if not collection.fields:
        yield f"{name} has no fields"
    for exclusion in collection.excluded:
        if collection.has_field(exclusion.name.removeprefix(f"{name}.")):
            yield f"{exclusion.name} is a field and excluded"
    for repeated in _repeated(collection.field_names):
        yield f"{name} has two fields named {repeated!r}"
    yield from _key_problems(collection)
    yield from secrets.secret_problems(collection)


def _key_problems(collection: Collection) -> Iterable[str]:
    name = collection.name
    for repeated in _repeated(collection.key):
        yield f"the key of {name} names {repeated!r} twice"
    for part in collection.key:
        if not collection.has_field(part):
            yield f"the key of {name} names {part!r}, which is no field of it"
        elif collection.field(part).nullable and collection.field(part).off_kind == "refuse":
            yield f"the key of {name} names {part!r}, which may be null"
        elif not collection.field(part).kind.can_be_key:
            kind = collection.field(part).value_kind.name
            yield f"the key of {name} names {part!r}, whose kind {kind} has no order"


def _is_name(value: object) -> bool:
    """Whether a value is text that is not empty and that UTF-8 can hold."""
    return type(value) is str and value != "" and value.encode(errors="replace").decode() == value


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _listed(names: Sequence[str]) -> str:
    """Names within a message; of very many the first ones, for there may be a message for each."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _reference_problems(schema: Schema, source: Collection, reference: Reference) -> Iterable[str]:
    what = f"the reference of {source.name} ({_listed(reference.fields)})"
    missing = [name for name in reference.fields if not source.has_field(name)]
    for name in missing:
        yield f"{what} names {name!r}, which is no field of it"
    if reference.collection not in schema:
        yield f"{what} points at {reference.collection!r}, which is no collection"
        return
    target = schema[reference.collection]
    to = reference.to or target.key
    absent = [name for name in to if not target.has_field(name)]
    for name in absent if reference.to else ():
        yield f"{what} points at {name!r}, which is no field of {target.name}"
    if not to:
        yield f"{what} points at {target.name}, which has no key"
    elif len(to) != len(reference.fields):
        yield f"{what} has {len(reference.fields)} fields, what it points at has {len(to)}"
    elif not missing and not absent:
        for here_name, there_name in zip(reference.fields, to, strict=True):
            here, there = source.field(here_name).value_kind, target.field(there_name).value_kind
            if not (here.can_be_key and there.can_be_key):
                yield f"{what} is of the kind {here.name}, by which nothing can be looked up"
            elif type(here) is not type(there):
                yield (
                    f"{what} is of the kind {here.name}, but {target.name}.{there_name} "
                    f"of the kind {there.name}"
                )
