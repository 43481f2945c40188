"""A preview says what the import then does, changes nothing, and holds as long as it is true."""

import io
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from databackup import (
    Collection,
    ImportPlan,
    Limits,
    Reference,
    Schema,
    import_all,
    preview_import,
)
from databackup.adapters.memory import MemoryRepository
from databackup.archive.format import CollectionEnd
from databackup.errors import InvalidRecords, RecordsNotTaken, StalePlan, StoreError, WrongApp
from databackup.operations.readback import digest_of
from databackup.repository import Repository
from databackup.testing.harness import expected, stored
from databackup.testing.strategies import datasets, schemas
from tests.support.archives import exported
from tests.support.club import Dataset, memory
from tests.support.mixed import KEYED, mixed
from tests.support.stores import STORES
from tests.support.wrappers import Passed, unordered

MODES = ("replace", "merge", "add")


LEAGUE = Schema(
    app="league",
    version=1,
    collections=[
        Collection("teams", fields={"id": int, "code": int}, key="id"),
        Collection(
            "players",
            fields={"id": int, "team": int | None, "captain": int | None},
            key="id",
            references=[Reference("team", "teams"), Reference("captain", "players")],
        ),
        Collection(
            "badges",
            fields={"id": int, "code": int | None},
            key="id",
            references=[Reference("code", "teams", to="code")],
        ),
    ],
)


@st.composite
def leagues(draw: st.DrawFn) -> Dataset:
    """Few teams, players and badges, some of which point at what is not there."""
    few = st.integers(0, 4)
    ids = st.lists(few, unique=True)
    teams = draw(ids)
    codes = draw(st.lists(few, unique=True, min_size=len(teams), max_size=len(teams)))
    likely = st.sampled_from([None, *teams, *teams, *teams, *range(5)])
    players = draw(ids)
    captain = st.sampled_from([None, *players, *players, *range(5)])
    code = st.sampled_from([None, *codes, *codes, *codes, *range(5)])
    return {
        "teams": list(zip(teams, codes, strict=True)),
        "players": [(player, draw(likely), draw(captain)) for player in players],
        "badges": [(badge, draw(code)) for badge in draw(ids)],
    }


def _numbers(plan: ImportPlan) -> dict[str, Any]:
    return {name: planned.changes for name, planned in plan.collections.items()}


def _held(store: Repository) -> dict[str, CollectionEnd]:
    with store.snapshot() as snapshot:
        return {c.name: digest_of(snapshot, c) for c in store.schema.collections}


@pytest.mark.parametrize("target", STORES)
@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=30)
@given(data=st.data())
def test_the_numbers_are_those_of_the_import(target: str, mode: Any, data: st.DataObject) -> None:
    """They equal what the import reports, in any order; the store is as it was until then."""
    schema = data.draw(KEYED)
    old = data.draw(datasets(schema))
    new = mixed(data, schema, old)
    backwards = data.draw(st.sampled_from([(), ("source",), ("target",), ("source", "target")]))
    with STORES["memory"](schema, new) as one, STORES[target](schema, old) as two:
        archive = exported(unordered(one) if "source" in backwards else one)
        store = unordered(two) if "target" in backwards else Passed(two)
        before = _held(two)
        plan = preview_import(store, io.BytesIO(archive), mode=mode)
        assert expected(schema, old) == stored(two)
        assert before == {name: planned.before for name, planned in plan.collections.items()}
        report = import_all(store, io.BytesIO(archive), plan=plan)
        assert report.collections == _numbers(plan)
        assert mode == report.mode
        sums = ("records", "added", "changed", "deleted", "unchanged", "kept", "only_in_store")
        assert [getattr(report, name) for name in sums] == [getattr(plan, name) for name in sums]
        again = preview_import(store, io.BytesIO(archive), mode=mode)
        assert (0, 0, 0) == (again.added, again.changed, again.deleted)
        assert again.identical
        if plan.identical:
            assert again.token == plan.token
        else:
            with pytest.raises(StalePlan):
                import_all(store, io.BytesIO(archive), plan=plan)


@pytest.mark.parametrize("target", STORES)
@settings(max_examples=30)
@given(data=st.data())
def test_collections_without_a_key(target: str, data: st.DataObject) -> None:
    """They are replaced as a whole or left alone, and what the store held is known."""
    found = data.draw(schemas())
    kept = [Collection(c.name, fields=list(c.fields)) for c in found.collections]
    schema = Schema(app=found.app, version=found.version, collections=kept)
    old = data.draw(datasets(schema))
    new = data.draw(st.one_of(datasets(schema), st.just(old)))
    with STORES["memory"](schema, new) as one, STORES[target](schema, old) as two:
        before = _held(two)
        archive = exported(one)
        plan = preview_import(two, io.BytesIO(archive))
        assert before == {name: planned.before for name, planned in plan.collections.items()}
        assert import_all(two, io.BytesIO(archive), plan=plan).collections == _numbers(plan)


@pytest.mark.parametrize("target", STORES)
@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=60)
@given(old=leagues(), new=leagues())
def test_references_that_would_dangle(target: str, mode: Any, old: Dataset, new: Dataset) -> None:
    """The plan names them exactly where the import is refused because of them."""
    with STORES["memory"](LEAGUE, new) as one, STORES[target](LEAGUE, old) as two:
        archive = exported(one)
        plan = preview_import(two, io.BytesIO(archive), mode=mode)
        planned = {(p.code, p.collection, p.field, p.message) for p in plan.problems}
        error = None
        try:
            report = import_all(two, io.BytesIO(archive), mode=mode)
        except InvalidRecords as refused:
            error = refused
        assume(not isinstance(error, RecordsNotTaken))  # a code that another team has already
        if error is None:
            assert report.collections == _numbers(plan)
            assert not planned
        else:
            found = {(p.code, p.collection, p.field, p.message) for p in error.problems}
            assert found == planned
            assert error.total == plan.problem_count


# -- by example ------------------------------------------------------------------------------------

TEAM = Schema(
    app="club",
    version=1,
    collections=[
        Collection("teams", fields={"id": int, "name": str}, key="id"),
        Collection(
            "players",
            fields={"id": int, "name": str, "team": int | None},
            key="id",
            references=[Reference("team", "teams")],
        ),
    ],
)


def _team(teams: list[Any], players: list[Any], schema: Schema = TEAM) -> MemoryRepository:
    return memory({"teams": teams, "players": players}, schema)


OLD: Dataset = {"teams": [(1, "A"), (2, "B"), (3, "C")], "players": [(1, "x", 1), (2, "y", 2)]}


def test_a_plan_by_example() -> None:
    """Numbers, a sample of each change, and what says that nothing would be done."""
    archive = exported(_team([(1, "A"), (2, "Bee"), (4, "D")], [(1, "x", 1), (2, "y", 2)]))
    store = _team(OLD["teams"], OLD["players"])
    plan = preview_import(store, io.BytesIO(archive))
    assert (1, 1, 1, 3) == (plan.added, plan.changed, plan.deleted, plan.unchanged)
    shown = [(r.what, dict(r.key), r.old, r.new) for r in plan.collections["teams"].sample]
    assert [
        ("added", {"id": 4}, None, {"name": "D"}),
        ("changed", {"id": 2}, {"name": "B"}, {"name": "Bee"}),
        ("deleted", {"id": 3}, {"name": "C"}, None),
    ] == shown
    assert () == plan.collections["players"].sample
    assert not plan.identical
    assert preview_import(store, io.BytesIO(exported(store))).identical


@pytest.mark.parametrize("sample,shown", [(0, 0), (2, 2), (10, 5)])
def test_the_sample_is_bounded(sample: int, shown: int) -> None:
    """Of each kind of change as many as are asked for; into an empty collection too."""
    teams = [(n, "T") for n in range(5)]
    full, empty = _team(teams, []), _team([], [])
    for store, archive in ((empty, exported(full)), (full, exported(empty))):
        plan = preview_import(store, io.BytesIO(archive), sample=sample)
        assert shown == len(plan.collections["teams"].sample)


@pytest.mark.parametrize("sample", [-1, 1.0, True, None])
def test_a_sample_is_a_number(sample: Any) -> None:
    """Anything else is a ValueError."""
    with pytest.raises(ValueError, match="sample"):
        preview_import(_team([], []), io.BytesIO(b""), sample=sample)


def test_all_problems_are_listed() -> None:
    """Also those of many records; then nothing is counted behind them."""
    store = _team(OLD["teams"], OLD["players"])
    archive = exported(_team([(1, "A")], [(n, "x", 7000 + n) for n in range(150)]))
    plan = preview_import(store, io.BytesIO(archive))
    assert (100, 150) == (len(plan.problems), plan.problem_count)
    assert ("players", "team", 1) == (
        plan.problems[0].collection,
        plan.problems[0].field,
        plan.problems[0].record,
    )
    assert "teams int 7000" in plan.problems[0].message
    assert not plan.identical
    with pytest.raises(InvalidRecords, match="100 problems"):
        import_all(store, io.BytesIO(archive), plan=plan)


def test_dangling_references_that_are_kept_are_warnings() -> None:
    """As they are of the import."""
    store = _team(OLD["teams"], OLD["players"])
    archive = exported(_team([(1, "A")], [(1, "x", 7)]))
    plan = preview_import(store, io.BytesIO(archive), dangling="keep")
    report = import_all(store, io.BytesIO(archive), plan=plan)
    assert 1 == len(plan.warnings)
    assert report.warnings == plan.warnings


def test_a_deleted_record_that_is_pointed_at() -> None:
    """What merges leaves a reference that the store has, replaces would not."""
    store = _team([(1, "A")], [(1, "x", 1)])
    archive = exported(_team([(2, "B")], [(1, "x", 1)]))
    assert 1 == preview_import(store, io.BytesIO(archive)).problem_count
    assert 0 == preview_import(store, io.BytesIO(archive), mode="merge").problem_count
    assert 0 == preview_import(store, io.BytesIO(archive), mode="add").problem_count


def test_what_raises_does_not_become_a_plan() -> None:
    """What is wrong with the archive as a whole raises as it does in an import."""
    archive = exported(_team([], []))
    other = Schema(app="other", version=1, collections=list(TEAM.collections))
    with pytest.raises(WrongApp):
        preview_import(_team([], [], other), io.BytesIO(archive))
    preview_import(_team([], [], other), io.BytesIO(archive), wrong_app="allow")
    target = Passed(_team([], []), atomic=False, name="folder")
    with pytest.raises(StoreError, match="cannot undo a failed import"):
        preview_import(target, io.BytesIO(b""))


# -- plans that no longer hold ---------------------------------------------------------------------


def _changed_store() -> tuple[Any, bytes, ImportPlan]:
    store = _team(OLD["teams"], OLD["players"])
    archive = exported(_team([(1, "A")], [(1, "x", 1)]))
    return store, archive, preview_import(store, io.BytesIO(archive))


def test_another_archive() -> None:
    """A plan is for one archive, to the byte."""
    store, _, plan = _changed_store()
    other = exported(_team([(1, "A")], [(1, "x", 1)]))
    with pytest.raises(StalePlan, match="the archive is another one"):
        import_all(store, io.BytesIO(other), plan=plan)
    assert 3 == len(stored(store)["teams"])


def test_a_store_that_has_changed() -> None:
    """The collections are named, and nothing is written."""
    store, archive, plan = _changed_store()
    with store.transaction() as transaction:
        transaction.insert(store.schema["players"], [(9, "new", None)])
    with pytest.raises(StalePlan, match="players") as caught:
        import_all(store, io.BytesIO(archive), plan=plan)
    assert ("players",) == caught.value.collections
    assert "stale-plan" == caught.value.code
    assert 3 == len(stored(store)["players"])


def test_another_schema() -> None:
    """What fits the archive may be another schema all the same."""
    _, archive, plan = _changed_store()
    collections = [TEAM["teams"], Collection("players", fields=TEAM["players"].fields, key="id")]
    other = Schema(app="club", version=1, collections=collections)
    with pytest.raises(StalePlan, match="the schema is another one"):
        import_all(_team(OLD["teams"], OLD["players"], other), io.BytesIO(archive), plan=plan)


def test_a_plan_carries_its_options() -> None:
    """Other options beside it are a TypeError, the same ones are not."""
    store, archive, _ = _changed_store()
    plan = preview_import(store, io.BytesIO(archive), mode="merge", limits=Limits(depth=9))
    with pytest.raises(TypeError, match="carries its own options"):
        import_all(store, io.BytesIO(archive), plan=plan, mode="add")
    with pytest.raises(TypeError, match="carries its own options"):
        import_all(store, io.BytesIO(archive), plan=plan, read_back=False)
    report = import_all(store, io.BytesIO(archive), plan=plan, mode="merge", limits=Limits(depth=9))
    assert "merge" == report.mode


def test_tokens() -> None:
    """Two plans have one token if they are for the same archive, options, schema and data."""
    store, archive, plan = _changed_store()
    assert preview_import(store, io.BytesIO(archive), sample=0).token == plan.token
    assert preview_import(store, io.BytesIO(archive), mode="merge").token != plan.token
    with store.transaction() as transaction:
        transaction.insert(store.schema["players"], [(9, "new", None)])
    assert preview_import(store, io.BytesIO(archive)).token != plan.token
