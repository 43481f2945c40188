import io

import pytest
import sqlalchemy
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from databackup import import_all
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import RecordsNotTaken
from databackup.schema import Collection, Schema
from databackup.testing.harness import stored
from databackup.testing.strategies import datasets, schemas
from tests.support import mysql
from tests.support.archives import Lines, exported
from tests.support.club import memory

T = Collection("t", fields={"id": int, "v": str}, key="id")
SCHEMA = Schema(collections=[T])


@settings(
    max_examples=15,
    phases=set(Phase) - {Phase.shrink},  # each example makes a database
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_any_data_goes_through_mariadb_unchanged(data: st.DataObject) -> None:
    """What is imported into MariaDB and exported again has the lines it had."""
    schema = data.draw(schemas())
    source = memory(data.draw(datasets(schema)), schema)
    archive = exported(source)
    with mysql.repository(schema) as repository:
        import_all(repository, io.BytesIO(archive))
        assert stored(source) == stored(repository)
        again = exported(repository)
        assert 0 == import_all(repository, io.BytesIO(archive)).changed
    first, second = Lines.of(archive).collections, Lines.of(again).collections
    assert {n: sorted(lines) for n, lines in first.items()} == {
        n: sorted(lines) for n, lines in second.items()
    }


def test_what_the_store_cannot_hold_is_a_problem(engine: sqlalchemy.Engine) -> None:
    """Too long a text, and a duplicate of another's, name the record; nothing is kept."""
    mysql.run(engine, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(3) UNIQUE)")
    archive = exported(memory({"t": [(1, "a"), (2, "long"), (3, "A")]}, SCHEMA))
    with pytest.raises(RecordsNotTaken) as caught:
        import_all(SQLAlchemyRepository(engine, SCHEMA), io.BytesIO(archive))
    found = [(p.collection, p.record, p.key, p.field) for p in caught.value.problems]
    assert ("t", 2, (2,), "v") in found
    assert ("t", 3, (3,)) in [problem[:3] for problem in found]
    assert [] == mysql.query(engine, "SELECT * FROM t")
