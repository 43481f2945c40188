"""How the contract is run, and what it lets pass."""

import contextlib
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Never, Self

import attrs
import pytest

from databackup.adapters.memory import MemoryRepository
from databackup.errors import RecordsRefused, StoreError, StoreMismatch
from databackup.repository import Repository, Row, Snapshot
from databackup.schema import Collection, Schema
from databackup.testing import PROMISES, AdapterContract, check_adapter
from databackup.testing.contract import keep
from databackup.testing.promises.examples import CLUB
from databackup.testing.promises.transactions import a_commit_is_seen_by_the_next_snapshot
from tests.testing.broken import Broken, View, sound


class TestContextManagers(AdapterContract):
    """Five lines are enough, with a factory of context managers."""

    examples = 5

    @contextlib.contextmanager
    def make(self, schema: Schema) -> Iterator[Repository]:
        """A repository that is there only within the block."""
        repository = sound(schema)
        yield repository
        repository._contents.clear()


def test_each_promise_is_a_test_of_the_class() -> None:
    """The class has one test for each promise, with the promise as its docstring."""
    tests = dict(inspect.getmembers(AdapterContract, inspect.isfunction))

    assert [] == [p.__name__ for p in PROMISES if f"test_{p.__name__}" not in tests]
    assert [] == [name for name, test in tests.items() if not inspect.getdoc(test)]
    assert "test_any_transactions_match_an_oracle" in tests


def test_a_promise_that_is_kept_makes_its_own_repositories_alone() -> None:
    """On a server to make a repository takes long, so whether it is atomic is asked on failure."""
    made: list[Schema] = []

    def factory(schema: Schema) -> Repository:
        made.append(schema)
        return sound(schema)

    keep(a_commit_is_seen_by_the_next_snapshot, factory)

    assert [CLUB] == made


def test_the_class_asks_for_a_factory() -> None:
    """A subclass without `make` is told so."""
    with pytest.raises(NotImplementedError):
        AdapterContract().make(Schema(collections=[Collection("a", fields={"x": int})]))


def test_a_repository_that_is_a_context_manager_is_entered() -> None:
    """A factory may give repositories that are closed at the end of a `with` block."""
    opened: list[object] = []

    class Closing(MemoryRepository):
        def __enter__(self) -> Self:
            opened.append(self)
            return self

        def __exit__(self, *_error: object) -> None:
            opened.remove(self)

    check_adapter(lambda s: Closing(s, {c.name: [] for c in s.collections}), examples=2)

    assert [] == opened


def test_the_message_names_each_broken_promise_and_states_it() -> None:
    """One failure tells all: how many promises are broken, which, what they say, what was found."""

    class WithoutCount(View):
        """Counts nothing."""

        def count(self, _collection: Collection) -> int:
            return -1

    with pytest.raises(AssertionError) as failure:
        check_adapter(type("Miscounting", (Broken,), {"view": WithoutCount}))

    lines = str(failure.value).splitlines()
    assert lines[0].startswith("broken promises: ")
    assert (
        "count_counts_the_records: `count` is how many records a collection has, "
        "before and after writes of a transaction."
    ) in lines
    assert "  the count of members: expected 5, found -1" in lines


def test_the_message_shows_which_records_differ() -> None:
    """Of many records a failure shows those that differ, by collection."""

    class Forgets(View):
        """Forgets what is called Bikes."""

        def insert(self, collection: Collection, rows: list[Row]) -> None:
            self.inner.insert(collection, [row for row in rows if row[-1] != "Bikes"])

    with pytest.raises(AssertionError) as failure:
        check_adapter(type("Forgetting", (Broken,), {"view": Forgets}))

    expected = "groups: missing [(\"str 'b'\", \"str 'Bikes'\")], not expected []"
    assert expected in str(failure.value)


class NotAtomic(Broken):
    """A store that cannot be written: it says so, and refuses."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.capabilities = attrs.evolve(self.capabilities, atomic=False)

    def transaction(self, *, wait: float = 5.0) -> Never:
        """Refuse."""
        raise StoreError(f"this store has no transactions, not even after {wait} s")


class WithoutSavepoints(Broken):
    """A store that has no savepoints: it says so, and refuses."""

    class View(View):
        """A transaction without savepoints."""

        def savepoint(self) -> Never:
            """Refuse."""
            raise StoreError("this store has no savepoints")

    view = View

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.capabilities = attrs.evolve(self.capabilities, savepoints=False)


class Unordered(Broken):
    """A store whose rows come in any order, and that says so."""

    class View(View):
        """Rows backwards."""

        def rows(self, collection: Collection, *, batch_size: int = 1000) -> Any:
            """The rows, the last one first."""
            rows = [row for batch in self.inner.rows(collection) for row in batch][::-1]
            for start in range(0, len(rows), batch_size):
                yield rows[start : start + batch_size]

    view = View

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.capabilities = attrs.evolve(self.capabilities, ordered_rows=frozenset())


class Inconsistent(Broken):
    """A store whose snapshots show what is committed meanwhile, and that says so."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.capabilities = attrs.evolve(self.capabilities, consistent_snapshot=False)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """A view of whatever there is at each call."""

        def fresh(name: str) -> Any:
            def call(_self: View, *args: Any, **kwargs: Any) -> Any:
                with self.inner.snapshot() as snapshot:
                    return getattr(snapshot, name)(*args, **kwargs)

            return call

        names = ("count", "rows", "get", "counters")
        yield type("Live", (View,), {name: fresh(name) for name in names})(None)


class Refusing(Broken):
    """A store that has not all kinds and not all values, and refuses them."""

    class View(View):
        """Refuses what SQL databases commonly cannot hold."""

        def insert(self, collection: Collection, rows: list[Row]) -> None:
            """Add rows that fit."""
            for value in (value for row in rows for value in row):
                if (type(value) is int and not -(2**63) <= value < 2**63) or (
                    type(value) is str and "\x00" in value
                ):
                    raise RecordsRefused(f"out of range: {value!r}")
            self.inner.insert(collection, rows)

    view = View

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        for collection in schema.collections:
            for field in collection.fields:
                if field.value_kind.name in ("interval", "native"):
                    raise StoreMismatch(f"no column for {field.name}")


@pytest.mark.parametrize(
    "factory", [NotAtomic, WithoutSavepoints, Unordered, Inconsistent, Refusing]
)
def test_a_declared_absence_passes_where_it_shows(factory: type[Broken]) -> None:
    """A store may lack what it declares to lack, if it then does what the protocol says."""
    check_adapter(factory, examples=5)


def test_it_needs_hypothesis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Hypothesis, the import says how to install it."""
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from databackup.errors import MissingExtra\n"
        "try:\n    import databackup.testing\n"
        "except MissingExtra as error:\n    print(error.message)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "databackup.testing needs Hypothesis: pip install hypothesis\n" == done.stdout


def test_it_runs_without_pytest() -> None:
    """`check_adapter` needs no pytest."""
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from databackup.adapters.memory import MemoryRepository\n"
        "from databackup.testing import check_adapter\n"
        "check_adapter(lambda s: MemoryRepository(s, {c.name: [] for c in s.collections}),"
        " examples=1)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there() -> None:
    """All names of `__all__` exist."""
    testing = importlib.import_module("databackup.testing")

    assert [] == [name for name in testing.__all__ if not hasattr(testing, name)]
