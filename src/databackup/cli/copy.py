"""The command `copy`: an export that goes into an import, by a file that nobody else sees."""

from __future__ import annotations

import contextlib
import tempfile
from typing import IO, TYPE_CHECKING, Any

import click

from databackup.adapters.registry import (
    is_same_target,
    new_target,
    open_repository,
    without_password,
)
from databackup.archive import compression
from databackup.archive.limits import Limits
from databackup.cli import confirm
from databackup.cli.command import Command, Run, as_json, target_options
from databackup.cli.imports import Import, import_options, yes_option
from databackup.cli.progress import progress_bar
from databackup.cli.selection import known_collections, selection_options
from databackup.errors import FileError, StoreError, TargetError, reason_of
from databackup.operations.export import iter_export

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databackup.adapters.sqlite.reflect import Types
    from databackup.repository import Repository

_OWN = Limits(record=None, header=None, size=None, expansion=None, values=None, document=None)
"""No limits: what is read here was written a moment ago."""


@click.command(cls=Command)
@click.argument("source")
@click.argument("target")
@yes_option
@import_options
@selection_options
@target_options
@as_json
@click.pass_obj
def copy(
    run: Run,
    /,
    source: str,
    target: str,
    *,
    yes: bool,
    types: Types,
    exclude: dict[str, str],
    collections: tuple[str, ...] | None,
    closure: bool,
    **options: Any,
) -> None:
    """Bring everything SOURCE holds into TARGET, of any engine, or leave TARGET as it is.

    Both are as TARGET is for the other commands. An export into a temporary file is imported as by
    import: SOURCE is read at one moment, TARGET holds all of it or is as it was.
    """
    if is_same_target(source, target):
        raise TargetError(f"{without_password(source)} and {without_password(target)} are the same")
    if not yes:
        confirm.require_terminal(options["mode"])
    with contextlib.ExitStack() as stack:
        if options["create"]:
            stack.enter_context(new_target(target))
        origin = open_repository(source, types=types, exclude=exclude, wait=options["wait"])
        found = Import(
            run=run,
            source=stack.enter_context(
                _archive_of(origin, without_password(source), collections, closure=closure)
            ),
            shown=without_password(source),
            repository=open_repository(
                target, types=types, wait=options["wait"], create=options["create"]
            ),
            target=without_password(target),
            limits=_OWN,
        )
        plan = None if yes else found.agreed(**options)
        found.carry_out(plan=plan, **options)


@contextlib.contextmanager
def _archive_of(
    repository: Repository, shown: str, collections: tuple[str, ...] | None, *, closure: bool
) -> Iterator[IO[bytes]]:
    """The archive of a repository, compressed, in a file without a name."""
    with contextlib.ExitStack() as stack:
        with _naming(shown), progress_bar(f"opening {shown}") as progress:
            file = stack.enter_context(tempfile.TemporaryFile())
            with known_collections():
                chunks: Any = iter_export(
                    repository,
                    compression=compression.best(),
                    collections=collections,
                    closure=closure,
                    progress=progress,
                )
            with contextlib.closing(chunks):
                for chunk in chunks:
                    file.write(chunk)
            file.seek(0)
        yield file


@contextlib.contextmanager
def _naming(shown: str) -> Iterator[None]:
    """Say of what goes wrong that it is the source's."""
    try:
        yield
    except StoreError as error:
        error.message = f"{shown}: {error.message}"
        raise
    except OSError as error:
        raise FileError(f"no temporary file can be written: {reason_of(error)}") from error
