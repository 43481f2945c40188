"""The option `--app package.module:schema`, for every command that asks an app about its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable


def app_option(*, required: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the option; the command is given `app`, a text for `open_schema`."""
    return click.option(
        "--app",
        required=required,
        metavar="package.module:schema",
        help="The app: its schema, a function without arguments that returns it, or a repository, "
        "whose schema it is then.",
    )
