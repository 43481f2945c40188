"""The stages of an import: in order, counted to the end, and each a place to cancel."""

import io
import itertools
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databackup import Progress, import_all
from databackup.adapters.sqlite import SQLiteRepository
from databackup.operations.options import Mode
from databackup.testing.strategies import datasets, schemas
from tests.support import sqlite
from tests.support.archives import exported
from tests.support.club import CLUB, changed_club, club, many, memory
from tests.support.stores import STORES

ORDER = [
    "checking",
    "measuring",
    "backing up",
    "verifying",
    ("validating", "writing"),  # collection by collection
    "checking references",
    "reading back",
    "committing",
]
PLACES = {
    stage: place
    for place, found in enumerate(ORDER)
    for stage in (found if isinstance(found, tuple) else (found,))
}


def _require_order(told: list[Progress]) -> None:
    places = [PLACES[step.stage] for step in told]
    assert sorted(places) == places
    parts = [list(group) for _, group in itertools.groupby(told, lambda p: (p.stage, p.collection))]
    names = [(part[0].stage, part[0].collection) for part in parts]
    assert len(names) == len(set(names))  # none is begun twice
    for part in parts:
        done = [step.done for step in part]
        assert sorted(done) == done
        assert {part[0].total} == {step.total for step in part}
        assert part[-1].total == part[-1].done
    # Within a collection validating comes before writing.
    for one, other in itertools.pairwise(names):
        assert (one[0], *other) != ("writing", "validating", one[1])


@settings(max_examples=40)
@given(data=st.data())
def test_in_order_and_to_the_end(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever is imported into whatever: stages come in order, `done` reaches each `total`."""
    schema = data.draw(schemas())
    old, new = data.draw(datasets(schema)), data.draw(datasets(schema))
    store = data.draw(st.sampled_from(sorted(STORES)))
    folder = tmp_path_factory.mktemp("safety") if data.draw(st.booleans()) else None
    told: list[Progress] = []
    with STORES["memory"](schema, new) as source, STORES[store](schema, old) as target:
        archive = exported(source)
        import_all(target, io.BytesIO(archive), safety_backup=folder, progress=told.append)
    _require_order(told)
    stages = {step.stage for step in told}
    assert {"checking", "committing"} <= stages
    assert (
        (bool(folder) and any(old.values())) == ("backing up" in stages) == ("verifying" in stages)
    )
    assert any(new.values()) == ("reading back" in stages)
    assert len(archive) == max(step.total for step in told if step.stage == "checking")


@pytest.mark.parametrize("mode", get_args(Mode))
def test_in_each_mode(mode: Mode) -> None:
    """`merge` and `add` have the same stages; what is written is counted by itself."""
    told: list[Progress] = []
    keyed = [CLUB["members"], CLUB["teams"]]
    schema = type(CLUB)(app="club", version=3, collections=keyed)
    archive = exported(memory(changed_club(), schema))
    import_all(memory(club(), schema), io.BytesIO(archive), mode=mode, progress=told.append)
    _require_order(told)
    written = {p.collection: p.total for p in told if p.stage == "writing"}
    assert {"members": {"replace": 4, "merge": 3, "add": 1}[mode]} == written


def test_bytes_are_told_on_the_way() -> None:
    """The first pass tells how many bytes of the file it has read, about each MiB."""
    told: list[Progress] = []
    archive = exported(memory(many(60_000)))
    import_all(memory({}), io.BytesIO(archive), progress=told.append)
    steps = [step for step in told if step.stage == "checking"]
    assert {("", "bytes", len(archive))} == {(p.collection, p.unit, p.total) for p in steps}
    assert len(archive) // 2**20 <= len(steps) <= len(archive) // 2**20 + 2
    assert len(archive) == steps[-1].done


def test_bytes_count_from_where_a_file_stands() -> None:
    """What is before the archive in an open file is not counted."""
    archive = exported(memory())
    file = io.BytesIO(b"before" + archive)
    file.seek(6)
    told: list[Progress] = []
    import_all(memory({}), file, progress=told.append)
    assert (len(archive), len(archive)) == (told[0].done, told[0].total)


def test_units() -> None:
    """A count is of records, but where a file is read as a whole, and of references."""
    told: list[Progress] = []
    import_all(memory(), io.BytesIO(exported(memory(changed_club()))), progress=told.append)
    units = {step.stage: step.unit for step in told}
    expected = {"checking": "bytes", "checking references": "references"}
    others = ("validating", "writing", "reading back", "committing")
    assert expected | dict.fromkeys(others, "records") == units


class _Cancelled(Exception):
    pass


@pytest.mark.parametrize("stage", sorted(PLACES))
@pytest.mark.parametrize("when", ["first", "last"])
def test_cancelling_in_each_stage(tmp_path: Path, stage: str, when: str) -> None:
    """What progress raises in a stage comes out unchanged, and the store is as it was."""
    path, folder = tmp_path / "club.db", tmp_path / "safety"
    folder.mkdir()
    create = stage == "measuring"
    if create:
        path.touch()
        target = SQLiteRepository.reflect(path, types="declared")
    else:
        target = sqlite.repository(path, CLUB, many(7))
    before = sqlite.dump(path)
    reached: list[Progress] = []

    def cancel(progress: Progress) -> None:
        if progress.stage == stage and (when == "first" or progress.done == progress.total):
            reached.append(progress)
            raise _Cancelled

    options: dict[str, Any] = {"safety_backup": folder, "create": create, "progress": cancel}
    with pytest.raises(_Cancelled):
        import_all(target, io.BytesIO(exported(memory(changed_club()))), **options)
    assert 1 == len(reached)
    assert before == sqlite.dump(path)
    assert [] == list(folder.iterdir())


def test_committing_is_the_last_that_is_told() -> None:
    """It counts the records that the store will have, and nothing follows it."""
    told: list[Progress] = []
    report = import_all(memory(), io.BytesIO(exported(memory({}))), progress=told.append)
    expected = Progress(stage="committing", collection="", done=0, total=0)
    assert (expected, 0) == (told[-1], report.records)
