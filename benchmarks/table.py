"""Markdown tables that can be read as they are, and the document that keeps them."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

README: Final = Path(__file__).with_name("README.md")


def markdown(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: Collection[int] = (0,)
) -> str:
    """A table; the columns whose numbers are in `left` stand on the left, others on the right."""
    widths = [max(3, *map(len, column)) for column in zip(heads, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * width if number in left else "-" * (width - 1) + ":"
        for number, width in enumerate(widths)
    ]
    return "\n".join(map(line, [heads, rule, *rows]))


def keep(text: str, path: Path, place: str) -> None:
    """Put a text into a document, between the lines that mark its place.

    Raises ValueError where they are missing.
    """
    begin, end = f"<!-- {place} -->\n", f"<!-- end of {place} -->\n"
    document = path.read_text("utf-8")
    before, _, rest = document.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{path} has no lines {begin.strip()} and {end.strip()}")
    path.write_text(f"{before}{begin}\n{text}\n\n{end}{after}", "utf-8")
