"""What an operation can be told: its choices, and how they are checked."""

from __future__ import annotations

import typing
from typing import Any, Final, Literal

import attrs

from databackup.archive.limits import Limits
from databackup.operations.selection import names_of

Mode = Literal["replace", "merge", "add"]
WrongAppChoice = Literal["refuse", "allow"]
Dangling = Literal["refuse", "keep"]
LONGEST_WAIT: Final = 86_400


def require_choice(name: str, value: object, choices: Any) -> None:
    """See that an option is one of the values of a `Literal`. Raises ValueError."""
    allowed = typing.get_args(choices)
    if value not in allowed:
        raise ValueError(f"{name} is {' or '.join(map(repr, allowed))}, not {value!r}")


def _one_of(choices: Any) -> Any:
    return lambda _options, field, value: require_choice(field.name, value, choices)


def _is_bool(_options: Any, field: Any, value: object) -> None:
    if type(value) is not bool:
        raise TypeError(f"{field.name} is true or false, not {value!r}")


def _is_time(_options: Any, field: Any, value: Any) -> None:
    if type(value) not in (int, float) or not 0 <= value <= LONGEST_WAIT:
        raise ValueError(
            f"{field.name} is a number of seconds from 0 to {LONGEST_WAIT}, not {value!r}"
        )


@attrs.frozen(kw_only=True)
class ImportOptions:
    """How an import is to go.

    mode
        "replace" makes the store equal to the archive. "merge" updates and inserts by key and
        deletes nothing. "add" inserts the records whose keys are new, and changes nothing that is
        there. Both need collections with keys.
    read_back
        Read everything back before the commit and compare digests.
    wrong_app
        "allow" imports the archive of another app.
    dangling
        "keep" lets references point nowhere, as they did when the archive was made.
    allow_cascade
        Let the store's own cascade carry off records outside the schema that refer to deleted ones.
    create
        Make the tables that the store lacks, from the archive's description of its collections. The
        repository has to be of a database; what it has already must fit.
    wait
        Seconds to wait for another transaction, a day at most.
    marker
        Leave a row in the store's table `databackup_imports`, in the same transaction, so that
        `import_status` can say whether the import was committed where `CommitUnknown` does not.
    collections
        The names of the collections of the archive to import; None imports all that it has. The
        store's others are left alone.
    closure
        Import also what those refer to, as far as the archive has it.
    limits
        What is read at most.

    Raises ValueError or TypeError for another value.
    """

    mode: Mode = attrs.field(default="replace", validator=_one_of(Mode))
    read_back: bool = attrs.field(default=True, validator=_is_bool)
    wrong_app: WrongAppChoice = attrs.field(default="refuse", validator=_one_of(WrongAppChoice))
    dangling: Dangling = attrs.field(default="refuse", validator=_one_of(Dangling))
    allow_cascade: bool = attrs.field(default=False, validator=_is_bool)
    create: bool = attrs.field(default=False, validator=_is_bool)
    wait: float = attrs.field(default=5.0, validator=_is_time)
    marker: bool = attrs.field(default=False, validator=_is_bool)
    collections: tuple[str, ...] | None = attrs.field(default=None, converter=names_of)
    closure: bool = attrs.field(default=True, validator=_is_bool)
    limits: Limits = attrs.field(factory=Limits, validator=attrs.validators.instance_of(Limits))
