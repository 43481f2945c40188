"""What the text of definitions says, where no pragma does: modules, options, shadow tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FTS: Final = ("fts3", "fts4", "fts5")
RTREE: Final = ("rtree", "rtree_i32")
_SHADOWS: Final = {
    "fts3": ("content", "segments", "segdir", "stat"),
    "fts4": ("content", "segments", "segdir", "docsize", "stat"),
    "fts5": ("data", "idx", "content", "docsize", "config"),
    "rtree": ("node", "parent", "rowid"),
    "rtree_i32": ("node", "parent", "rowid"),
}
# FTS3 makes this one only when it is first needed.
_FTS3_STAT: Final = "(id INTEGER PRIMARY KEY, value BLOB)"

_QUOTED: Final = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/""", re.DOTALL
)
_WITHOUT_ROWID: Final = re.compile(r"\)[^)]*\bWITHOUT\s+ROWID\b[^)]*$", re.IGNORECASE)
_AUTOINCREMENT: Final = re.compile(r"\bAUTOINCREMENT\b", re.IGNORECASE)
_MODULE: Final = re.compile(
    r"^\s*CREATE\s+VIRTUAL\s+TABLE\b.*?\bUSING\s+(\w+)", re.IGNORECASE | re.DOTALL
)
_OPTION: Final = re.compile(r"[(,]\s*(\w+)\s*=\s*")
_VALUE: Final = re.compile(r"""'([^']*)|"([^"]*)|\[([^\]]*)|`([^`]*)|(\w*)""")
_UPPER: Final = {lower: lower - 32 for lower in range(ord("a"), ord("z") + 1)}
_LOWER: Final = {upper: lower for lower, upper in _UPPER.items()}


def folded(name: str) -> str:
    """A name as SQLite compares it: only ASCII letters fold, and É is not é."""
    return name.translate(_LOWER)


def upper(declared: str) -> str:
    """A declared type as SQLite compares it."""
    return declared.translate(_UPPER)


def is_without_rowid(sql: str) -> bool:
    """Whether a table has no row numbers."""
    return _WITHOUT_ROWID.search(_bare(sql)) is not None


def is_autoincrement(sql: str) -> bool:
    """Whether a table has a counter."""
    return _AUTOINCREMENT.search(_bare(sql)) is not None


def module_of(sql: str) -> str | None:
    """The module of a virtual table."""
    match = _MODULE.match(_bare(sql))
    return match.group(1).lower() if match else None


def content_of(sql: str) -> str | None:
    """The option `content` of a full-text table: empty if it keeps no text, None if it has all."""
    # FTS3 has no options.
    return None if module_of(sql) == "fts3" else _options(sql).get("content")


def shadow_tables(sources: Mapping[str, str]) -> dict[str, str]:
    """The tables that virtual tables of known modules have made for themselves, with theirs.

    A table of the app's may have such a name, too: the external content of `docs` may well be
    `docs_content`, as `docs` makes none then.
    """
    owners = {
        folded(f"{name}_{suffix}"): name
        for name, sql in sources.items()
        for suffix in _shadows_of(name, sql, sources)
    }
    return {name: owners[folded(name)] for name in sources if folded(name) in owners}


def makes_known_tables(sql: str) -> bool:
    """Whether all that a virtual table makes for itself is in `shadow_tables`."""
    return module_of(sql) in _SHADOWS


def _shadows_of(name: str, sql: str, sources: Mapping[str, str]) -> Iterator[str]:
    module = module_of(sql) or ""
    options = _options(sql) if module in FTS else {}
    for suffix in _SHADOWS.get(module, ()):
        if suffix == "content" and content_of(sql) is not None:
            made = "contentless_unindexed" in options
        elif suffix == "docsize":
            made = "matchinfo" not in options and options.get("columnsize") != "0"
        elif suffix == "stat" and module == "fts3":
            made = sources.get(f"{name}_stat", "").endswith(_FTS3_STAT)
        else:
            made = True
        if made:
            yield suffix


def _options(sql: str) -> dict[str, str]:
    """The options of a full-text table. FTS5 takes the beginning of a name for the name."""
    masked = _QUOTED.sub(lambda found: (" " if found[0][0] in "-/" else "x") * len(found[0]), sql)
    whole = ("content", "columnsize") if module_of(sql) == "fts5" else ()
    options = {}
    for option in _OPTION.finditer(masked):
        name = folded(option[1])
        value = _VALUE.match(sql, option.end())
        text = next(filter(None, value.groups()), "") if value else ""
        options[next((w for w in whole if w.startswith(name)), name)] = text
    return options


def _bare(sql: str) -> str:
    """A definition without comments, and with a word for each quoted name and text."""
    return _QUOTED.sub(lambda found: " " if found[0][0] in "-/" else " x ", sql)
