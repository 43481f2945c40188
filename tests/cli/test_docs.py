"""What is documented exists, and what exists is documented."""

import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import databackup
from databackup import errors, testing
from databackup.cli import confirm
from databackup.cli.commands import cli
from databackup.errors import DatabackupError

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])


def _text(path: str) -> str:
    return (DOCS / path).read_text("utf-8")


def _commands(group: click.Group = cli, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


COMMANDS = dict(_commands())


def _arguments(command: click.Command) -> list[str]:
    found = [p for p in command.params if isinstance(p, click.Argument)]
    return [str(argument.name).upper() for argument in found]


def _options(command: click.Command) -> set[str]:
    return {o for p in command.params if isinstance(p, click.Option) for o in p.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_documented(name: str) -> None:
    """Each command has a section with its usage, which names exactly its options."""
    text = _text("reference/cli.md")
    usage = " ".join(["databackup", name, *_arguments(COMMANDS[name])])
    assert f"| [`{usage}`](#{name.replace(' ', '-')}) |" in text
    section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    line = section.partition(f"`{usage} ")[2].partition("`")[0]
    assert _options(COMMANDS[name]) == set(re.findall(r"--[a-z-]+", line))


def test_options_are_documented() -> None:
    """Each option is explained once."""
    explained = re.findall(r"^`(--[a-z-]+)", _text("reference/cli.md"), re.MULTILINE)
    every = {option for command in COMMANDS.values() for option in _options(command)}
    assert sorted(every) == sorted(explained)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_complete(name: str) -> None:
    """Each command and each of its options has a help text."""
    command = COMMANDS[name]
    assert command.help
    assert [] == [p.name for p in command.params if isinstance(p, click.Option) and not p.help]


ERRORS = [
    found
    for module in (errors, confirm)
    for _, found in inspect.getmembers(module, inspect.isclass)
    if issubclass(found, DatabackupError) and found.__module__.startswith(module.__name__)
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_errors_are_documented(error: type[DatabackupError]) -> None:
    """Each error has a row with its code."""
    assert f"\n| `{error.__name__}` | `{error.code}` | " in _text("reference/errors.md")


def test_no_other_errors_are_documented() -> None:
    """The page lists no error that is not there, and all codes differ."""
    rows = re.findall(r"^\| `(\w+)` \| `([\w-]+)` \|", _text("reference/errors.md"), re.MULTILINE)
    assert sorted((error.__name__, error.code) for error in ERRORS) == sorted(rows)
    assert len(ERRORS) == len({error.code for error in ERRORS})


@pytest.mark.parametrize(
    "name", [*databackup.__all__, *(f"testing.{name}" for name in testing.__all__)]
)
def test_public_names_are_documented(name: str) -> None:
    """Each public name stands in the table of its module."""
    module, _, last = name.rpartition(".")
    section = _text("reference/api.md").partition(f"\n## `databackup{module and '.'}{module}`\n")[2]
    table = section.partition("\n## ")[0]
    assert re.search(rf"^\|[^|]*`{last}[`(]", table, re.MULTILINE)


def test_extras_are_documented() -> None:
    """README names each extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (ROOT / "README.md").read_text("utf-8")
    assert [] == [
        name for name in project["optional-dependencies"] if f"extra `{name}`" not in text
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Links between documents lead to files and headings that are there."""
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text("utf-8")):
        other = (page.parent / target) if target else page
        assert other.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text("utf-8"), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w\- ]", "", h).lower().replace(" ", "-") for h in headings
            }


def test_every_page_is_reached() -> None:
    """The index leads to every page."""
    text = _text("index.md")
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    assert [] == [page for page in pages if page != "index.md" and f"({page})" not in text]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_documents_use_exist(page: Path) -> None:
    """No document uses a command or an option that does not exist."""
    text = page.read_text("utf-8")
    every = {option for command in COMMANDS.values() for option in _options(command)}
    every |= {"--version", "--help"}
    for line in re.findall(
        r"databackup ((?:export|import|inspect|verify|schema|[a-z]+ --).*)", text
    ):
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", line)) <= every
    blocks = re.findall(r"^```(?:console|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    used = re.findall(r"(?:^|[$|'] )databackup ([a-z]+)", "\n".join(blocks), re.MULTILINE)
    assert set(used) <= set(cli.commands)
