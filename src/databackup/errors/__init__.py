"""Every error databackup raises, and the `Problem` that names one wrong value.

One root, `DatabackupError`. Each class has a stable `code`, its own attributes, a message that
says what and where, and a remedy that says what to do. All of them pickle.
"""

from databackup.errors.archives import (
    ArchiveError,
    ArchiveInvalid,
    ArchiveSwapped,
    ArchiveTruncated,
    InvalidEdit,
    InvalidRecords,
    KeyRequired,
    KeysDiffer,
    LimitExceeded,
    NewerFormat,
    NotAnArchive,
    NotSealable,
    RecordsNotTaken,
    SchemaMismatch,
    SealBroken,
    UnknownCollection,
    VersionMismatch,
    WrongApp,
)
from databackup.errors.root import (
    PROBLEM_LIMIT,
    DatabackupError,
    Problem,
    reason_of,
)
from databackup.errors.stores import (
    CannotCreate,
    CommitUnknown,
    OwnerRequired,
    RecordsRefused,
    StoreDenied,
    StoreError,
    StoreFailed,
    StoreLocked,
    StoreMismatch,
    StoreUnreachable,
)
from databackup.errors.usage import (
    FileError,
    MissingExtra,
    SchemaError,
    TargetError,
)

__all__ = [
    "PROBLEM_LIMIT",
    "ArchiveError",
    "ArchiveInvalid",
    "ArchiveSwapped",
    "ArchiveTruncated",
    "CannotCreate",
    "CommitUnknown",
    "DatabackupError",
    "FileError",
    "InvalidEdit",
    "InvalidRecords",
    "KeyRequired",
    "KeysDiffer",
    "LimitExceeded",
    "MissingExtra",
    "NewerFormat",
    "NotAnArchive",
    "NotSealable",
    "OwnerRequired",
    "Problem",
    "RecordsNotTaken",
    "RecordsRefused",
    "SchemaError",
    "SchemaMismatch",
    "SealBroken",
    "StoreDenied",
    "StoreError",
    "StoreFailed",
    "StoreLocked",
    "StoreMismatch",
    "StoreUnreachable",
    "TargetError",
    "UnknownCollection",
    "VersionMismatch",
    "WrongApp",
    "reason_of",
]
