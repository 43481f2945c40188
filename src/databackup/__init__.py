"""Export all data of an app to one file, and import it back, whole or not at all.

A name is loaded when it is first asked for, so that an app that imports this package pays for what
it uses, when it uses it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from databackup._version import __version__

if TYPE_CHECKING:
    from databackup.archive.encryption import Identity, Passphrase, Recipients
    from databackup.archive.limits import Limits
    from databackup.errors import DatabackupError, Problem
    from databackup.operations.asynchronous import (
        export_all_async,
        import_all_async,
        preview_import_async,
    )
    from databackup.operations.diff import diff
    from databackup.operations.differences import CollectionDiff, Diff, RecordDiff
    from databackup.operations.export import export_all, iter_export
    from databackup.operations.folders import list_backups, prune_backups
    from databackup.operations.importing import import_all
    from databackup.operations.options import ImportOptions
    from databackup.operations.plans import CollectionPlan, ImportPlan
    from databackup.operations.preview import preview_import
    from databackup.operations.reports import (
        ArchiveInfo,
        Backup,
        Changes,
        CollectionInfo,
        ExportReport,
        ImportReport,
        ImportStatus,
        MigrationReport,
        Progress,
        PruneReport,
        SealReport,
        VerifyReport,
    )
    from databackup.operations.rewriting import migrate_archive
    from databackup.operations.seal import seal_archive
    from databackup.operations.status import import_status, marked_imports
    from databackup.operations.verify import inspect_archive, verify_archive
    from databackup.schema import (
        JSON_NULL,
        AwareDatetime,
        AwareTime,
        Collection,
        Field,
        Interval,
        Json,
        RawText,
        Reference,
        Schema,
    )
    from databackup.schema.recording import Migration, Recorder, migration

_HOMES = {
    "archive.encryption": ("Identity", "Passphrase", "Recipients"),
    "archive.limits": ("Limits",),
    "errors": ("DatabackupError", "Problem"),
    "operations.asynchronous": ("export_all_async", "import_all_async", "preview_import_async"),
    "operations.diff": ("diff",),
    "operations.differences": ("CollectionDiff", "Diff", "RecordDiff"),
    "operations.export": ("export_all", "iter_export"),
    "operations.folders": ("list_backups", "prune_backups"),
    "operations.importing": ("import_all",),
    "operations.options": ("ImportOptions",),
    "operations.plans": ("CollectionPlan", "ImportPlan"),
    "operations.preview": ("preview_import",),
    "operations.reports": (
        "ArchiveInfo",
        "Backup",
        "Changes",
        "CollectionInfo",
        "ExportReport",
        "ImportReport",
        "ImportStatus",
        "MigrationReport",
        "Progress",
        "PruneReport",
        "SealReport",
        "VerifyReport",
    ),
    "operations.rewriting": ("migrate_archive",),
    "operations.seal": ("seal_archive",),
    "operations.status": ("import_status", "marked_imports"),
    "operations.verify": ("inspect_archive", "verify_archive"),
    "schema": (
        "JSON_NULL",
        "AwareDatetime",
        "AwareTime",
        "Collection",
        "Field",
        "Interval",
        "Json",
        "RawText",
        "Reference",
        "Schema",
    ),
    "schema.recording": ("Migration", "Recorder", "migration"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "JSON_NULL",
    "ArchiveInfo",
    "AwareDatetime",
    "AwareTime",
    "Backup",
    "Changes",
    "Collection",
    "CollectionDiff",
    "CollectionInfo",
    "CollectionPlan",
    "DatabackupError",
    "Diff",
    "ExportReport",
    "Field",
    "Identity",
    "ImportOptions",
    "ImportPlan",
    "ImportReport",
    "ImportStatus",
    "Interval",
    "Json",
    "Limits",
    "Migration",
    "MigrationReport",
    "Passphrase",
    "Problem",
    "Progress",
    "PruneReport",
    "RawText",
    "Recipients",
    "RecordDiff",
    "Recorder",
    "Reference",
    "Schema",
    "SealReport",
    "VerifyReport",
    "__version__",
    "diff",
    "export_all",
    "export_all_async",
    "import_all",
    "import_all_async",
    "import_status",
    "inspect_archive",
    "iter_export",
    "list_backups",
    "marked_imports",
    "migrate_archive",
    "migration",
    "preview_import",
    "preview_import_async",
    "prune_backups",
    "seal_archive",
    "verify_archive",
]


if not TYPE_CHECKING:  # or else a type checker would take any name

    def __getattr__(name: str) -> object:
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
