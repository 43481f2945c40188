"""The JSON test suite by Nicolas Seriot: each file as a value in an archive, and as a whole file.

`y_` must parse, `n_` must be refused, and what is done with `i_` stands in docs/reference/json.md.
"""

from __future__ import annotations

import decimal
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from databackup import import_all, verify_archive
from databackup.adapters.memory import MemoryRepository
from databackup.errors import ArchiveError, ArchiveInvalid, DatabackupError, InvalidRecords
from databackup.schema import Collection, Json, Schema
from tests.archive.support import archive_of, recounted, resealed
from tests.archive.test_lanes import ANY, assert_lanes_agree
from tests.support.data import SHARED

SUITE = SHARED / "json_test_suite"
TABLE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"
SCHEMA = Schema(collections=[Collection("notes", key="id", fields={"id": int, "value": Json})])
DUPLICATES = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}
"""Refused on purpose: of two members with one name, one would be lost."""

pytestmark = pytest.mark.skipif(not SUITE.is_dir(), reason=f"{SUITE} is not here")


def _names(start: str) -> list[str]:
    return sorted(path.name for path in SUITE.glob(f"{start}_*.json"))


def _archive(value: bytes) -> bytes:
    """A sound archive but for the value of its second record, which is put in as it stands."""
    lines = [b'{"id":1,"value":"a"}', b'{"id":2,"value":%s}' % value, b'{"id":3,"value":"c"}']
    if b"\n" not in value:
        return recounted(SCHEMA, archive_of(SCHEMA, {}), {"notes": lines})
    before, after = archive_of(SCHEMA, {"notes": [(1, "a"), (2, "?"), (3, "c")]}).split(b'"?"')
    return resealed(before + value + after)


def _on_one_line(value: bytes) -> bytes:
    """JSON without the line feeds between its tokens, which no record can have."""
    return re.sub(rb'("(?:[^"\\]|\\.)*")|\n', lambda found: found[1] or b" ", value)


def _imported(archive: bytes) -> Any:
    """The value of the second record after an import; what fails leaves the store as it was."""
    before = [{"id": 2, "value": "as it was"}]
    store: dict[str, list[dict[str, Any]]] = {"notes": list(before)}
    try:
        import_all(MemoryRepository(SCHEMA, store), io.BytesIO(archive))
    except DatabackupError:
        assert {"notes": before} == store
        raise
    values = {record["id"]: record["value"] for record in store["notes"]}
    assert {1, 2, 3} == set(values)
    return values[2]


def _exact(value: Any) -> Any:
    """A JSON value in a form that is equal only for the same value: numbers by all their digits."""
    if isinstance(value, dict):
        return {name: _exact(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool):
        digits = value if isinstance(value, decimal.Decimal) else decimal.Decimal(repr(value))
        return "number", digits, digits.is_signed()
    return type(value).__name__, value


def _oracle(text: bytes) -> Any:
    """The value of a JSON text as the standard library reads it, every number a Decimal."""
    return json.loads(text, parse_int=decimal.Decimal, parse_float=decimal.Decimal)


def test_the_suite_is_whole() -> None:
    """No file of the suite is missing."""
    assert [95, 188, 35] == [len(_names(start)) for start in "yni"]


@pytest.mark.parametrize("name", [n for n in _names("y") if n not in DUPLICATES])
def test_sound_json_is_imported(name: str) -> None:
    """A value that JSON has arrives as that very value, to the last digit."""
    value = _on_one_line((SUITE / name).read_bytes())
    archive = _archive(value)
    assert 3 == verify_archive(io.BytesIO(archive)).records
    assert _exact(_oracle(value)) == _exact(_imported(archive))


@pytest.mark.parametrize("name", sorted(DUPLICATES))
def test_duplicate_names_are_refused(name: str) -> None:
    """JSON that says something twice is sound by its grammar, and refused: it has no one value."""
    with pytest.raises(InvalidRecords, match="the name str 'a' stands twice in one object"):
        _imported(_archive((SUITE / name).read_bytes()))


@pytest.mark.parametrize("name", _names("n"))
def test_unsound_json_is_refused(name: str) -> None:
    """What is no JSON is a problem of its record, or of its line where it breaks the line."""
    value = (SUITE / name).read_bytes()
    for form in {value, _on_one_line(value)}:
        archive = _archive(form)
        with pytest.raises((InvalidRecords, ArchiveInvalid)) as caught:
            _imported(archive)
        if isinstance(caught.value, InvalidRecords):
            places = {(problem.collection, problem.record) for problem in caught.value.problems}
            assert ("notes", 2) in places
        else:
            assert b"\n" in form
            assert isinstance(caught.value, ArchiveInvalid)
            assert caught.value.line in (8, 9)
        with pytest.raises((InvalidRecords, ArchiveInvalid)):
            verify_archive(io.BytesIO(archive))


@pytest.mark.parametrize("name", [name for start in "yni" for name in _names(start)])
def test_no_file_is_an_archive(name: str) -> None:
    """As a whole file none is taken for an archive, sound or not."""
    with pytest.raises(ArchiveError, match=r"^the file ") as caught:
        _imported((SUITE / name).read_bytes())
    assert "not-an-archive" == caught.value.code


@pytest.mark.parametrize("name", [name for start in "yni" for name in _names(start)])
def test_lanes_agree(name: str) -> None:
    """Both lanes read the same value from each file, or find the same problems."""
    value = (SUITE / name).read_bytes()
    for form in {value, _on_one_line(value)}:
        assert_lanes_agree(ANY, b'{"value":%s}\n' % form)


def _answer(name: str) -> str:
    """What is done with a file as a value, in the words of the table."""
    try:
        value = _imported(_archive((SUITE / name).read_bytes()))
    except InvalidRecords as error:
        (problem,) = error.problems
        assert ("notes", 2) == (problem.collection, problem.record)
        return f"refused: {problem.message}"
    return f"imported as `{value!r}`"


def test_the_table_is_what_is_done() -> None:
    """The documents tell of each `i_` file, and of no other, what is done with it."""
    rows = re.findall(r"^\| `(i_.+?)` \| .+ \| (.+) \|$", TABLE.read_text("utf-8"), re.MULTILINE)
    assert 35 == len(rows)
    assert dict(rows) == {name: _answer(name) for name in _names("i")}
