"""Keys and references of an archive's records, checked in constant memory."""

from __future__ import annotations

import itertools
import operator
import pickle
from typing import TYPE_CHECKING, Any, Self

from databackup.archive import text
from databackup.errors import Problem
from databackup.schema.compiled import json_pointer
from databackup.schema.kind import KindError, shown
from databackup.spill import KeyIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from databackup.archive.records import Batch
    from databackup.schema import Collection, Field, Reference, Row, Schema
    from databackup.schema.compiled import Codec

    _Link = tuple[Collection, Reference, Collection]
    Links = Sequence[tuple[str, Reference]]


def key_bytes(fields: Sequence[Field], values: Sequence[Any]) -> bytes:
    """Values of a key in their canonical form: equal keys give equal bytes."""
    return text.dump([f.form.canonical(v) for f, v in zip(fields, values, strict=True)])


def key_bytes_or_none(fields: Sequence[Field], values: Sequence[Any]) -> bytes | None:
    """As `key_bytes`; None for values that are not of their fields' kinds."""
    try:
        return key_bytes(fields, values)
    except KindError:
        return None


def key_fields(collection: Collection) -> list[Field]:
    """The fields of a collection's key."""
    return [collection.field(name) for name in collection.key]


class UniqueKeys:
    """Sees that no two records of a collection have one key.

    Where the archive states key order, the order proves it; otherwise an index on disk does.
    """

    def __init__(self, collection: Collection, codec: Codec, *, in_order: bool) -> None:
        self._collection = collection
        self._codec = codec
        self._fields = key_fields(collection)
        self._index = None if in_order or not collection.key else KeyIndex()
        self._in_order = in_order and bool(collection.key)
        self._last: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._index is not None:
            self._index.close()

    def check(self, batch: Batch) -> list[Problem]:
        """The problems of a batch with the keys of records before it, and within it."""
        if self._in_order:
            return self._check_order(batch)
        if self._index is None:
            return []
        keys = map(self._codec.key, batch.rows)
        # A key with a null in it, which SQLite may hold, identifies nothing.
        whole = [(position, key) for position, key in enumerate(keys) if None not in key]
        taken = self._index.add((key_bytes(self._fields, key), b"") for _, key in whole)
        return [self._problem(batch, whole[found][0], "duplicate-key") for found in taken]

    def _check_order(self, batch: Batch) -> list[Problem]:
        codec, forms = self._codec, batch.forms
        found = codec.sort_keys(batch.rows) if forms is None else codec.sort_keys_of(forms)
        keys = self._last + found
        before = len(self._last)
        self._last = keys[-1:]
        if all(map(operator.lt, keys, keys[1:])):
            return []
        pairs = enumerate(itertools.pairwise(keys), 1 - before)
        return [
            self._problem(batch, position, "duplicate-key" if one == two else "key-order")
            for position, (one, two) in pairs
            if not one < two
        ]

    def _problem(self, batch: Batch, position: int, code: str) -> Problem:
        name = self._collection.name
        number = batch.numbers[position]
        same = code == "duplicate-key"
        return Problem(
            code=code,
            message="another record has the same key" if same else "not in the order of the key",
            collection=name,
            record=number,
            key=self._codec.key(batch.rows[position]),
            field=self._collection.key[0] if len(self._collection.key) == 1 else None,
            pointer=json_pointer(("data", name, number - 1)),
            expected="a key of its own" if same else "records in strictly increasing key order",
        )


class References:
    """Sees that references of a schema point at records, without a store.

    All of them, or those of `only`, each with the name of the collection that has it.
    """

    def __init__(self, schema: Schema, only: Iterable[tuple[str, Reference]] | None = None) -> None:
        if only is None:
            only = ((c.name, reference) for c in schema.collections for reference in c.references)
        self._links = [(schema[name], ref, schema[ref.collection]) for name, ref in only]
        # What is pointed at: by collection and fields, each with a prefix of its own in the index.
        targets = [(target.name, _pointed_at(ref, target)) for _, ref, target in self._links]
        self._targets = {target: _prefix(i) for i, target in enumerate(dict.fromkeys(targets))}
        self._present, self._wanted = KeyIndex(), KeyIndex()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._present.close()
        self._wanted.close()

    def are_about(self, collection: Collection) -> bool:
        """Whether records of a collection point somewhere, or are pointed at."""
        return any(collection.name in (source.name, to.name) for source, _, to in self._links)

    def add(self, collection: Collection, codec: Codec, batch: Batch) -> None:
        """Note what the records of a batch are pointed at by, and what they point at."""
        self.add_rows(collection, codec, batch.rows, batch.numbers)

    def add_rows(
        self,
        collection: Collection,
        codec: Codec,
        rows: Sequence[Row],
        numbers: Sequence[int] | None = None,
    ) -> None:
        """As `add`; what has no number is of no archive."""
        for (name, to), prefix in self._targets.items():
            if name == collection.name:
                values = _values(collection, to, rows)
                self._present.add((prefix + found, b"") for _, found in values)
        for position, (source, reference, _target) in enumerate(self._links):
            if source.name == collection.name:
                prefix = _prefix(position)
                self._wanted.add(
                    (prefix + found, pickle.dumps((numbers and numbers[i], codec.key(rows[i]))))
                    for i, found in _values(collection, reference.fields, rows)
                )

    def dangling(self) -> Iterator[Problem]:
        """A problem for each value that points at no record, with the first record that has it."""
        for _name, _reference, problem in self.dangling_by_link():
            yield problem

    def dangling_by_link(self) -> Iterator[tuple[str, Reference, Problem]]:
        """The problems, each with its reference and the name of the collection that has it."""
        for (source, reference, target), found, place in self._pointing_nowhere():
            number, key = pickle.loads(place)  # noqa: S301 - written above, to a private file
            values = tuple(text.load(found))
            problem = dangling_problem(source, reference.fields, target, values, number, key)
            yield source.name, reference, problem

    def that_dangle(self) -> frozenset[tuple[str, Reference]]:
        """The references of which a value points at no record, each with its collection's name."""
        return frozenset(
            (source.name, reference) for (source, reference, _), _, _ in self._pointing_nowhere()
        )

    def _pointing_nowhere(self) -> Iterator[tuple[_Link, bytes, bytes]]:
        """Values that point at no record, each with its link, and its first record as noted."""
        for wanted, place in self._wanted.items():
            link = _, reference, target = self._links[int(wanted[:_PREFIX])]
            found = wanted[_PREFIX:]
            if self._targets[target.name, _pointed_at(reference, target)] + found not in (
                self._present
            ):
                yield link, found, place


_PREFIX = 8


def _prefix(position: int) -> bytes:
    return b"%0*d" % (_PREFIX, position)


def _pointed_at(reference: Reference, target: Collection) -> tuple[str, ...]:
    return reference.to or target.key


def _values(
    collection: Collection, names: Sequence[str], rows: Sequence[Row]
) -> Iterator[tuple[int, bytes]]:
    """The values of fields in rows, each with its position; what has a null is left out."""
    fields = [collection.field(name) for name in names]
    positions = collection.positions(names)
    for place, row in enumerate(rows):
        values = [row[position] for position in positions]
        if None not in values:
            yield place, key_bytes(fields, values)


def dangling_problem(  # noqa: PLR0917 - the parts of one sentence
    source: Collection,
    fields: Sequence[str],
    target: Collection,
    values: tuple[Any, ...],
    number: int | None = None,
    key: tuple[Any, ...] | None = None,
) -> Problem:
    """The problem of a reference that points at no record."""
    place: list[str | int] = [] if number is None else [number - 1, fields[0]]
    return Problem(
        code="dangling-reference",
        message=f"points at {target.name} {', '.join(map(shown, values))}, which is not there",
        collection=source.name,
        record=number,
        key=key or None,
        field=", ".join(fields),
        pointer=json_pointer(["data", source.name, *place]),
        expected=f"a record of {target.name}; dangling='keep' (--dangling keep) does without",
    )
