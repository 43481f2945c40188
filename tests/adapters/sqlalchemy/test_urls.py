"""Databases by their URLs, whose passwords are nobody else's."""

import builtins
import json
import sys
import traceback
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from databackup import Schema, export_all
from databackup.adapters.registry import open_repository, without_password
from databackup.adapters.sqlalchemy import SQLAlchemyRepository, drivers
from databackup.cli.commands import cli
from databackup.errors import DatabackupError, FileError, MissingExtra, TargetError
from tests.support import sqlite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with one record."""
    path = tmp_path / "app.db"
    sqlite.run(path, "CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (7)")
    sqlite.run(path, "CREATE TABLE u (id INTEGER PRIMARY KEY)")
    return path


def test_sqlite_with_a_driver(path: Path) -> None:
    """The file is read through SQLAlchemy."""
    repository = open_repository(f"sqlite+pysqlite:///{path}")
    assert isinstance(repository, SQLAlchemyRepository)
    assert export_all(repository, path.with_suffix(".json")).records == 1
    excluded = open_repository(f"sqlite+aiosqlite:///{path}", exclude={"u": "no data"})
    assert [c.name for c in excluded.schema.collections] == ["t"]


@pytest.mark.parametrize(
    "target,error,message",
    [
        ("sqlite+pysqlite://", TargetError, "names no file"),
        ("sqlite+pysqlite:///:memory:", TargetError, "names no file"),
        ("sqlite+pysqlite:///none.db", FileError, "none.db does not exist"),
        ("postgresql+nodriver://h/d", TargetError, "with a driver that is installed"),
        ("postgresql://h:port/d", TargetError, "is no URL of SQLAlchemy's"),
    ],
)
def test_urls_that_lead_nowhere(
    target: str,
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is answered with what is wrong, and no file is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        open_repository(target)
    assert not list(tmp_path.iterdir())


def test_a_database_without_tables(tmp_path: Path) -> None:
    """A backup of it would seem to be one."""
    sqlite.run(tmp_path / "a.db")
    with pytest.raises(TargetError, match="holds no tables"):
        open_repository(f"sqlite+pysqlite:///{tmp_path / 'a.db'}")


@pytest.mark.parametrize(
    "target,package,message",
    [
        ("postgresql://h/d", "sqlalchemy", r"needs the extra .*'databackup\[postgresql\]'"),
        ("mariadb://h/d", "sqlalchemy", r"needs the extra .*'databackup\[mysql\]'"),
        ("sqlite+pysqlite:///a", "sqlalchemy", r"needs the extra .*'databackup\[sqlalchemy\]'"),
        ("postgresql+asyncpg://h/d", "psycopg", r"needs the extra .*'databackup\[postgresql\]'"),
        ("mysql://h/d", "pymysql", r"needs the extra .*'databackup\[mysql\]'"),
        ("postgresql+psycopg2://h/d", "psycopg", r"needs the extra .*'databackup\[postgresql\]'"),
        ("sqlite+pysqlcipher:///a.db", "pysqlcipher3", "needs the package pysqlcipher3"),
    ],
)
def test_a_package_that_is_missing(
    target: str, package: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra that brings it is named."""
    real = builtins.__import__

    def importing(name: str, *more: Any) -> Any:
        if (name.partition(".")[0] == package and not more[3:]) or (
            more[3:] == (0,) and (name.partition(".")[0] == package)
        ):
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(name, *more)

    ours = [n for n in sys.modules if n.startswith("databackup.adapters.sqlalchemy")]
    for name in ours if package == "sqlalchemy" else ():
        monkeypatch.delitem(sys.modules, name)
    for name in [n for n in sys.modules if n.partition(".")[0] == package != "sqlalchemy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises((MissingExtra, TargetError), match=message):
        open_repository(target)


@pytest.mark.parametrize(
    "url,plain",
    [
        ("postgresql://h/d", "postgresql+psycopg://h/d"),
        ("mysql://h/d", "mysql+pymysql://h/d"),
        ("mariadb://h/d", "mariadb+pymysql://h/d"),
        ("postgresql+psycopg2://h/d?sslmode=require", "postgresql+psycopg://h/d?sslmode=require"),
        ("mysql+mysqldb://h/d?charset=utf8mb4", "mysql+pymysql://h/d?charset=utf8mb4"),
        ("mariadb+mariadbconnector://h/d", "mariadb+pymysql://h/d"),
        ("oracle+oracledb://h/d", "oracle+oracledb://h/d"),
        (
            "postgresql+asyncpg://h/d?ssl=require&prepared_statement_cache_size=0",
            "postgresql+psycopg://h/d?sslmode=require",
        ),
        ("mysql+asyncmy://u:p@h/d?charset=utf8mb4", "mysql+pymysql://u:p@h/d?charset=utf8mb4"),
        ("sqlite+aiosqlite:///a.db", "sqlite+pysqlite:///a.db"),
    ],
)
def test_drivers(url: str, plain: str) -> None:
    """Other drivers give way to the two that are supported; other servers' stay."""
    found = drivers.plain_url(sa.make_url(url))
    assert found.render_as_string(hide_password=False) == plain


# -- passwords ---------------------------------------------------------------------------------

_SECRET = "s3cr/t"  # noqa: S105 - the one that must not be seen
_URLS = [
    f"postgresql+psycopg://ana:{_SECRET}@127.0.0.1:1/shop",
    f"postgresql://ana:{_SECRET}@127.0.0.1:1/shop?connect_timeout=1",
    f"postgresql://ana:{_SECRET}@127.0.0.1:port/shop",
    f"postgresql://ana:{_SECRET}@x@127.0.0.1:1/shop",
    f"postgresql://ana@127.0.0.1:1/shop?password={_SECRET}",
    f"postgresql+nothing://ana:{_SECRET}@127.0.0.1:1/shop",
    f"mysql://ana:{_SECRET}@127.0.0.1:1/shop",
    f"mysql+asyncmy://:{_SECRET}@127.0.0.1:1/shop",
    f"oracle://ana:{_SECRET}@127.0.0.1:1/shop",
]


@pytest.mark.parametrize("url", _URLS)
def test_no_error_has_the_password(url: str) -> None:
    """Neither its message, nor its causes, nor its JSON."""
    with pytest.raises(DatabackupError) as caught:
        export_all(open_repository(url), "none.json")
    text = "".join(traceback.format_exception(caught.value, limit=0))
    assert _SECRET not in text
    assert _SECRET not in json.dumps(caught.value.as_json())


@pytest.mark.parametrize("url", _URLS)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_no_output_has_the_password(
    url: str, more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any command."""
    monkeypatch.chdir(tmp_path)
    sqlite.run(tmp_path / "a.db", "CREATE TABLE t (id INTEGER PRIMARY KEY)")
    export_all(open_repository("a.db"), "a.json")
    for command in (
        ["export", url, "b.json"],
        ["import", "a.json", url],
        ["import", "a.json", url, "--yes"],
        ["diff", "a.json", url],
        ["schema", "show", url],
    ):
        result = CliRunner().invoke(cli, [*command, *more], standalone_mode=False)
        assert "127.0.0.1" in result.output
        assert _SECRET not in result.output


@pytest.mark.parametrize(
    "target,shown",
    [
        ("postgresql://u:p@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:p@q/r@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:p@h/d", "postgresql://:***@h/d"),
        ("postgresql://u@h/d?a=b&sslpassword=p&c=d", "postgresql://u@h/d?a=b&sslpassword=***&c=d"),
        ("postgresql://u@h:5/d", "postgresql://u@h:5/d"),
        ("sqlite:////srv/a:b@c.db", "sqlite:////srv/a:b@c.db"),
        ("app:db", "app:db"),
        ("a:b@c", "a:b@c"),
    ],
)
def test_without_password(target: str, shown: str) -> None:
    """The rest stays."""
    assert without_password(target) == shown


def test_a_repository_shows_no_password() -> None:
    """Nor the options of its URL."""
    engine = sa.create_engine("sqlite:////tmp?timeout=54321")
    with pytest.raises(FileError) as caught:
        _ = SQLAlchemyRepository.reflect(engine)
    assert "54321" not in str(caught.value)
    shown = repr(SQLAlchemyRepository(engine, Schema(collections=[])))
    assert shown == "SQLAlchemyRepository('sqlite:////tmp')"


def test_what_is_done_shows_no_password(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that asks for none takes any."""
    monkeypatch.chdir(tmp_path)
    url = sa.make_url(postgresql_url).set(password=_SECRET)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (id int PRIMARY KEY)"))
    engine.dispose()
    target = url.render_as_string(hide_password=False)
    encoded = urllib.parse.quote(_SECRET, safe="")
    for command in (
        ["export", target, "a.json"],
        ["import", "a.json", target, "--yes"],
        ["diff", "a.json", target],
        ["diff", "a.json", target, "--json"],
        ["schema", "show", target],
    ):
        result = CliRunner().invoke(cli, command, standalone_mode=False)
        assert (result.exception, result.exit_code) == (None, 0)
        assert _SECRET not in result.output
        assert encoded not in result.output
    archive = Path("a.json").read_text("utf-8")
    assert _SECRET not in archive
    assert encoded not in archive
