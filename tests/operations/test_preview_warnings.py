"""What a preview warns of: data of later than the archive."""

import datetime
import io
from typing import Any

import pytest

from databackup import AwareDatetime, Collection, Schema, preview_import
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


def _warnings(store: dict[str, Any], archive: dict[str, Any], mode: Any = "replace") -> list[str]:
    empty: dict[str, Any] = {"aware": [], "naive": [], "keyless": []}
    file = io.BytesIO(exported(memory({**empty, **archive}, SCHEMA)))
    return list(preview_import(memory({**empty, **store}, SCHEMA), file, mode=mode).warnings)


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
    assert [] == _warnings({"aware": later}, {}, mode="replace")[1:]
    assert [] == _warnings({"aware": [(1, None)]}, {})
    assert [] == _warnings({"aware": [(1, NOW + 100 * HOUR)]}, {})


def test_records_without_a_key() -> None:
    """All are deleted where a collection is replaced as a whole."""
    assert 1 == len(_warnings({"keyless": [(NOW + HOUR,)]}, {"keyless": [(NOW,)]}))
