"""What a preview warns of: data of later than the archive, and what refers to it from outside."""

import datetime
import io
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from databackup import AwareDatetime, Collection, Schema, preview_import
from databackup.adapters.sqlite import SQLiteRepository
from tests.support.archives import exported
from tests.support.club import memory

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
HOUR = datetime.timedelta(hours=1)
SCHEMA = Schema(
    collections=[
        Collection("aware", fields={"id": int, "at": AwareDatetime | None}, key="id"),
        Collection("naive", fields={"id": int, "at": datetime.datetime}, key="id"),
        Collection("keyless", fields={"at": AwareDatetime}),
    ]
)


KEYED = Schema(collections=[SCHEMA["aware"], SCHEMA["naive"]])


def _warnings(store: dict[str, Any], archive: dict[str, Any], mode: Any = "replace") -> list[str]:
    schema = SCHEMA if mode == "replace" else KEYED
    empty: dict[str, Any] = {collection.name: [] for collection in schema.collections}
    file = io.BytesIO(exported(memory({**empty, **archive}, schema)))
    return list(preview_import(memory({**empty, **store}, schema), file, mode=mode).warnings)


@pytest.mark.parametrize("name,naive", [("aware", False), ("naive", True)])
def test_what_came_later_is_told(name: str, naive: bool) -> None:
    """Where a record is changed or deleted whose time is of later than the archive."""
    later = NOW + HOUR
    value = later.replace(tzinfo=None) if naive else later
    (warning,) = _warnings({name: [(1, value)]}, {})
    assert f"{name}.at is up to {later:%Y-%m-%d %H:%M}" in warning
    assert "would be lost" in warning
    earlier = (NOW - HOUR).replace(tzinfo=None) if naive else NOW - HOUR
    assert 1 == len(_warnings({name: [(1, value)]}, {name: [(1, earlier)]}))
    assert [] == _warnings({name: [(1, earlier)]}, {})


def test_what_stays_is_not_told() -> None:
    """Equal records, those that a merge leaves alone, nulls, and what is planned for later."""
    later = [(1, NOW + HOUR)]
    assert [] == _warnings({"aware": later}, {"aware": later})
    assert 1 == len(_warnings({"aware": later}, {}))
    assert [] == _warnings({"aware": later}, {}, mode="merge")
    assert [] == _warnings({"aware": later}, {"aware": [(1, NOW)]}, mode="add")
    assert 1 == len(_warnings({"aware": later}, {"aware": [(1, NOW)]}, mode="merge"))
    assert [] == _warnings({"aware": [(1, None)]}, {})
    assert [] == _warnings({"aware": [(1, NOW + 100 * HOUR)]}, {})


def test_secret_times_are_not_told() -> None:
    """A warning would show the value of a secret field."""
    fields = {"id": int, "at": AwareDatetime, "seen": AwareDatetime}
    schema = Schema(collections=[Collection("c", fields=fields, key="id", secret=["at"])])
    store = memory({"c": [(1, NOW + HOUR, NOW + 2 * HOUR)]}, schema)
    (warning,) = preview_import(store, io.BytesIO(exported(memory({"c": []}, schema)))).warnings
    assert warning.startswith("c.seen is up to")


def test_records_without_a_key() -> None:
    """All are deleted where a collection is replaced as a whole."""
    assert 1 == len(_warnings({"keyless": [(NOW + HOUR,)]}, {"keyless": [(NOW,)]}))


def test_what_refers_to_it_from_outside(tmp_path: Path) -> None:
    """It is named where records would be deleted, and only there."""
    path = tmp_path / "shop.db"
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY);"
        "CREATE TABLE audit (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders (id));"
        "INSERT INTO orders VALUES (1);"
    )
    store = SQLiteRepository.reflect(path, exclude={"audit": "never to be overwritten"})
    archive = exported(store)
    assert () == preview_import(store, io.BytesIO(archive)).warnings
    database.execute("INSERT INTO orders VALUES (2)")
    (warning,) = preview_import(store, io.BytesIO(archive)).warnings
    assert "audit (order_id) refer to orders" in warning
    assert "the import is refused" in warning
    (warning,) = preview_import(store, io.BytesIO(archive), allow_cascade=True).warnings
    assert "carried off" in warning
    assert () == preview_import(store, io.BytesIO(archive), mode="merge").warnings
    database.close()
