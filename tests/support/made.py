"""A repository of many records that nobody holds: each batch is made when it is pulled."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager

from databackup import Collection, Schema
from databackup.repository import Capabilities, Key, Row, Snapshot, Transaction

BATCH = 100


class Made:
    """A repository of `size` records that are made as they are pulled, a batch at a time."""

    def __init__(
        self, size: int, value: Callable[[int], str], *, key: str = "", ordered: bool = False
    ) -> None:
        fields = {"id": int, "v": str}
        self.schema = Schema(collections=[Collection("t", key=key or (), fields=fields)])
        self.capabilities = Capabilities(
            name="made",
            consistent_snapshot=True,
            atomic=False,
            savepoints=False,
            ordered_rows=frozenset({"t"} if ordered else ()),
            suspends_triggers=False,
        )
        self.pulled = 0
        self._size = size
        self._value = value

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        yield self

    def transaction(self, *, wait: float = 5.0) -> AbstractContextManager[Transaction]:
        raise NotImplementedError

    def count(self, collection: Collection) -> int:
        return self._size

    def rows(self, collection: Collection, *, batch_size: int = BATCH) -> Iterator[list[Row]]:
        for start in range(0, self._size, BATCH):
            self.pulled += 1
            yield [(i, self._value(i)) for i in range(start, min(start + BATCH, self._size))]

    def get(self, collection: Collection, keys: Iterable[Key]) -> list[Row]:
        raise NotImplementedError

    def counters(self) -> Mapping[str, int]:
        return {}
