"""How far a compressed file may expand, and what an export says that its import will need."""

from __future__ import annotations

import io
import math
import random
import re
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup import Limits, export_all, import_all, inspect_archive, iter_export
from databackup.adapters.memory import MemoryRepository
from databackup.archive import compression, writer
from databackup.archive.compression import Ratio, compress, decompress, needed_expansion
from databackup.archive.writer import ArchiveWriter
from databackup.errors import LimitExceeded
from databackup.schema import Collection, Schema
from tests.archive.support import archive_of, header_of, packed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from databackup.archive.compression import Compression

BOTH = pytest.mark.parametrize("packing", ["gzip", "zstd"])
LOG = Schema(collections=[Collection("log", fields={"text": str})])
BLOBS = Schema(collections=[Collection("blobs", key="id", fields={"id": int, "data": bytes})])
SUFFIXES = {"gzip": ".gz", "zstd": ".zst"}


@pytest.fixture
def harmless(monkeypatch: pytest.MonkeyPatch) -> int:
    """Ratios count from a few bytes on, so that small archives will do."""
    monkeypatch.setattr(compression, "_HARMLESS", 10_000)
    return 10_000


def _log(lines: int) -> bytes:
    return archive_of(LOG, {"log": [("the same again",)] * lines})


# -- reading -----------------------------------------------------------------------------------


@BOTH
@pytest.mark.usefixtures("harmless")
def test_expansion(packing: Compression) -> None:
    """A file may expand to as many times its size as the limit says, and no more."""
    archive = _log(20_000)
    file = packed(archive, packing)
    ratio = math.ceil(len(archive) / min(len(file), compression._PIECE))
    for limit in (ratio, None):
        inspect_archive(io.BytesIO(file), limits=Limits(expansion=limit))
    with pytest.raises(LimitExceeded, match=f"the {packing} stream expands to more") as caught:
        inspect_archive(io.BytesIO(file), limits=Limits(expansion=ratio - 1))
    assert ("expansion", ratio - 1) == (caught.value.limit, caught.value.allowed)


@BOTH
def test_small_archives_expand_as_they_like(packing: Compression) -> None:
    """Up to 128 MiB do no harm, whatever the ratio: a log of one line again and again is honest."""
    archive = _log(20_000)
    file = packed(archive, packing)
    assert len(archive) > 100 * len(file)
    inspect_archive(io.BytesIO(file), limits=Limits(expansion=1))
    assert 128 * 1024 * 1024 == compression._HARMLESS


def test_a_plain_file_has_no_ratio(harmless: int) -> None:
    """What is not compressed expands to its own size."""
    archive = _log(5000)
    assert len(archive) > harmless
    inspect_archive(io.BytesIO(archive), limits=Limits(expansion=1))


@pytest.mark.parametrize("packing, expected", [("gzip", 200), ("zstd", 2500), (None, None)])
def test_the_default_goes_by_compression(packing: Compression | None, expected: int | None) -> None:
    """Repetition takes zstd less room by far than gzip; a limit that is set holds for both."""
    assert expected == Limits().expansion_of(packing)
    assert (packing and 7) == Limits(expansion=7).expansion_of(packing)
    assert Limits(expansion=None).expansion_of(packing) is None


@BOTH
@pytest.mark.usefixtures("harmless")
def test_a_bomb_is_refused_early(packing: Compression) -> None:
    """No more is expanded than the limit lets through, and what a piece of the file may hold."""
    file = packed(b"\0" * 50_000_000, packing)
    taken: list[int] = []
    with pytest.raises(LimitExceeded):
        taken.extend(map(len, decompress([file], packing, 100)))
    assert sum(taken) <= 100 * compression._PIECE + compression.CHUNK


# -- what an export says -----------------------------------------------------------------------

segments = st.lists(
    st.builds(lambda unit, times: unit * times, st.binary(max_size=40), st.integers(1, 400))
)


@BOTH
@given(chunks=segments, sizes=st.tuples(*[st.integers(1, 3000)] * 3), harmless=st.integers(0, 9000))
def test_no_reader_meets_a_larger_ratio_than_the_writer(
    packing: Compression, chunks: list[bytes], sizes: tuple[int, int, int], harmless: int
) -> None:
    """The limit that a writer finds necessary is enough for its reader, in whatever pieces."""
    written, chunk, piece = sizes
    with (
        mock.patch.object(compression, "_HARMLESS", harmless),
        mock.patch.object(compression, "CHUNK", chunk),
        mock.patch.object(compression, "_PIECE", piece),
    ):
        ratio = Ratio()
        file = b"".join(compress(chunks, packing, ratio))
        pieces = [file[start : start + written] for start in range(0, len(file), written)]
        limit = max(math.ceil(ratio.largest), 1)
        assert b"".join(chunks) == b"".join(decompress(pieces, packing, limit))


def _needs(warnings: tuple[str, ...]) -> dict[str, int]:
    found = [re.search(r"Limits\((\w+)=(\d+)\) in Python, --limit \1=\2 on", w) for w in warnings]
    return {match[1]: int(match[2]) for match in found if match}


@BOTH
@pytest.mark.usefixtures("harmless")
def test_an_export_names_the_expansion_that_its_import_needs(
    packing: Compression, tmp_path: Path
) -> None:
    """What the defaults would refuse is not written in silence; what they take is."""
    file = tmp_path / f"backup.json{SUFFIXES[packing]}"
    repository = MemoryRepository(LOG, {"log": [{"text": "the same again"}] * 20_000})
    with mock.patch.dict(compression.EXPANSION, {packing: 60}):
        needs = _needs(export_all(repository, file).warnings)
        assert ["expansion"] == list(needs)
        with pytest.raises(LimitExceeded):
            import_all(repository, file)
        report = import_all(repository, file, limits=Limits(expansion=needs["expansion"]))
        assert 20_000 == report.unchanged
        few = MemoryRepository(LOG, {"log": [{"text": "the same again"}] * 100})
        assert () == export_all(few, file).warnings
        import_all(few, file)


@pytest.mark.parametrize("length", [990, 1000, 5000])
def test_an_export_names_the_record_that_its_import_needs(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest record is measured, to its comma, where one is beyond the default."""
    monkeypatch.setattr(writer, "DEFAULTS", Limits(record=1000))
    texts = ["a", "b" * (length - len('{"text":""},')), "c"]
    repository = MemoryRepository(LOG, {"log": [{"text": text} for text in texts]})
    file = io.BytesIO()
    needs = _needs(export_all(repository, file).warnings)
    assert ({"record": length} if length > 1000 else {}) == needs
    for limit, refused in ((length, False), (length - 1, True)):
        file.seek(0)
        with pytest.raises(LimitExceeded) if refused else mock.MagicMock():
            import_all(repository, file, limits=Limits(record=limit))


@pytest.mark.parametrize("collections, longest", [(1, b'"schema_digest"'), (9, b'"end"')])
def test_an_export_names_the_header_that_its_import_needs(
    collections: int, longest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header's lines have a default, and that of the totals, which may be longer."""
    schema = Schema(
        collections=[Collection(f"c{n}", fields={"a": int}) for n in range(collections)]
    )
    repository = MemoryRepository(schema, {f"c{n}": [] for n in range(collections)})
    file = io.BytesIO()
    assert () == export_all(repository, file).warnings
    line = max(file.getvalue().split(b"\n"), key=len)
    assert line.startswith(longest)
    monkeypatch.setattr(writer, "DEFAULTS", Limits(header=len(line) - 1))
    assert {"header": len(line) + 1} == _needs(export_all(repository, io.BytesIO()).warnings)


def test_the_longest_of_all_batches_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter record in a later batch does not take the place of a longer one."""
    monkeypatch.setattr(writer, "DEFAULTS", Limits(record=100))
    made = ArchiveWriter(header_of(LOG))
    batches = [[("x" * length,)] for length in (10, 300, 200)]
    b"".join(made.chunks([(LOG["log"], batches)]))
    assert {"record": len(b'{"text":""},') + 300} == made.needs


def test_what_is_needed_is_a_whole_number() -> None:
    """A ratio between two limits needs the higher one."""
    ratio = Ratio()
    ratio.add_packed(200_000)
    ratio.add_plain(200_000 * 1000 + 1)
    assert 1001 == needed_expansion("gzip", ratio)
    assert needed_expansion("zstd", ratio) is None


@BOTH
@pytest.mark.usefixtures("harmless")
def test_the_worst_place_counts(packing: Compression) -> None:
    """A reader stops where much comes out of little, however dense the rest is."""
    ratio = Ratio()
    chunks = [b"same" * 200_000, random.Random(1).randbytes(800_000)]
    file = b"".join(compress(chunks, packing, ratio))
    assert ratio.largest > 100
    assert sum(map(len, chunks)) < 10 * len(file)


def test_a_stream_compresses_as_before() -> None:
    """An export in pieces is the same bytes, whoever measures its ratio."""
    repository = MemoryRepository(LOG, {"log": [{"text": "x"}] * 10})
    file = b"".join(iter_export(repository, compression="gzip"))
    assert b'"text":"x"' in b"".join(decompress([file], "gzip"))
    assert needed_expansion(None, Ratio()) is None


# -- with the real limits ----------------------------------------------------------------------


def _sparse(rows: int) -> Iterator[bytes]:
    nulls = ",".join(f'"column_{number}":null' for number in range(20))
    for start in range(0, rows, 1000):
        yield "".join(f'{{"id":{n},{nulls}}},\n' for n in range(start, start + 1000)).encode()


@pytest.mark.slow
@BOTH
def test_a_sparse_table_passes(packing: Compression) -> None:
    """A large table of twenty empty columns is honest, and expands a hundredfold or more."""
    ratio = Ratio()
    limit = Limits().expansion_of(packing)
    file = list(compress(_sparse(500_000), packing, ratio))
    assert ratio.largest > 90
    assert needed_expansion(packing, ratio) is None
    size = sum(map(len, decompress(file, packing, limit)))
    assert size > compression._HARMLESS


@pytest.mark.slow
def test_a_large_blob(tmp_path: Path) -> None:
    """A blob that makes a record beyond 64 MiB is exported with a warning, and imported by it."""
    blob = bytes(range(256)) * 200_000
    repository: Any = MemoryRepository(BLOBS, {"blobs": [{"id": 1, "data": blob}]})
    needs = _needs(export_all(repository, tmp_path / "blob.json").warnings)
    assert ["record"] == list(needs)
    store: dict[str, Any] = {"blobs": []}
    with pytest.raises(LimitExceeded, match="'record'"):
        import_all(MemoryRepository(BLOBS, store), tmp_path / "blob.json")
    limits = Limits(record=needs["record"])
    import_all(MemoryRepository(BLOBS, store), tmp_path / "blob.json", limits=limits)
    assert [{"id": 1, "data": blob}] == store["blobs"]
