"""Whatever the schema and the data: what comes back is what went in, or it is refused."""

import contextlib
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databackup import import_all, inspect_archive, verify_archive
from databackup.archive.format import read_end
from databackup.archive.reader import open_archive
from databackup.errors import DatabackupError, InvalidRecords, RecordsRefused
from databackup.repository import Repository
from databackup.testing.harness import stored
from databackup.testing.strategies import datasets, schemas
from tests.support.archives import Lines, data_of, exported
from tests.support.club import CLUB, club, memory
from tests.support.stores import STORES
from tests.support.wrappers import Passed

pairs = pytest.mark.parametrize("source", STORES)
targets = pytest.mark.parametrize("target", STORES)


@pairs
@targets
@settings(max_examples=25)
@given(data=st.data())
def test_export_import_export(source: str, target: str, data: st.DataObject) -> None:
    """Export, import, export: the same bytes but for header and seal, across every pair."""
    schema = data.draw(schemas())
    dataset = data.draw(datasets(schema))
    with STORES[source](schema, dataset) as one, STORES[target](schema, {}) as two:
        archive = exported(one)
        assert verify_archive(io.BytesIO(archive)) == verify_archive(io.BytesIO(archive), schema)
        report = import_all(two, io.BytesIO(archive))
        assert sum(map(len, dataset.values())) == report.records == report.added
        assert stored(one) == stored(two)
        if one.capabilities.ordered_rows == two.capabilities.ordered_rows:
            assert data_of(archive) == data_of(exported(two))
        else:
            _require_same_lines(archive, exported(two))


def _require_same_lines(archive: bytes, again: bytes) -> None:
    first, second = Lines.of(archive).collections, Lines.of(again).collections
    assert {name: sorted(lines) for name, lines in first.items()} == {
        name: sorted(lines) for name, lines in second.items()
    }


@pairs
@targets
@settings(max_examples=25)
@given(data=st.data())
def test_into_a_store_of_other_data(source: str, target: str, data: st.DataObject) -> None:
    """Whatever a store held, it then equals the archive; a second import changes nothing."""
    schema = data.draw(schemas())
    new, old = data.draw(datasets(schema)), data.draw(datasets(schema))
    for collection in schema.collections:
        # Some records on both sides, equal or not.
        key = collection.codec.key
        known = {repr(key(row)) for row in old[collection.name]}
        if collection.key and not any(c.references for c in schema.collections):
            more = [row for row in new[collection.name] if repr(key(row)) not in known]
            old[collection.name] += more[: data.draw(st.integers(0, len(more)))]
    with STORES[source](schema, new) as one, STORES[target](schema, old) as two:
        archive = exported(one)
        report = import_all(two, io.BytesIO(archive))
        assert stored(one) == stored(two)
        assert sum(map(len, new.values())) == report.records
        assert sum(map(len, old.values())) == report.changed + report.deleted + report.unchanged
        watched = Passed(two)
        again = import_all(watched, io.BytesIO(archive))
        assert ([], report.records) == (watched.calls, again.unchanged)


@targets
@settings(max_examples=25)
@given(data=st.data())
def test_what_is_not_portable_is_kept_or_refused(target: str, data: st.DataObject) -> None:
    """Data that not every store can hold goes in unchanged, or is refused with nothing changed."""
    schema = data.draw(schemas(portable=False))
    dataset = data.draw(datasets(schema, portable=False))
    with STORES["memory"](schema, dataset) as one, STORES[target](schema, {}) as two:
        archive = exported(one)
        before = stored(two)
        try:
            import_all(two, io.BytesIO(archive))
        except (InvalidRecords, RecordsRefused):
            assert before == stored(two)
        else:
            _require_same_lines(archive, exported(two))


# -- mutants ---------------------------------------------------------------------------------------


def _unless_refused(archive: bytes, target: Repository, expected: Any) -> None:
    before = stored(target)
    try:
        import_all(target, io.BytesIO(archive))
    except DatabackupError:
        assert before == stored(target)
    else:
        assert expected == stored(target)


CLUB_ARCHIVE = exported(memory())


@settings(max_examples=150)
@given(
    place=st.integers(0, len(CLUB_ARCHIVE) - 1), gone=st.integers(0, 3), new=st.binary(max_size=3)
)
def test_changed_bytes(place: int, gone: int, new: bytes) -> None:
    """An archive with some bytes changed is refused, or is the same archive."""
    mutant = CLUB_ARCHIVE[:place] + new + CLUB_ARCHIVE[place + gone :]
    _unless_refused(mutant, memory({}), stored(memory()))


@settings(max_examples=150)
@given(
    place=st.integers(0, CLUB_ARCHIVE.rindex(b'"end":') - 1),
    gone=st.integers(0, 3),
    new=st.binary(max_size=3)
    | st.sampled_from([b"0", b"1", b'"', b"{", b"]", b",", b"\n", b"null"]),
)
def test_changed_bytes_under_a_new_seal(place: int, gone: int, new: bytes) -> None:
    """Totals find what a new seal hides: data of another digest is refused."""
    mutant = _resealed(CLUB_ARCHIVE[:place] + new + CLUB_ARCHIVE[place + gone :])
    in_header = place < CLUB_ARCHIVE.index(b'"data":{')
    target = memory({})
    if in_header:
        with contextlib.suppress(DatabackupError):
            import_all(target, io.BytesIO(mutant))
            assert stored(memory()) == stored(target)
        return
    before = stored(target)
    try:
        import_all(target, io.BytesIO(mutant))
    except DatabackupError:
        assert before == stored(target)
    else:
        # 1.0 may have become 1.00: the scale of a decimal is the one thing no digest knows.
        assert _totals(CLUB_ARCHIVE) == _totals(exported(target))


def _resealed(archive: bytes) -> bytes:
    lines = archive.split(b"\n")
    body = b"\n".join(lines[:-2]) + b"\n"
    import hashlib  # noqa: PLC0415

    from databackup.archive.format import seal_to_bytes  # noqa: PLC0415

    return body + seal_to_bytes(hashlib.sha256(body).hexdigest())


@targets
@settings(max_examples=40)
@given(data=st.data())
def test_changed_lines_under_a_new_seal(target: str, data: st.DataObject) -> None:
    """Records dropped, doubled, moved and mixed are refused by the totals, whatever the seal."""
    with open_archive(io.BytesIO(CLUB_ARCHIVE)) as archive:
        ends = archive.ends
    lines = Lines.of(CLUB_ARCHIVE)
    changed = _change(data, lines)
    with STORES[target](CLUB, {}) as store:
        _unless_refused(lines.sealed(CLUB, ends), store, stored(memory()))
        if changed:
            assert 0 == sum(map(len, stored(store).values()))


@targets
@settings(max_examples=40)
@given(data=st.data())
def test_changed_lines_counted_anew(target: str, data: st.DataObject) -> None:
    """With new totals, too, an archive is refused with nothing changed, or holds what it says."""
    lines = Lines.of(CLUB_ARCHIVE)
    _change(data, lines)
    mutant = lines.sealed(CLUB)
    with STORES[target](CLUB, club()) as store:
        before = stored(store)
        try:
            import_all(store, io.BytesIO(mutant))
        except DatabackupError:
            assert before == stored(store)
        else:
            assert _totals(mutant) == _totals(exported(store))


def _totals(archive: bytes) -> dict[str, tuple[int, str]]:
    """Counts and digests: 105 may stand for 105.0, as no comparison of lines would know."""
    found = inspect_archive(io.BytesIO(archive)).collections
    return {name: (info.records, info.digest) for name, info in found.items()}


def _change(data: st.DataObject, lines: Lines) -> bool:
    """Change lines in one of several ways; whether that makes other data of them."""
    names = st.sampled_from(list(lines.collections))
    one, two = lines.collections[data.draw(names)], lines.collections[data.draw(names)]
    before = sorted(map(tuple, lines.collections.values()))
    place = data.draw(st.integers(0, len(one) - 1))
    how = data.draw(st.sampled_from(["drop", "double", "move", "swap", "mix", "bytes"]))
    if how == "drop":
        del one[place]
    elif how == "double":
        one.insert(data.draw(st.integers(0, len(one))), one[place])
    elif how == "move":
        two.insert(data.draw(st.integers(0, len(two))), one.pop(place))
    elif how == "swap":
        other = data.draw(st.integers(0, len(two) - 1))
        one[place], two[other] = two[other], one[place]
    elif how == "mix":
        one[:] = data.draw(st.permutations(one))
    else:
        line = one[place]
        at = data.draw(st.integers(0, len(line)))
        one[place] = (
            line[:at] + data.draw(st.sampled_from([b"0", b"1", b" ", b'"'])) + line[at + 1 :]
        )
        if one[place] == line + b" ":
            return False
    after = sorted(map(tuple, lines.collections.values()))
    return sorted(map(sorted, before)) != sorted(map(sorted, after))


def test_end_is_read_as_it_is_written() -> None:
    """The totals that the mutants keep are those of the archive."""
    with open_archive(io.BytesIO(CLUB_ARCHIVE)) as archive:
        line = CLUB_ARCHIVE[CLUB_ARCHIVE.rindex(b'"end":') :].split(b"\n")[0]
        assert archive.ends == read_end(line, archive.header)
