"""For a host's test suite: that its schema is as it was frozen, and takes data of old versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

import attrs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Flaky
from hypothesis.strategies import SearchStrategy

from databackup.errors import DatabackupError, InvalidRecords, SchemaError, VersionMismatch
from databackup.migrations.way import check_chain
from databackup.schema.kind import shown
from databackup.schema.versions import Versions, check_frozen
from databackup.testing.journeys import Journey, same
from databackup.testing.strategies.datasets import datasets
from databackup.testing.strategies.likely import likely_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from databackup.repository import Row
    from databackup.schema import Schema
    from databackup.testing.journeys import Records

    Values = Mapping[str, SearchStrategy[Any]]
    Adjust = Callable[[Records], Records]

EXAMPLES = 100
_MAX_RECORDS = 4
_SHOWN = 5
_OR_NARROW = (
    "; if version {0} never held such data, say what it held with "
    'values={{{0}: {{"COLLECTION.FIELD": STRATEGY}}}} or adjust='
)


def check_schema(schema: Schema) -> None:
    """See that a schema is what its version was frozen as, and that migrations lead to it.

    Without any data: the recorded operations are applied to each frozen version, which must make
    the next one. Raises AssertionError that lists what differs, field by field, and says what to
    do; `FileError` for a file that cannot be read; TypeError for what is no schema.
    """
    try:
        check_frozen(schema)
    except SchemaError as error:
        raise AssertionError(_listed(error)) from error
    try:
        check_chain(schema)
    except SchemaError as error:
        todo = (
            "mend the migrations: each makes of one frozen version the next one, and versions that "
            "were released stay as they were frozen"
        )
        raise AssertionError(_listed(error, todo)) from error
    except VersionMismatch as error:
        raise AssertionError(_listed(error, error.remedy)) from error


def _listed(error: DatabackupError, *todo: str) -> str:
    """The message of an error, with a line for each thing that it lists."""
    problems = error.problems if isinstance(error, SchemaError) else ()
    headline = error.message.removesuffix("; ".join(problems)).removesuffix(": ")
    return _lines(headline, [*problems, *todo])


def _lines(headline: str, rest: Iterable[str]) -> str:
    return "\n  ".join([headline, *rest])


def check_migrations(
    schema: Schema,
    *,
    values: Mapping[int, Values] | None = None,
    adjust: Mapping[int, Adjust] | None = None,
    max_examples: int = EXAMPLES,
) -> None:
    """See that data of each frozen version can be imported today.

    After `check_schema`, Hypothesis makes `max_examples` datasets of each older version, with
    unique keys and references that hold. Each is exported as the app of that version would, and
    imported into today's schema, whose models must take it. As far as the steps have inverses it
    also goes back, to data that the older app can read, and up again, where it must be the same.

    What a version held may be narrower than its kinds. `values` gives strategies by version and
    field: `{1: {"menus.served_on": st.dates().map(str)}}`. `adjust` gives functions by version,
    from lists of records by collection to the same as the app's own rules have them.

    Raises AssertionError that names the step and shows the smallest data it fails on; ValueError
    for `values` and `adjust` of versions and fields that there are not, TypeError for those of
    other types and for what a function of `adjust` returns instead; and what `check_schema` raises.
    """
    check_schema(schema)
    values = {} if values is None else values
    adjust = {} if adjust is None else adjust
    _require_by_version(values=values, adjust=adjust)
    if type(max_examples) is not int:
        raise TypeError(f"max_examples is an integer, not {shown(max_examples)}")
    versions = Versions(schema.versions or ".")
    older = [number for number in versions.numbers if number < schema.version]
    unknown = sorted({*values, *adjust} - set(older))
    if unknown:
        raise ValueError(f"no older version is frozen as {', '.join(map(str, unknown))}")
    _require_types(values, adjust)
    for number in older:
        old, own = versions[number].schema, values.get(number, {})
        _require_fields(old, own)
        trial = _Trial(Journey(schema, old), adjust.get(number, _unchanged))
        _run(trial, _datasets_of(old, {**likely_values(old), **own}), max_examples)


def _require_by_version(**arguments: object) -> None:
    """See that what a host gives is by version. Raises TypeError."""
    for name, found in arguments.items():
        if not isinstance(found, Mapping):
            raise TypeError(f"{name} is a dict by version, not {shown(found)}")
        for version in found:
            if type(version) is not int:
                raise TypeError(f"{name} is a dict by version, not by {shown(version)}")


def _require_types(values: Mapping[int, object], adjust: Mapping[int, object]) -> None:
    """See that it is strategies and functions. Raises TypeError."""
    for version, found in values.items():
        if not _are_strategies(found):
            said = f"values of version {version} are strategies by field"
            raise TypeError(f"{said}, not {shown(found)}")
    for version, found in adjust.items():
        if not callable(found):
            raise TypeError(f"adjust of version {version} is a function, not {shown(found)}")


def _are_strategies(found: object) -> bool:
    return isinstance(found, Mapping) and all(
        isinstance(name, str) and isinstance(strategy, SearchStrategy)
        for name, strategy in found.items()
    )


def _require_fields(old: Schema, values: Values) -> None:
    known = {f"{c.name}.{name}" for c in old.collections for name in c.field_names}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"version {old.version} has no field {', '.join(unknown)}")


def _datasets_of(old: Schema, values: Values) -> SearchStrategy[dict[str, list[Row]]]:
    """Datasets of a version: any, and such as have something in every collection."""
    some = datasets(old, max_records=_MAX_RECORDS, values=values)
    return some | datasets(old, min_records=2, max_records=_MAX_RECORDS, values=values)


def _are_records(found: object) -> TypeGuard[Records]:
    return isinstance(found, dict) and all(
        isinstance(some, list) and all(isinstance(record, dict) for record in some)
        for some in found.values()
    )


def _unchanged(records: Records) -> Records:
    return records


def _run(trial: _Trial, strategy: SearchStrategy[dict[str, list[Row]]], max_examples: int) -> None:
    """Try datasets of one version, the same ones each time; tell of the smallest that fails."""
    chosen = settings(
        max_examples=max_examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )

    @chosen
    @given(strategy)
    def each(rows: dict[str, list[Row]]) -> None:
        trial.run(rows)

    try:
        each()
    except _Failed as failed:
        smallest = trial.smallest(failed)
        raise AssertionError(trial.told(smallest)) from smallest.__cause__
    except Flaky as flaky:
        raise AssertionError(
            f"data of version {trial.journey.old.version} do not migrate alike each time: a "
            "function of a migration gives other results for the same values"
        ) from flaky


class _Failed(Exception):
    """What is wrong with the way of some data, told once they are the smallest."""

    def __init__(self, records: Records, archive: bytes = b"", there: bytes = b"") -> None:
        super().__init__()
        self.records = records
        self.archive = archive
        self.there = there


class _NotOfItsVersion(_Failed):
    """Data that the older version cannot hold."""


class _CannotCome(_Failed):
    """Data that cannot be imported today."""


class _CannotGoBack(_Failed):
    """Migrated data that cannot go back to what the older app reads."""


class _ComesBackChanged(_Failed):
    """Migrated data that are not the same after a way back and up again."""


@attrs.frozen
class _Trial:
    """Sends data on a journey."""

    journey: Journey
    adjust: Adjust

    def run(self, rows: Mapping[str, list[Row]]) -> None:
        """Try one dataset. Raises `_Failed`."""
        collections = self.journey.old.collections
        names = {collection.name: collection.field_names for collection in collections}
        adjusted: object = self.adjust(
            {n: [dict(zip(names[n], row, strict=True)) for row in rows[n]] for n in names}
        )
        if not _are_records(adjusted):
            raise TypeError(
                f"adjust of version {self.journey.old.version} returns lists of dicts by "
                f"collection, not {shown(adjusted)}"
            )
        self._send(adjusted)

    def smallest(self, failed: _Failed) -> _Failed:
        """The same failure without the records that it does not need."""
        before = None
        while before is not failed:  # what nothing refers to any more can go in turn
            before = failed
            for name, some in before.records.items():
                for record in some:
                    failed = self._without(name, record, failed)
        return failed

    def _without(self, name: str, record: Any, failed: _Failed) -> _Failed:
        left = [other for other in failed.records[name] if other is not record]
        try:
            self._send({**failed.records, name: left})
        except _Failed as again:
            return again if type(again) is type(failed) else failed
        return failed

    def _send(self, records: Records) -> None:
        journey, old = self.journey, self.journey.old
        try:
            archive = journey.packed(records)
        except DatabackupError as error:
            raise _NotOfItsVersion(records) from error
        try:
            journey.arrive(archive)
        except DatabackupError as error:
            raise _CannotCome(records, archive) from error
        if journey.turn == old.version:
            return
        there = journey.up(archive, journey.turn)
        try:
            again = journey.up(journey.down(there, old.version), journey.turn)
        except DatabackupError as error:
            raise _CannotGoBack(records, archive, there) from error
        if not same(there, again):
            raise _ComesBackChanged(records, archive, there)

    def told(self, failed: _Failed) -> str:
        """What failed, by which step, on which data, and what to do."""
        journey, old = self.journey, self.journey.old.version
        details = _problems(failed.__cause__)
        todo = "mend the migration"
        if isinstance(failed, _NotOfItsVersion):
            headline = f"the values given for version {old} are none that it can hold"
            todo = "mend values= and adjust="
        elif isinstance(failed, _CannotCome):
            step = journey.blamed_up(failed.archive)
            blamed = "today's models" if step is None else f"the migration {step}"
            headline = f"data of version {old} cannot be imported: see {blamed}"
        elif isinstance(failed, _CannotGoBack):
            step = journey.blamed_down(failed.there)
            headline = f"data cannot go back to version {old}: see the migration {step}"
            todo = "mend the inverse, or give none"
        else:
            steps, details = journey.blamed_back(failed.archive)
            headline = f"data are not the same when they come back: see the migration {steps}"
            todo = "mend the inverse, or give none"
        shown = [f"{name}: {record}" for name, some in failed.records.items() for record in some]
        if not isinstance(failed, _NotOfItsVersion):
            todo += _OR_NARROW.format(old)
        return _lines(headline, [*details, f"with these data of version {old}:", *shown, todo])


def _problems(cause: BaseException | None) -> list[str]:
    if isinstance(cause, InvalidRecords):
        return list(dict.fromkeys(map(str, cause.problems)))[:_SHOWN]
    return [cause.message] if isinstance(cause, DatabackupError) else []
