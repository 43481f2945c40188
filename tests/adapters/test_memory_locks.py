"""How the repository in memory keeps transactions apart."""

import threading
from typing import Any

import pytest

from databackup.adapters.memory import MemoryRepository
from databackup.errors import InvalidRecords, StoreLocked
from databackup.schema import Collection, Schema

NOTES = Collection("notes", fields={"text": str})
SCHEMA = Schema(collections=[NOTES])


class Interrupted(Exception):
    """What a host raises."""


def contents() -> dict[str, list[Any]]:
    """Two notes."""
    return {"notes": [{"text": "a"}, {"text": "b"}]}


def count(repository: MemoryRepository) -> int:
    """How many notes a new snapshot shows."""
    with repository.snapshot() as snapshot:
        return snapshot.count(NOTES)


def test_a_second_transaction_of_the_thread_is_refused_at_once() -> None:
    """A transaction within a transaction would wait for itself: it is refused."""
    repository = MemoryRepository(SCHEMA, contents())
    with (
        repository.transaction(),
        pytest.raises(StoreLocked, match="this thread"),
        repository.transaction(wait=60),
    ):
        pass
    with repository.transaction():
        pass


def _in_a_thread(work: Any) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_a_second_thread_waits_and_is_refused() -> None:
    """A transaction of another thread waits as long as it was told, and then is refused."""
    repository = MemoryRepository(SCHEMA, contents())
    refused = []

    def work() -> None:
        with pytest.raises(StoreLocked, match=r"still held the contents after 0\.01 s") as error:
            repository.transaction(wait=0.01).__enter__()
        refused.append(error)

    with repository.transaction():
        _in_a_thread(work)

    assert 1 == len(refused)


def test_a_second_thread_gets_its_turn() -> None:
    """A transaction of another thread that waits long enough sees what the first one wrote."""
    repository = MemoryRepository(SCHEMA, contents())
    counts = []
    waiting = threading.Event()

    def work() -> None:
        waiting.set()
        with repository.transaction(wait=float("inf")) as transaction:
            counts.append(transaction.count(NOTES))

    thread = threading.Thread(target=work)
    with repository.transaction() as transaction:
        thread.start()
        waiting.wait(10)
        transaction.insert(NOTES, [("new",)])
    thread.join(10)

    assert [3] == counts


@pytest.mark.parametrize("lock", [threading.Lock(), threading.RLock()], ids=["Lock", "RLock"])
def test_the_hosts_lock_is_held_and_given_back(lock: Any) -> None:
    """The host's lock is held for a transaction, and free after it, also when it fails."""
    repository = MemoryRepository(SCHEMA, contents(), lock=lock)
    taken = []

    def work() -> None:
        taken.append(lock.acquire(timeout=0))
        if taken[-1]:
            lock.release()

    with repository.transaction():
        _in_a_thread(work)
    _in_a_thread(work)
    with pytest.raises(Interrupted), repository.transaction():
        raise Interrupted
    _in_a_thread(work)
    with repository.snapshot():
        _in_a_thread(work)

    assert [False, True, True, True] == taken


@pytest.mark.parametrize("lock", [threading.Lock(), threading.RLock()], ids=["Lock", "RLock"])
def test_a_snapshot_within_a_transaction_shows_what_is_committed(lock: Any) -> None:
    """The thread of a transaction can open a snapshot, which shows the contents as they are."""
    repository = MemoryRepository(SCHEMA, contents(), lock=lock)
    with repository.transaction() as transaction:
        transaction.clear(NOTES)
        assert 2 == count(repository)
    assert 0 == count(repository)


def test_the_lock_is_given_back_when_the_contents_are_no_rows() -> None:
    """A transaction that cannot be opened leaves the lock free."""
    given: dict[str, list[Any]] = contents()
    given["notes"].append(None)
    repository = MemoryRepository(SCHEMA, given)
    with pytest.raises(InvalidRecords), repository.transaction():
        pass
    given["notes"].pop()

    with repository.transaction(wait=0):
        pass
