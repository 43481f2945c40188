"""The options that select collections, and how they are answered where they do not fit."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from databackup.cli.text import visible
from databackup.errors import UnknownCollection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _names(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...] | None:
    return values or None


def _closure(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
    if value and not context.params.get("collections"):
        raise click.UsageError("--no-closure is for what --collection names.")
    return not value


_OPTIONS = (
    click.option(
        "--collection",
        "collections",
        multiple=True,
        metavar="NAME",
        callback=_names,
        is_eager=True,  # the other option looks at it
        help="Only this collection, and those that it refers to. Repeatable.",
    ),
    click.option(
        "--no-closure",
        "closure",
        is_flag=True,
        callback=_closure,
        help="Only what --collection names, and not what that refers to.",
    ),
)


def selection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that select collections."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@contextlib.contextmanager
def known_collections() -> Iterator[None]:
    """Answer a collection that is not there as any wrong option."""
    try:
        yield
    except UnknownCollection as error:
        raise click.BadParameter(visible(error), param_hint="--collection") from error
