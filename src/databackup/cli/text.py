"""Text for people: foreign text made harmless, numbers and sizes made readable."""

from __future__ import annotations

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def visible(text: object) -> str:
    """A text with everything that a terminal would not just show written as an escape.

    Control characters and escape sequences, line breaks, marks that change the direction of
    writing, lone surrogates. Names and values come from files and stores that may be hostile.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in str(text)
    )


def counted(number: int, noun: str) -> str:
    """A number and its noun, in the plural where it is not one."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") and noun != "day" else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def size(number: int) -> str:
    """A number of bytes in the unit that fits it."""
    power = min((len(str(number)) - 1) // 3, len(_UNITS) - 1)
    if power == 0:
        return counted(number, "byte")
    return f"{number / 1000**power:.1f} {_UNITS[power]}"
