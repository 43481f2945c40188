"""What the store itself raises while an import writes."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from databackup import import_all
from databackup.errors import RecordsNotTaken, StoreError, StoreFailed
from tests.adapters.sqlalchemy.servers.tables import NEW, OLD, SCHEMA, SIZE, import_, on
from tests.support import engines
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
