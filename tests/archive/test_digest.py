"""The digest of a collection: a sum that depends on neither order nor batches."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup.archive import digest, text
from databackup.archive.digest import Digest
from databackup.errors import DatabackupError
from tests.archive.support import plain_digest

records = st.lists(st.binary(max_size=20))


def digest_of(*batches: list[bytes], name: str = "menus") -> Digest:
    """The digest of records in batches."""
    found = Digest(name)
    for batch in batches:
        found.add(batch)
    return found


@given(found=records, data=st.data())
def test_order_and_batches(found: list[bytes], data: st.DataObject) -> None:
    """The same records have one digest in any order, cut into batches anywhere."""
    shuffled = data.draw(st.permutations(found))
    cut = data.draw(st.integers(0, len(found)))
    expected = plain_digest("menus", found)
    assert expected == digest_of(found).hex == digest_of(shuffled[:cut], shuffled[cut:]).hex
    assert len(found) == digest_of(shuffled[:cut], [], shuffled[cut:]).count


@given(one=records, other=records)
def test_parts_add_up(one: list[bytes], other: list[bytes]) -> None:
    """The digests of two parts add up, modulo 2^256, to that of the whole."""
    total = int(digest_of(one).hex, 16) + int(digest_of(other).hex, 16)
    assert total % 2**256 == int(digest_of(one + other).hex, 16)


@given(stays=records, goes=records, data=st.data())
def test_parts_can_be_taken_away(
    stays: list[bytes], goes: list[bytes], data: st.DataObject
) -> None:
    """What was added and taken away leaves no trace, in the sum and in the count."""
    found = digest_of(data.draw(st.permutations(stays + goes)))
    found.subtract(digest_of(goes))
    assert (digest_of(stays).hex, len(stays)) == (found.hex, found.count)
    found.add(goes)
    assert digest_of(stays, goes).hex == found.hex


def test_what_it_depends_on() -> None:
    """A record more, a byte, or the collection's name make another digest."""
    base = digest_of([b"a", b"b"]).hex
    others = [
        digest_of([b"a", b"b", b"b"]),
        digest_of([b"a", b"c"]),
        digest_of([b"ab"]),
        digest_of([b"a", b"b"], name="menu"),
    ]
    assert base not in {other.hex for other in others}


def test_layout() -> None:
    """No records make 64 zeros; one makes the hash of name, line feed and record."""
    assert "0" * 64 == digest_of([]).hex
    assert hashlib.sha256("menús\n{}".encode()).hexdigest() == digest_of([b"{}"], name="menús").hex


def test_leading_zeros_are_kept() -> None:
    """A sum is 64 digits, however small it is."""
    sums = [digest_of([str(number).encode()]).hex for number in range(300)]
    assert {64} == {len(found) for found in sums}
    assert any(found.startswith("0") for found in sums)


def test_needs_the_float_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """No digest is begun where floats would be written in another layout."""
    monkeypatch.setattr(text, "_FLOATS", ((1.0,), b"[1]"))
    text.check_layout.cache_clear()
    with pytest.raises(DatabackupError, match="another layout"):
        Digest("menus")
    monkeypatch.undo()
    assert 0 == digest.Digest("menus").count
