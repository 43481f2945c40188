import importlib.metadata
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from databackup.adapters.memory import MemoryRepository
from databackup.adapters.registry import GROUP, open_repository
from databackup.errors import FileError, SchemaError, TargetError
from databackup.repository import Repository
from databackup.schema import Collection, Schema
from tests.cli.conftest import Workshop

MEMORY = """
from databackup import Collection, Schema
from databackup.adapters.memory import MemoryRepository

SCHEMA = Schema(app="notes", collections=[Collection("notes", key="id", fields={"id": int})])
repository = MemoryRepository(SCHEMA, {"notes": []})

class Holder:
    @staticmethod
    def make():
        return repository

def make():
    return repository

def nothing():
    pass

def failing():
    raise RuntimeError("no database today")

def refusing():
    return Schema(app="", collections=[])

def asking(path):
    return repository
"""


def _names(repository: Repository) -> list[str]:
    return sorted(collection.name for collection in repository.schema.collections)


@pytest.mark.parametrize(
    "target", ["shop.db", "./shop.db", "sqlite:///shop.db", "SQLite:///./shop.db"]
)
def test_sqlite_files(workshop: Workshop, target: str) -> None:
    """A path, and sqlite:/// with a relative path, name a SQLite file."""
    assert ["orders", "people"] == _names(open_repository(target))


def test_absolute_url(workshop: Workshop) -> None:
    """Four slashes begin an absolute path."""
    assert ["orders", "people"] == _names(open_repository(f"sqlite:///{workshop.database}"))
    assert str(workshop.database).startswith("/")


@pytest.mark.parametrize(
    "name, url",
    [
        ("a b%.db", "sqlite:///a%20b%25.db"),
        ("é?#.db", "sqlite:///%C3%A9%3F%23.db"),
        ("m:db", "sqlite:///m:db"),
        ("m:db", "./m:db"),
    ],
)
def test_names_are_percent_decoded(workshop: Workshop, name: str, url: str) -> None:
    """A URL's path is percent-decoded; a path with a slash is never a module."""
    workshop.database.rename(name)
    assert ["orders", "people"] == _names(open_repository(url))


def test_plain_paths_are_not_decoded(workshop: Workshop) -> None:
    """A plain path is taken as it is."""
    workshop.database.rename("a%20b.db")
    assert ["orders", "people"] == _names(open_repository("a%20b.db"))


@pytest.mark.parametrize("target", [r"C:\data\x.db", "C:/data/x.db", r"\\host\x.db"])
def test_windows_paths_are_paths(workshop: Workshop, target: str) -> None:
    """A path that begins with a drive is a path, not a module."""
    with pytest.raises(FileError, match="does not exist") as raised:
        open_repository(target)
    assert target == raised.value.path


@pytest.mark.parametrize("target", ["none.db", "", ":memory:", "sqlite:///none.db", "a.b.c"])
def test_missing_files(workshop: Workshop, target: str) -> None:
    """A file that is not there is not made."""
    with pytest.raises(FileError, match="does not exist"):
        open_repository(target)
    assert ["shop.db"] == [path.name for path in Path().iterdir()]


@pytest.mark.parametrize("target", ["nul\0.db", "shop.db/x.db", "x" * 5000])
def test_impossible_paths(workshop: Workshop, target: str) -> None:
    """A path that no file can have is an error of the file."""
    with pytest.raises(FileError):
        open_repository(target)


def test_folder(workshop: Workshop) -> None:
    """A folder is no SQLite file."""
    with pytest.raises(FileError, match="is a folder"):
        open_repository(".")


@pytest.mark.parametrize(
    "target, message",
    [
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite://shop.db", "four slashes for an absolute path"),
        ("sqlite:///shop.db?mode=ro", "takes none"),
        ("sqlite:///%ff.db", "percent-encoded UTF-8"),
        ("nosuch://host/x", "no adapter is installed for nosuch://host/x; there are"),
    ],
)
def test_bad_urls(workshop: Workshop, target: str, message: str) -> None:
    """A URL that names no repository is answered with what is wrong with it."""
    with pytest.raises(TargetError, match=message):
        open_repository(target)


def test_no_regular_file() -> None:
    """A device is no SQLite file, though SQLite would take it for an empty one."""
    with pytest.raises(FileError, match="/dev/null is no regular file"):
        open_repository("/dev/null")


@pytest.mark.parametrize("content", [b"", None], ids=["empty file", "empty database"])
def test_nothing_to_back_up(workshop: Workshop, content: bytes | None) -> None:
    """A file without tables is refused: nobody means to keep a backup of nothing."""
    if content is None:
        workshop.make("none.db", "CREATE TABLE a (id INTEGER)", "DROP TABLE a")
    else:
        Path("none.db").write_bytes(content)
    with pytest.raises(TargetError, match=r"none\.db holds no tables to back up"):
        open_repository("none.db")


def test_options_of_reflection(workshop: Workshop) -> None:
    """`types` and `exclude` reach the reflected schema."""
    with sqlite3.connect(workshop.database) as connection:
        connection.execute("CREATE TABLE days (day DATE PRIMARY KEY) WITHOUT ROWID")
    connection.close()
    found = open_repository("shop.db", types="declared", exclude={"people": "a", "orders": "b"})
    assert ["days"] == _names(found)
    assert "date" == found.schema["days"].field("day").kind.name


# -- package.module:attribute ------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["repository", "make", "Holder.make"])
def test_attributes(workshop: Workshop, attribute: str) -> None:
    """A repository, a function that returns one, and an attribute of an attribute."""
    found = open_repository(f"{workshop.module(MEMORY)}:{attribute}")
    assert "notes" == found.schema.app


def test_packages(workshop: Workshop) -> None:
    """A module in a package below the current directory is found."""
    name = workshop.module("")
    Path(name + "_pkg").mkdir()
    Path(name + "_pkg", "db.py").write_text(MEMORY)
    assert "notes" == open_repository(f"{name}_pkg.db:repository").schema.app


def test_current_directory_is_added_once(workshop: Workshop) -> None:
    """The current directory is importable, as with `python -m`, and stands once in the path."""
    target = f"{workshop.module(MEMORY)}:repository"
    assert str(workshop.folder) not in sys.path
    open_repository(target)
    open_repository(target)
    assert 1 == sys.path.count(str(workshop.folder))


@pytest.mark.parametrize(
    "attribute, message",
    [
        ("gone", r"the module 'host.*' has no attribute 'gone'"),
        ("Holder.gone", r"the class 'Holder' has no attribute 'gone'"),
        ("SCHEMA", r"an object of the type 'Schema', not a repository"),
        ("nothing", r"is None, not a repository"),
        ("asking", r"function with arguments .*'path'"),
        (
            "failing",
            r"calling failing failed: RuntimeError: no database today \(.*host.*, line \d+",
        ),
        ("Holder", r"an object of the type 'Holder', not a repository"),
        ("MemoryRepository", r"function with arguments"),
    ],
)
def test_attributes_that_are_no_repository(
    workshop: Workshop, attribute: str, message: str
) -> None:
    """What an attribute is instead of a repository is said."""
    with pytest.raises(TargetError, match=message):
        open_repository(f"{workshop.module(MEMORY)}:{attribute}")


def test_callable_without_a_signature() -> None:
    """What has no signature is called, and what it returns is looked at."""
    with pytest.raises(TargetError, match="an object of the type 'dict', not a repository"):
        open_repository("builtins:dict")


def test_class_is_called_and_not_taken_as_it_is(workshop: Workshop) -> None:
    """A class that makes a repository without arguments is called."""
    source = MEMORY + "class Mine(MemoryRepository):\n  def __init__(self):\n"
    source += "    super().__init__(SCHEMA, {'notes': []})\n"
    found = open_repository(f"{workshop.module(source)}:Mine")
    assert "Mine" == type(found).__name__


def test_errors_of_the_library_pass(workshop: Workshop) -> None:
    """An error of this library that the host's code raises comes out as it is."""
    with pytest.raises(SchemaError):
        open_repository(f"{workshop.module(MEMORY)}:refusing")
    with pytest.raises(SchemaError):
        open_repository(f"{workshop.module(MEMORY + 'refusing()')}:repository")


@pytest.mark.parametrize("target", ["no_such_module_x:app", "no_such_package_x.module:app"])
def test_missing_modules(workshop: Workshop, target: str) -> None:
    """A module that is not there is named."""
    name = target.partition(":")[0].partition(".")[0]
    with pytest.raises(TargetError, match=f"there is no module '{name}'"):
        open_repository(target)


@pytest.mark.parametrize(
    "source, message",
    [
        ("import no_such_module_y", "failed: ModuleNotFoundError: .*no_such_module_y.*line 1"),
        ("from json import no_such_name", "failed: ImportError: cannot import name"),
        ("x = = 1", "failed: SyntaxError: "),
        ("\n\nraise KeyError('DATABASE_URL')", "failed: KeyError: 'DATABASE_URL' .*line 3"),
    ],
)
def test_modules_that_fail(workshop: Workshop, source: str, message: str) -> None:
    """A module that is there and fails when imported is told from one that is not there."""
    with pytest.raises(TargetError, match=f"importing host.* {message}"):
        open_repository(f"{workshop.module(source)}:repository")


def test_options_are_for_reflection_only(workshop: Workshop) -> None:
    """`types` and `exclude` for a repository with its own schema are refused, not ignored."""
    target = f"{workshop.module(MEMORY)}:repository"
    with pytest.raises(TargetError, match="brings its own schema"):
        open_repository(target, types="declared")
    with pytest.raises(TargetError, match="brings its own schema"):
        open_repository(target, exclude={"notes": "why"})


# -- adapters of other packages ----------------------------------------------------------------

SCHEMA = Schema(app="far", collections=[Collection("notes", key="id", fields={"id": int})])


def opened(url: str, **options: Any) -> Repository:
    """What the entry point `far` names."""
    if url == "far://fails":
        raise OSError("unreachable")
    if url == "far://nothing":
        return None  # type: ignore[return-value]
    assert {"types": "declared", "exclude": {"a": "b"}} == options
    return MemoryRepository(SCHEMA, {"notes": []})


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points as an installed package has them."""
    here = __name__
    points = [
        importlib.metadata.EntryPoint("far", f"{here}:opened", GROUP),
        importlib.metadata.EntryPoint("gone", "no_such_module_z:open", GROUP),
        importlib.metadata.EntryPoint("wrong", f"{here}:SCHEMA", GROUP),
    ]
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda *, group: points if group == GROUP else [],
    )


@pytest.mark.usefixtures("_installed")
def test_installed_adapter() -> None:
    """A URL's scheme finds the adapter of another package, which gets the URL and the options."""
    found = open_repository("far://host/x", types="declared", exclude={"a": "b"})
    assert "far" == found.schema.app


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    "target, message",
    [
        ("far://fails", "the adapter for far:// failed: OSError: unreachable"),
        ("far://nothing", "is None, not a repository"),
        ("gone://x", "loading the adapter for gone:// failed: ModuleNotFoundError"),
        ("wrong://x", "the adapter for wrong:// is no function"),
        ("other://x", "there are far://, gone://, mariadb://, mysql://, postgresql://, sqlite://"),
    ],
)
def test_installed_adapters_that_fail(target: str, message: str) -> None:
    """What an adapter of another package does wrong is said."""
    with pytest.raises(TargetError, match=message):
        open_repository(target)


def test_a_host_that_exits_is_no_repository(workshop: Workshop) -> None:
    """A host that ends the process is an error, not a backup that seems to be done."""
    for source in ("import sys\nsys.exit(0)", "import sys\ndef x():\n    sys.exit()"):
        result = workshop.run("export", f"{workshop.module(source)}:x", "backup.json")
        assert 1 == result.exit_code
        assert "SystemExit" in result.stderr
        assert not (workshop.folder / "backup.json").exists()
