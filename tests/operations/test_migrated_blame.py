"""What is wrong with records that were migrated: by which steps, and what the records were."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from databackup import (
    Collection,
    Migration,
    Recorder,
    Schema,
    export_all,
    import_all,
    migrate_archive,
    migration,
    verify_archive,
)
from databackup.errors import InvalidRecords, MadeOf, Problem, RecordsNotTaken
from tests.archive.support import resealed
from tests.support import sqlite
from tests.support.club import memory
from tests.support.migrating import (
    FIRST,
    PEOPLE,
    ROWS,
    after,
    archive_of,
    failing,
    of_today,
    old,
    restored,
    step,
)

SAME: dict[str, list[Any]] = {
    "people": [(1, "Ana", None), (2, "Bo", None), (3, "Ana", None)],
    "menus": [(1, "soup", 3), (2, "pie", 2)],
}
MENUS_ALONE = Collection("menus", key="id", fields={"id": int, "dish": str, "cook_id": int | None})


def told(
    tmp_path: Path, *records: Callable[[Recorder], None], first: Schema | None = None
) -> Problem:
    """The only problem of the archive after some steps: of import, verify and migrate alike."""
    steps = [migration(n, n + 1, record) for n, record in enumerate(records, 1)]
    first = old(tmp_path, PEOPLE, MENUS_ALONE) if first is None else first
    new = after(tmp_path, *steps, first=first)
    (problem,) = failing(new, archive_of(first, SAME)).problems
    return problem


# -- keys ------------------------------------------------------------------------------------------


def by_name(m: Recorder) -> None:
    """Lets the name be the key."""
    m.rename_collection("people", "cooks")
    m.change_key("cooks", "name")


def test_duplicates_of_another_key(tmp_path: Path) -> None:
    """The step that made it the key; the record in the file with its key there, and the key now."""
    problem = told(tmp_path, by_name)
    assert (
        "after the migration 1 to 2 (by_name), change_key cooks to name: another record has the "
        "same key"
    ) == problem.message
    assert ("cooks", 3, ("Ana",)) == (problem.collection, problem.record, problem.key)
    assert MadeOf("people", 3, (3,)) == problem.made_of
    assert "/data/people/2" == problem.pointer
    assert str(problem).startswith(
        "cooks, record 3, key 'Ana', field name (made of people, record 3, key 3): after the"
    )
    assert {"collection": "people", "record": 3, "key": [3]} == problem.as_json()["made_of"]


def shorter(m: Recorder) -> None:
    """Makes text of the key, and renames it."""
    m.change_kind("people", "id", str, using=str)
    m.change_kind("people", "city", str, default="?")
    m.rename_field("people", "id", "no")


def halved(record: dict[str, Any]) -> dict[str, Any]:
    """A record with another key."""
    return record | {"no": "0" if record["no"] < "3" else "1"}


def half(m: Recorder) -> None:
    """Gives two records one key."""
    m.rename_collection("people", "cooks")
    m.map_records("cooks", halved, changes_key=True)
    m.map_records("menus", dict)


def unrelated(m: Recorder) -> None:
    """Does nothing to keys."""
    m.add_field("cooks", "more", int, default=5)
    m.map_records("cooks", dict)
    m.change_key("menus", ["id", "dish"])


def test_duplicates_of_changed_values(tmp_path: Path) -> None:
    """Every operation that has made values of the key is named, by step, and no other."""
    problem = told(tmp_path, shorter, half, unrelated)
    assert (
        "after the migration 1 to 2 (shorter), change_kind people.id to str using str; "
        "the migration 2 to 3 (half), map_records cooks using halved: "
        "another record has the same key"
    ) == problem.message
    assert ("cooks", 2, ("0",)) == (problem.collection, problem.record, problem.key)
    assert MadeOf("people", 2, (2,)) == problem.made_of


def test_the_key_before_has_nothing_to_do_with_it(tmp_path: Path) -> None:
    """Of several changes of the key the last one is named."""

    def twice(m: Recorder) -> None:
        m.change_key("people", ["id", "name"])
        m.change_key("people", ["name", "id"])
        m.change_key("people", "name")

    assert "after the migration 1 to 2 (twice), change_key people to name: another" in str(
        told(tmp_path, twice)
    )


def test_many_operations(tmp_path: Path) -> None:
    """Five of a step are named."""

    def many(m: Recorder) -> None:
        for _ in range(6):
            m.change_kind("people", "name", str, using=str.lower)
        m.change_key("people", "name")

    message = told(tmp_path, many).message
    assert 5 == message.count("change_kind people.name to str using str.lower, ")
    assert message.endswith("str.lower, and 2 more: another record has the same key")


def test_duplicates_in_the_file_itself(tmp_path: Path) -> None:
    """They are told as what they are: no step is to blame."""
    new = after(tmp_path, step(by_name), first=old(tmp_path, PEOPLE))
    archive = archive_of(
        Schema(app="club", collections=[PEOPLE]), {"people": [(1, "Ana", None), (2, "Bo", None)]}
    )
    error = failing(new, resealed(archive.replace(b'"id":2', b'"id":1')))
    (found,) = [problem for problem in error.problems if problem.code == "duplicate-key"]
    assert ("people", 2, (1,), None) == (
        found.collection, found.record, found.key, found.made_of
    )  # fmt: skip
    assert "another record has the same key" == found.message


def test_a_key_that_was_moved_here(tmp_path: Path) -> None:
    """A field is followed to where it came from, and what was done to it there is named."""
    first = old(tmp_path, PEOPLE, FIRST["menus"])

    def upper(m: Recorder) -> None:
        m.change_kind("people", "name", str, using=str.upper)
        m.rename_field("people", "name", "called")

    def moved(m: Recorder) -> None:
        m.move_field("people", "called", "menus", via="cook_id", default="?")
        m.change_key("menus", "called")

    new = after(tmp_path, migration(1, 2, upper), migration(2, 3, moved), first=first)
    rows = {**SAME, "menus": [(5, "soup", 1), (6, "pie", 3)]}
    (problem,) = failing(new, archive_of(first, rows)).problems
    assert problem.message.startswith(
        "after the migration 1 to 2 (upper), change_kind people.name to str using str.upper; "
        "the migration 2 to 3 (moved), move_field people.called to menus by cook_id, "
        "change_key menus to called: another"
    )
    assert ("menus", 2, ("ANA",)) == (problem.collection, problem.record, problem.key)
    assert MadeOf("menus", 2, (6,)) == problem.made_of


def test_a_key_of_what_was_split_off(tmp_path: Path) -> None:
    """A collection that was split off is made of the whole one's records."""

    def split(m: Recorder) -> None:
        m.change_kind("people", "name", str, using=str.upper)
        m.split_collection("people", "names", fields="name")
        m.change_key("names", "name")

    problem = told(tmp_path, split)
    assert problem.message.startswith(
        "after the migration 1 to 2 (split), change_kind people.name to str using str.upper, "
        "split_collection people into names (name), change_key names to name: another"
    )
    assert ("names", 3, ("ANA",)) == (problem.collection, problem.record, problem.key)
    assert MadeOf("people", 3, (3,)) == problem.made_of


# -- references ------------------------------------------------------------------------------------


def linked(m: Recorder) -> None:
    """Lets menus refer to people, whom they did not have to."""
    m.rename_collection("menus", "meals")
    m.rename_collection("people", "cooks")
    m.rename_field("meals", "cook_id", "cook")
    m.add_reference("meals", "cook", "cooks")


def dangling(
    tmp_path: Path, *steps: Migration, first: Schema | None = None, **rows: Any
) -> Problem:
    """The only dangling reference, as import and verify tell it; kept, it is a warning."""
    first = old(tmp_path, PEOPLE, MENUS_ALONE) if first is None else first
    new = after(tmp_path, *steps, first=first)
    archive = archive_of(first, {**SAME, **rows})
    with pytest.raises(InvalidRecords) as caught:
        restored(new, archive)
    with pytest.raises(InvalidRecords) as seen:
        verify_archive(io.BytesIO(archive), new)
    assert caught.value.problems == seen.value.problems
    report = verify_archive(io.BytesIO(archive), new, dangling="keep")
    assert (str(caught.value.problems[0]),) == report.warnings
    kept = import_all(memory({}, new), io.BytesIO(archive), dangling="keep")
    assert report.warnings == kept.warnings
    (problem,) = caught.value.problems
    return problem


def test_a_reference_that_is_new(tmp_path: Path) -> None:
    """The step that added it; the record in the file, with its key there."""

    def anew(m: Recorder) -> None:
        m.change_key("meals", ["dish", "id"])

    steps = [migration(1, 2, linked), migration(2, 3, anew)]
    problem = dangling(tmp_path, *steps, menus=[(7, "soup", 3), (8, "pie", 9)])
    assert (
        "after the migration 1 to 2 (linked), add_reference meals (cook) to cooks: "
        "points at cooks int 9, which is not there"
    ) == problem.message
    assert ("meals", 2, ("pie", 8), "cook") == (
        problem.collection, problem.record, problem.key, problem.field
    )  # fmt: skip
    assert MadeOf("menus", 2, (8,)) == problem.made_of
    assert "/data/menus/1" == problem.pointer


@pytest.mark.parametrize("side", ["menus", "people"])
def test_a_reference_whose_values_changed(tmp_path: Path, side: str) -> None:
    """What was done at either end is named, and nothing else."""

    def more(m: Recorder) -> None:
        if side == "menus":
            m.change_kind("menus", "cook_id", int | None, using=lambda value: value + 1)
        else:
            m.change_kind(
                "people", "id", int, using=lambda value: value + 1 if value > 2 else value
            )
        m.change_kind("menus", "dish", str, using=str.upper)
        m.change_kind("people", "name", str, using=str.upper)

    first = old(tmp_path, PEOPLE, FIRST["menus"])
    problem = dangling(tmp_path, step(more), first=first)
    changed = {"menus": "menus.cook_id to int or null", "people": "people.id to int"}[side]
    assert problem.message.startswith(
        f"after the migration 1 to 2 (more), change_kind {changed} using {more.__qualname__}"
    )
    assert ", " not in problem.message.partition(": points")[0].partition("using")[2]
    assert 1 == problem.record


def test_a_reference_that_dangled_before(tmp_path: Path) -> None:
    """No step is named where none has to do with it; the record is."""
    first = old(tmp_path, PEOPLE, FIRST["menus"])
    plain = migration(1, 2, lambda m: m.rename_collection("menus", "meals"))
    problem = dangling(tmp_path, plain, first=first, menus=[(1, "soup", 9)])
    assert "points at people int 9, which is not there" == problem.message
    assert MadeOf("menus", 1, (1,)) == problem.made_of


def test_a_reference_to_what_is_made_anew(tmp_path: Path) -> None:
    """A collection that was removed, and is there again without records, is named."""

    def emptied(m: Recorder) -> None:
        m.remove_reference("menus", "cook_id", "people")
        m.remove_collection("people")
        m.add_collection("people", fields={"id": int}, key="id")
        m.add_reference("menus", "cook_id", "people")

    first = old(tmp_path, PEOPLE, FIRST["menus"])
    problem = dangling(tmp_path, step(emptied), first=first, menus=[(1, "soup", 1)])
    assert problem.message.startswith(
        "after the migration 1 to 2 (emptied), add_collection people, add_reference menus "
        "(cook_id) to people: points at"
    )


# -- models ----------------------------------------------------------------------------------------


@attrs.define
class Cook:
    """A cook of today."""

    no: int
    name: str = attrs.field(validator=attrs.validators.max_len(3))
    city: str | None = None

    def __attrs_post_init__(self) -> None:
        """Nobody of this name may be from there."""
        if (self.name, self.city) == ("BO", "?"):
            raise ValueError("Bo is from somewhere")


def upper(m: Recorder) -> None:
    """Writes names otherwise."""
    m.rename_collection("people", "cooks")
    m.rename_field("cooks", "id", "no")
    m.change_kind(
        "cooks", "name", str, using=lambda name: name.upper() * (1 if name == "Bo" else 2)
    )


def cities(m: Recorder) -> None:
    """Fills cities in."""
    m.change_kind("cooks", "city", str | None, default="?")


def test_what_a_model_refuses(tmp_path: Path) -> None:
    """The steps that made the field's value; those of the whole record where no field is named."""
    first = old(tmp_path, PEOPLE)
    steps = [migration(1, 2, upper), migration(2, 3, cities)]
    new = of_today(tmp_path, [Collection.of(Cook, "cooks", key="no")], *steps)
    archive = archive_of(first, {"people": [(1, "Bo", None), (5, "Ana", "Rom")]})
    with pytest.raises(InvalidRecords) as caught:
        restored(new, archive)
    whole, name = caught.value.problems
    kind = f"change_kind cooks.name to str using {upper.__qualname__}.<locals>.<lambda>"
    assert (
        f"after the migration 1 to 2 (upper), {kind}; the migration 2 to 3 (cities), "
        "change_kind cooks.city to str or null: Bo is from somewhere"
    ) == whole.message
    assert name.message.startswith(f"after the migration 1 to 2 (upper), {kind}: ")
    assert ("model-refuses", "cooks", 2, (5,), "name") == (
        name.code, name.collection, name.record, name.key, name.field
    )  # fmt: skip
    assert MadeOf("people", 2, (5,)) == name.made_of
    assert "/data/people/1" == name.pointer


def test_what_no_step_has_made(tmp_path: Path) -> None:
    """A model may refuse what is as it was in the archive: then that is said."""
    first = old(tmp_path, PEOPLE)
    plain = migration(1, 2, lambda m: m.rename_field("people", "id", "no"))
    new = of_today(tmp_path, [Collection.of(Cook, "people", key="no")], plain)
    with pytest.raises(InvalidRecords) as caught:
        restored(new, archive_of(first, {"people": [(1, "Anna", None)]}))
    (problem,) = caught.value.problems
    assert not problem.message.startswith("after")
    assert problem.message.endswith("; no migration changes it, so the rule is a new one")
    assert MadeOf("people", 1, (1,)) == problem.made_of
    assert "people, record 1, key 1, field name:" in str(problem)


# -- values, stores and exports --------------------------------------------------------------------


def test_what_is_not_of_its_kind(tmp_path: Path) -> None:
    """Beside the step there is the record in the file."""

    def odd(m: Recorder) -> None:
        m.rename_collection("people", "cooks")
        m.change_kind("cooks", "id", str, using=str)
        m.map_records("cooks", lambda r: r | {"name": None if r["id"] == "2" else r["name"]})

    problem = told(tmp_path, odd)
    assert ("cooks", 2, ("2",), "name") == (
        problem.collection, problem.record, problem.key, problem.field
    )  # fmt: skip
    assert "after the migration 1 to 2 (odd): expected text, found null" == problem.message
    assert (MadeOf("people", 2, (2,)), "/data/people/1") == (problem.made_of, problem.pointer)


def test_what_a_store_refuses(tmp_path: Path) -> None:
    """Which steps have made the record, and of which in the file."""
    first = old(tmp_path, PEOPLE)
    steps = [migration(1, 2, upper), migration(2, 3, cities)]
    new = after(tmp_path, *steps, first=first)
    repository = sqlite.repository(tmp_path / "store.db", new)
    sqlite.run(tmp_path / "store.db", "CREATE UNIQUE INDEX one_city ON cooks (city)")
    archive = archive_of(first, {"people": [(1, "Bo", None), (5, "Ana", None)]})
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(repository, io.BytesIO(archive))
    problem = caught.value.problems[-1]
    assert "the migration 2 to 3 (cities), change_kind cooks.city" in problem.message
    assert ("cooks", 2, (5,)) == (problem.collection, problem.record, problem.key)
    assert MadeOf("people", 2, (5,)) == problem.made_of


def test_records_that_do_not_agree(tmp_path: Path) -> None:
    """The key is that of the record in the file, also where it has another one by then."""

    def back(m: Recorder) -> None:
        m.rename_field("menus", "id", "nr")
        m.change_key("menus", "dish")
        m.move_field("menus", "nr", "people", via="cook_id")

    first = old(tmp_path, PEOPLE, FIRST["menus"])
    new = after(tmp_path, step(back), first=first)
    (problem,) = failing(new, archive_of(first, ROWS)).problems
    assert ("menus", 2, (2,)) == (problem.collection, problem.record, problem.key)
    assert problem.message.endswith("records that refer to one have other values")


def test_back_to_a_key_that_was_none(tmp_path: Path) -> None:
    """An export of an older version names the step back, and the store's record."""
    old(tmp_path, Collection("t", key="code", fields={"id": int, "code": str}))

    @migration(1, 2)
    def key(m: Recorder) -> None:
        m.rename_collection("t", "things")
        m.change_kind("things", "code", bytes, using=str.encode, inverse=bytes.decode)
        m.change_key("things", "id")

    things = Collection("things", key="id", fields={"id": int, "code": bytes})
    new = of_today(tmp_path, [things], key)
    rows: dict[str, list[Any]] = {"things": [(1, b"a"), (2, b"b"), (3, b"a")]}
    with pytest.raises(InvalidRecords) as caught:
        export_all(memory(rows, new), io.BytesIO(), version=1)
    with pytest.raises(InvalidRecords) as migrated:
        migrate_archive(io.BytesIO(archive_of(new, rows)), io.BytesIO(), new, version=1)
    (problem,) = caught.value.problems
    assert caught.value.problems == migrated.value.problems
    assert (
        "after the migration 2 to 1 (key), change_key things to code, change_kind things.code to "
        "str using bytes.decode: another record has the same key"
    ) == problem.message
    assert ("t", 3, ("a",)) == (problem.collection, problem.record, problem.key)
    assert MadeOf("things", 3, (3,)) == problem.made_of


def test_back_to_what_is_not_of_its_kind(tmp_path: Path) -> None:
    """An export of an older version names only the step that has made the value."""
    old(tmp_path, Collection("t", key="id", fields={"id": int, "code": str, "n": int}))

    def codes(m: Recorder) -> None:
        m.change_kind("t", "code", int, using=int, inverse=lambda number: number or "0")

    def numbers(m: Recorder) -> None:
        m.rename_collection("t", "things")
        m.change_kind("things", "n", int, using=int, inverse=int)

    things = Collection("things", key="id", fields={"id": int, "code": int, "n": int})
    new = of_today(tmp_path, [things], migration(1, 2, codes), migration(2, 3, numbers))
    rows: dict[str, list[Any]] = {"things": [(4, 0, 1), (5, 7, 1)]}
    with pytest.raises(InvalidRecords) as caught:
        export_all(memory(rows, new), io.BytesIO(), version=1)
    (problem,) = caught.value.problems
    assert "after the migration 2 to 1 (codes): expected text, found int 7" == problem.message
    assert ("t", 2, (5,), "code") == (
        problem.collection, problem.record, problem.key, problem.field
    )  # fmt: skip
    assert MadeOf("things", 2, (5,)) == problem.made_of


def test_back_beyond_the_first_batch(tmp_path: Path) -> None:
    """Wherever among many records it stands, it is named."""
    old(tmp_path, Collection("t", key="id", fields={"id": int, "n": str}))

    @migration(1, 2)
    def numbers(m: Recorder) -> None:
        m.change_kind("t", "n", int, using=int, inverse=lambda n: str(n) if n else n)

    new = of_today(tmp_path, [Collection("t", key="id", fields={"id": int, "n": int})], numbers)
    rows: dict[str, list[Any]] = {"t": [(n, 0 if n == 7003 else 1) for n in range(1, 9001)]}
    with pytest.raises(InvalidRecords) as caught:
        export_all(memory(rows, new), io.BytesIO(), version=1)
    (problem,) = caught.value.problems
    assert ((7003,), MadeOf("t", 7003, (7003,))) == (problem.key, problem.made_of)


def test_beyond_the_first_batch(tmp_path: Path) -> None:
    """The same for archives, whose records are looked up by number."""
    first = old(tmp_path, Collection("t", key="id", fields={"id": int, "n": int}))
    new = after(tmp_path, step(lambda m: m.change_key("t", "n")), first=first)
    rows = {"t": [(n, n if n not in (7003, 8001) else 5) for n in range(1, 9001)]}
    error = failing(new, archive_of(first, rows))
    assert [MadeOf("t", 7003, (7003,)), MadeOf("t", 8001, (8001,))] == [
        problem.made_of for problem in error.problems
    ]


def test_a_key_that_is_not_of_its_kind_in_a_lookup(tmp_path: Path) -> None:
    """A record that cannot be looked up by is a problem, also where others' values are lost."""

    def odd(m: Recorder) -> None:
        m.map_records("menus", lambda r: r | {"cook_id": "?" if r["id"] == 2 else r["cook_id"]})
        m.move_field("menus", "dish", "people", via="cook_id")

    first = old(tmp_path, PEOPLE, FIRST["menus"])
    new = after(tmp_path, step(odd), first=first)
    rows = {**ROWS, "menus": [(1, "soup", 9), (2, "cake", 1), (3, "pie", 3)]}
    error = failing(new, archive_of(first, rows))
    assert [("menus", 2)] * 2 == [(p.collection, p.record) for p in error.problems]


def test_back_to_a_key_that_was_split_off(tmp_path: Path) -> None:
    """Joining what was split is named where the key is made of it."""

    def split(m: Recorder) -> None:
        m.change_key("people", "id")
        m.split_collection("people", "names", fields="name")

    first = old(tmp_path, Collection("people", key="name", fields={"id": int, "name": str}))

    def written(m: Recorder) -> None:
        m.change_kind("names", "name", bytes, using=str.encode, inverse=bytes.decode)

    steps = [migration(1, 2, split), migration(2, 3, written)]
    new = after(tmp_path, *steps, first=first)
    rows: dict[str, list[Any]] = {"people": [(1,), (2,)], "names": [(1, b"Ana"), (2, b"Ana")]}
    with pytest.raises(InvalidRecords) as caught:
        export_all(memory(rows, new), io.BytesIO(), version=1)
    (problem,) = caught.value.problems
    assert problem.message.startswith(
        "after the migration 3 to 2 (written), change_kind names.name to str using bytes.decode; "
        "the migration 2 to 1 (split), join_collection names into people, change_key people "
        "to name: another"
    )
    assert (("Ana",), MadeOf("people", 2, (2,))) == (problem.key, problem.made_of)


def test_a_field_that_was_there_before_under_its_name(tmp_path: Path) -> None:
    """What was done to another field of the same name is not named."""

    def anew(m: Recorder) -> None:
        m.change_kind("people", "name", str, using=str.lower)
        m.remove_field("people", "name")
        m.add_field("people", "name", str, default="x")
        m.change_key("people", "name")

    first = old(tmp_path, PEOPLE)
    new = after(tmp_path, step(anew), first=first)
    (problem,) = failing(
        new, archive_of(first, {"people": [(1, "A", None), (2, "B", None)]})
    ).problems
    assert problem.message.startswith(
        "after the migration 1 to 2 (anew), add_field people.name (str) = str 'x', "
        "change_key people to name: another"
    )
