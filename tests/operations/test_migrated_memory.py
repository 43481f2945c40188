"""Old archives of many records take no more memory than small ones, and leave no files."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from databackup import Collection, Recorder, Reference, import_all, migrate_archive, migration
from databackup.errors import ArchiveError, InvalidRecords
from tests.archive.support import resealed
from tests.support.club import memory
from tests.support.migrating import archive_of, of_today, old, rows_in

_CHILD = """
import json, pathlib, resource, sys
from databackup import *
from databackup.errors import InvalidRecords
from databackup.schema.versions import FrozenVersion
from tests.support.made import Made

folder, size, fails = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "fails"
people = Collection("people", key="id", fields={"id": int, "name": str, "city": str})
menus = Collection("menus", key="id", fields={"id": int, "cook": int},
                   references=[Reference("cook", "people")])
first = Schema(app="a", version=1, collections=[people, menus])
(folder / "v1.json").write_text(FrozenVersion.of(first).to_text())

class Store(Made):
    def __init__(self):
        super().__init__(size, str)
        self.schema = first
    def rows(self, collection, *, batch_size=1000):
        for start in range(0, size, 1000):
            numbers = range(start, min(start + 1000, size))
            if collection.name == "people":
                yield [(i, "n" * 50, "c" * 50) for i in numbers]
            else:
                yield [(i, i) for i in numbers]

def mapped(record):
    if fails:
        raise ValueError("x" * 400)
    return record

@migration(1, 2)
def step(m):
    m.map_records("people", mapped)
    m.split_collection("people", "names", fields=["name"])
    m.move_field("people", "city", "menus", via="cook")

second = Schema(app="a", version=2, migrations=[step], versions=folder, collections=[
    Collection("people", key="id", fields={"id": int}),
    Collection("names", key="id", fields={"id": int, "name": str}),
    Collection("menus", key="id", fields={"id": int, "cook": int, "city": str},
               references=[Reference("cook", "people")])])
export_all(Store(), folder / "old.json")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    records = migrate_archive(folder / "old.json", folder / "new.json", second).records
except InvalidRecords as error:
    records = -error.total
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"records": records, "grown": after - before}))
"""


def _run(folder: Path, size: int, *, fails: bool = False) -> dict[str, int]:
    folder.mkdir()
    temporary = folder / "tmp"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder), str(size), "fails" if fails else "works"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary), "SQLITE_TMPDIR": str(temporary)},
        cwd=Path(__file__).parents[2],
    )
    assert [] == list(temporary.iterdir()), "files are left"
    assert fails != (folder / "new.json").exists()
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_memory(tmp_path: Path) -> None:
    """200,000 records, split and looked up, take a few megabytes more than 10,000."""
    small, large = _run(tmp_path / "a", 10_000), _run(tmp_path / "b", 200_000)
    assert (30_000, 600_000) == (small["records"], large["records"])
    assert large["grown"] - small["grown"] < 25_000


@pytest.mark.slow
def test_memory_of_failures(tmp_path: Path) -> None:
    """Nor do they where each fails, in lookups, too."""
    found = _run(tmp_path / "a", 100_000, fails=True)
    assert -10_000 == found["records"]
    assert found["grown"] < 40_000


# -- a file that is changed while it is read -------------------------------------------------------

PEOPLE = Collection("people", key="id", fields={"id": int, "city": str})
MENUS = Collection(
    "menus", key="id", fields={"id": int, "cook": int}, references=[Reference("cook", "people")]
)
NEW = (
    Collection("people", key="id", fields={"id": int}),
    Collection(
        "menus",
        key="id",
        fields={"id": int, "cook": int, "city": str},
        references=[Reference("cook", "people")],
    ),
)


@migration(1, 2)
def moved(m: Recorder) -> None:
    """The city goes to the menus."""
    m.move_field("people", "city", "menus", via="cook")


class Changing(io.BytesIO):
    """A file whose bytes are others from one pass on, and may be the first ones again."""

    def __init__(self, data: bytes, other: bytes, passes: set[int]) -> None:
        super().__init__(data)
        self._data = (data, other)
        self._wanted = passes
        self._passes = -1

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Each pass begins at the start."""
        if whence == 0 and offset == 0:
            self._passes += 1
            position = self.tell()
            super().seek(0)
            self.truncate()
            self.write(self._data[self._passes in self._wanted])
            super().seek(position)
        return super().seek(offset, whence)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "another value": lambda data: data.replace(b"Rom", b"Ulm"),
    "another value, sealed anew": lambda data: resealed(data.replace(b"Rom", b"Ulm")),
    "truncated": lambda data: data[: data.index(b"Rom")],
    "no JSON": lambda data: data.replace(b'"Rom"', b'"Rom?'),
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize(
    "passes", [{n} for n in range(1, 6)] + [set(range(n, 99)) for n in range(1, 6)], ids=str
)
def test_swapped(tmp_path: Path, name: str, passes: set[int]) -> None:
    """Whenever it happens, nothing is taken from what was not sealed."""
    first = old(tmp_path, PEOPLE, MENUS)
    new = of_today(tmp_path, NEW, moved)
    data = archive_of(first, {"people": [(1, "Rom"), (2, "Bern")], "menus": [(1, 1), (2, 1)]})
    changed = CHANGES[name](data)
    repository = memory({}, new)
    sound = {"people": [(1,), (2,)], "menus": [(1, 1, "Rom"), (2, 1, "Rom")]}
    source = Changing(data, changed, passes)
    try:
        import_all(repository, source)
    except (ArchiveError, InvalidRecords):
        assert {"people": [], "menus": []} == rows_in(repository)
    else:
        assert sound == rows_in(repository)


def test_changing_is_noticed(tmp_path: Path) -> None:
    """The test before does change what is read."""
    first = old(tmp_path, PEOPLE, MENUS)
    new = of_today(tmp_path, NEW, moved)
    data = archive_of(first, {"people": [(1, "Rom")], "menus": [(1, 1)]})
    source = Changing(data, CHANGES["another value, sealed anew"](data), set(range(1, 99)))
    with pytest.raises((ArchiveError, InvalidRecords)):
        migrate_archive(source, io.BytesIO(), new)
