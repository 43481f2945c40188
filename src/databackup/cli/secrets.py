"""Secret fields on the command line: which there are, and whether an export has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import click

from databackup.cli.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from databackup.operations.omitted import Secrets
    from databackup.operations.reports import ArchiveInfo

Choice = Literal["include", "omit"]
_LISTED: Final = 10  # fields in a report


def secrets_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of an export; the command is given `secret` and `secrets`."""
    mark = click.option(
        "--secret-column",
        "secret",
        multiple=True,
        metavar="TABLE.COLUMN",
        help="Take a column for secret, of a SQLite file or a database. Repeatable.",
    )
    choice = click.option(
        "--secrets",
        type=click.Choice(["include", "omit"]),
        help="Whether secret fields are in the archive; unless it is said they are left out of one "
        "that is not encrypted.",
    )
    return mark(choice(function))


def chosen(choice: Choice | None, *, encrypted: bool) -> Secrets:
    """What an export does about secrets: nobody reads an encrypted archive by accident."""
    if choice is None:
        return "included" if encrypted else "omitted"
    return "included" if choice == "include" else "omitted"


def omitted_text(omitted: Mapping[str, Sequence[str]]) -> str:
    """The secret fields that an archive leaves out, in a few words."""
    number = sum(map(len, omitted.values()))
    return f"{counted(number, 'field')} left out: {_listed(omitted)}"


def archive_text(info: ArchiveInfo) -> str:
    """The secret fields that an archive has or leaves out, in a few words."""
    secret = {name: found.secret for name, found in info.collections.items() if found.secret}
    if not secret:
        return info.secrets
    return omitted_text(secret) if info.secrets == "omitted" else f"included: {_listed(secret)}"


def _listed(fields: Mapping[str, Sequence[str]]) -> str:
    names = [f"{collection}.{name}" for collection, names in fields.items() for name in names]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
