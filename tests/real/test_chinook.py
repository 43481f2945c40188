"""Chinook, a music shop's database: 11 tables, a self-reference, composite keys, unicode."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from databackup import (
    export_all,
    import_all,
    inspect_archive,
    seal_archive,
    verify_archive,
)
from databackup.adapters.sqlite import SQLiteRepository
from tests.support import sqlite
from tests.support.archives import data_of

types = pytest.mark.parametrize("types", ["storage", "declared"])

SPOILS = (
    "UPDATE Track SET UnitPrice = UnitPrice + 0.5, Name = Name || '!' WHERE TrackId % 7 = 0",
    "UPDATE Customer SET Company = NULL, City = 'Ulaanbaatar' WHERE CustomerId % 5 = 0",
    "DELETE FROM PlaylistTrack WHERE TrackId % 3 = 0",
    "DELETE FROM InvoiceLine WHERE InvoiceLineId % 11 = 0",
    "INSERT INTO Artist SELECT ArtistId + 100000, Name || ' too' FROM Artist WHERE ArtistId < 50",
    "INSERT INTO Playlist VALUES (5000, NULL), (5001, 'new')",
    "INSERT INTO PlaylistTrack SELECT 5000, TrackId FROM Track WHERE TrackId < 100",
    "UPDATE Invoice SET InvoiceId = InvoiceId + 70000 WHERE InvoiceId % 13 = 0",
    "UPDATE InvoiceLine SET InvoiceId = InvoiceId + 70000 WHERE InvoiceId % 13 = 0",
    "UPDATE Employee SET ReportsTo = NULL",
    "UPDATE Genre SET GenreId = -GenreId",
    "UPDATE Track SET GenreId = -GenreId",
    "DELETE FROM MediaType WHERE MediaTypeId = 5",
)


@pytest.fixture
def chinook(shared_data: Path, tmp_path: Path) -> Path:
    """A copy of the database."""
    source = shared_data / "chinook.sqlite"
    if not source.is_file():
        pytest.skip(f"{source} is not here")
    return Path(shutil.copyfile(source, tmp_path / "chinook.db"))


def _reflect(path: Path, types: Any) -> SQLiteRepository:
    return SQLiteRepository.reflect(path, types=types)


@types
def test_export_and_verify(chinook: Path, types: str) -> None:
    """Every record of every table is in the archive, and the archive is sound."""
    archive = chinook.with_suffix(".json")
    report = export_all(_reflect(chinook, types), archive)
    tables = sqlite.query(chinook, "SELECT name FROM sqlite_master WHERE type = 'table'")
    expected = {
        name: sqlite.query(chinook, f"SELECT count(*) FROM {sqlite.quoted(name)}")[0][0]
        for (name,) in tables
        if not name.startswith("sqlite_")
    }
    assert 11 == len(expected)
    assert expected == dict(report.collections)
    assert report.records == verify_archive(archive).records
    assert report.records == verify_archive(archive, _reflect(chinook, types).schema).records


@types
@pytest.mark.parametrize("target", ["emptied", "spoiled", "equal"])
def test_import(chinook: Path, types: str, target: str) -> None:
    """What was exported comes back: the typed dump and the digests are those of the original."""
    archive = chinook.with_suffix(".json")
    export_all(_reflect(chinook, types), archive)
    copy = Path(shutil.copyfile(chinook, chinook.with_name("copy.db")))
    if target == "emptied":
        names = sqlite.query(copy, "SELECT name FROM sqlite_master WHERE type = 'table'")
        sqlite.run(copy, *(f"DELETE FROM {sqlite.quoted(name)}" for (name,) in names))
    elif target == "spoiled":
        sqlite.run(copy, *SPOILS)
    assert (sqlite.dump(chinook) == sqlite.dump(copy)) == (target == "equal")

    report = import_all(_reflect(copy, types), archive)

    assert sqlite.dump(chinook) == sqlite.dump(copy)
    again = chinook.with_name("again.json")
    export_all(_reflect(copy, types), again)
    digests = [
        {name: info.digest for name, info in inspect_archive(path).collections.items()}
        for path in (archive, again)
    ]
    assert digests[0] == digests[1]
    assert data_of(archive.read_bytes()) == data_of(again.read_bytes())
    changed = report.added + report.changed + report.deleted
    assert (changed == 0) == (target == "equal")
    if target == "emptied":
        assert (report.records, 0) == (report.added, report.unchanged)
    if target == "spoiled":
        assert 0 < changed < report.records / 2


JQ = [[], ["--sort-keys"], ["--compact-output"]]


@types
@pytest.mark.parametrize("options", JQ, ids=" ".join)
def test_seal_what_jq_has_written(chinook: Path, types: str, options: list[str]) -> None:
    """What jq has laid out anew, floats without their fraction among it, is the same data."""
    if shutil.which("jq") is None:
        pytest.skip("jq is not here")
    archive, edited, sealed = (chinook.with_name(f"{name}.json") for name in ("a", "e", "s"))
    repository = _reflect(chinook, types)
    export_all(repository, archive)
    edited.write_bytes(subprocess.check_output(["jq", *options, ".", str(archive)]))
    seal_archive(edited, sealed)
    digests = [
        {name: info.digest for name, info in inspect_archive(path).collections.items()}
        for path in (archive, sealed)
    ]
    assert digests[0] == digests[1]
    report = import_all(repository, sealed)
    assert report.records == report.unchanged
