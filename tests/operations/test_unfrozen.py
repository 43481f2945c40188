"""An archive that is rewritten as a version which nobody has frozen."""

import io
from pathlib import Path

from databackup import Collection, ExportReport, Recorder, Schema, migrate_archive
from databackup.schema.versions import freeze
from tests.support.migrating import after, archive_of, old, step

THINGS = Collection("things", key="id", fields={"id": int})


def nick(m: Recorder) -> None:
    """A field more."""
    m.add_field("things", "nick", str, default="")


def rewritten(new: Schema, first: Schema, version: int | None = None) -> ExportReport:
    """The report of a rewrite."""
    archive = archive_of(first, {"things": [(1,)]})
    return migrate_archive(io.BytesIO(archive), io.BytesIO(), new, version=version)


def test_a_version_that_is_not_frozen(tmp_path: Path) -> None:
    """It is written, with a warning of what becomes of it, which ends with the freeze."""
    first = old(tmp_path, THINGS)
    new = after(tmp_path, step(nick), first=first)
    (warning,) = rewritten(new, first).warnings
    assert (
        "once the models change, this archive may be unreadable: version 2 is not frozen: freeze "
        "it (databackup schema freeze --app package.module:schema)"
    ) == warning
    assert () == rewritten(new, first, version=1).warnings
    freeze(new)
    assert () == rewritten(new, first).warnings


def test_a_version_that_was_frozen_otherwise(tmp_path: Path) -> None:
    """The same for today's models that have changed since."""
    first = old(tmp_path, THINGS)
    new = after(tmp_path, step(nick), first=first)
    freeze(Schema(app="club", version=2, collections=[THINGS], versions=tmp_path))
    (warning,) = rewritten(new, first).warnings
    assert "the schema is not version 2 as it was frozen: the field things.nick is new" in warning
