"""Tables that an import makes hold what their archive holds, on every engine."""

import io
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from databackup import diff, import_all, inspect_archive
from databackup.schema import Schema, kinds
from databackup.testing.strategies import datasets, schemas
from tests.adapters.sqlalchemy.targets import TARGETS
from tests.support.archives import exported
from tests.support.club import memory

every = pytest.mark.parametrize("name", TARGETS)


@every
@settings(
    max_examples=20,
    phases=set(Phase) - {Phase.shrink},  # each example makes a database
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
@given(data=st.data())
def test_any_archive_goes_into_an_empty_database(name: str, data: st.DataObject) -> None:
    """All that stores can hold comes back out of tables that were made for it."""
    schema = data.draw(schemas())
    archive = exported(memory(data.draw(datasets(schema)), schema))
    with TARGETS[name]() as target:
        report = import_all(target.reflected(), io.BytesIO(archive), create=True)
        assert {c.name for c in schema.collections} == set(report.created) == target.tables()
        assert report.records == report.added
        made = target.of(schema)
        assert _digests(archive) == _digests(exported(made))
        if name != "MariaDB" or not _has_any_scale(schema):
            assert diff(io.BytesIO(archive), made).identical
            assert 0 == import_all(made, io.BytesIO(archive)).changed
        target.reflected()


def _has_any_scale(schema: Schema) -> bool:
    """Whether there are decimals to which MariaDB adds zeros, which is the same number."""
    fields = [field for collection in schema.collections for field in collection.fields]
    return any(field.value_kind == kinds.Decimal() for field in fields)


def _digests(archive: bytes) -> dict[str, Any]:
    info = inspect_archive(io.BytesIO(archive))
    return {name: (found.records, found.digest) for name, found in info.collections.items()}
