"""A database in the manner of other people's: out, into a spoiled copy, and both are the same."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from databackup import diff, import_all, inspect_archive, iter_export, verify_archive
from databackup.adapters.memory import MemoryRepository
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from tests.support import databases, pgroles
from tests.support.pgdump import dump, in_order, load
from tests.support.pgsql import exported, query, run

_SCRIPT = Path(__file__).with_name("rental.sql")
_SPOILED = (
    "SET session_replication_role = replica",
    "DELETE FROM film WHERE film_id % 7 = 0",
    "UPDATE film SET title = title || '!', special_features = NULL WHERE film_id % 5 = 0",
    "UPDATE film SET sequel_of = 3",
    "INSERT INTO film (title, language_id, fulltext) VALUES ('new', 1, '')",
    "INSERT INTO payment SELECT payment_id + 5000, 1, amount, payment_date FROM payment",
    "DELETE FROM inventory",
    'TRUNCATE "Order Details"',
    "DELETE FROM staff",
    "UPDATE store SET manager_id = 5, at = NULL",
    "DELETE FROM ONLY person",
    "UPDATE customer SET name = 'x'",
    "INSERT INTO film_actor VALUES (1, 'another')",
    "UPDATE language SET name = 'x' || language_id",
)
_TABLES = (
    'language, film, store, staff, inventory, reservation, payment, person, "Order Details", '
    "film_actor, cache"
)
_EMPTIED = (f"TRUNCATE {_TABLES}",)


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """The database, and a copy of it."""
    with databases.postgresql() as url:
        load(url, _SCRIPT.read_text("utf-8"))
        yield url


@pytest.fixture
def copy(shop: str) -> Iterator[str]:
    """A copy of the database."""
    with databases.postgresql() as url:
        load(url, dump(shop))
        yield url


def _repository(url: str) -> SQLAlchemyRepository:
    return SQLAlchemyRepository.reflect(sqlalchemy.create_engine(url, poolclass=NullPool))


@pytest.mark.parametrize("spoil", [_SPOILED, _EMPTIED], ids=["spoiled", "emptied"])
def test_a_spoiled_copy_is_as_the_original(shop: str, copy: str, spoil: tuple[str, ...]) -> None:
    """Data, counters, constraints, comments, triggers and their states, by PostgreSQL's dump."""
    original, other = _repository(shop), _repository(copy)
    archive = exported(original)
    verify_archive(io.BytesIO(archive), original.schema)
    run(sqlalchemy.create_engine(copy, poolclass=NullPool), *spoil)
    assert not diff(original, other).identical
    import_all(other, io.BytesIO(archive))
    assert diff(original, other).identical
    before, after = dump(shop), dump(copy)
    assert in_order(before) == in_order(after)
    if spoil == _EMPTIED:
        assert before == after


def test_sequences(shop: str) -> None:
    """Those of columns, owned or not, are counters; one that is no column's is left out by name."""
    repository = _repository(shop)
    excluded = {exclusion.name: exclusion.reason for exclusion in repository.schema.excluded}
    assert {"unused_seq": "a sequence that is no column's"} == excluded
    with repository.snapshot() as snapshot:
        counters = dict(snapshot.counters())
    assert {"film": 900, "inventory": counters["inventory"]}.items() <= counters.items()
    assert counters["inventory"] == counters["reservation"]


def test_the_apps_next_records(shop: str, copy: str) -> None:
    """Whoever gives out their numbers goes on."""
    engine = sqlalchemy.create_engine(copy, poolclass=NullPool)
    archive = exported(_repository(shop))
    run(
        engine,
        *_EMPTIED,
        "ALTER SEQUENCE film_film_id_seq RESTART",
        'ALTER SEQUENCE "Shared ids" RESTART',
        "ALTER SEQUENCE down_seq RESTART",
        "ALTER SEQUENCE staff_staff_id_seq RESTART",
    )
    import_all(_repository(copy), io.BytesIO(archive))
    run(
        engine,
        "INSERT INTO film (title, language_id, fulltext) VALUES ('next', 1, '')",
        "INSERT INTO inventory (film_id) VALUES (1)",
        "INSERT INTO reservation (inventory_id) SELECT max(id) FROM inventory",
        "INSERT INTO staff (store_id) VALUES (1)",
    )
    assert [(901,)] == query(engine, "SELECT film_id FROM film WHERE title = 'next'")
    assert [(True,)] == query(
        engine, "SELECT (SELECT max(id) FROM reservation) > (SELECT max(id) FROM inventory)"
    )


def test_through_memory_and_back(shop: str, copy: str) -> None:
    """Digests are the same there, and the way back changes nothing."""
    original = _repository(shop)
    memory = MemoryRepository(original.schema, {c.name: [] for c in original.schema.collections})
    import_all(memory, io.BytesIO(exported(original)))
    assert diff(original, memory).identical
    report = import_all(_repository(copy), io.BytesIO(b"".join(iter_export(memory))))
    assert (0, 0, 0) == (report.added, report.changed, report.deleted)
    assert in_order(dump(shop)) == in_order(dump(copy))


def test_a_role_that_only_writes(shop: str, copy: str) -> None:
    """What triggers do not stand in the way of comes back without ownership, too."""
    owner = sqlalchemy.create_engine(copy, poolclass=NullPool)
    archive = exported(_repository(shop))
    run(
        owner,
        "DROP TRIGGER last_updated ON film",
        "SET session_replication_role = replica",
        "UPDATE film SET sequel_of = 3, original_language_id = NULL",
        "DELETE FROM film WHERE film_id % 3 = 1",
        "DELETE FROM inventory WHERE film_id % 2 = 0",
        "DELETE FROM payment WHERE payment_id % 2 = 0",
    )
    with pgroles.writer(owner) as engine:
        import_all(SQLAlchemyRepository.reflect(engine), io.BytesIO(archive))
    assert diff(_repository(shop), _repository(copy)).identical


_OF_POSTGRESQL_ALONE = {
    "film.length": "an interval has months",
    "film.special_features": "an array",
    "film.ratings": "an array",
    "film.revenue": "money",
    "film.fulltext": "a tsvector",
    "film.shown": "a range",
    "store.at": "a composite",
    "payment": "has an infinite moment",
    "person.born": "has infinite dates",
}


def test_through_mariadb_into_a_new_database(shop: str) -> None:
    """From engine to engine, each time into tables that are made: every digest is the same.

    UUIDs of no known variant are bytes to MariaDB's own catalogue: the schema is the shop's.
    """
    engine = sqlalchemy.create_engine(shop, poolclass=NullPool)
    original = SQLAlchemyRepository.reflect(engine, exclude=_OF_POSTGRESQL_ALONE)
    archive = exported(original)
    expected = _digests(archive)
    with databases.mysql() as there, databases.postgresql() as back:
        for url in (there, back):
            engine = sqlalchemy.create_engine(url, poolclass=NullPool)
            copied = SQLAlchemyRepository(engine, original.schema)
            assert set(expected) == set(
                import_all(copied, io.BytesIO(archive), create=True).created
            )
            archive = exported(copied)
            assert expected == _digests(archive)
        assert diff(original, copied).identical


def _digests(archive: bytes) -> dict[str, tuple[int, str]]:
    info = inspect_archive(io.BytesIO(archive))
    return {name: (found.records, found.digest) for name, found in info.collections.items()}
