import ast
import importlib
import importlib.metadata
import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

import databackup

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

# A child that measures itself must not be slowed down by coverage.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}

# For a child in which some packages are as good as not installed.
BLOCK = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Block())
"""


def _child(code: str, *, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=env,
    )


def _out(code: str, *, env: dict[str, str] | None = None) -> str:
    child = _child(code, env=env)
    assert child.returncode == 0, child.stderr
    return child.stdout


def _run(*command: str | Path, cwd: Path = ROOT) -> str:
    child = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd, env=CLEAN
    )
    assert child.returncode == 0, child.stdout + child.stderr
    return child.stdout


def test_import_is_quick() -> None:
    """`import databackup` takes less than 100 ms, as the quickest of up to 20 processes says."""
    code = (
        "from time import perf_counter; start = perf_counter(); import databackup; "
        "print(perf_counter() - start)"
    )
    times: list[float] = []
    while len(times) < 20 and min(times, default=1.0) >= 0.1:
        times.append(float(_out(code, env=CLEAN)))
    assert min(times) < 0.1


def test_import_loads_nothing_optional() -> None:
    """Neither the package nor its names load an extra's package, or what only some apps need."""
    code = "import sys, json; from databackup import *; print(json.dumps(list(sys.modules)))"
    loaded = set(json.loads(_out(code, env=CLEAN)))
    extras = {"click", "rich", "backports.zstd", "compression.zstd"}
    extras |= {"sqlalchemy", "psycopg", "pymysql", "pyrage"}
    tools = {"hypothesis", "pytest"}
    parts = {"databackup.cli", "databackup.testing", "databackup.adapters.sqlite"}
    assert set() == loaded & (extras | tools | parts)


def test_works_without_the_extras() -> None:
    """The library, its adapters too, can be imported with the core dependencies alone."""
    blocked = {"click", "rich", "backports", "hypothesis", "pytest"}
    blocked |= {"sqlalchemy", "psycopg", "pymysql", "pyrage"}
    code = BLOCK.format(blocked=blocked) + (
        "import databackup, databackup.adapters.memory, databackup.adapters.sqlite\n"
    )
    assert _out(code) == ""


@pytest.mark.parametrize("blocked", ["click", "rich"])
def test_command_without_its_extra(blocked: str) -> None:
    """Without click or rich, the command names the extra to install, and shows no traceback."""
    code = BLOCK.format(blocked={blocked}) + (
        "import runpy\n"
        "sys.argv = ['databackup', '--help']\n"
        "runpy.run_module('databackup', run_name='__main__', alter_sys=True)\n"
    )
    child = _child(code)
    assert child.returncode == 1, child.stdout + child.stderr
    assert "databackup[cli]" in child.stderr
    assert "Traceback" not in child.stderr


def test_public_names_are_loaded_from_where_type_checkers_see_them() -> None:
    """What `import databackup` loads on demand is what its imports for type checkers say."""
    tree = ast.parse(Path(databackup.__file__).read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"databackup.{home}" for name, home in databackup._HOME_OF.items()}
    assert sorted([*seen, "__version__"]) == sorted(databackup.__all__)


def test_public_names_can_be_had_and_listed() -> None:
    """Each public name is there, `dir` lists it, and an unknown one is an AttributeError."""
    for name, home in databackup._HOME_OF.items():
        expected = getattr(importlib.import_module(f"databackup.{home}"), name)
        assert expected is getattr(databackup, name)
    assert set(databackup.__all__) <= set(dir(databackup))
    with pytest.raises(AttributeError, match="has no attribute 'export_nothing'"):
        databackup.export_nothing  # type: ignore[attr-defined]  # noqa: B018


def test_version() -> None:
    """The package and its metadata state one version."""
    assert importlib.metadata.version("databackup") == databackup.__version__


def test_is_typed() -> None:
    """The package carries `py.typed`, so that type checkers read its annotations."""
    assert Path(databackup.__file__).with_name("py.typed").is_file()


def _extras() -> list[str]:
    """The packages that the extras bring, without those that one extra takes from another."""
    needs = itertools.chain(*PYPROJECT["project"]["optional-dependencies"].values())
    names = {re.split(r"[>\[]", need)[0] for need in needs}
    return sorted(names - {"databackup"})


# SQLAlchemy imports them itself, for a URL that names them.
DRIVERS = {"psycopg": "postgresql+psycopg", "PyMySQL": "mysql+pymysql"}


@pytest.mark.parametrize("package", [name for name in _extras() if name not in DRIVERS])
def test_extras_are_imported_somewhere(package: str) -> None:
    """Every package that an extra brings is imported by the library: no extra does nothing."""
    module = {"backports.zstd": "backports"}.get(package, package.lower())
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    assert f"import {module}" in source or f"from {module}" in source


@pytest.mark.parametrize("package", DRIVERS)
def test_extras_bring_drivers(package: str) -> None:
    """A driver that an extra brings is the one that SQLAlchemy takes for its URL."""
    assert package in _extras()
    dialect = sqlalchemy.make_url(f"{DRIVERS[package]}://").get_dialect()
    assert package.lower() == dialect.import_dbapi().__name__


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as it is for a release."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_wheel_holds_the_package_alone(wheel: Path) -> None:
    """The wheel holds `databackup` with `py.typed` and the licence, and no test."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {"databackup", wheel.name.replace("-py3-none-any.whl", ".dist-info")} == {
        name.partition("/")[0] for name in names
    }
    assert "databackup/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_wheel_installs_bare(wheel: Path, tmp_path: Path) -> None:
    """In a fresh environment the wheel brings its dependencies, no extra's, and does a backup."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    _run(*pip, "install", "-qq", wheel)
    installed = {package["name"] for package in json.loads(_run(*pip, "list", "--format=json"))}
    assert {"databackup", "attrs", "cattrs", "fastjsonschema", "msgspec"} <= installed
    assert set() == installed & {"click", "rich", "backports.zstd"}
    assert set() == installed & {"SQLAlchemy", "psycopg", "psycopg-binary", "PyMySQL", "pyrage"}
    code = (
        "import sqlite3, databackup\n"
        "from databackup.adapters.sqlite import SQLiteRepository\n"
        "connection = sqlite3.connect('app.db')\n"
        "connection.execute('CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)')\n"
        "connection.execute('INSERT INTO notes VALUES (1, ?)', ['kept'])\n"
        "connection.commit()\n"
        "repository = SQLiteRepository.reflect('app.db')\n"
        "databackup.export_all(repository, 'backup.json')\n"
        "connection.execute('DELETE FROM notes')\n"
        "connection.commit()\n"
        "databackup.import_all(repository, 'backup.json')\n"
        "print(connection.execute('SELECT * FROM notes').fetchall())\n"
    )
    assert _run(python, "-c", code, cwd=tmp_path) == "[(1, 'kept')]\n"
