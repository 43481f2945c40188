"""Archives that omit secrets, read as if they did not: the store's own values are filled in."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

from databackup.archive.digest import Digest
from databackup.archive.records import RecordCodec
from databackup.errors import Problem, RecordsRefused, SecretsMissing
from databackup.operations.filling import Filling
from databackup.operations.fit import has_identity, in_key_order
from databackup.operations.migrating import End
from databackup.schema.narrowed import without
from databackup.schema.secrets import WITHHELD, has_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from databackup.archive.format import Header
    from databackup.archive.records import Batch
    from databackup.operations.filling import Finder
    from databackup.operations.readable import Readable, ReadRecords, Total
    from databackup.repository import Repository, Transaction
    from databackup.schema import Schema


@contextlib.contextmanager
def completed(
    archive: Readable, repository: Repository, transaction: Transaction
) -> Iterator[Readable]:
    """An archive whose records have what it omits: as the store has it, or by default.

    Raises `SecretsMissing` where the store's own cannot be found for want of a key.
    """
    if not archive.header.omitted:
        yield archive
        return
    complete = CompletedArchive(archive, repository, transaction)
    with contextlib.closing(complete):
        complete.require_keys()
        yield complete


@contextlib.contextmanager
def withholding(schema: Schema) -> Iterator[None]:
    """Pass a store's refusal on without its words where these may show secrets.

    Servers show whole records. Raises `RecordsRefused`.
    """
    try:
        yield
    except RecordsRefused as error:
        if not any(map(has_secrets, schema.collections)):
            raise
        message = f"the store refuses records: {WITHHELD}"
        raise RecordsRefused(message, error.field) from None


def secrets_kept(archive: Readable) -> Mapping[str, int]:
    """By field, how many secrets that an archive omits the store had."""
    return archive.counts("kept") if isinstance(archive, CompletedArchive) else {}


def secrets_defaulted(archive: Readable) -> Mapping[str, int]:
    """By field, how many secrets that an archive omits new records got by default."""
    return archive.counts("defaulted") if isinstance(archive, CompletedArchive) else {}


class CompletedArchive:
    """An archive with the secrets that the store of one transaction has.

    It is read like an `Archive`. What is filled in is remembered once a collection was read to its
    end, so that its records stay the same, whatever is written meanwhile.
    """

    def __init__(self, archive: Readable, repository: Repository, transaction: Transaction) -> None:
        self.incomplete = archive
        self.header: Header = archive.header
        self.seal = archive.seal
        self._transaction = transaction
        schema, omitted = repository.schema, archive.header.omitted
        recorded = without(schema, omitted)
        ordered = repository.capabilities.ordered_rows
        self._fillings = {
            name: Filling(
                schema[name],
                recorded[name],
                in_order=name in ordered and in_key_order(self.header, schema[name]),
            )
            for name in omitted
            if name in schema
        }
        self.ends: Mapping[str, Total] = {
            name: End(self, name) if name in self._fillings else end
            for name, end in archive.ends.items()
        }

    def close(self) -> None:
        """Forget what was filled in."""
        for filling in self._fillings.values():
            filling.close()

    def require_keys(self) -> None:
        """See that records can be told apart where the store has any. Raises `SecretsMissing`."""
        problems = [
            Problem(
                code="secret-omitted",
                message="the archive omits it, and no key tells whose value of the store's to keep",
                collection=name,
                field=", ".join(filling.names),
            )
            for name, filling in self._fillings.items()
            if not has_identity(self.header, filling.collection)
            and self.incomplete.ends[name].count
            and self._transaction.count(filling.collection)
        ]
        if problems:
            what = "the import was refused and nothing was changed"
            raise SecretsMissing.of(what, problems)

    def counts(self, what: str) -> dict[str, int]:
        """By field, how many values were `kept` or `defaulted`."""
        return {
            f"{name}.{field}": number
            for name, filling in self._fillings.items()
            if (number := getattr(filling, what))
            for field in filling.names
        }

    def collections(self) -> Iterator[tuple[str, ReadRecords]]:
        """Each collection's name, and a function that reads its records: see `Archive`."""
        for name, read in self.incomplete.collections():
            filling = self._fillings.get(name)
            complete = functools.partial(self._batches, filling, read) if filling else read
            yield name, complete

    def count_of(self, name: str) -> int:
        """How many records a collection has."""
        return self.incomplete.ends[name].count

    def digest_of(self, name: str) -> str:
        """The digest of a collection, found by reading it."""
        digest = Digest(name)
        for found, read in self.collections():
            if found == name:
                for batch in read(RecordCodec(self._fillings[name].collection)):
                    digest.add(batch.canonical)
        return digest.hex

    def _batches(
        self, filling: Filling, read: ReadRecords, codec: RecordCodec, *, digests: bool = True
    ) -> Iterator[Batch]:
        del digests  # which are always needed: what is read back has more in it than the file
        # The store is asked at once: within a bulk insert it answers nothing.
        finder = filling.finder(self._transaction)
        return self._completed(filling, read(RecordCodec(filling.recorded)), codec, finder)

    def _completed(
        self, filling: Filling, batches: Iterator[Batch], codec: RecordCodec, finder: Finder
    ) -> Iterator[Batch]:
        name = filling.collection.name
        digest = Digest(name)
        for batch in filling.completed(batches, codec, finder):
            digest.add(batch.canonical)
            yield batch
        end = self.ends[name]
        if isinstance(end, End) and digest.count == end.count:
            end.note(digest.hex)
