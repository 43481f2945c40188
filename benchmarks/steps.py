"""What is measured of databackup, one step in a process.

python -m benchmarks.steps export reflected orders.db archive.json
"""

import sys
from pathlib import Path

import databackup  # whose names load what they need when they are used
from databackup.adapters.sqlite import SQLiteRepository


def repository(schema: str, database: Path) -> SQLiteRepository:
    """The database as reflected, or seen through the app's models."""
    if schema == "reflected":
        return SQLiteRepository.reflect(database)
    from benchmarks.models import SCHEMA  # noqa: PLC0415 - what is reflected needs no models

    return SQLiteRepository(database, SCHEMA)


def main(step: str, schema: str, database: Path, archive: Path) -> None:
    """Do one step."""
    store = repository(schema, database)
    match step:
        case "export":
            databackup.export_all(store, archive)
        case "import":
            databackup.import_all(store, archive, read_back=False)
        case "import with read-back":
            databackup.import_all(store, archive)
        case "diff of equal data":
            if not databackup.diff(archive, store).identical:
                sys.exit(f"{archive} and {database} differ")
        case _:
            sys.exit(f"no step is called {step!r}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
