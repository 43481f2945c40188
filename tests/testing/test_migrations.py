"""The checks for a host's own suite find what is wrong with a schema's versions and migrations."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from attrs import validators
from hypothesis import strategies as st

from databackup import Collection, Migration, Recorder, Reference, Schema, migration
from databackup.errors import FileError, SchemaError
from databackup.schema.versions import FrozenVersion, Versions, collections_of, freeze
from databackup.testing import check_migrations, check_schema

Record = dict[str, Any]
Step = Callable[[Recorder], None]

OR_NARROW = (
    "; if version 1 never held such data, say what it held with "
    'values={1: {"COLLECTION.FIELD": STRATEGY}} or adjust='
)
PEOPLE = Collection("people", key="id", fields={"id": int, "name": str, "born": str})
MENUS = Collection(
    "menus",
    key="id",
    fields={"id": int, "title": str | None, "cook": int},
    references=[Reference("cook", "people")],
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for frozen versions."""
    return tmp_path / "versions"


def schema_of(folder: Path, *steps: Step, models: dict[str, type] | None = None) -> Schema:
    """An app of people and menus, with every version frozen that the steps make of the first."""
    collections, done = [PEOPLE, MENUS], list[Migration]()
    for version in itertools.count(1):
        schema = Schema(
            app="catering",
            version=version,
            collections=[_modelled(c, models or {}) for c in collections],
            migrations=done,
            versions=folder,
        )
        freeze(schema)
        if version > len(steps):
            return schema
        done.append(migration(version, version + 1, steps[version - 1]))
        collections = list(done[-1].apply(collections_of(schema)).values())
    raise AssertionError


def _modelled(collection: Collection, models: dict[str, type]) -> Collection:
    if collection.name not in models:
        return collection
    model = models[collection.name]
    return Collection.of(model, collection.name, key=collection.key)


def found(schema: Schema, *, max_examples: int = 40, **options: Any) -> list[str]:
    """The lines of what the check finds."""
    with pytest.raises(AssertionError) as caught:
        check_migrations(schema, max_examples=max_examples, **options)
    return str(caught.value).split("\n")


def nothing(m: Recorder) -> None:
    """A step that changes nothing."""


# -- data go up --------------------------------------------------------------------------------


def split_name(record: Record) -> Record:
    """The last name out of the name."""
    record["name"], _, record["last"] = record["name"].partition(" ")
    return record


def join_name(record: Record) -> Record:
    """The name as it was."""
    record["name"] += " " + record["last"]
    record["last"] = ""
    return record


def sound_step(m: Recorder) -> None:
    """Names in two parts, and back."""
    m.add_field("people", "last", str, default="")
    m.map_records("people", split_name, inverse=join_name)
    m.rename_field("menus", "cook", "cook_id")


def sound_second(m: Recorder) -> None:
    """Contacts of their own, a price, and back."""
    m.rename_collection("people", "cooks")
    m.split_collection("cooks", "birthdays", fields=["born"])
    m.add_field("menus", "price", Decimal, default=Decimal("0.00"))


def test_sound_migrations_pass(folder: Path) -> None:
    """What can be imported, and comes back the same, is not complained about."""
    check_migrations(schema_of(folder, sound_step, sound_second), max_examples=40)


def test_one_version_has_nothing_to_migrate(folder: Path) -> None:
    """The first version of a schema passes."""
    check_migrations(schema_of(folder))


def test_a_function_that_fails(folder: Path) -> None:
    """A conversion that fails on an empty text: its step, operation, cause, and one record."""

    def ages(m: Recorder) -> None:
        m.change_kind("people", "born", int, using=len_or_fail, inverse=str)

    lines = found(schema_of(folder, nothing, ages, sound_step))
    assert lines == [
        "data of version 1 cannot be imported: see the migration 2 to 3 (ages)",
        (
            "  people, record 1, key 0: the migration 2 to 3 (ages), "
            "change_kind people.born to int using len_or_fail: ValueError: nothing to count"
        ),
        "  with these data of version 1:",
        "  people: {'born': '', 'id': 0, 'name': ''}",
        "  mend the migration" + OR_NARROW,
    ]


def len_or_fail(text: str) -> int:
    """How long a text is, which must not be empty."""
    if not text:
        raise ValueError("nothing to count")
    return len(text)


def test_a_default_of_another_kind(folder: Path) -> None:
    """A default that is not of its field's kind is refused before there are any data."""

    def prices(m: Recorder) -> None:
        m.add_field("people", "price", Decimal, default="0.00")

    with pytest.raises(SchemaError, match=r"the default of people\.price: expected a decimal"):
        schema_of(folder, prices)


def test_a_reference_that_breaks(folder: Path) -> None:
    """A migration after which a reference points nowhere: its step, the reference, two records."""

    def renumbered(m: Recorder) -> None:
        m.map_records("people", lambda record: {**record, "id": record["id"] + 1}, changes_key=True)

    lines = found(schema_of(folder, nothing, renumbered, nothing))
    assert lines[0] == "data of version 1 cannot be imported: see the migration 2 to 3 (renumbered)"
    assert lines[1].startswith("  menus, record 1, key 0, field cook: ")
    assert [
        "  people: {'born': '', 'id': 0, 'name': ''}",
        "  menus: {'cook': 0, 'id': 0, 'title': ''}",
    ] == sorted(lines[3:5], reverse=True)
    assert 6 == len(lines)


def test_a_reference_to_nothing(folder: Path) -> None:
    """A new reference of records that are there points at nothing."""

    def helped(m: Recorder) -> None:
        m.add_field("menus", "helper", int, default=-7)
        m.add_reference("menus", "helper", "people")

    lines = found(schema_of(folder, helped))
    assert lines[0] == "data of version 1 cannot be imported: see the migration 1 to 2 (helped)"
    assert "field helper" in lines[1]


def test_keys_that_meet(folder: Path) -> None:
    """A migration that gives two records one key: both are shown, and no third."""

    def halved(m: Recorder) -> None:
        m.map_records("menus", lambda record: {**record, "id": record["id"] // 2}, changes_key=True)

    lines = found(schema_of(folder, halved), values={1: {"menus.id": st.integers(0, 3)}})
    assert lines[0] == "data of version 1 cannot be imported: see the migration 1 to 2 (halved)"
    assert lines[1].startswith("  menus, record 2, key ")
    shown = [line.partition(":")[0].strip() for line in lines[3:-1]]
    assert ["menus", "menus", "people"] == sorted(shown)


def not_ana(record: Record) -> Record:
    """The record, unless it is of one person."""
    if record["name"] == "Ana":
        raise ValueError("not her")
    return record


def test_no_record_too_many(folder: Path) -> None:
    """Records that a failure does not need are left out, wherever Hypothesis stops."""

    def fussy(m: Recorder) -> None:
        m.map_records("people", not_ana)

    def with_others(records: dict[str, list[Record]]) -> dict[str, list[Record]]:
        others = [{"id": i, "name": name, "born": ""} for i, name in enumerate(("Bo", "Ana", "Cy"))]
        return {"people": others, "menus": [{"id": 1, "title": None, "cook": 2}]}

    lines = found(schema_of(folder, fussy), adjust={1: with_others})
    assert ["  people: {'id': 1, 'name': 'Ana', 'born': ''}"] == lines[3:-1]


@attrs.frozen
class NamedPerson:
    """Somebody with a name."""

    id: int
    name: str = attrs.field(validator=validators.min_len(1))
    born: str


def test_models_that_refuse(folder: Path) -> None:
    """What today's models refuse is not blamed on a step."""
    schema = schema_of(folder, nothing, models={"people": NamedPerson})
    lines = found(schema)
    assert lines[0] == "data of version 1 cannot be imported: see today's models"
    assert lines[1].startswith("  people, record 1, key 0, field name: ")
    check_migrations(schema, values={1: {"people.name": st.text(min_size=1)}}, max_examples=20)


def test_other_results_each_time(folder: Path) -> None:
    """A function whose result depends on more than its record is found out."""
    numbers = itertools.count()

    def unsteady(m: Recorder) -> None:
        m.change_kind("people", "born", int, using=lambda _: 1 // (next(numbers) not in (20, 21)))

    with pytest.raises(AssertionError, match="version 1 do not migrate alike each time"):
        check_migrations(schema_of(folder, unsteady))


# -- and back ----------------------------------------------------------------------------------


def test_an_inverse_that_loses_something(folder: Path) -> None:
    """An inverse that forgets the last name: its step, what was, what came back."""

    def forget_name(record: Record) -> Record:
        return {**record, "last": ""}

    def names(m: Recorder) -> None:
        m.add_field("people", "last", str, default="")
        m.map_records("people", split_name, inverse=forget_name)

    lines = found(schema_of(folder, nothing, names, nothing))
    assert lines == [
        "data are not the same when they come back: see the migration 2 to 3 (names)",
        "  people was {'born': '', 'id': 0, 'name': '', 'last': 'a'}",
        "  people came back as {'born': '', 'id': 0, 'name': '', 'last': ''}",
        "  with these data of version 1:",
        "  people: {'born': '', 'id': 0, 'name': ' a'}",
        "  mend the inverse, or give none" + OR_NARROW,
    ]


def shouted(m: Recorder) -> None:
    """Names in upper case, with an inverse that is none."""
    m.change_kind("people", "name", str, using=lambda s: s + "!", inverse=lambda s: s + "?")


def with_no_way_back(m: Recorder) -> None:
    """A length, of which no text can be made again."""
    m.change_kind("people", "born", int, using=len)


@pytest.mark.parametrize(
    "steps, number",
    [((shouted, with_no_way_back), 1), ((with_no_way_back, shouted), 2)],
    ids=["before", "after"],
)
def test_inverses_beside_a_step_without_one(
    folder: Path, steps: tuple[Step, ...], number: int
) -> None:
    """A step without an inverse hides no wrong inverse of the steps before and after it."""
    lines = found(schema_of(folder, *steps))
    assert lines[0] == (
        "data are not the same when they come back: "
        f"see the migration {number} to {number + 1} (shouted)"
    )


def test_no_inverse_is_no_fault(folder: Path) -> None:
    """Where nothing leads back, nothing has to come back."""
    check_migrations(schema_of(folder, with_no_way_back, sound_second), max_examples=20)


def test_an_inverse_that_fails(folder: Path) -> None:
    """An inverse that raises: its step, and the record."""

    def numbered(m: Recorder) -> None:
        m.change_kind("people", "born", str, using=str, inverse=lambda text: str(int(text)))

    lines = found(schema_of(folder, nothing, numbered, sound_step))
    assert lines[0] == "data cannot go back to version 1: see the migration 2 to 3 (numbered)"
    assert "ValueError: invalid literal for int()" in lines[1]
    assert "  people: {'born': '', 'id': 0, 'name': ''}" == lines[3]


def test_the_first_of_several_inverses(folder: Path) -> None:
    """The step alone is named whose inverse loses something, be it the first."""

    def lost(m: Recorder) -> None:
        m.change_kind("people", "born", str, using=lambda text: text, inverse=lambda text: text[:1])

    lines = found(schema_of(folder, lost, sound_second))
    assert lines[0] == "data are not the same when they come back: see the migration 1 to 2 (lost)"


def test_an_inverse_between_versions_that_were_not_frozen(folder: Path) -> None:
    """Where no step can be tried alone, those that can be undone are named, and no other."""

    def lost(m: Recorder) -> None:
        m.change_kind("people", "born", str, using=lambda text: text, inverse=lambda text: text[:1])

    def final(m: Recorder) -> None:
        m.change_kind("people", "name", str, using=str)

    schema = schema_of(folder, sound_step, lost, final)
    Versions(folder).path(2).unlink()
    lines = found(schema)
    assert lines[0] == (
        "data are not the same when they come back: see the migration 1 to 2 (sound_step), "
        "2 to 3 (lost)"
    )
    assert lines[1].startswith("  people was {")
    assert lines[2].startswith("  people came back as {")


def test_an_inverse_that_breaks_a_reference(folder: Path) -> None:
    """What goes back must be sound data of the older version, whatever comes of them again."""

    def free(m: Recorder) -> None:
        m.remove_reference("menus", "cook", "people")
        m.change_kind("menus", "cook", int, using=lambda _: 0, inverse=lambda _: -7)

    lines = found(schema_of(folder, nothing, free))
    assert lines[0] == "data cannot go back to version 1: see the migration 2 to 3 (free)"
    assert lines[1].startswith("  menus, record 1, key 0, field cook: ")


# -- what old versions held --------------------------------------------------------------------


def test_values_of_a_version(folder: Path) -> None:
    """Fields get the values that are given for them, in the version that is named alone."""

    def ages(m: Recorder) -> None:
        m.change_kind("people", "born", int, using=int, inverse=str)

    schema = schema_of(folder, ages, sound_step)
    years = st.integers(1900, 2000).map(str)
    check_migrations(schema, values={1: {"people.born": years}}, max_examples=20)
    assert "see the migration 1 to 2 (ages)" in found(schema, values={1: {}})[0]


def moved(m: Recorder) -> None:
    """The title goes from the menus to their cook."""
    m.move_field("menus", "title", "people", via="cook")


def test_data_are_adjusted(folder: Path) -> None:
    """Rules over several records are kept by a function over the data."""
    schema = schema_of(folder, moved)

    def one_menu_each(records: dict[str, list[Record]]) -> dict[str, list[Record]]:
        menus = {menu["cook"]: menu for menu in records["menus"]}
        return {**records, "menus": list(menus.values())}

    assert "records that refer to one have other values" in found(schema)[1]
    check_migrations(schema, adjust={1: one_menu_each}, max_examples=40)


def test_values_that_no_version_holds(folder: Path) -> None:
    """Values off their kind, and data that are not sound, are the fault of who gave them."""
    schema = schema_of(folder, nothing)
    lines = found(schema, values={1: {"people.born": st.integers()}})
    assert lines[0] == "the values given for version 1 are none that it can hold"
    assert "mend values= and adjust=" == lines[-1].strip()
    lines = found(schema, adjust={1: lambda records: {**records, "people": []}})
    assert lines[0] == "the values given for version 1 are none that it can hold"
    assert "field cook" in lines[1]


@pytest.mark.parametrize("argument", ["values", "adjust"])
@pytest.mark.parametrize("number", [0, 2, 3])
def test_other_versions(folder: Path, argument: str, number: int) -> None:
    """Values can be given for older versions only."""
    options: dict[str, Any] = {argument: {number: {}}}
    with pytest.raises(ValueError, match=f"^no older version is frozen as {number}$"):
        check_migrations(schema_of(folder, nothing), **options)


def test_other_fields(folder: Path) -> None:
    """Values can be given for fields of their version only."""
    with pytest.raises(ValueError, match=r"^version 1 has no field people\.age$"):
        check_migrations(schema_of(folder, nothing), values={1: {"people.age": st.none()}})


# -- without data ------------------------------------------------------------------------------


def told(schema: Schema) -> list[str]:
    """The lines of what the check of the schema finds, which the other begins with."""
    with pytest.raises(AssertionError) as caught:
        check_schema(schema)
    with pytest.raises(AssertionError) as again:
        check_migrations(schema)
    assert str(caught.value) == str(again.value)
    return str(caught.value).split("\n  ")


def changed(schema: Schema, **changes: Any) -> Schema:
    """A schema with something changed."""
    names = ("app", "version", "collections", "migrations", "versions")
    return Schema(**{name: getattr(schema, name) for name in names} | changes)


def test_a_schema_as_it_was_frozen(folder: Path) -> None:
    """A schema and its chain that are as they were frozen pass."""
    check_schema(schema_of(folder, sound_step, sound_second))


def test_models_that_were_changed(folder: Path) -> None:
    """What differs is listed field by field, and what to do about it."""
    fields = {"id": int, "name": str | None, "age": int}
    people = Collection("people", key="id", fields=fields)
    lines = told(changed(schema_of(folder), collections=[people, MENUS]))
    assert lines[0] == "the schema is not version 1 as it was frozen"
    assert {"the field people.born is gone", "the field people.age is new"} <= set(lines[1:])
    assert any(line.startswith("the field people.name was str") for line in lines[1:])
    assert lines[-1].startswith("to change it: make it version 2, write a migration from 1 to 2")
    assert 5 == len(lines)


def test_a_version_that_is_not_frozen(folder: Path) -> None:
    """A new version has to be frozen; the command that does it is named."""
    schema = schema_of(folder, nothing)
    Versions(folder).path(2).unlink()
    assert told(schema)[0] == "version 2 is not frozen"
    assert "databackup schema freeze" in told(schema)[1]


def test_a_schema_without_a_folder() -> None:
    """A schema that has no versions cannot be checked."""
    assert "it has no folder: say versions=" == told(Schema(collections=[PEOPLE]))[1]


def test_steps_that_make_something_else(folder: Path) -> None:
    """A step that does not make the next frozen version: its name, and what differs."""
    schema = schema_of(folder, sound_step, nothing)
    step = migration(1, 2, nothing)
    lines = told(changed(schema, migrations=[step, schema.migrations[1]]))
    assert lines[0] == "the migration 1 to 2 (nothing) does not make version 2"
    assert "after it, the field people.last is gone" in lines
    assert lines[-1].startswith("mend the migrations: ")


def test_a_missing_step(folder: Path) -> None:
    """A frozen version from which no step leads on."""
    schema = schema_of(folder, nothing, nothing)
    lines = told(changed(schema, migrations=schema.migrations[1:]))
    assert lines[0].endswith("no migration leads from version 1")


def test_a_frozen_version_that_was_edited(folder: Path) -> None:
    """A frozen version is held by its digest."""
    schema = schema_of(folder, nothing)
    path = Versions(folder).path(1)
    path.write_text(path.read_text("utf-8").replace('"born"', '"bern"'), "utf-8")
    assert told(schema)[0] == str(path)
    assert "it was edited" in told(schema)[1]


def test_another_app(folder: Path) -> None:
    """The frozen version of another app is none of this one's."""
    schema = schema_of(folder)
    assert "the app was 'catering', is 'other'" == told(changed(schema, app="other"))[1]


def test_a_version_from_the_future(folder: Path) -> None:
    """A frozen version newer than the schema: somebody has gone back to an older one."""
    schema = schema_of(folder)
    later = changed(schema, version=2)
    Versions(folder).path(2).write_text(FrozenVersion.of(later).to_text(), "utf-8")
    headline, advice = told(schema)
    assert "the code is older than its frozen versions: its schema is version 1" in headline
    assert "take the code that has version 2" in advice


def test_a_folder_that_cannot_be_read(folder: Path) -> None:
    """What is wrong with files is no fault of the schema's."""
    schema = schema_of(folder)
    Versions(folder).path(1).unlink()
    Versions(folder).path(1).mkdir()
    with pytest.raises(FileError):
        check_schema(schema)
