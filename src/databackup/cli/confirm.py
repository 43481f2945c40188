"""What is overwritten: by an export only an archive, by an import what somebody agrees to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import attrs
from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from databackup.archive import compression
from databackup.archive.format import FIRST_BYTES
from databackup.archive.reader import open_archive
from databackup.cli import render
from databackup.cli.output import is_terminal
from databackup.cli.secrets import omitted_text
from databackup.cli.text import visible
from databackup.errors import ArchiveError, DatabackupError, FileError
from databackup.operations.creating import creates_tables, joined_schema
from databackup.operations.fit import require_fit, require_keys
from databackup.operations.readable import as_of_today, migration_of
from databackup.operations.verify import verify_archive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import IO

    from rich.console import RenderableType

    from databackup.archive.limits import Limits
    from databackup.cli.output import Output
    from databackup.operations.options import Mode, WrongAppChoice
    from databackup.operations.reports import ProgressCallback
    from databackup.repository import Repository
    from databackup.schema import Schema


@attrs.frozen
class _Words:
    """What a mode does to the target, how one is asked about it, and what was not agreed to."""

    does: str
    question: str
    refused: str


_WORDS: Final[Mapping[Mode, _Words]] = {
    "replace": _Words(
        "{} will hold what it held then, and nothing that came later:",
        "Overwrite {}?",
        "the import would overwrite data",
    ),
    "merge": _Words(
        "Records of {} whose keys are in the archive will be overwritten, others stay:",
        "Merge into {}, and overwrite records of the same key?",
        "the import would overwrite records of the same keys",
    ),
    "add": _Words(
        "Records whose keys {} lacks will be added, and nothing that is there changes:",
        "Add to {}, and change nothing that is there?",
        "the import would add records",
    ),
}


_NEW: Final = _Words(
    "New tables will be made in {}:",
    "Make them in {}?",
    "the import would make tables",
)


@attrs.define(slots=False, eq=False)
class NotConfirmed(DatabackupError):
    """An import that would change data, and that nobody has agreed to."""

    code: ClassVar[str] = "not-confirmed"
    remedy: ClassVar[str] = "To import without being asked, say --yes"


def require_replaceable(file: str) -> None:
    """See that an export replaces nothing but an archive: not the database, not somebody's notes.

    Raises `FileError`.
    """
    try:
        if Path(file).is_symlink() or not Path(file).is_file():
            return
        with Path(file).open("rb") as opened:
            start = opened.read(compression.CHUNK)
    except (OSError, ValueError):
        return  # the export says what is wrong with it
    if start and not _begins_an_archive(start):
        raise FileError(f"{file} exists and is no archive: name another file, or remove it", file)


def _begins_an_archive(start: bytes) -> bool:
    try:
        text = next(compression.decompress([start], compression.by_content(start)), b"")
    except ArchiveError:
        return False
    return text.startswith(FIRST_BYTES)


def can_ask() -> bool:
    """Whether somebody is there to read the question and to answer it."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


@attrs.frozen
class Overview:
    """What an import will do; `is_new` says that it touches nothing that is there."""

    text: RenderableType
    is_new: bool


def overview(
    file: IO[bytes],
    repository: Repository,
    target: str,
    *,
    mode: Mode,
    wrong_app: WrongAppChoice,
    create: bool,
    limits: Limits,
    progress: ProgressCallback,
) -> Overview:
    """What the archive holds, and what it will do to the target.

    Raises what is wrong with the archive, or with archive and store together, before anybody is
    asked: `ArchiveError`, `WrongApp`, `SchemaMismatch`, `KeyRequired`, `StoreError`; of an archive
    that is migrated, every record is read, and `InvalidRecords` raised.
    """
    start = file.tell()
    with open_archive(file, limits) as opened:
        archive = as_of_today(opened, repository.schema)
        header, version = archive.header, opened.header.schema_version
        schema = repository.schema
        missing = set(creates_tables(repository).missing()) if create else set[str]()
        if create:
            schema = joined_schema(schema, header, wrong_app)
            missing |= {c.name for c in schema.collections if c.name not in repository.schema}
        require_fit(header, schema, wrong_app)
        require_keys(header, schema, mode)
        there = {name: end.count for name, end in archive.ends.items()}
    here = _counts(repository, missing)
    app = "an app that is not named" if header.app is None else f"the app {header.app}"
    made = (
        f"The archive was made {visible(header.created_at)} from {visible(app)}, "
        f"schema version {version}."
    )
    if header.edited is not None:
        made += f" It was edited, and sealed anew {visible(header.edited.sealed_at)}."
    is_new = missing >= there.keys()
    columns = {"records now": {name: here.get(name, 0) for name in there}} if here else {}
    parts: list[RenderableType] = [Text(made)]
    if migration_of(archive) is not None:
        file.seek(start)
        parts += _migration(file, repository.schema, limits, progress)
    if header.omitted:
        text = omitted_text({name: sorted(fields) for name, fields in header.omitted.items()})
        parts.append(Text(f"Secrets: {visible(text)}. Records that are there keep theirs."))
    parts.append(Text((_NEW if is_new else _WORDS[mode]).does.format(visible(target))))
    if missing and not is_new:
        parts.append(Text(f"New tables will be made: {', '.join(map(visible, sorted(missing)))}."))
    table = render.counts({**columns, "in the archive": there})
    return Overview(Group(*parts, Padding(table, (0, 0, 0, 2))), is_new)


def _migration(
    file: IO[bytes], schema: Schema, limits: Limits, progress: ProgressCallback
) -> Iterator[RenderableType]:
    """What the migrations will do to the records, known from doing it."""
    # References may lead to records that the target has, and the archive does not.
    report = verify_archive(file, schema, dangling="keep", limits=limits, progress=progress)
    if report.migrated is not None:
        yield from render.migration(report.migrated, "It will be migrated")


def _counts(repository: Repository, missing: set[str]) -> Mapping[str, int]:
    """The records that there are; none are counted where the schema has tables that are not."""
    schema = repository.schema
    if not schema.collections or any(c.name in missing for c in schema.collections):
        return {}
    with repository.snapshot() as snapshot:
        return {c.name: snapshot.count(c) for c in schema.collections}


def require_terminal(mode: Mode, *, new: bool = False) -> None:
    """See that somebody can be asked. Raises `NotConfirmed`."""
    if not can_ask():
        words = _NEW if new else _WORDS[mode]
        raise NotConfirmed(
            f"{words.refused}, and there is no terminal to ask on; nothing was changed"
        )


def require_consent(output: Output, target: str, mode: Mode, *, new: bool = False) -> None:
    """Ask, and go on only for a yes. Raises `NotConfirmed`."""
    require_terminal(mode, new=new)
    words = _NEW if new else _WORDS[mode]
    answer = ""
    try:
        sys.stderr.write(f"{words.question.format(visible(target))} [y/N] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
    finally:
        if not answer.endswith("\n"):
            output.say("")  # the end of the question's line, after Ctrl-C and Ctrl-D
    if answer.strip().lower() not in {"y", "yes"}:
        raise NotConfirmed("the answer was not yes; nothing was changed")
