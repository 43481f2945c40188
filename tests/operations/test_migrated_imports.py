"""Whatever was archived, and whatever has become of the schema: the oracle knows what comes in."""

import io
import tempfile
from pathlib import Path

import attrs
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from databackup import (
    Collection,
    Schema,
    export_all,
    import_all,
    inspect_archive,
    migrate_archive,
    verify_archive,
)
from databackup.archive.reader import open_archive
from databackup.archive.records import RecordCodec
from databackup.errors import InvalidRecords
from databackup.operations.keys import UniqueKeys
from databackup.operations.readable import as_of_today
from databackup.repository import Repository, Row
from databackup.schema.recording import Migration
from databackup.testing.harness import expected as exactly
from databackup.testing.harness import stored
from databackup.testing.strategies import datasets, schemas
from tests.support import naive
from tests.support.evolutions import evolutions
from tests.support.migrating import archive_of, freeze_as_is
from tests.support.stores import STORES


@attrs.frozen
class Case:
    """An old schema and its archive, a new schema, and the rows that it must lead to."""

    old: Schema
    new: Schema
    archive: bytes
    rows: dict[str, list[Row]]


@st.composite
def cases(draw: st.DrawFn, folder: Path) -> Case:
    """Archives of old schemas, and new schemas with a way from there; all versions are frozen."""
    drawn = draw(schemas())
    found = draw(evolutions(drawn))
    old = Schema(app="club", version=1, collections=drawn.collections)
    cut = draw(st.integers(0, len(found.operations)))
    steps = [
        Migration(1, 2, "first", tuple(found.operations[:cut])),
        Migration(2, 3, "second", tuple(found.operations[cut:])),
    ]
    collections = [_shuffled(draw, collection) for collection in found.after.values()]
    new = Schema(
        app="club",
        version=3,
        collections=draw(st.permutations(collections)),
        migrations=steps,
        versions=folder,
    )
    rows = draw(datasets(drawn))
    records = naive.as_records(found.before, rows)
    try:
        records = naive.carried(found.operations, found.before, records)
    except naive.Disagree:
        reject()
    freeze_as_is(old, folder)
    after = {
        c.name: [tuple(record[name] for name in c.field_names) for record in records[c.name]]
        for c in new.collections
    }
    return Case(old, new, archive_of(old, rows), after)


def _shuffled(draw: st.DrawFn, collection: Collection) -> Collection:
    fields = draw(st.permutations(collection.fields))
    return Collection(
        collection.name, fields=fields, key=collection.key, references=collection.references
    )


@pytest.mark.parametrize("store", STORES)
@given(data=st.data())
def test_import(store: str, data: st.DataObject) -> None:
    """The store holds the oracle's records, is read back, and a second import changes nothing."""
    with tempfile.TemporaryDirectory() as made:
        case = data.draw(cases(Path(made)))
        if not _is_sound(case):
            reject()
        with STORES[store](case.new, {}) as repository:
            report = import_all(repository, io.BytesIO(case.archive))
            assert exactly(case.new, case.rows) == stored(repository)
            assert report.migrated is not None
            assert (1, 3) == (report.migrated.source, report.migrated.target)
            again = import_all(repository, io.BytesIO(case.archive))
            assert (0, 0, 0) == (again.added, again.changed, again.deleted)
            assert report.migrated == again.migrated
            _check_rewritten(case, repository)


def _check_rewritten(case: Case, repository: Repository) -> None:
    """A rewritten archive has the digests of an export of what was imported."""
    written, exported = io.BytesIO(), io.BytesIO()
    done = migrate_archive(io.BytesIO(case.archive), written, case.new)
    export_all(repository, exported)
    rewritten = written.getvalue()
    one = inspect_archive(io.BytesIO(rewritten))
    other = inspect_archive(io.BytesIO(exported.getvalue()))
    assert done.seal == one.seal
    assert {n: c.digest for n, c in one.collections.items()} == {
        n: c.digest for n, c in other.collections.items()
    }
    assert one.schema_digest == other.schema_digest
    verify_archive(io.BytesIO(rewritten), case.new)
    assert verify_archive(io.BytesIO(case.archive), case.new).records == one.records
    report = import_all(repository, io.BytesIO(rewritten))
    assert (0, 0, 0) == (report.added, report.changed, report.deleted)


def _is_sound(case: Case) -> bool:
    """Whether keys are unique and references hold in what the oracle gives."""
    archive = archive_or_none(case.new, case.rows)
    if archive is None:
        return False
    try:
        verify_archive(io.BytesIO(archive), case.new)
    except InvalidRecords:
        return False
    return True


def archive_or_none(schema: Schema, rows: dict[str, list[Row]]) -> bytes | None:
    """An archive of rows, None where no store can hold them."""
    try:
        return archive_of(schema, rows)
    except InvalidRecords:
        return None


@given(data=st.data())
def test_order(data: st.DataObject) -> None:
    """A migrated archive that says it is in the order of a key is, and no key is twice in it."""
    with tempfile.TemporaryDirectory() as made:
        case = data.draw(cases(Path(made)))
        with open_archive(io.BytesIO(case.archive)) as opened:
            archive = as_of_today(opened, case.new)
            for name, read in archive.collections():
                collection = case.new[name]
                codec = RecordCodec(collection)
                in_order = archive.header.in_key_order(name)
                with UniqueKeys(collection, codec.codec, in_order=in_order) as keys:
                    for batch in read(codec):
                        if batch.problems:  # of values that their new kinds do not take
                            return
                        assert [] == [p for p in keys.check(batch) if p.code == "key-order"]
