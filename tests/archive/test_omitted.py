"""What a header says of secret fields, and what records then have."""

import io

import pytest

from databackup import Collection, Schema, export_all, import_all, inspect_archive, verify_archive
from databackup.errors import ArchiveInvalid, InvalidRecords
from tests.support.archives import Lines
from tests.support.club import memory

FIELDS = {"id": int, "name": str, "password": str}
SCHEMA = Schema(collections=[Collection("users", key="id", fields=FIELDS, secret=["password"])])
NARROW = Schema(collections=[Collection("users", key="id", fields={"id": int, "name": str})])


def _lines() -> Lines:
    file = io.BytesIO()
    rows = {"users": [(1, "Ana", "pw-ana"), (2, "Bo", "pw-bo")]}
    export_all(memory(rows, SCHEMA), file, secrets="omitted")
    return Lines.of(file.getvalue())


@pytest.mark.parametrize(
    "before,after,message",
    [
        (b'"id":{"kind":"int"}', b'"id":{"kind":"int","secret":true}', "users.id is of the key"),
        (b'"secret":true', b'"secret":1', "secret is true or false, not int 1"),
        (b'"secret":true', b'"secrets":true', "the header's schema_digest is not that"),
        (b'"secrets":"omitted"', b'"secrets":"partly"', "expected included or omitted"),
    ],
)
def test_header_that_is_not_sound(before: bytes, after: bytes, message: str) -> None:
    """Marks where there may be none, and other words, are refused before any record is read."""
    lines = _lines()
    assert before in lines.header
    lines.header = lines.header.replace(before, after)
    archive = lines.sealed(NARROW)
    with pytest.raises(ArchiveInvalid) as caught:
        inspect_archive(io.BytesIO(archive))
    assert message in str(caught.value)


def test_mark_is_no_part_of_the_digest() -> None:
    """With another mark the digest of the schema is the same; records have to follow it."""
    lines = _lines()
    lines.header = lines.header.replace(b',"secret":true', b"")
    lines.header = lines.header.replace(
        b'"name":{"kind":"str"', b'"name":{"kind":"str","secret":true'
    )
    archive = lines.sealed(NARROW)
    assert ("name",) == inspect_archive(io.BytesIO(archive)).collections["users"].secret
    with pytest.raises(InvalidRecords, match="field password: expected text, found no such field"):
        verify_archive(io.BytesIO(archive))


@pytest.mark.parametrize("schema", [None, SCHEMA])
def test_record_that_has_it_all_the_same(schema: Schema | None) -> None:
    """A record with a field that the header says is omitted has one too many."""
    lines = _lines()
    lines.collections["users"][0] = b'{"id":1,"name":"Ana","password":"pw-ana"}'
    archive = lines.sealed(SCHEMA)
    with pytest.raises(InvalidRecords, match="field password") as caught:
        verify_archive(io.BytesIO(archive), schema)
    assert "pw-ana" not in str(caught.value)


def test_included_record_that_lacks_it() -> None:
    """A record without a field that the header says is included has one too few."""
    lines = _lines()
    lines.header = lines.header.replace(b'"secrets":"omitted"', b'"secrets":"included"')
    archive = lines.sealed(NARROW)
    for read in (
        lambda: verify_archive(io.BytesIO(archive)),
        lambda: import_all(memory({}, SCHEMA), io.BytesIO(archive)),
    ):
        with pytest.raises(InvalidRecords, match="field password"):
            read()


def test_omitted_where_nothing_is_marked() -> None:
    """A header that omits and marks nothing omits nothing."""
    file = io.BytesIO()
    export_all(memory({"users": [(1, "Ana")]}, NARROW), file)
    lines = Lines.of(file.getvalue())
    lines.header = lines.header.replace(b'"secrets":"included"', b'"secrets":"omitted"')
    repository = memory({}, NARROW)
    import_all(repository, io.BytesIO(lines.sealed(NARROW)))
    assert 1 == verify_archive(io.BytesIO(lines.sealed(NARROW))).records
