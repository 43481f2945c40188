"""Parts of a schema."""

import attrs
import cattrs
from hypothesis import given
from hypothesis import strategies as st

from databackup import Collection, Reference, Schema
from databackup.schema.narrowing import closed, leaving, narrowed, within
from databackup.testing.strategies import schemas
from tests.support.selecting import closure


@attrs.frozen
class Dish:
    """A model with something that is not backed up."""

    id: int
    cook: int
    cache: str = ""


CONVERTER = cattrs.Converter()
DISHES = Collection.of(
    Dish,
    "dishes",
    key="id",
    references=[Reference("cook", "people"), Reference("id", "dishes")],
    exclude={"cache": "made anew"},
    converter=CONVERTER,
)
PEOPLE = Collection("people", key="id", fields={"id": int})
SCHEMA = Schema(app="club", version=7, collections=[DISHES, PEOPLE], exclude={"logs": "long"})


def test_within() -> None:
    """All but the references that lead out is as it was, and nothing is made anew for nothing."""
    assert DISHES is within(DISHES, {"people", "dishes"})
    alone = within(DISHES, {"dishes"})
    assert (Reference("id", "dishes"),) == alone.references
    assert (DISHES.fields, DISHES.key, DISHES.excluded) == (alone.fields, alone.key, alone.excluded)
    assert (Dish, CONVERTER) == (alone.model, alone.converter)
    assert "cache" == alone.excluded[0].name.partition(".")[2]


def test_narrowed() -> None:
    """A part is of the same app and version, and leaves out what the whole one does."""
    part = narrowed(SCHEMA, {"dishes"})
    assert [within(DISHES, {"dishes"})] == list(part.collections)
    assert ("club", 7, SCHEMA.excluded) == (part.app, part.version, part.excluded)
    assert [(DISHES, DISHES.references[0])] == list(leaving(SCHEMA.collections, {"dishes"}))
    assert [] == list(leaving(SCHEMA.collections, {"people"}))


@given(data=st.data())
def test_closed(data: st.DataObject) -> None:
    """Nothing leads out of what is closed, and nothing is in it without a way that leads there."""
    schema = data.draw(schemas())
    names = data.draw(st.sets(st.sampled_from([c.name for c in schema.collections])))
    found = closed(names, lambda name: (r.collection for r in schema[name].references))
    assert closure(schema, names) == found
    assert [] == list(leaving(schema.collections, found))
    assert found == {collection.name for collection in narrowed(schema, found).collections}
