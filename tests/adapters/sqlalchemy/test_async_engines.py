"""Engines of hosts on an event loop; needs what SQLAlchemy itself needs for them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from databackup import export_all_async, import_all_async
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from databackup.errors import StoreError
from tests.adapters.sqlalchemy.models import Base, Team
from tests.support import sqlite

pytest.importorskip("greenlet")
pytest.importorskip("aiosqlite")
orm = pytest.importorskip("sqlalchemy.ext.asyncio")


def test_an_async_engine(tmp_path: Path) -> None:
    """Its data is exported and imported beside it, and nothing is left open."""
    path = tmp_path / "app.db"

    async def run() -> None:
        engine = orm.create_async_engine(f"sqlite+aiosqlite:///{path}")
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with orm.AsyncSession(engine) as session, session.begin():
            session.add(Team(id=1, name="red"))
        repository = SQLAlchemyRepository.from_metadata(engine, Base.metadata)
        await export_all_async(repository, tmp_path / "a.json")
        async with engine.begin() as connection:
            await connection.execute(sa.delete(Team))
        report = await import_all_async(repository, tmp_path / "a.json")
        assert report.added == 1
        async with orm.AsyncSession(engine) as session:
            assert (await session.get_one(Team, 1)).name == "red"
        await engine.dispose()

    asyncio.run(run())
    assert sqlite.query(path, "SELECT name FROM teams") == [("red",)]


def test_the_memory_of_an_async_engine() -> None:
    """Nobody else reaches it: an empty database would be exported instead."""
    engine = orm.create_async_engine("sqlite+aiosqlite://")
    with pytest.raises(StoreError, match="cannot be reached from outside"):
        SQLAlchemyRepository.from_metadata(engine, Base.metadata)


def test_an_async_engine_of_a_server() -> None:
    """It is for a plain driver, and keeps no connection."""
    engine: Any = orm.create_async_engine("postgresql+psycopg://u:p@h/d")
    from databackup.adapters.sqlalchemy.connections import bind_of  # noqa: PLC0415

    found = bind_of(engine)
    assert isinstance(found.engine.pool, sa.pool.NullPool)
    assert not found.dialect.is_async
    assert found.engine.url == engine.url


def test_the_connection_of_an_async_engine(tmp_path: Path) -> None:
    """It lives on the loop, where nothing here may run."""

    async def run() -> None:
        engine = orm.create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}")
        async with engine.connect() as connection:
            with pytest.raises(StoreError, match="give the AsyncEngine"):
                await connection.run_sync(
                    lambda plain: SQLAlchemyRepository.from_metadata(plain, Base.metadata)
                )
            with pytest.raises(StoreError, match="give the AsyncEngine"):
                SQLAlchemyRepository.from_metadata(connection, Base.metadata)
        await engine.dispose()

    asyncio.run(run())
