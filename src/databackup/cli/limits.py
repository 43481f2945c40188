"""The option `--limit NAME=VALUE`, for every command that reads an archive."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from databackup.archive.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES: Final = tuple(field.name for field in attrs.fields(Limits))
_BYTES: Final = {"record", "header", "size", "document", "passphrase"}
_UNITS: Final = {
    "": 1,
    **{unit: 1000**power for power, unit in enumerate(("kB", "MB", "GB", "TB"), 1)},
    **{unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
}
_VALUE: Final = re.compile("([0-9]{1,18}) ?([A-Za-z]*)")


def limit_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the option; the command is given `limits`, which are `Limits`."""
    option = click.option(
        "--limit",
        "limits",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_limits,
        help="Refuse archives beyond a limit: record, header, size, document or passphrase in "
        "bytes, or as 200MB or 64MiB; expansion in times the size of a compressed file; depth in "
        "levels; values as a number; work in doublings. none is no limit. Repeatable.",
    )
    return option(function)


def _limits(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> Limits:
    given: dict[str, Any] = {}
    for text in values:
        name, _, value = text.partition("=")
        if name not in _NAMES:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE, with NAME of {_list(_NAMES)}")
        if name in given:
            raise click.BadParameter(f"{name} is given twice")
        given[name] = _number(name, value)
    try:
        return Limits(**given)
    except ValueError as error:
        raise click.BadParameter(f"{error}") from error


def _number(name: str, value: str) -> int | None:
    if value == "none":
        return None
    found = _VALUE.fullmatch(value)
    units = _UNITS if name in _BYTES else {"": 1}
    if found is None or found[2] not in units:
        unit = f", with or without one of {_list(units)}" if len(units) > 1 else ""
        raise click.BadParameter(f"{name}={value} is neither none nor a number{unit}")
    return int(found[1]) * units[found[2]]


def _list(names: Any) -> str:
    return ", ".join(filter(None, names))
