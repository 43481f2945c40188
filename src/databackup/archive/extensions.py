"""Members of a header's `extensions` that say where an archive comes from."""

from __future__ import annotations

import re
from typing import Any, Final

import attrs

_HEX: Final = re.compile("[0-9a-f]{64}")


@attrs.frozen
class SafetyBackupOf:
    """That an archive was made ahead of an import: of which store, and the seal that went in.

    `store` is the SHA-256 of where the store's data live, None where it could not tell.
    """

    store: str | None
    seal: str


def is_safety_backup(value: Any) -> bool:
    """Whether a value is a `SafetyBackupOf` as a header has it."""
    return (
        type(value) is dict
        and set(value) == {"store", "seal"}
        and (value["store"] is None or _is_hex(value["store"]))
        and _is_hex(value["seal"])
    )


def _is_hex(value: Any) -> bool:
    return type(value) is str and bool(_HEX.fullmatch(value))
