"""What the store itself raises while an import writes."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from databackup import import_all
from databackup.errors import RecordsNotTaken, StoreError, StoreFailed
from tests.adapters.sqlalchemy.servers.tables import (
    MADE,
    NEW,
    OLD,
    SCHEMA,
    SIZE,
    fill,
    import_,
    on,
    rows,
)
from tests.support import engines, pgroles
from tests.support.archives import exported
from tests.support.club import memory


def _raising(database: engines.Database, *, full: bool) -> str:
    """Let writing to b fail; what is said then. `full` is as if the disk were."""
    if database.name == "mysql":
        state, number = ("HY000", 1021) if full else ("45000", 1644)
        database.run(
            *(
                f"CREATE TRIGGER no_{event} BEFORE {event} ON b FOR EACH ROW "
                f"SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'oh no'"
                for event in ("INSERT", "UPDATE")
            )
        )
    else:
        condition = "disk_full" if full else "check_violation"
        database.run(
            "CREATE FUNCTION never(text) RETURNS boolean LANGUAGE plpgsql AS "
            f"$$ BEGIN IF $1 = 'new' THEN RAISE {condition} USING MESSAGE = 'oh no'; END IF; "
            "RETURN true; END $$",
            "ALTER TABLE b ADD CHECK (never(v))",
        )
    return "oh no"


def test_a_trigger_that_raises(filled: engines.Database) -> None:
    """MariaDB's fire, and refuse records; PostgreSQL's are suspended, but not what checks."""
    said = _raising(filled, full=False)
    few = exported(memory({"a": NEW["a"], "b": [*OLD["b"][:-3], *NEW["b"][-3:]]}, SCHEMA))
    with pytest.raises(RecordsNotTaken, match=said) as caught:
        import_all(on(filled.engine), io.BytesIO(few))
    assert {(SIZE - 3,), (SIZE - 2,), (SIZE - 1,)} == {p.key for p in caught.value.problems}


def test_the_command_line_shows_the_refusal_alone(filled: engines.Database, tmp_path: Path) -> None:
    """And nothing of what a driver logs on its way there."""
    said = _raising(filled, full=False)
    (tmp_path / "new.json").write_bytes(exported(memory({"a": [], "b": NEW["b"][:40]}, SCHEMA)))
    url = filled.engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-m", "databackup", "import", tmp_path / "new.json", url, "--yes"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (1, "") == (done.returncode, done.stdout)
    assert said in done.stderr
    assert done.stderr.startswith("error: the import was refused")
    assert not filled.engine.url.password or str(filled.engine.url.password) not in done.stderr


def test_a_full_disk(filled: engines.Database) -> None:
    """Is no fault of the records."""
    said = _raising(filled, full=True)
    with pytest.raises(StoreFailed, match=said):
        import_(on(filled.engine))


_FUNCTION = (
    "CREATE FUNCTION {name} LANGUAGE plpgsql AS "
    "$$ BEGIN IF {value} = 'new' THEN {says}; END IF; RETURN {result}; END $$"
)
_SAYS = {
    "raise": "RAISE EXCEPTION 'oh no' USING DETAIL = 'not that one'",
    "assert": "ASSERT false, 'oh no'",
    "no data": "DECLARE x int; BEGIN SELECT id INTO STRICT x FROM a WHERE id < 0; END",
}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("says", _SAYS)
@pytest.mark.parametrize("how", ["check", "trigger", "check of empty table"])
def test_what_a_function_raises_of_its_own(database: engines.Database, how: str, says: str) -> None:
    """Has an SQLSTATE of its class P0, and names the records like any other refusal."""
    database.run(*MADE)
    if how != "check of empty table":
        fill(database)
    before = rows(database)
    if how == "trigger":
        database.run(
            _FUNCTION.format(
                name="never() RETURNS trigger", value="NEW.v", says=_SAYS[says], result="NEW"
            ),
            "CREATE TRIGGER never BEFORE INSERT OR UPDATE ON b "
            "FOR EACH ROW EXECUTE FUNCTION never()",
        )
    else:
        name = "never(text) RETURNS boolean"
        database.run(
            _FUNCTION.format(name=name, value="$1", says=_SAYS[says], result="true"),
            "ALTER TABLE b ADD CHECK (never(v))",
        )
    few = exported(memory({"a": NEW["a"], "b": [*OLD["b"][:-2], *NEW["b"][-2:]]}, SCHEMA))
    with contextlib.ExitStack() as stack:
        engine = database.engine
        if how == "trigger":  # an owner's import suspends it
            engine = stack.enter_context(pgroles.writer(engine))
        with pytest.raises(RecordsNotTaken) as caught:
            import_all(on(engine), io.BytesIO(few))
    assert {(SIZE - 2,), (SIZE - 1,)} == {problem.key for problem in caught.value.problems}
    assert {"b"} == {problem.collection for problem in caught.value.problems}
    if says == "raise":
        assert "b: oh no (not that one)" in caught.value.problems[0].message
    assert before == rows(database)
    assert 0 == database.sessions()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_an_event_trigger_that_raises(filled: engines.Database) -> None:
    """Whoever forbids changes of definitions forbids to suspend references."""
    filled.run(
        "ALTER TABLE b ADD FOREIGN KEY (id) REFERENCES b (id)",
        "CREATE FUNCTION never() RETURNS event_trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'frozen for the release'; END $$",
        "CREATE EVENT TRIGGER never ON ddl_command_start EXECUTE FUNCTION never()",
    )
    with pytest.raises(StoreError, match="frozen for the release"):
        import_(on(filled.engine))
    filled.run("DROP EVENT TRIGGER never")
