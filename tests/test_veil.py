"""Temporary files that hold nothing to be read, and are read all the same."""

import io
import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from databackup import veil
from databackup.spill import KeyIndex, RowQueue

keys = st.binary(max_size=3)


@given(st.lists(st.binary(max_size=300_000), max_size=4), st.data())
def test_a_veiled_file_is_read_anywhere(parts: list[bytes], data: st.DataObject) -> None:
    """What was appended is read from any place on, and none of it stands in the file."""
    held = io.BytesIO()
    file = veil.VeiledFile(held)
    for part in parts:
        file.seek(0, 2)
        assert len(part) == file.write(part)
    whole = b"".join(parts)
    place = data.draw(st.integers(0, len(whole)))
    size = data.draw(st.integers(0, 200_000))
    assert place == file.seek(place)
    assert whole[place : place + size] == file.read(size)
    assert whole[place + size :] == file.read()
    assert len(whole) == len(held.getvalue())
    assert len(whole) < 16 or held.getvalue() != whole


def test_lines_of_a_veiled_file() -> None:
    """Lines end with a line feed, the last one where the file ends."""
    file = veil.VeiledFile(io.BytesIO())
    file.write(b"one\ntwo\n\nthree")
    file.seek(0)
    assert [b"one\n", b"two\n", b"\n", b"three", b""] == [file.readline() for _ in range(5)]


@given(st.binary(), st.binary())
def test_what_is_hidden_is_shown_by_its_key(one: bytes, other: bytes) -> None:
    """The same bytes are hidden in another way each time, and another key shows something else."""
    key = veil.new_key()
    assert one == veil.shown(key, veil.hidden(key, one))
    assert veil.hidden(key, one) != veil.hidden(key, one)
    assert (one == other) is (veil.digest(key, one) == veil.digest(key, other))
    assert veil.digest(key, one) != veil.digest(veil.new_key(), one)


@given(
    st.lists(st.lists(st.tuples(keys, keys), max_size=9), max_size=5),
    st.lists(keys),
    st.integers(1, 60),
)
def test_a_veiled_index_is_as_any_other(
    batches: list[list[tuple[bytes, bytes]]], popped: list[bytes], run: int
) -> None:
    """Every answer is that of an index that is not veiled, in the order of the keys as well."""
    with veil.veiling():
        veiled = KeyIndex()
    with KeyIndex() as plain, veiled:
        for batch in batches:
            assert plain.add(batch) == veiled.add(batch)
        for key in popped:
            assert (key in plain) is (key in veiled)
            assert plain.get(key) == veiled.get(key)
            assert plain.pop(key) == veiled.pop(key)
        assert list(plain.items()) == list(veiled.items())


def test_a_large_veiled_index_is_in_order(monkeypatch: Any) -> None:
    """Entries that do not fit in memory at once come in the order of their keys."""
    monkeypatch.setattr("databackup.spill._SORTED", 2000)
    expected = [(b"%06d" % number, b"value %d" % number) for number in range(3000)]
    with veil.veiling():
        index = KeyIndex()
    with index:
        assert [] == index.add(reversed(expected))
        assert expected == list(index.items())


@given(st.lists(st.lists(st.tuples(st.integers(), st.text()), min_size=1), max_size=6))
def test_a_veiled_queue_is_as_any_other(batches: list[list[tuple[Any, ...]]]) -> None:
    """Batches come back in order, backwards, and while others are put."""
    with veil.veiling():
        queue = RowQueue()
    with queue:
        for number, batch in enumerate(batches, 1):
            queue.put(batch)
            assert batches[:number] == list(queue.batches())
        assert batches[::-1] == list(queue.batches(backwards=True))


def test_large_values_go_through_a_veiled_queue() -> None:
    """What pickle writes past its frames and what is longer than a block comes back."""
    rows = [(1, "ä" * 300_000, b"x" * 1_000_000), (2, "", b"")]
    with veil.veiling():
        queue = RowQueue(trees=True)
    with queue:
        for _ in range(3):
            queue.put(rows)
        assert [rows] * 3 == list(queue.batches())


def test_files_are_veiled_within_the_block_alone() -> None:
    """What is made before and after it is not, and blocks stand in each other."""
    assert not veil.is_wanted()
    with veil.veiling():
        with veil.veiling(wanted=False):
            assert veil.is_wanted()
        with veil.veiling():
            assert veil.is_wanted()
        assert veil.is_wanted()
    assert not veil.is_wanted()


def test_items_are_made_under_the_veil_and_handed_over_without() -> None:
    """A generator that is stepped through from outside never leaves its caller veiled."""
    made = veil.veiled(veil.is_wanted() for _ in range(2))
    assert [(True, False)] * 2 == [(inside, veil.is_wanted()) for inside in made]


def test_no_value_stands_in_the_files() -> None:
    """Neither rows nor keys nor values are to be found in what SQLite and the queue write."""
    held = io.BytesIO()
    file = veil.VeiledFile(held)
    pickle.dump([("marker",)] * 1000, file)
    assert b"marker" not in held.getvalue()
    with veil.veiling():
        index = KeyIndex()
    with index:
        index.add([(b"marker", b"marker")])
        assert b"marker" not in index._connection.serialize()
        assert [(b"marker", b"marker")] == list(index.items())
