"""What the library answers to a golden archive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from databackup import export_all, import_all, inspect_archive, verify_archive
from databackup.adapters.memory import MemoryRepository
from databackup.errors import ArchiveError, DatabackupError, InvalidRecords
from tests.golden.catering.models import Coordinator
from tests.golden.catering.schema import schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Answer = dict[str, Any]

HELD = Coordinator(99, "Was", "here")
"""Who is in the store before an import."""


def answers_to(path: Path, scratch: Path) -> Answer:
    """The answers to a file: what it says, whether it is sound, and what an import leaves."""
    return {
        "inspect": _answer(lambda: _inspected(path)),
        "verify": _answer(lambda: _verified(path)),
        "import": _answer(lambda: _imported(path, scratch)),
    }


def _answer(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except DatabackupError as error:
        return _refusal(error)


def _refusal(error: DatabackupError) -> Answer:
    found: Answer = {"error": type(error).__name__, "code": error.code}
    if isinstance(error, ArchiveError) and error.line is not None:
        found["line"] = error.line
    if isinstance(error, InvalidRecords):
        found["problems"] = [
            {
                name: value
                for name in ("code", "collection", "record", "field")
                if (value := getattr(problem, name)) is not None
            }
            for problem in error.problems
        ]
    return found


def _inspected(path: Path) -> Answer:
    info = inspect_archive(path)
    return {"version": info.schema_version, "records": info.records}


def _verified(path: Path) -> Answer:
    report = verify_archive(path, schema)
    return {"collections": report.collections, "digests": _digests(path)}


def _digests(path: Path) -> Answer:
    return {name: found.digest for name, found in inspect_archive(path).collections.items()}


def _imported(path: Path, scratch: Path) -> Answer:
    """What the store holds after an import, by the digests of an export of it."""
    contents = store()
    try:
        report = import_all(MemoryRepository(schema, contents), path)
    except DatabackupError:
        assert store() == contents
        raise
    export_all(MemoryRepository(schema, contents), scratch / "after.json")
    migrated = report.migrated
    return {
        "collections": {name: attrs.asdict(found) for name, found in report.collections.items()},
        "holds": _digests(scratch / "after.json"),
        "steps": [] if migrated is None else list(migrated.steps),
        "dropped": {} if migrated is None else dict(migrated.dropped),
        "defaulted": {} if migrated is None else dict(migrated.defaulted),
    }


def store() -> dict[str, list[Any]]:
    """A store with somebody in it, who is gone after an import."""
    return {
        collection.name: [HELD] if collection.name == "coordinators" else []
        for collection in schema.collections
    }
