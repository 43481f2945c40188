"""What does not fit in memory: an index of keys and a queue of rows, in temporary files."""

import datetime
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup.errors import FileError
from databackup.schema import JSON_NULL, Interval, RawText
from databackup.spill import KeyIndex, RowQueue

keys = st.binary(max_size=3)


@given(st.lists(st.lists(st.tuples(keys, keys), max_size=9), max_size=5), st.lists(keys))
def test_an_index_is_a_dict_that_keeps_the_first_value(
    batches: list[list[tuple[bytes, bytes]]], popped: list[bytes]
) -> None:
    """Adding tells which keys were there already, within a batch and before it."""
    model: dict[bytes, bytes] = {}
    with KeyIndex() as index:
        for batch in batches:
            taken = []
            for position, (key, value) in enumerate(batch):
                if key in model:
                    taken.append(position)
                model.setdefault(key, value)
            assert taken == index.add(batch)
        for key in popped:
            assert (key in model) is (key in index)
            assert model.pop(key, None) == index.pop(key)
        assert sorted(model.items()) == list(index.items())


def test_keys_are_bytes_as_they_are() -> None:
    """Empty keys, NUL and the empty value are keys and values like others."""
    with KeyIndex() as index:
        assert [] == index.add([(b"", b""), (b"\0", b"1"), (b"\0\0", b"2"), (b"1", b"3")])
        assert b"" == index.pop(b"")
        assert index.pop(b"") is None
        assert b"1" == index.pop(b"\0")
        assert [(b"\0\0", b"2"), (b"1", b"3")] == list(index.items())


def test_an_error_in_what_is_added_comes_out_unchanged() -> None:
    """What the caller's own iterator raises is not taken for a fault of the file."""

    def entries() -> Any:
        yield b"a", b""
        raise KeyError("host")

    with KeyIndex() as index:
        with pytest.raises(KeyError, match="host"):
            index.add(entries())
        assert b"a" in index


def test_threads_may_take_turns() -> None:
    """An export that a server pulls from changing threads can use an index."""
    with KeyIndex() as index:
        found: list[Any] = []

        def work() -> None:
            try:
                index.add([(b"a", b"1")])
                found.append(index.pop(b"a"))
            except Exception as error:  # noqa: BLE001 - told by the assertion
                found.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert [b"1"] == found


def test_a_full_disk_is_a_file_error_of_the_index() -> None:
    """Where the temporary file cannot grow, the error says so and keeps the cause."""
    with KeyIndex() as index:
        index._connection.execute("PRAGMA max_page_count = 8")
        with pytest.raises(
            FileError, match=r"a temporary file cannot be written: .* full"
        ) as caught:
            index.add((n.to_bytes(4, "big"), b"x" * 100) for n in range(100_000))
    assert caught.value.__cause__ is not None


def test_an_index_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is open, and when it is closed, no file of it has a name."""
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    with KeyIndex() as index:
        index.add((n.to_bytes(4, "big") * 20, b"x" * 100) for n in range(30_000))
        assert [] == list(tmp_path.iterdir())
    assert [] == list(tmp_path.iterdir())


ROWS: list[tuple[Any, ...]] = [
    (1, "é\n", b"\0\n", None, 1.5, Decimal("1.10")),
    (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), Interval(1), RawText(b"\xff"), [{"a": 1}]),
]


def test_rows_come_back_as_they_were_in_order() -> None:
    """Values of every kind, JSON_NULL itself among them, batch by batch."""
    with RowQueue() as queue:
        assert [] == list(queue.batches())
        queue.put(ROWS)
        queue.put([])
        queue.put([(JSON_NULL,)])

        assert 3 == queue.count
        assert [ROWS, [(JSON_NULL,)]] == list(queue.batches())
        assert [[(JSON_NULL,)], ROWS] == list(queue.batches(backwards=True))
        assert list(queue.batches())[1][0][0] is JSON_NULL


def test_rows_past_memory_come_back() -> None:
    """A queue that has gone to disk gives the same, again and again."""
    batches = [[(n, "x" * 10_000)] for n in range(200)]
    with RowQueue() as queue:
        for batch in batches:
            queue.put(batch)
        assert queue._file._rolled  # type: ignore[union-attr]
        assert batches == list(queue.batches())
        assert batches == list(queue.batches())


def test_parts_of_a_queue() -> None:
    """Batches are found again by their positions; empty ones have none."""
    with RowQueue() as queue:
        for batch in ([(0,)], [], [(1,), (2,)], [(3,)]):
            queue.put(batch)
        assert 3 == queue.batch_count
        assert [[(1,), (2,)], [(3,)]] == list(queue.part(range(1, 3)))
        assert [] == list(queue.part(range(0)))


@pytest.mark.parametrize("size", [10, 200_000])
def test_rows_put_while_others_are_read_are_not_lost(size: int) -> None:
    """Reading goes on where it was, in memory and while the queue goes to disk."""
    with RowQueue() as queue:
        for n in range(4):
            queue.put([(n, "x" * size)])
        found = []
        for ((number, _),) in queue.batches():
            found.append(number)
            if number < 8:
                queue.put([(number + 4, "x" * size)])
        assert list(range(12)) == found
        assert 12 == queue.count


def test_a_full_disk_is_a_file_error_of_the_queue() -> None:
    """Where the temporary file cannot grow, the error says so and keeps the cause."""

    class Full:
        def seek(self, *where: int) -> None: ...
        def close(self) -> None: ...
        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

    with RowQueue() as queue:
        queue._file.close()
        queue._file = Full()  # type: ignore[assignment]
        with pytest.raises(FileError, match="No space left on device") as caught:
            queue.put([(1,)])
    assert isinstance(caught.value.__cause__, OSError)
