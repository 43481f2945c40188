"""Whatever is undone: what is written for yesterday's app is sound, or it is not written."""

import io
import tempfile
from functools import partial
from pathlib import Path

from hypothesis import assume, event, given, reject
from hypothesis import strategies as st

from databackup import Collection, Reference, Schema, export_all, migrate_archive, verify_archive
from databackup.errors import DatabackupError, InvalidRecords
from databackup.migrations.way import way_of
from databackup.repository import Row
from databackup.schema.evolution import Operation
from databackup.schema.recording import Migration
from databackup.testing.strategies import datasets, schemas
from tests.support import naive
from tests.support.club import memory
from tests.support.evolutions import Evolution, evolutions
from tests.support.migrating import archive_of, freeze_as_is

Rows = dict[str, list[Row]]
Collections = naive.Collections


PEOPLE = Collection("people", key="id", fields={"id": int, "boss": int | None})
MENUS = Collection(
    "menus",
    key="id",
    fields={"id": int, "cook": int},
    references=[Reference("cook", "people"), Reference("cook", "people", "boss")],
)
LINKED = Schema(app="club", collections=[PEOPLE, MENUS])


@given(st.data())
def test_down(data: st.DataObject) -> None:
    """Sound data of today go back as data that the old version takes, or are refused.

    A reference is refused only where one of the oracle's points nowhere as well.
    """
    with tempfile.TemporaryDirectory() as folder:
        drawn = data.draw(st.just(LINKED) | schemas())
        found = data.draw(evolutions(drawn, invertible=True))
        old = Schema(app="club", version=1, collections=drawn.collections)
        freeze_as_is(old, Path(folder))
        step = Migration(1, 2, "step", tuple(found.operations))
        new = Schema(
            app="club",
            version=2,
            collections=list(found.after.values()),
            migrations=[step],
            versions=folder,
        )
        rows = data.draw(datasets(new) | datasets(drawn).map(partial(_up, found)))
        assume(_is_sound(new, rows))
        target = io.BytesIO()
        try:
            export_all(memory({n: list(r) for n, r in rows.items()}, new), target, version=1)
        except InvalidRecords as error:
            codes = {problem.code for problem in error.problems}
            event(str(codes))
            assert codes != {"dangling-reference"} or not _is_sound(old, _down(old, new, rows))
            return
        event("written")
        verify_archive(io.BytesIO(target.getvalue()), old)
        again = io.BytesIO()
        migrate_archive(io.BytesIO(archive_of(new, rows)), again, new, version=1)
        verify_archive(io.BytesIO(again.getvalue()), old)


def _up(found: Evolution, rows: Rows) -> Rows:
    return _carried(found.operations, found.before, rows)


def _down(old: Schema, new: Schema, rows: Rows) -> Rows:
    way = way_of(new, 2, 1)
    made = _carried([o for step in way.steps for o in step.operations], way.before, rows)
    names = {
        c.name: [way.after[c.name].field_names.index(n) for n in c.field_names]
        for c in old.collections
    }
    return {name: [tuple(row[at] for at in names[name]) for row in made[name]] for name in names}


def _carried(operations: list[Operation], before: Collections, rows: Rows) -> Rows:
    try:
        made = naive.carried(operations, before, naive.as_records(before, rows))
    except naive.Disagree:
        reject()
    return naive.as_rows(made)


def _is_sound(schema: Schema, rows: Rows) -> bool:
    try:
        verify_archive(io.BytesIO(archive_of(schema, rows)), schema)
    except DatabackupError:
        return False
    return True
