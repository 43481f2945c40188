"""What a comparison reads: archives and stores in any form, and what is wrong with them."""

import gzip
import io
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from databackup import (
    Collection,
    Limits,
    Progress,
    Schema,
    diff,
    export_all,
)
from databackup.adapters.sqlite import SQLiteRepository
from databackup.archive.format import CollectionEnd
from databackup.errors import (
    ArchiveSwapped,
    FileError,
    InvalidRecords,
    LimitExceeded,
    NotAnArchive,
    SealBroken,
    StoreFailed,
    UnknownCollection,
)
from databackup.repository import Row
from tests.support.archives import Lines, edited, exported
from tests.support.club import CLUB, changed_club, club, memory
from tests.support.sqlite import create
from tests.support.wrappers import Passed, PassedSnapshot, unordered


def _edit(change: Any) -> bytes:
    return edited(exported(memory()), CLUB, change)


def _invalid(lines: Lines) -> None:
    lines.collections["members"][1] = b'{"id":"2","name":"Bo","fee":"1","recruited_by":1}'
    lines.collections["log"].append(b'{"line":1,"amount":"1"}')


def _double(lines: Lines) -> None:
    lines.collections["members"].insert(0, lines.collections["members"][0])


def _twisted(lines: Lines) -> None:
    lines.collections["members"].reverse()


@pytest.mark.parametrize(
    "change, codes",
    [
        (_invalid, {"invalid-value": 2}),
        (_double, {"duplicate-key": 1}),
        (_twisted, {"key-order": 3}),
    ],
)
@pytest.mark.parametrize("side", ["a", "b"])
def test_archives_that_are_not_sound(side: str, change: Any, codes: dict[str, int]) -> None:
    """What is wrong with an archive's records is raised as `verify` does, with the side's name."""
    wrong = io.BytesIO(_edit(change))
    sides = (wrong, memory()) if side == "a" else (memory(), wrong)
    with pytest.raises(InvalidRecords, match=f"^{side}: it is not sound") as info:
        diff(*sides)
    found = [problem.code for problem in info.value.problems]
    assert codes == {code: found.count(code) for code in found}


@pytest.mark.parametrize("side", [0, 1])
def test_doubled_keys_out_of_order(side: int) -> None:
    """Where an archive states no order, too, two records of one key are found."""
    archive = edited(exported(unordered(memory())), CLUB, _double)
    sides: list[Any] = [memory(), memory()]
    sides[side] = io.BytesIO(archive)
    with pytest.raises(InvalidRecords, match="the same key"):
        diff(*sides)


def test_totals_are_checked() -> None:
    """Counts and digests of an archive are those of its records, as `verify` has it."""
    lines = Lines.of(exported(memory()))
    ends = {"log": CollectionEnd(3, "0" * 64)}
    with pytest.raises(InvalidRecords, match="digest"):
        diff(memory(), io.BytesIO(lines.sealed(CLUB, ends)))


def test_what_is_not_chosen_is_not_read() -> None:
    """Of an archive's collections those that are not compared are passed over."""
    assert diff(memory(), io.BytesIO(_edit(_invalid)), collections=["teams"]).identical


# -- sources ---------------------------------------------------------------------------------------


def test_paths_and_files(tmp_path: Path) -> None:
    """A side is a path, whatever its compression, an open file from where it stands, or a store."""
    export_all(memory(), tmp_path / "old.json.gz")
    export_all(memory(changed_club()), tmp_path / "new.json")
    expected = diff(memory(), memory(changed_club())).collections
    old = str(tmp_path / "old.json.gz")
    with (tmp_path / "new.json").open("rb") as new:
        found = diff(old, new)
    assert (expected, old, "b") == (found.collections, found.a, found.b)
    file = io.BytesIO(b"before" + gzip.compress(exported(memory(changed_club()))))
    file.seek(6)
    assert expected == diff(tmp_path / "old.json.gz", file, names=("x", "y")).collections
    assert diff(old, old).identical


def test_one_open_file_on_both_sides() -> None:
    """One open file is at one place at a time, so it cannot be both sides."""
    file = io.BytesIO(exported(memory()))
    with pytest.raises(ValueError, match="open it twice"):
        diff(file, file)


def test_one_repository_on_both_sides(tmp_path: Path) -> None:
    """A repository is compared with itself as of one moment, also over a lent connection."""
    path = create(tmp_path / "t.db", CLUB)
    views = []

    class Seen(PassedSnapshot):
        def __init__(self, inner: Any) -> None:
            super().__init__(inner)
            views.append(self)

    store = Passed(SQLiteRepository(path, CLUB), snapshot=Seen)
    assert diff(store, store).identical
    assert 1 == len(views)
    connection = sqlite3.connect(path)
    lent = SQLiteRepository(connection, CLUB)
    assert diff(lent, lent).identical
    connection.close()


def test_a_store_that_somebody_writes(tmp_path: Path) -> None:
    """Two snapshots of one file are read while somebody else holds it for writing."""
    path = create(tmp_path / "t.db", CLUB)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO log VALUES ('x', '1')")
    assert diff(SQLiteRepository(path, CLUB), SQLiteRepository(path, CLUB)).identical
    writer.execute("ROLLBACK")
    writer.close()


def test_archives_of_another_order() -> None:
    """Archives whose collections stand in another order are compared as well."""
    names = ("x", "y", "z")
    data: dict[str, list[Row]] = {name: [(i, name) for i in range(3)] for name in names}

    def archive(*order: str) -> io.BytesIO:
        made = [Collection(name, key="id", fields={"id": int, "v": str}) for name in order]
        return io.BytesIO(exported(memory(data, Schema(collections=made))))

    assert diff(archive("x", "y", "z"), archive("z", "y", "x")).identical
    found = diff(archive("x", "y"), archive("z", "y"))
    assert (3, 3, 3) == (found.added, found.removed, found.unchanged)


def test_archive_is_read_once() -> None:
    """Where both sides have an order in common each archive is read in one pass."""
    full, less = CLUB.collections, [c for c in CLUB.collections if c.name != "log"]
    some = Schema(collections=[Collection("aaa", fields={"v": int}), *less])

    class Watched(io.BytesIO):
        rewinds = 0

        def seek(self, place: int, whence: int = 0, /) -> int:
            self.rewinds += whence == 0 and place == 0
            return super().seek(place, whence)

    one = Watched(exported(memory(None, Schema(collections=full))))
    two = Watched(exported(memory({}, some)))
    diff(one, two)
    assert (2, 2) == (one.rewinds, two.rewinds)  # for the seal, and for the records


@pytest.mark.parametrize("side", ["a", "b"])
def test_archive_that_is_changed_meanwhile(side: str) -> None:
    """An archive that changes while it is read is refused, even behind what is compared."""
    large = memory({**club(), "log": [("x" * 1000, Decimal(1))] * 3000})
    file = io.BytesIO(exported(large))
    place = file.getvalue().rindex(b"xx")

    def swap(_progress: Progress) -> None:
        file.getbuffer()[place : place + 2] = b"yy"

    sides = (file, memory()) if side == "a" else (memory(), file)
    with pytest.raises(ArchiveSwapped, match=f"^{side}: "):
        diff(*sides, collections=["members"], progress=swap)


def test_progress() -> None:
    """Progress is told per batch, of the records of both sides; raising from it ends the work."""
    told: list[Progress] = []
    diff(memory(), memory(changed_club()), collections=["members"], progress=told.append)
    assert {"comparing"} == {progress.stage for progress in told}
    assert [("members", 4, 8), ("members", 8, 8)] == [
        (progress.collection, progress.done, progress.total) for progress in told
    ]

    def stop(_progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diff(memory(), memory(), progress=stop)


def test_chosen_collections() -> None:
    """`collections` names what is compared; what is on neither side is refused."""
    found = diff(memory(), memory(changed_club()), collections=["teams", "plays"])
    assert {"teams", "plays"} == set(found.collections)
    assert found.identical
    assert ["teams"] == list(diff(memory(), memory(), collections="teams").collections)
    with pytest.raises(UnknownCollection, match="no collection 'team'; there are ") as info:
        diff(memory(), memory(), collections=["teams", "team"])
    assert "team" == info.value.name
    empty = memory({}, Schema(collections=[]))
    with pytest.raises(UnknownCollection, match="there are none at all"):
        diff(empty, empty, collections=["teams"])
    assert {"members", "plays", "teams", "log"} == set(info.value.known)


def test_errors_name_the_side(tmp_path: Path) -> None:
    """What is wrong with a side says which it is: by its path or the name that it was given."""
    broken = tmp_path / "broken.json"
    broken.write_bytes(exported(memory()).replace(b"Ana", b"Eva"))
    with pytest.raises(SealBroken, match=rf"^{broken}: the archive was changed"):
        diff(memory(), broken)
    with pytest.raises(NotAnArchive, match=r"^monday: the file is JSON"):
        diff(io.BytesIO(b"{}"), memory(), names=("monday", "tuesday"))
    large = memory({"log": [("x" * 3_000_000, Decimal(1))]})
    with pytest.raises(LimitExceeded, match=r"^b: "):
        diff(memory(), io.BytesIO(exported(large)), limits=Limits(record=1000))
    with pytest.raises(FileError, match=f"^{tmp_path}/none does not exist"):
        diff(tmp_path / "none", broken)

    class Failing(PassedSnapshot):
        def rows(self, collection: Collection, *, batch_size: int = 0) -> Any:
            yield from self.inner.rows(collection)
            raise StoreFailed("the disk is gone")

    with pytest.raises(StoreFailed, match=r"^b: the disk is gone"):
        diff(memory(), Passed(memory(), snapshot=Failing))


@pytest.mark.parametrize(
    "options, error",
    [
        ({"sample": -1}, ValueError),
        ({"sample": True}, ValueError),
        ({"sample": "all"}, ValueError),
        ({"collections": []}, ValueError),
        ({"names": ("a",)}, ValueError),
        ({"limits": 5}, TypeError),
    ],
)
def test_wrong_arguments(options: dict[str, Any], error: type[Exception]) -> None:
    """Wrong options are refused."""
    with pytest.raises(error):
        diff(memory(), memory(), **options)


@pytest.mark.parametrize("wrong", [None, 7, CLUB])
def test_what_is_no_side(wrong: Any) -> None:
    """Something else than a path, a file or a repository is refused."""
    with pytest.raises(TypeError, match="a path, an open file or a repository"):
        diff(memory(), wrong)


def test_reports_are_frozen() -> None:
    """Nobody can change what was found."""
    found = diff(memory(), memory())
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        found.a = "x"  # type: ignore[misc]
