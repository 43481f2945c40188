"""Selection: some collections of a schema, and what they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from databackup.errors import NeededCollection, SchemaError, UnknownCollection
from databackup.schema import Exclusion
from databackup.schema.document import description_digest
from databackup.schema.narrowing import closed, leaving

if TYPE_CHECKING:
    from databackup.archive.format import Header
    from databackup.schema import Collection, Reference, Schema


def names_of(collections: Any) -> tuple[str, ...] | None:
    """The collections that are asked for, each once; None is all of them.

    Raises ValueError where none is named, and TypeError for what is no name.
    """
    if collections is None:
        return None
    if not isinstance(collections, str | Iterable):
        raise TypeError(f"collections are names of collections, not {collections!r}")
    names = [collections] if isinstance(collections, str) else list(collections)
    for name in names:
        if type(name) is not str:
            raise TypeError(f"collections are named by text, not by {name!r}")
    if not names:
        raise ValueError("no collection is named, so nothing would be done")
    return tuple(dict.fromkeys(names))


def require_known(names: Iterable[str], known: Iterable[str], whose: str = "") -> None:
    """See that there are collections of these names. Raises `UnknownCollection`."""
    there = dict.fromkeys(known)
    for name in names:
        if name not in there:
            listed = ", ".join(there) or "none at all"
            raise UnknownCollection(
                f"there is no collection {name!r}{whose}; there are {listed}", name, tuple(there)
            )


@attrs.frozen
class Selection:
    """The collections of a schema that an archive is to have, and those left out with a reason."""

    names: frozenset[str]
    excluded: tuple[Exclusion, ...] = ()


def _reasons(exclude: Mapping[str, str] | None) -> dict[str, str]:
    return dict(exclude or {})


@attrs.frozen(kw_only=True)
class Choice:
    """What an export is told about the collections it writes, before a schema is looked at."""

    collections: tuple[str, ...] | None = attrs.field(default=None, converter=names_of)
    closure: bool = attrs.field(default=True)
    exclude: Mapping[str, str] = attrs.field(factory=dict, converter=_reasons)

    @closure.validator
    def _require_bool(self, _field: Any, value: object) -> None:
        if type(value) is not bool:
            raise TypeError(f"closure is true or false, not {value!r}")

    @exclude.validator
    def _require_reasons(self, _field: Any, value: Mapping[str, str]) -> None:
        wrong = [
            f"{name!r} is left out for {reason!r}, which is no reason"
            for name, reason in value.items()
            if type(reason) is not str or not reason.strip()
        ]
        if wrong:
            raise SchemaError.of("what is to be excluded", wrong)

    @property
    def is_everything(self) -> bool:
        """Whether all collections are to be written."""
        return self.collections is None and not self.exclude

    def among(self, schema: Schema) -> Selection | None:
        """The collections of a schema that are chosen; None is all of them.

        Raises `UnknownCollection`; `NeededCollection` where what is to be left out would have to
        come along; ValueError where nothing is left.
        """
        if self.is_everything:
            return None
        known = [collection.name for collection in schema.collections]
        require_known((*(self.collections or ()), *self.exclude), known)
        for name in self.collections or ():
            if name in self.exclude:
                raise ValueError(f"the collection {name!r} is both asked for and excluded")
        named = set(known if self.collections is None else self.collections) - self.exclude.keys()
        if not named:
            raise ValueError("every collection is excluded, so nothing would be exported")
        if self.closure:
            self._require_unneeded(schema, named)
            named = closed(named, _pointed_at(schema))
        excluded = (Exclusion(name, why) for name, why in self.exclude.items())
        return Selection(frozenset(named), tuple(excluded))

    def _require_unneeded(self, schema: Schema, named: set[str]) -> None:
        """See that nothing refers to what is excluded, directly or not."""
        reached = closed(named, lambda n: () if n in self.exclude else _pointed_at(schema)(n))
        needed = reached & self.exclude.keys()
        if needed:
            found = tuple(
                f"{pointer(*link)} points at {link[1].collection}"
                for link in leaving(schema.collections, reached - needed)
            )
            listed = ", ".join(name for name in self.exclude if name in needed)
            raise NeededCollection(
                f"what is exported refers to what is excluded, {listed}: {'; '.join(found)}", found
            )


def _pointed_at(schema: Schema) -> Any:
    return lambda name: (reference.collection for reference in schema[name].references)


def pointer(collection: Collection, reference: Reference) -> str:
    """A reference as a message names it."""
    return f"{collection} ({', '.join(reference.fields)})"


# -- headers ---------------------------------------------------------------------------------------


def narrowed_header(header: Header, selection: Selection | None) -> Header:
    """The header of an archive that has a selection of what one describes."""
    if selection is None:
        return header
    descriptions = header.schema["collections"].items()
    described = {name: found for name, found in descriptions if name in selection.names}
    counters = {name: last for name, last in header.counters.items() if name in selection.names}
    others = {name: value for name, value in header.extensions.items() if name != "counters"}
    return attrs.evolve(
        header,
        selection=tuple(described),
        schema={"collections": described},
        schema_digest=description_digest({"collections": described}),
        excluded=(*header.excluded, *selection.excluded),
        extensions={**others, **({"counters": counters} if counters else {})},
    )


def _records(records: int) -> str:
    return "1 record" if records == 1 else f"{records:,} records"


def leaving_warnings(header: Header, counts: Mapping[str, int]) -> list[str]:
    """The references that lead out of an archive, each with how many records may have it."""
    if header.selection is None:
        return []
    return [
        f"{pointer(*link)} points at {link[1].collection}, which the archive leaves out, "
        f"from up to {_records(counts[link[0].name])}"
        for link in leaving(header.whole, frozenset(header.collections))
        if counts[link[0].name]
    ]
