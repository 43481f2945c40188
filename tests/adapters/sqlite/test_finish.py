import sqlite3
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from databackup.adapters.sqlite import SQLiteRepository
from databackup.errors import StoreError, StoreFailed
from tests.adapters.sqlite.helpers import failing, insert, undone
from tests.support import sqlite

Make = Callable[..., Path]


# -- triggers ----------------------------------------------------------------------------------

AUDIT = [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)",
    "CREATE TABLE audit (id INTEGER PRIMARY KEY, note TEXT UNIQUE)",
    """CREATE TRIGGER "It's"
      /* odd */ AFTER INSERT ON [t] BEGIN INSERT INTO audit (note) VALUES ('one; END'); END""",
    """create trigger if not exists main.lower before update of x on T when new.x = 'no' begin
      select raise(rollback, 'never'); end""",
    "CREATE TRIGGER gone AFTER DELETE ON t BEGIN DELETE FROM audit; END",
]


def test_triggers_do_not_fire_and_are_restored_to_the_letter(database: Make) -> None:
    """A trigger that fills a table of ours made restores fail; it sleeps until the end."""
    path = database(*AUDIT)
    made = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    before = sqlite.query(path, made)
    repository = SQLiteRepository.reflect(path)
    t = repository.schema["t"]
    with repository.transaction() as transaction:
        transaction.insert(repository.schema["audit"], [(7, "one; END")])
        transaction.insert(t, [(1, "a"), (2, "b")])
        transaction.update(t, [(1, "no")])
        transaction.delete(t, [(2,)])
        transaction.finish({})
    assert [(7, "one; END")] == sqlite.query(path, "SELECT * FROM audit")
    assert before == sqlite.query(path, made)
    sqlite.run(path, "DELETE FROM t")
    assert [] == sqlite.query(path, "SELECT * FROM audit")


def test_a_rollback_restores_triggers(database: Make) -> None:
    """An import that fails leaves the triggers, too, as they were."""
    path = database(*AUDIT)
    before = sqlite.dump(path)
    repository = SQLiteRepository.reflect(path)
    with undone(repository) as transaction:
        transaction.insert(repository.schema["t"], [(1, "a")])
    assert before == sqlite.dump(path)


def test_temporary_triggers_of_the_host_are_suspended(database: Make) -> None:
    """A trigger of the host's connection alone sleeps, too, and is temporary again."""
    connection = sqlite3.connect(database(*AUDIT[:2]), isolation_level=None)
    connection.execute(
        "CREATE TEMP TRIGGER mine AFTER INSERT ON t BEGIN INSERT INTO audit VALUES (1, 'x'); END"
    )
    repository = SQLiteRepository.reflect(connection)
    insert(repository, "t", (1, "a"), (2, "b"))
    assert [] == connection.execute("SELECT * FROM audit").fetchall()
    connection.execute("INSERT INTO t VALUES (3, 'c')")
    assert [(1, "x")] == connection.execute("SELECT * FROM audit").fetchall()
    assert (
        [] == connection.execute("SELECT * FROM main.sqlite_master WHERE name = 'mine'").fetchall()
    )
    connection.close()


def test_a_trigger_that_cannot_be_restored_fails_the_transaction(database: Make) -> None:
    """Nothing is committed with a trigger that is not what it was."""
    path = database(*AUDIT)
    before = sqlite.dump(path)
    repository = SQLiteRepository.reflect(path)
    with failing(repository, StoreFailed, "cannot be restored") as t:
        t.insert(repository.schema["t"], [(1, "a")])
        t._suspended = [attrs.evolve(trigger, sql=f"{trigger.sql};") for trigger in t._suspended]
        t.finish({})
    assert before == sqlite.dump(path)


# -- counters ----------------------------------------------------------------------------------


def sequence(path: Path) -> dict[str, int]:
    """All counters by table."""
    return dict(sqlite.query(path, "SELECT name, seq FROM sqlite_sequence"))


def test_counters_are_kept_and_set(database: Make) -> None:
    """Each counter is what is given, never below the largest key, and the next insert succeeds."""
    auto = "(id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT DEFAULT 'AUTOINCREMENT')"
    plain = "(id INTEGER PRIMARY KEY, x TEXT DEFAULT 'AUTOINCREMENT' /* AUTOINCREMENT */)"
    path = database(
        *(f"CREATE TABLE {name} {auto}" for name in ("high", "low", "kept", "lower", "bare")),
        f"CREATE TABLE outside {auto}",
        f"CREATE TABLE plain {plain}",
        "INSERT INTO kept (id) VALUES (40)",
        "INSERT INTO lower (id) VALUES (90)",
        "INSERT INTO outside (id) VALUES (5)",
        "DELETE FROM kept",
    )
    repository = SQLiteRepository.reflect(path, exclude={"outside": "not ours"})
    schema = repository.schema
    with repository.snapshot() as snapshot:
        assert {"kept": 40, "lower": 90} == snapshot.counters()
    with repository.transaction() as transaction:
        transaction.insert(schema["high"], [(3, "a")])
        transaction.insert(schema["low"], [(7, "a")])
        transaction.insert(schema["plain"], [(7, "a")])
        transaction.clear(schema["lower"])
        transaction.insert(schema["lower"], [(2, "a")])
        transaction.insert(schema["kept"], [(1, "a")])
        transaction.finish({"high": 100, "low": 5, "lower": 20, "plain": 50, "unknown": 1})
    expected = {"high": 100, "low": 7, "kept": 40, "lower": 20, "outside": 5}
    assert expected == sequence(path)
    for name in ("high", "low", "kept", "lower", "bare", "plain"):
        sqlite.run(path, f"INSERT INTO {name} (x) VALUES ('next')")
        ((largest,),) = sqlite.query(path, f"SELECT max(id) FROM {name}")
        assert {**expected, "bare": 0, "plain": 7}[name] + 1 == largest
    with repository.transaction() as transaction:
        transaction.clear(schema["bare"])
        transaction.finish({"bare": 12})
    assert 12 == sequence(path)["bare"]


def test_a_database_without_counters_has_none(database: Make) -> None:
    """Without AUTOINCREMENT there is no table of counters to read."""
    repository = SQLiteRepository.reflect(database("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
    with repository.snapshot() as snapshot:
        assert {} == snapshot.counters()


# -- references from outside -------------------------------------------------------------------

OUTSIDE = {"logs": "not ours", "notes": "not ours"}


def outside(database: Make, action: str) -> tuple[Path, SQLiteRepository]:
    """Tables outside the schema, one refers to a collection, the other one to the first."""
    path = database(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE)",
        "CREATE TABLE logs (id INTEGER PRIMARY KEY, u INT DEFAULT 1 "
        f"REFERENCES users ON DELETE {action}, name TEXT)",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, l REFERENCES logs ON DELETE CASCADE)",
        "INSERT INTO users VALUES (1, 'Ana'), (2, 'Bo'), (3, 'Cy')",
        "INSERT INTO logs VALUES (1, 1, 'ana'), (2, 2, 'bo'), (3, 2, NULL), (4, 99, 'xy')",
        "INSERT INTO notes VALUES (1, 1), (2, 2), (3, 3), (4, 77)",
    )
    return path, SQLiteRepository.reflect(path, exclude=OUTSIDE)


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"])
def test_records_outside_the_schema_keep_what_they_refer_to(database: Make, action: str) -> None:
    """A deleted record that a table outside refers to is refused; what dangled before may."""
    path, repository = outside(database, action)
    before = sqlite.dump(path)
    users = repository.schema["users"]
    reason = (
        "2 rows of the table 'logs' refer .u. to records of 'users' that an import would delete"
    )
    with failing(repository, StoreError, reason) as transaction:
        transaction.delete(users, [(2,), (3,)])
        transaction.finish({})
    assert before == sqlite.dump(path)
    with repository.transaction() as transaction:
        transaction.delete(users, [(3,), (1,)])
        transaction.insert(users, [(1, "Ana")])
        transaction.finish({})


@pytest.mark.parametrize(
    "action, logs, notes",
    [
        ("CASCADE", [(1, 1), (4, 99)], [(1, 1), (4, 77)]),
        ("SET NULL", [(1, 1), (2, None), (3, None), (4, 99)], [(1, 1), (2, 2), (3, 3), (4, 77)]),
        ("SET DEFAULT", [(1, 1), (2, 1), (3, 1), (4, 99)], [(1, 1), (2, 2), (3, 3), (4, 77)]),
    ],
)
def test_allow_cascade_does_what_the_reference_says(
    database: Make, action: str, logs: list[tuple[int, int]], notes: list[tuple[int, int]]
) -> None:
    """Rows outside are deleted, and theirs in turn, or set to NULL or their default."""
    path, repository = outside(database, action)
    with repository.transaction() as transaction:
        transaction.delete(repository.schema["users"], [(2,)])
        transaction.finish({}, allow_cascade=True)
    assert logs == sqlite.query(path, "SELECT id, u FROM logs")
    assert notes == sqlite.query(path, "SELECT * FROM notes")


@pytest.mark.parametrize("action", ["RESTRICT", "NO ACTION"])
def test_allow_cascade_does_not_override_a_restriction(database: Make, action: str) -> None:
    """A reference without an action of its own still refuses."""
    path, repository = outside(database, action)
    before = sqlite.dump(path)
    with failing(repository, StoreError, "'logs'") as transaction:
        transaction.delete(repository.schema["users"], [(2,)])
        transaction.finish({}, allow_cascade=True)
    assert before == sqlite.dump(path)


def test_a_default_that_refers_to_nothing_is_refused(database: Make) -> None:
    """SET DEFAULT to a record that is gone, too, ends in an error, not in a loop."""
    _, repository = outside(database, "SET DEFAULT")
    with failing(repository, StoreError, "by default") as transaction:
        transaction.delete(repository.schema["users"], [(1,), (2,)])
        transaction.finish({}, allow_cascade=True)


def test_references_outside_are_compared_as_sqlite_does(database: Make) -> None:
    """The parent's collation decides, and its affinity: 'ANA' refers to 'Ana', '2' to 2."""
    path = database(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE)",
        "CREATE TABLE logs (id TEXT REFERENCES users, name TEXT REFERENCES users (name))",
        "INSERT INTO users VALUES (2, 'Ana')",
    )
    repository = SQLiteRepository.reflect(path, exclude={"logs": "x"})
    sqlite.run(path, "INSERT INTO logs VALUES ('2', 'ANA')")
    users = repository.schema["users"]
    with repository.transaction() as transaction:
        transaction.update(users, [(2, "ana")])
        transaction.finish({})
    with failing(repository, StoreError, r"1 row of .* refers") as t:
        t.delete(users, [(2,)])
        t.finish({})


def test_text_that_is_no_utf8_is_carried_off_too(database: Make) -> None:
    """A reference whose value is no UTF-8 is found and followed."""
    path = database(
        "CREATE TABLE p (k TEXT PRIMARY KEY)",
        "CREATE TABLE c (k TEXT REFERENCES p ON DELETE CASCADE)",
        "INSERT INTO p VALUES (CAST(x'ff' AS TEXT))",
        "INSERT INTO c VALUES (CAST(x'ff' AS TEXT))",
    )
    repository = SQLiteRepository.reflect(path, exclude={"c": "x"})
    with repository.transaction() as transaction:
        transaction.clear(repository.schema["p"])
        transaction.finish({}, allow_cascade=True)
    assert [] == sqlite.query(path, "SELECT k FROM c")


def test_foreign_keys_that_the_schema_does_not_state_are_checked(database: Make) -> None:
    """A foreign key of a collection that is no reference of it may not newly dangle either."""
    path = database(
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p)",
        "INSERT INTO p VALUES (1), (2)",
        "INSERT INTO c VALUES (1, '1'), (2, '99')",
    )
    repository = SQLiteRepository.reflect(path)
    c = repository.schema["c"]
    assert () == c.references
    with repository.transaction() as transaction:
        transaction.insert(c, [(3, "2"), (4, "99")])
        transaction.finish({})
    before = sqlite.dump(path)
    for cascade in (False, True):
        with failing(
            repository, StoreError, r"1 row of the table 'c' .* that do not exist"
        ) as transaction:
            transaction.insert(c, [(5, "3")])
            transaction.finish({}, allow_cascade=cascade)
    assert before == sqlite.dump(path)


# -- full-text indexes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module", ["fts5(body, content='notes', content_rowid='id')", 'fts4(body, content="notes")']
)
def test_indexes_over_other_tables_are_rebuilt(database: Make, module: str) -> None:
    """Their triggers sleep, so that a search would find what was before, and not what is."""
    path = database(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)",
        f'CREATE VIRTUAL TABLE "search it" USING {module}',
        "CREATE TRIGGER ai AFTER INSERT ON notes BEGIN"
        ' INSERT INTO "search it" (rowid, body) VALUES (new.id, new.body); END',
        "INSERT INTO notes VALUES (1, 'old words')",
    )
    repository = SQLiteRepository.reflect(path)
    notes = repository.schema["notes"]
    found = 'SELECT rowid FROM "search it" WHERE "search it" MATCH \'{}\''
    with repository.transaction() as transaction:
        transaction.clear(notes)
        transaction.insert(notes, [(2, "new words")])
        transaction.finish({})
    assert [(2,)] == sqlite.query(path, found.format("words"))
    assert [] == sqlite.query(path, found.format("old"))
    before = sqlite.dump(path)
    with repository.transaction() as transaction:
        changes = transaction._connection.total_changes
        transaction.finish({})
        assert changes == transaction._connection.total_changes
    assert before == sqlite.dump(path)
