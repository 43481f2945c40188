"""The whole job in a few seconds: `make demo`, or `python -m examples.catering.demo`.

Every line that starts with `$` is a command that is really run, in a temporary folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from databackup import inspect_archive, iter_export
from databackup.adapters.memory import MemoryRepository
from databackup.archive.format import seal_to_bytes
from examples.catering import app

ROOT = Path(__file__).parents[2]
TARGET = "examples.catering.app:repository"
WIDTH = 96


def main() -> int:
    """Tell the story, and end with 1 where anything in it is not as it says."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        os.environ["CATERING_DB"] = "catering.db"
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        try:
            back_up()
            before = typed_dump()
            lose_data()
            restore(before)
            refuse_what_is_not_sound()
        except AssertionError as error:
            print(f"\nThe demo failed: {error}", file=sys.stderr)
            return 1
    heading("That was all")
    tell("The temporary folder is gone. README.md says how to use this with your own data.")
    return 0


# -- the story ---------------------------------------------------------------------------------


def back_up() -> None:
    """Seed the app, look at its schema, export it, and look at the file."""
    heading("1. An app with data")
    tell(
        "A small catering app keeps coordinators, menus and confirmations in a SQLite file. "
        "Its models are attrs classes: decimals, dates, an enumeration, a nested address."
    )
    app.seed()
    command("schema", "show", TARGET)

    heading("2. Export: everything into one file")
    command("export", TARGET, "backup.json")
    tell("The file is JSON, and each record has a line of its own:")
    lines = Path("backup.json").read_text("utf-8").splitlines()
    for line in [*lines[:8], "…", *lines[-3:]]:
        print("  " + (line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"))
    print()


def lose_data() -> None:
    """Change and delete some of the app's data."""
    heading("3. An accident")
    tell("Somebody halves the prices, renames a coordinator, and deletes all confirmations.")
    with contextlib.closing(sqlite3.connect(app.database())) as connection, connection:
        connection.execute("UPDATE menus SET price = CAST(price / 2 AS TEXT) WHERE id <= 6")
        connection.execute("UPDATE coordinators SET name = '???' WHERE id = 3")
        connection.execute("DELETE FROM confirmations")
        connection.execute("DELETE FROM menus WHERE id >= 11")
        connection.execute(
            "INSERT INTO menus VALUES (99, 'Nothing', '2026-04-01', '0.00', 'draft', '[]')"
        )
    command("export", TARGET, "spoiled.json", quiet=True)
    compare("backup.json", "spoiled.json")


def restore(before: str) -> None:
    """Import the archive, and see that nothing is lost."""
    heading("4. Import: back to what it was")
    command("import", "backup.json", TARGET, "--yes")
    tell("Is nothing lost? The data is exported once more, and the digests are compared:")
    command("export", TARGET, "again.json", quiet=True)
    same = compare("backup.json", "again.json")
    check(same, "the digests differ")
    check(typed_dump() == before, "the dump differs")
    tell("A dump of every value with its SQLite type, through a new connection, is equal too.")


def refuse_what_is_not_sound() -> None:
    """Try to import what is damaged, cut short, or sealed and yet wrong."""
    heading("5. What is not sound is refused, and changes nothing")
    sound = Path("backup.json").read_bytes()

    tell("One bit of the file has flipped, in the middle:")
    middle = len(sound) // 2
    flipped = sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :]
    refused("damaged.json", flipped)

    tell("The download broke off:")
    refused("truncated.json", sound[: len(sound) * 2 // 3])

    tell("A program has edited the records and sealed the file anew. The seal fits, the data not:")
    refused("edited.json", edited(sound))

    tell("One coordinator is gone from a file that is otherwise sound:")
    refused("dangling.json", without_coordinator())


def refused(name: str, content: bytes) -> None:
    """Try to import a file, and see that it is refused and that nothing has changed."""
    before = typed_dump()
    Path(name).write_bytes(content)
    command("import", name, TARGET, "--yes", expected=1)
    check(typed_dump() == before, f"{name} has changed the data")


# -- archives that are not sound ---------------------------------------------------------------


def edited(archive: bytes) -> bytes:
    """The archive with a price that is none, a guest too few, and one menu's id given twice."""
    for old, new in (
        (b'"price":"4.80"', b'"price":"cheap"'),
        (b'"guests":22,', b'"guests":0,'),
        (b'{"id":12,"title"', b'{"id":11,"title"'),
    ):
        check(old in archive, f"{old!r} is not in the archive")
        archive = archive.replace(old, new, 1)
    return sealed(archive)


def without_coordinator() -> bytes:
    """An archive of the same data but for one coordinator, whom confirmations still name.

    A store that does not enforce references may hold, and export, such a thing.
    """
    contents: dict[str, list[Any]] = {
        "coordinators": app.coordinators()[:-1],
        "menus": app.menus(),
        "confirmations": app.confirmations(),
    }
    return b"".join(iter_export(MemoryRepository(app.SCHEMA, contents)))


def sealed(archive: bytes) -> bytes:
    """The archive with a seal that fits: the SHA-256 of all that comes before its last line."""
    body = archive[: archive.rindex(b'"seal":')]
    return body + seal_to_bytes(hashlib.sha256(body).hexdigest())


# -- what the story is told with ---------------------------------------------------------------


def command(*arguments: str, expected: int = 0, quiet: bool = False) -> None:
    """Run the real command line, and show it with its output."""
    if not quiet:
        print(style("$ " + shlex.join(["databackup", *arguments]), "36"), flush=True)
    # Both streams into one, so that the lines stand in the order they were written.
    child = subprocess.run(
        [sys.executable, "-m", "databackup", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    if not quiet:
        code = f"  (exit code {child.returncode})\n" if child.returncode else ""
        print(f"{textwrap.indent(child.stdout, '  ')}{code}", flush=True)
    check(child.returncode == expected, f"exit code {child.returncode}\n{child.stdout}")


def compare(one: str, other: str) -> bool:
    """Show the digests of two archives side by side, and whether all are equal."""
    ours, theirs = inspect_archive(one).collections, inspect_archive(other).collections
    print(f"  {'collection':<14} {one:<18} {other}")
    for name in ours:
        same = ours[name].digest == theirs[name].digest
        digests = f"{ours[name].digest[:16]:<18} {theirs[name].digest[:16]:<18}"
        print(f"  {name:<14} {digests} {'equal' if same else style('different', '33')}")
    print()
    return all(ours[name].digest == theirs[name].digest for name in ours)


def typed_dump() -> str:
    """Every value of the app's file, with its type, through a new connection."""
    lines = []
    with contextlib.closing(sqlite3.connect(app.database())) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        for (table,) in sorted(tables):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(f"typeof({name}), quote({name})" for name in names)
            rows = connection.execute(f"SELECT {values} FROM {table}")
            lines += [f"{table} {row}" for row in sorted(rows)]
    return "\n".join(lines)


def heading(text: str) -> None:
    """Begin a chapter."""
    print(f"\n{style(text, '1')}\n{'─' * len(text)}", flush=True)


def tell(text: str) -> None:
    """A paragraph of the story."""
    print(textwrap.fill(text, WIDTH), flush=True)


def style(text: str, code: str) -> str:
    """A text in a colour, where somebody looks who wants that."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def check(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - the one thing it is about
    """See that something is as the story says."""
    if not holds:
        raise AssertionError(otherwise)


if __name__ == "__main__":
    sys.exit(main())
