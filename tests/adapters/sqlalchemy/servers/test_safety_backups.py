"""Safety backups of servers: of one moment, known by where the data live, and undone by."""

from pathlib import Path

import pytest
import sqlalchemy
from click.testing import CliRunner
from sqlalchemy.pool import NullPool

from databackup import import_all, verify_archive
from databackup.cli.commands import cli
from databackup.errors import StoreFailed
from databackup.operations.folders import last_safety_backup
from databackup.repository import place_of
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
from tests.support import engines


def test_undoing_an_import(database: engines.Database, tmp_path: Path) -> None:
    """What the safety backup holds is what the tables held."""
    database.run(*MADE)
    fill(database)
    import_(on(database.engine), safety_backup=tmp_path)
    assert NEW == rows(database)
    found = last_safety_backup(on(database.engine), [tmp_path])
    assert SIZE + 1 == verify_archive(found.path, SCHEMA).records
    import_all(on(database.engine), found.path)
    assert OLD == rows(database)


def test_within_the_imports_transaction(filled: engines.Database, tmp_path: Path) -> None:
    """A session that is killed while it is read changes nothing, and leaves no file."""
    killed: list[str] = []

    def kill(progress: object) -> None:
        if getattr(progress, "stage", "") == "backing up" and not killed:
            killed.append("")
            filled.kill_all()

    with pytest.raises(StoreFailed, match="the connection was lost"):
        import_(on(filled.engine), safety_backup=tmp_path, progress=kill)
    assert [] == list(tmp_path.iterdir())


def test_where_the_data_live(database: engines.Database) -> None:
    """The place has neither user nor password, and is the same for all of them."""
    database.run(*MADE)
    place = place_of(on(database.engine))
    assert place is not None
    url = database.engine.url
    assert url.database == place.name
    other = sqlalchemy.create_engine(
        url.set(username="somebody", password="secret"),  # noqa: S106
        poolclass=NullPool,
    )
    assert place == place_of(on(other))
    assert "secret" not in repr(place_of(on(other)))
    assert "somebody" not in repr(place_of(on(other)))
    elsewhere = sqlalchemy.create_engine(url.set(database="elsewhere"), poolclass=NullPool)
    found = place_of(on(elsewhere))
    assert found is not None
    assert place.identity != found.identity


def test_on_the_command_line(
    database: engines.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`import` makes one, and `undo` finds it by the database's own name."""
    monkeypatch.chdir(tmp_path)
    database.run(*MADE)
    fill(database)
    url = database.engine.url.render_as_string(hide_password=False)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli, [*arguments], catch_exceptions=False)
        assert 0 == result.exit_code, result.output
        return result.output

    run("export", url, "old.json")
    database.run("DELETE FROM b WHERE id > 5")
    spoiled = rows(database)
    assert "to undo this: databackup undo " in run("import", "old.json", url, "--yes")
    assert OLD == rows(database)
    run("undo", url, "--yes")
    assert spoiled == rows(database)
