"""What is measured of databackup, one step in a process.

python -m benchmarks.steps export reflected orders.db archive.json
python -m benchmarks.steps export models '$BENCHMARK_DATABASE' archive.json

A database is a SQLite file or a URL. A variable may hold it, so that no command line has passwords.
"""

import os
import sys
from pathlib import Path

import databackup  # whose names load what they need when they are used
from databackup.repository import Repository

_RECIPIENT = "age1xve79hjfqdlcllatmvafdu5d20cp3xdnue9haufn7zwhtsq8ls6q5zjzcj"
"""Nobody has the private half of this key."""


def repository(schema: str, database: str | Path) -> Repository:
    """The database as reflected, or seen through the app's models, or through the later ones."""
    if "://" in str(database):
        return _on_a_server(schema, str(database))
    from databackup.adapters.sqlite import SQLiteRepository  # noqa: PLC0415 - only what it needs

    if schema == "reflected":
        return SQLiteRepository.reflect(database)
    if schema == "migrations":
        from benchmarks.history import SCHEMA as LATEST  # noqa: PLC0415 - the others have no steps

        return SQLiteRepository(database, LATEST)
    from benchmarks.models import SCHEMA  # noqa: PLC0415 - what is reflected needs no models

    return SQLiteRepository(database, SCHEMA)


def _on_a_server(schema: str, url: str) -> Repository:
    from benchmarks.stores import engine  # noqa: PLC0415 - SQLite's steps need no SQLAlchemy
    from databackup.adapters.sqlalchemy import SQLAlchemyRepository  # noqa: PLC0415 - the same

    if schema == "reflected":
        return SQLAlchemyRepository.reflect(engine(url))
    from benchmarks.models import SCHEMA  # noqa: PLC0415 - what is reflected needs no models

    return SQLAlchemyRepository(engine(url), SCHEMA)


def main(step: str, schema: str, database: str | Path, archive: Path) -> None:
    """Do one step."""
    store = repository(schema, database)
    match step:
        case "export" if archive.suffix == ".age":
            databackup.export_all(store, archive, encryption=databackup.Recipients([_RECIPIENT]))
        case "export":
            databackup.export_all(store, archive)
        case "import":
            databackup.import_all(store, archive, read_back=False)
        case "import with read-back":
            databackup.import_all(store, archive)
        case "diff of equal data":
            if not databackup.diff(archive, store).identical:
                sys.exit(f"{archive} and its database differ")
        case "preview of equal data":
            if not databackup.preview_import(store, archive).identical:
                sys.exit(f"{archive} and its database differ")
        case _:
            sys.exit(f"no step is called {step!r}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], os.path.expandvars(sys.argv[3]), Path(sys.argv[4]))
