"""What an import would do, and whether it still would."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import attrs

from databackup.archive.format import CollectionEnd
from databackup.errors import Problem, StalePlan
from databackup.operations.differences import RecordDiff
from databackup.operations.options import ImportOptions
from databackup.operations.reports import Changes, MigrationReport
from databackup.schema.document import describe, description_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from databackup.operations.readable import Readable, Total
    from databackup.schema import Schema


@attrs.frozen(kw_only=True)
class CollectionPlan:
    """What an import would do to one collection: numbers of records, and a sample of each change.

    `before` is what the store holds of it, as count and digest; None where there is no table yet.
    """

    changes: Changes
    sample: tuple[RecordDiff, ...] = ()
    before: CollectionEnd | None = None

    def as_json(self) -> dict[str, Any]:
        """The plan as a JSON object."""
        return {
            **attrs.asdict(self.changes),
            "records": self.changes.records,
            "sample": [record.as_json() for record in self.sample],
        }


@attrs.frozen(kw_only=True)
class ImportPlan:
    """What an import would do, without doing it.

    The sums are those that the import's report will have. `problems` are up to a hundred reasons
    why it would be refused, of `problem_count` in all; collections after the first problem are not
    compared. What only the store can say is not among them: a unique value that is taken, what a
    CHECK or a trigger refuses.

    `omitted` are the secret fields that the archive lacks; of them `secrets_kept` counts the values
    that the store has, `secrets_defaulted` those that new records would get by default.
    `left_alone` are the collections that the archive, or the choice of collections, leaves out.
    `edited_at` says when an archive that was edited was sealed anew. `created` are the collections
    whose tables would be made, `migrated` says what the migrations do. `token` stands for archive,
    options, schema and what the store holds: an import with this plan is refused where one of them
    is another by then.
    """

    archive_id: str
    created_at: str
    app: str | None
    schema_version: int
    options: ImportOptions
    collections: Mapping[str, CollectionPlan]
    records: int
    added: int
    changed: int
    deleted: int
    unchanged: int
    kept: int
    only_in_store: int
    seal: str
    schema_digest: str
    edited_at: str | None = None
    left_alone: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    migrated: MigrationReport | None = None
    problems: tuple[Problem, ...] = ()
    problem_count: int = 0
    warnings: tuple[str, ...] = ()
    omitted: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    secrets_kept: Mapping[str, int] = attrs.field(factory=dict)
    secrets_defaulted: Mapping[str, int] = attrs.field(factory=dict)

    @property
    def identical(self) -> bool:
        """Whether the store holds what the import would leave there: nothing would be done."""
        return not (
            self.problem_count or self.created or self.added or self.changed or self.deleted
        )

    @property
    def is_new(self) -> bool:
        """Whether all tables would be made, so that nothing that is there is touched."""
        return set(self.created) >= self.collections.keys()

    @property
    def token(self) -> str:
        """The plan in 64 hexadecimal digits."""
        before = {
            name: None if planned.before is None else attrs.astuple(planned.before)
            for name, planned in self.collections.items()
        }
        parts = [self.seal, attrs.asdict(self.options), self.schema_digest, before]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """The plan as a JSON object."""
        parts = attrs.asdict(self, recurse=False)
        return {
            **parts,
            "options": attrs.asdict(self.options),
            "collections": {name: found.as_json() for name, found in self.collections.items()},
            "migrated": None if self.migrated is None else self.migrated.as_json(),
            "problems": [problem.as_json() for problem in self.problems],
            "identical": self.identical,
            "token": self.token,
        }

    # -- whether it still holds ----------------------------------------------------------------

    def require_archive(self, archive: Readable, schema: Schema) -> None:
        """See that an archive and a schema are those of the plan. Raises `StalePlan`."""
        if archive.seal != self.seal:
            raise StalePlan("the archive is another one than the plan was made for")
        if description_digest(describe(schema)) != self.schema_digest:
            raise StalePlan("the schema is another one than the plan was made for")

    def require_store(self, end_of: Callable[[str], Total | None]) -> None:
        """See that a store holds what it held, by the totals of its collections.

        `end_of` gives None for those whose tables were not there. Raises `StalePlan`.
        """
        planned = self.collections.items()
        changed = [name for name, before in planned if end_of(name) != before.before]
        if changed:
            raise StalePlan(
                f"the store has changed since the plan was made: {', '.join(changed)}",
                tuple(changed),
            )
