"""Declarative models with a column of each generic type, and references of every form."""

import datetime
import decimal
import enum
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator, TypeEngine


class Base(DeclarativeBase):
    """All tables of the tests' app."""


class Colour(enum.Enum):
    """Stored by name, as SQLAlchemy does."""

    RED = "r"
    BLUE = "b"


class Shouting(TypeDecorator[str]):
    """Text that is stored in upper case."""

    impl = sa.String(40)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Upper case."""
        return value.upper() if value else value

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Lower case."""
        return value.lower() if value else value


class Guid(TypeDecorator[uuid.UUID]):
    """A UUID whose storage the dialect decides."""

    impl = sa.CHAR
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """What SQLAlchemy itself would take."""
        return dialect.type_descriptor(sa.Uuid())


team_members = sa.Table(
    "team_members",
    Base.metadata,
    sa.Column("team_id", sa.ForeignKey("teams.id"), primary_key=True),
    sa.Column("person_id", sa.ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
)


class Team(Base):
    """Refers to people, who refer to it."""

    __tablename__ = "teams"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50), unique=True)
    lead_id: Mapped[int | None] = mapped_column(sa.ForeignKey("people.id", use_alter=True))
    members: Mapped[list["Person"]] = relationship(secondary=team_members)


class Person(Base):
    """Refers to itself, to a team by a unique column, and has a computed column."""

    __tablename__ = "people"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    boss_id: Mapped[int | None] = mapped_column(sa.ForeignKey("people.id"))
    team_name: Mapped[str | None] = mapped_column(sa.ForeignKey("teams.name"))
    upper_name: Mapped[str] = mapped_column(sa.Computed("upper(name)"))
    changed: Mapped[datetime.datetime] = mapped_column(
        default=lambda: datetime.datetime(2000, 1, 1),  # noqa: DTZ001 - as hosts have it
        onupdate=lambda: datetime.datetime(2001, 1, 1),  # noqa: DTZ001
    )


class Shelf(Base):
    """Has a key of two columns."""

    __tablename__ = "shelves"

    room: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)


class Thing(Base):
    """Has a column of each type."""

    __tablename__ = "things"
    __table_args__ = (
        sa.ForeignKeyConstraint(["shelf", "room"], ["shelves.number", "shelves.room"]),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    room: Mapped[str | None]
    shelf: Mapped[int | None]
    small: Mapped[int] = mapped_column(sa.SmallInteger)
    big: Mapped[int] = mapped_column(sa.BigInteger)
    price: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(12, 2))
    ratio: Mapped[decimal.Decimal]
    weight: Mapped[float]
    text: Mapped[str | None] = mapped_column(sa.Text)
    data: Mapped[bytes]
    flag: Mapped[bool]
    day: Mapped[datetime.date]
    clock: Mapped[datetime.time]
    moment: Mapped[datetime.datetime]
    zoned: Mapped[datetime.datetime] = mapped_column(sa.DateTime(timezone=True))
    length: Mapped[datetime.timedelta]
    colour: Mapped[Colour]
    size: Mapped[str] = mapped_column(sa.Enum("S", "M", name="size"))
    extra: Mapped[Any | None] = mapped_column(sa.JSON)
    pickled: Mapped[Any] = mapped_column(sa.PickleType)
    loud: Mapped[str] = mapped_column(Shouting)
    guid: Mapped[uuid.UUID] = mapped_column(Guid)


def thing(number: int, **more: Any) -> Thing:
    """A thing, every column of which has a value that is not the usual one."""
    values: dict[str, Any] = {
        "id": uuid.UUID(int=number),
        "small": -7,
        "big": 2**62 + number,
        "price": decimal.Decimal("4.80"),
        "ratio": decimal.Decimal("0.125"),
        "weight": 0.1,
        "text": "007 ✓",
        "data": b"\0\xff",
        "flag": True,
        "day": datetime.date(2026, 3, 2),
        "clock": datetime.time(10, 15, 0, 5),
        "moment": datetime.datetime(2026, 3, 2, 10, 15),  # noqa: DTZ001
        "zoned": datetime.datetime(2026, 3, 2, 10, 15, tzinfo=datetime.UTC),
        "length": datetime.timedelta(days=-2, microseconds=7),
        "colour": Colour.BLUE,
        "size": "M",
        "extra": {"a": [1, None, 2.5]},
        "pickled": {1, 2},
        "loud": "quiet",
        "guid": uuid.UUID(int=2**100 + number),
    }
    return Thing(**values | more)
