"""Export all data of an app to one file, and import it back, whole or not at all."""

from databackup._version import __version__
from databackup.archive.reader import Limits
from databackup.errors import DatabackupError, Problem
from databackup.operations.export import export_all, iter_export
from databackup.operations.importing import ImportOptions, import_all
from databackup.operations.reports import (
    ArchiveInfo,
    Changes,
    ExportReport,
    ImportReport,
    Progress,
    VerifyReport,
)
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

__all__ = [
    "JSON_NULL",
    "ArchiveInfo",
    "AwareDatetime",
    "AwareTime",
    "Changes",
    "Collection",
    "DatabackupError",
    "ExportReport",
    "Field",
    "ImportOptions",
    "ImportReport",
    "Interval",
    "Json",
    "Limits",
    "Problem",
    "Progress",
    "RawText",
    "Reference",
    "Schema",
    "VerifyReport",
    "__version__",
    "export_all",
    "import_all",
    "inspect_archive",
    "iter_export",
    "verify_archive",
]
