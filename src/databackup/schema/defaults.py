"""That there is no default, where None would be one."""

from __future__ import annotations

from typing import Final


class NoDefault:
    """That no value is given, since None is one."""

    def __repr__(self) -> str:
        return "no default"


NO_DEFAULT: Final = NoDefault()
