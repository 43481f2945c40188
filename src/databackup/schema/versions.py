"""Frozen versions: what a schema was, in a file beside the host's code, and the way to today's.

A file is named `v3.json`. It is readable, its members are sorted, and it has a digest, so that an
edit by hand is noticed. The order of fields is not part of a version.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from databackup.errors import FileError, SchemaError, SchemaMismatch, reason_of
from databackup.schema.arguments import require_schema
from databackup.schema.document import (
    describe,
    described_collection,
    description_digest,
    structure,
)
from databackup.schema.evolution import RenameApp, described
from databackup.schema.kind import shown
from databackup.schema.model import Schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from databackup.schema.evolution import Collections
    from databackup.schema.model import Collection, Reference

FREEZE: Final = "databackup schema freeze --app package.module:schema"
_NAME: Final = re.compile(r"v([1-9][0-9]{0,8})\.json")


@attrs.frozen(slots=False)
class FrozenVersion:
    """One version of a schema as it was frozen."""

    app: str | None
    version: int
    description: Mapping[str, Any]

    @classmethod
    def of(cls, schema: Schema) -> FrozenVersion:
        """A schema as it is today."""
        collections = structure(describe(schema)["collections"])
        return cls(schema.app, schema.version, {"collections": collections})

    @classmethod
    def from_text(cls, text: str | bytes) -> FrozenVersion:
        """Read what `to_text` has written. Raises `SchemaError`."""
        try:
            found = _members(text)
            app, version = found.pop("app"), found.pop("version")
            digest, collections = found.pop("digest"), found.pop("collections")
            read = cls(app, version, {"collections": collections})
            _ = read.schema  # which must be one
            is_as_written = read.digest == digest
        except (
            ValueError, TypeError, AttributeError, KeyError, RecursionError, SchemaError,
        ) as error:  # fmt: skip
            reason = f"no member {error}" if isinstance(error, KeyError) else str(error)
            raise SchemaError.of("a frozen version cannot be read", [reason]) from error
        if found:
            unknown = [f"the unknown member {name!r}" for name in found]
            raise SchemaError.of("a frozen version cannot be read", unknown)
        if not is_as_written:
            raise SchemaError.of(
                "a frozen version is not as it was written",
                ["its digest is another one: it was edited, or merged from two"],
            )
        return read

    def to_text(self) -> str:
        """The version as its file holds it."""
        members = {
            "app": self.app,
            "version": self.version,
            "digest": self.digest,
            **self.description,
        }
        return json.dumps(members, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 of the description."""
        return description_digest(self.description)

    @functools.cached_property
    def schema(self) -> Schema:
        """The schema that is described, without models. Raises `SchemaError`."""
        collections = self.description["collections"]
        return Schema(
            app=self.app,
            version=self.version,
            collections=[described_collection(*item) for item in collections.items()],
        )


def _members(text: str | bytes) -> dict[str, Any]:
    found = json.loads(text)
    if type(found) is not dict or type(found.get("collections", {})) is not dict:
        raise TypeError("expected a JSON object, and one of collections in it")
    return found


class Versions:
    """The frozen versions in a folder, which need not be there as long as there are none."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if not isinstance(folder, str | os.PathLike):
            raise TypeError(f"a folder of versions is a path, not {shown(folder)}")
        self.folder = Path(folder)

    def __repr__(self) -> str:
        return f"Versions({str(self.folder)!r})"

    @functools.cached_property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the versions there are, in order. Raises `FileError`."""
        try:
            names = [path.name for path in self.folder.iterdir()]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise FileError(f"{self.folder} cannot be read: {reason_of(error)}") from error
        found = (_NAME.fullmatch(name) for name in names)
        return tuple(sorted(int(match[1]) for match in found if match))

    def path(self, number: int) -> Path:
        """The file of a version."""
        return self.folder / f"v{number}.json"

    def __getitem__(self, number: int) -> FrozenVersion:
        """A version. Raises KeyError, `FileError`, `SchemaError` for a file that holds another."""
        path = self.path(number)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            raise KeyError(number) from None
        except OSError as error:
            raise FileError(f"{path} cannot be read: {reason_of(error)}") from error
        try:
            frozen = FrozenVersion.from_text(text)
        except SchemaError as error:
            raise SchemaError.of(str(path), error.problems) from error
        if frozen.version != number:
            raise SchemaError.of(str(path), [f"it holds version {frozen.version}"])
        return frozen


def freeze(schema: Schema) -> Path:
    """Write a schema as its version into its folder of versions, which is made; the file's path.

    Raises `SchemaError` where that version was frozen as something else, or the schema has no
    folder; `FileError` where it cannot be written.
    """
    require_schema(schema)
    if schema.versions is None:
        raise SchemaError.of("the schema cannot be frozen", ["it has no folder: say versions="])
    check_frozen(schema, may_be_new=True)
    versions = Versions(schema.versions)
    path = versions.path(schema.version)
    try:
        versions.folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_whole(path, FrozenVersion.of(schema).to_text())
    except OSError as error:
        raise FileError(f"{path} cannot be written: {reason_of(error)}", str(path)) from error
    return path


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody sees half of it."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_frozen(schema: Schema, *, may_be_new: bool = False) -> None:
    """See that a schema is what its version was frozen as. Raises `SchemaError`, `FileError`.

    With `may_be_new` a version may not be frozen yet.
    """
    require_schema(schema)
    if schema.versions is None:
        raise SchemaError.of("the schema cannot be checked", ["it has no folder: say versions="])
    number = schema.version
    versions = Versions(schema.versions)
    if not may_be_new:
        _require_newest(versions, number)
    try:
        frozen = versions[number]
    except KeyError:
        if may_be_new:
            return
        raise SchemaError.of(f"version {number} is not frozen", [f"freeze it ({FREEZE})"]) from None
    found = list(differences(collections_of(frozen.schema), collections_of(schema)))
    renaming = ""
    if frozen.app != schema.app:
        found.insert(0, f"the app was {frozen.app!r}, is {schema.app!r}")
        renaming = f", with m.rename_app({frozen.app!r}, {schema.app!r}),"
    if found:
        _require_newest(versions, number)
        raise SchemaError.of(
            f"the schema is not version {number} as it was frozen",
            [*found, _renewal(number, renaming)],
        )


def _require_newest(versions: Versions, number: int) -> None:
    """See that no later version is frozen than the code has. Raises `SchemaError`."""
    newest = max(versions.numbers, default=number)
    if newest > number:
        raise SchemaError.of(
            f"the code is older than its frozen versions: its schema is version {number}, and "
            f"{versions.path(newest)} is there",
            [
                (
                    f"take the code that has version {newest}; a version that no archive was made "
                    "of can be taken away instead"
                )
            ],
        )


def not_as_frozen(schema: Schema, number: int) -> tuple[str, ...]:
    """Why an archive of a version may not be readable later; of an older one there is nothing."""
    if schema.versions is None or number != schema.version:
        return ()
    try:
        check_frozen(schema)
    except (FileError, SchemaError) as error:
        return (f"once the models change, this archive may be unreadable: {error.message}",)
    return ()


def app_of(schema: Schema, number: int) -> str | None:
    """The name that the app had at a version: as that was frozen, or else as migrations have it.

    Raises `FileError`, `SchemaError`.
    """
    if number >= schema.version:
        return schema.app
    if schema.versions is not None:
        with contextlib.suppress(KeyError):
            return Versions(schema.versions)[number].app
    app = schema.app
    for step in sorted(schema.migrations, key=lambda step: step.source, reverse=True):
        for operation in reversed(step.operations):
            if step.source >= number and isinstance(operation, RenameApp) and operation.new == app:
                app = operation.old
    return app


def is_as_frozen(schema: Schema, number: int, collections: Iterable[Collection]) -> bool:
    """Whether a version was frozen, and as these collections. Raises `FileError`, `SchemaError`."""
    frozen = _frozen(schema, number)
    return frozen is not None and not any(differences(frozen, described(collections)))


def require_as_frozen(
    schema: Schema, number: int, given: Iterable[Collection], *, is_selection: bool
) -> None:
    """See that an archive's collections are those that its version was frozen with, if it was.

    Those of a selection are some of them. Raises `SchemaMismatch`, which says whether the archive
    or today's models are to blame; `FileError`, `SchemaError`.
    """
    frozen = _frozen(schema, number)
    if frozen is None:
        return
    embedded = described(given)

    def contradictions(version: Collections) -> tuple[str, ...]:
        held = {n: c for n, c in version.items() if not is_selection or n in embedded}
        return tuple(differences(held, embedded))

    found = contradictions(frozen)
    if not found:
        return
    listed = "; ".join(found)
    if number == schema.version and not contradictions(collections_of(schema)):
        raise SchemaMismatch(
            f"the archive was made by today's models, which are not version {number} as it was "
            f"frozen: {listed}; {_renewal(number)}",
            found,
        )
    raise SchemaMismatch(
        f"the archive contradicts version {number} as it was frozen: {listed}", found
    )


def renewal(schema: Schema) -> tuple[str, ...]:
    """What to do where a schema is not what its version was frozen as.

    Raises `FileError`, `SchemaError`.
    """
    frozen = _frozen(schema, schema.version)
    if frozen is None or not any(differences(frozen, collections_of(schema))):
        return ()
    said = f"the models have changed since version {schema.version} was frozen"
    return (f"{said}; {_renewal(schema.version)}",)


def _frozen(schema: Schema, number: int) -> Collections | None:
    """The collections of a version, None where it was never frozen."""
    if schema.versions is None:
        return None
    try:
        return collections_of(Versions(schema.versions)[number].schema)
    except KeyError:
        return None


def _renewal(number: int, renaming: str = "") -> str:
    return (
        f"to change it: make it version {number + 1}, write a migration from {number} "
        f"to {number + 1}{renaming or ','} and freeze that ({FREEZE})"
    )


def differences(old: Collections, new: Collections) -> Iterator[str]:
    """What differs between two descriptions, collection by collection, field by field."""
    for name in old:
        if name not in new:
            yield f"the collection {name!r} is gone"
    for name, collection in new.items():
        if name not in old:
            yield f"the collection {name!r} is new"
        else:
            yield from _differences_of_fields(old[name], collection)
            yield from _differences_of_links(old[name], collection)


def _differences_of_fields(old: Collection, new: Collection) -> Iterator[str]:
    for field in old.fields:
        if not new.has_field(field.name):
            yield f"the field {new}.{field.name} is gone"
    for field in new.fields:
        if not old.has_field(field.name):
            yield f"the field {new}.{field.name} is new"
            continue
        was, now = old.field(field.name).form.describe(), field.form.describe()
        if was != now:
            yield f"the field {new}.{field.name} was {_kind(was)}, is {_kind(now)}"


def _differences_of_links(old: Collection, new: Collection) -> Iterator[str]:
    if old.key != new.key:
        yield f"the key of {new} was {_fields(old.key)}, is {_fields(new.key)}"
    were = set(map(_reference, old.references))
    are = set(map(_reference, new.references))
    yield from (f"the reference of {new} {text} is gone" for text in sorted(were - are))
    yield from (f"the reference of {new} {text} is new" for text in sorted(are - were))


def _kind(description: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in description.items() if name != "kind"}
    return str(description["kind"]) + (f" {json.dumps(rest, sort_keys=True)}" if rest else "")


def _fields(names: tuple[str, ...]) -> str:
    return f"({', '.join(names)})"


def _reference(reference: Reference) -> str:
    return f"{_fields(reference.fields)} to {reference.collection} {_fields(reference.to)}"


def collections_of(schema: Schema) -> Collections:
    """A schema's collections, as operations are applied to them."""
    return described(schema.collections)
