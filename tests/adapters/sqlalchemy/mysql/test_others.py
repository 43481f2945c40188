"""Databases in the manner of other people's: a film rental and a blog, out and back."""

import io
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from databackup import diff, import_all, iter_export, verify_archive
from databackup.adapters.memory import MemoryRepository
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import RecordsNotTaken, StoreError
from tests.support import mysql
from tests.support.archives import exported


def _script(name: str) -> tuple[str, ...]:
    text = Path(__file__).with_name(name).read_text("utf-8")
    return tuple(text.split(";\n")[:-1])


RENTAL, BLOG = _script("rental.sql"), _script("blog.sql")
SPOIL = (
    "SET foreign_key_checks = 0",
    "DELETE FROM film WHERE film_id % 7 = 0",
    "UPDATE film SET title = concat(title, '!'), meta = NULL WHERE film_id % 5 = 0",
    "UPDATE film_text SET title = 'x'",
    "INSERT INTO film (title) VALUES ('new')",
    "DELETE FROM staff",
    "UPDATE store SET manager_id = 1",
    "UPDATE address SET location = POINT(9, 9)",
    "UPDATE film SET original_id = 1",
    "TRUNCATE film_actor",
)
BLOG_SPOIL = (
    "SET sql_mode = ''",
    "UPDATE wp_posts SET post_date = '2000-01-01', post_day = NULL",
    "DELETE FROM wp_users WHERE ID = 1",
    "UPDATE wp_options SET option_name = concat(option_name, '!')",
    "TRUNCATE wp_term_relationships",
    "INSERT INTO wp_log VALUES (now(), 'new')",
)


def _state(engine: sqlalchemy.Engine) -> dict[str, Any]:
    """Each table by the server's own checksum and statement, and the triggers."""
    names = [
        name
        for (name,) in mysql.query(
            engine,
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = database() AND table_type = 'BASE TABLE' ORDER BY 1",
        )
    ]
    state: dict[str, Any] = {"triggers": mysql.query(engine, "SHOW TRIGGERS")}
    for name in names:
        (checksum,) = mysql.query(engine, f"CHECKSUM TABLE {name} EXTENDED")
        (created,) = mysql.query(engine, f"SHOW CREATE TABLE {name}")
        (count,) = mysql.query(engine, f"SELECT count(*) FROM {name}")
        state[name] = (checksum[1], created[1], count)
    return state


@pytest.mark.parametrize(
    "script, spoil", [(RENTAL, SPOIL), (BLOG, BLOG_SPOIL)], ids=["rental", "blog"]
)
@pytest.mark.parametrize("empty", [False, True], ids=["spoiled", "emptied"])
def test_a_spoiled_copy_is_as_it_was(
    engine: sqlalchemy.Engine, script: tuple[str, ...], spoil: tuple[str, ...], empty: bool
) -> None:
    """By the server's checksums of data, statements and triggers."""
    mysql.run(engine, *script)
    before = _state(engine)
    repository = SQLAlchemyRepository.reflect(engine)
    archive = exported(repository)
    verify_archive(io.BytesIO(archive), repository.schema)
    if empty:
        tables = [name for name in before if name != "triggers"]
        # A TRUNCATE would begin counters anew, and a server counts no further back than records.
        spoil = ("SET foreign_key_checks = 0", *(f"DELETE FROM {name}" for name in tables))
    mysql.run(engine, *spoil)
    import_all(repository, io.BytesIO(archive))
    assert diff(repository, io.BytesIO(archive)).identical
    after = _state(engine)
    if not empty:
        for state in (before, after):
            # A server never counts back.
            state.update({name: _uncounted(found) for name, found in state.items()})
    assert before == after
    memory = MemoryRepository(
        repository.schema, {c.name: [] for c in repository.schema.collections}
    )
    import_all(memory, io.BytesIO(archive))
    assert diff(repository, memory).identical
    report = import_all(repository, io.BytesIO(b"".join(iter_export(memory))))
    assert (0, 0, 0) == (report.added, report.changed, report.deleted)


def _uncounted(found: Any) -> Any:
    if type(found) is not tuple:
        return found
    return tuple(
        " ".join(w for w in part.split() if not w.startswith("AUTO_INCREMENT="))
        if type(part) is str
        else part
        for part in found
    )


def test_a_trigger_that_changes_records_is_named(engine: sqlalchemy.Engine) -> None:
    """As nothing can switch it off."""
    mysql.run(
        engine,
        "CREATE TABLE payment (id INT PRIMARY KEY, at DATETIME NOT NULL)",
        "INSERT INTO payment VALUES (1, '2024-01-01')",
        "CREATE TRIGGER payment_date BEFORE INSERT ON payment FOR EACH ROW SET NEW.at = NOW()",
    )
    repository = SQLAlchemyRepository.reflect(engine)
    archive = exported(repository)
    mysql.run(engine, "DELETE FROM payment")
    with pytest.raises(RecordsNotTaken, match="the trigger payment_date of payment") as caught:
        import_all(repository, io.BytesIO(archive))
    (problem,) = caught.value.problems
    assert ("payment", 1, (1,), "at") == (
        problem.collection,
        problem.record,
        problem.key,
        problem.field,
    )
    assert [] == mysql.query(engine, "SELECT * FROM payment")


def test_tables_without_transactions_are_read_alone(engine: sqlalchemy.Engine) -> None:
    """They are exported; an import names them before it writes anything."""
    mysql.run(
        engine,
        *BLOG[:-5],
        "ALTER TABLE wp_options ENGINE=MyISAM",
        "ALTER TABLE wp_log ENGINE=Aria",
        *BLOG[-5:],
    )
    before = _state(engine)
    repository = SQLAlchemyRepository.reflect(engine)
    archive = exported(repository)
    with pytest.raises(StoreError, match=r"wp_log \(Aria\), wp_options \(MyISAM\)"):
        import_all(repository, io.BytesIO(archive))
    assert before == _state(engine)
    mysql.run(engine, "ALTER TABLE wp_options ENGINE=InnoDB", "ALTER TABLE wp_log ENGINE=InnoDB")
    mysql.run(engine, "DELETE FROM wp_options")
    import_all(repository, io.BytesIO(archive))
    assert diff(repository, io.BytesIO(archive)).identical
