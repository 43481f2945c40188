"""Generic types of SQLAlchemy's on servers, which store some of them in ways of their own."""

import datetime
import decimal
import enum
import io
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from databackup import import_all, iter_export
from databackup.adapters.sqlalchemy import SQLAlchemyRepository
from tests.support import databases


class Base(DeclarativeBase):
    """The table of this test."""


class Colour(enum.Enum):
    """Stored by name."""

    RED = "r"
    BLUE = "b"


class Thing(Base):
    """MariaDB has intervals as moments after 1970 and UUIDs as text, PostgreSQL as such."""

    __tablename__ = "things"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    span: Mapped[datetime.timedelta]
    flag: Mapped[bool]
    moment: Mapped[datetime.datetime]
    price: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(10, 2))
    colour: Mapped[Colour]
    details: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    data: Mapped[bytes]
    day: Mapped[datetime.date]
    clock: Mapped[datetime.time]
    weight: Mapped[float]
    text: Mapped[str] = mapped_column(sa.String(30))


def _thing(number: int) -> Thing:
    return Thing(
        id=uuid.UUID(int=number + 5),
        span=datetime.timedelta(days=number - 1, seconds=3),
        flag=bool(number % 2),
        moment=datetime.datetime.fromisoformat(f"2024-01-0{number + 1}T03:00:00"),
        price=decimal.Decimal("1.50"),
        colour=Colour.RED,
        details={"a": [number, "é"]},
        data=b"\0x\xff",
        day=datetime.date(2024, 1, 1),
        clock=datetime.time(1, 2, 3),
        weight=0.1,
        text="é ",
    )


def _seen(engine: sa.Engine) -> list[tuple[Any, ...]]:
    """What the app sees through its own models."""
    columns = Thing.__table__.columns.keys()
    with Session(engine) as session:
        things = session.scalars(sa.select(Thing))
        return sorted(tuple(repr(getattr(thing, name)) for name in columns) for thing in things)


@pytest.mark.parametrize("server", [databases.mysql, databases.postgresql])
def test_an_app_sees_its_data_again(server: Any) -> None:
    """After an export and an import into emptied and spoiled tables."""
    with server() as url:
        engine = sa.create_engine(url)
        Base.metadata.create_all(engine)
        with Session(engine) as session, session.begin():
            session.add_all(map(_thing, range(3)))
        before = _seen(engine)
        repository = SQLAlchemyRepository.from_metadata(engine, Base.metadata)
        archive = b"".join(iter_export(repository))
        for spoil in ("DELETE FROM things", "UPDATE things SET weight = 7, flag = NOT flag"):
            with engine.begin() as connection:
                connection.execute(sa.text(spoil))
            assert before != _seen(engine)
            import_all(repository, io.BytesIO(archive))
            assert before == _seen(engine)
        engine.dispose()
