"""The state machine and its oracle."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from databackup.repository import Key
from databackup.schema import Collection, Json, Reference, Schema
from databackup.testing import Oracle, adapter_state_machine, check_adapter
from databackup.testing.machine import run_machine
from databackup.testing.promises.examples import CLUB, DATA, MEMBERS, PEOPLE, SCANS, VISITS
from tests.testing import broken_transactions, broken_writing
from tests.testing.broken import Cases, View, broken_view, sound

CATALOGUE = Schema(
    collections=[
        Collection(
            "tree",
            key="name",
            fields={"name": str, "above": str | None, "data": Json},
            references=[Reference("above", "tree")],
        ),
        Collection("loose", fields={"leaf": str | None}, references=[Reference("leaf", "tree")]),
    ]
)


def test_it_finds_nothing_in_a_sound_adapter() -> None:
    """A sound adapter passes with any schema, references of keyless collections included."""
    run_machine(sound, CATALOGUE, 10)


@pytest.mark.parametrize(
    "cases,name",
    [
        (broken_transactions.BROKEN, "savepoints do nothing"),
        (broken_transactions.BROKEN, "commits on exception"),
        (broken_transactions.BROKEN, "never commits"),
        (broken_writing.BROKEN, "replaces duplicates"),
        (broken_writing.BROKEN, "silent delete"),
    ],
)
def test_it_finds_what_is_broken(cases: Cases, name: str) -> None:
    """The state machine alone finds what random transactions can show."""
    machine = adapter_state_machine(cases[name][0], CATALOGUE)
    chosen = settings(
        max_examples=100,
        database=None,
        report_multiple_bugs=False,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=chosen)


def test_check_adapter_runs_it_when_all_promises_hold() -> None:
    """What no single promise shows fails the contract, too, under the machine's own name."""

    def delete(self: View, collection: Collection, keys: list[Key]) -> None:
        if collection.name != "scans":
            self.inner.delete(collection, keys)

    with pytest.raises(AssertionError, match="any_transactions_match_an_oracle"):
        check_adapter(broken_view("NeverDeletesScans", delete=delete), examples=20)


def test_the_oracle_knows_what_dangles() -> None:
    """Composite references count whole, nulls point nowhere, and `to` names other fields."""
    oracle = Oracle(CLUB)
    for collection in CLUB.collections:
        oracle.put(collection, DATA[collection.name])

    assert [] == [key for c in CLUB.collections for key in oracle.keys_that_dangle(c)]

    oracle.put(VISITS, [(9, "b", 1), (10, None, 77)])
    oracle.delete(PEOPLE, [(2,)])
    oracle.put(SCANS, [(9, 1)])

    assert {("b", 1)} == oracle.dangling(VISITS, VISITS.references[0])
    assert {(2,)} == oracle.dangling(MEMBERS, MEMBERS.references[1])
    assert {(2,)} == oracle.dangling(PEOPLE, PEOPLE.references[0])
    assert {(1,)} == oracle.dangling(SCANS, SCANS.references[0])
    assert [(1,)] == oracle.keys_that_dangle(PEOPLE)


def test_a_copy_of_an_oracle_is_its_own() -> None:
    """What is written to a copy is not written to the oracle it was copied from."""
    oracle = Oracle(CLUB)
    oracle.put(PEOPLE, DATA["people"])
    copy = oracle.copy()
    copy.clear(PEOPLE)

    assert 5 == len(oracle.rows(PEOPLE))
    assert [] == copy.rows(PEOPLE)
