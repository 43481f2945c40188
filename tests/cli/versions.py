"""An app at its versions 1 and 3, as modules of a host's."""

from typing import Any

import attrs

from tests.cli.conftest import Workshop

ONE = """
from databackup import Collection, Reference, Schema
from databackup.adapters.memory import MemoryRepository

schema = Schema(
    app="catering",
    version=1,
    versions={folder!r},
    collections=[
        Collection("people", key="id", fields={{"id": int, "name": str, "mail": str | None}}),
        Collection(
            "menus",
            key="id",
            fields={{"id": int, "served_on": str, "code": str | None, "cook": int}},
            references=[Reference("cook", "people")],
        ),
        Collection("junk", key="k", fields={{"k": str}}),
    ],
)
repository = MemoryRepository(schema, {{
    "people": [{{"id": 1, "name": "Ana", "mail": "a@x"}}, {{"id": 2, "name": "Bo", "mail": None}}],
    "menus": [
        {{"id": 1, "served_on": "2026-01-01", "code": "L", "cook": 1}},
        {{"id": 2, "served_on": {day!r}, "code": None, "cook": {cook}}},
    ],
    "junk": [{{"k": "x"}}],
}})
"""

THREE = """
from datetime import date
from decimal import Decimal
from databackup import Collection, Reference, Schema, migration
from databackup.adapters.memory import MemoryRepository

@migration(1, 2)
def prices(m):
    m.rename_collection("people", "cooks")
    m.add_field("menus", "price", Decimal, default=Decimal("0.00"))
    m.remove_field("menus", "code")
    m.remove_collection("junk")

@migration(2, 3)
def dates(m):
    m.change_kind("menus", "served_on", date, using=date.fromisoformat{inverse})

def schema_of(versions, migrations=(prices, dates)):
    return Schema(
        app="catering",
        version=3,
        versions=versions,
        migrations=migrations,
        collections=[
            Collection("cooks", key="id", fields={{"id": int, "name": str, "mail": str | None}}),
            Collection(
                "menus",
                key="id",
                fields={{"id": int, "served_on": date, "cook": int, "price": Decimal}},
                references=[Reference("cook", "cooks")],
            ),
        ],
    )

schema = schema_of({folder!r})
loose = schema_of(None)
gap = schema_of({folder!r}, ())
repository = MemoryRepository(schema, {{"cooks": [], "menus": []}})

def make():
    return schema

def make_repository():
    return repository
"""

STEPS = ["1 to 2 (prices)", "2 to 3 (dates)"]
INVERSE = ", inverse=date.isoformat"

DROPPED = {"junk": 1, "menus.code": 1}
DEFAULTED = {"menus.price": 2}
MIGRATED: dict[str, Any] = {
    "source": 1,
    "target": 3,
    "steps": STEPS,
    "dropped": DROPPED,
    "defaulted": DEFAULTED,
}
TOLD = [
    "migrated from schema version 1 to 3",
    "  1 to 2 (prices)",
    "  2 to 3 (dates)",
    "  field or collection  dropped  defaulted",
    "  junk                       1          0",
    "  menus.code                 1          0",
    "  menus.price                0          2",
]


@attrs.frozen
class Catering:
    """The modules of both versions, by name; what is frozen goes to the folder `versions`."""

    one: str
    three: str

    @classmethod
    def of(
        cls,
        workshop: Workshop,
        *,
        inverse: str = INVERSE,
        day: str = "2026-02-03",
        cook: int = 2,
    ) -> "Catering":
        """Both modules, importable from the current directory."""
        return cls(
            workshop.module(ONE.format(folder="versions", day=day, cook=cook)),
            workshop.module(THREE.format(folder="versions", inverse=inverse)),
        )

    def frozen(self, workshop: Workshop) -> "Catering":
        """The same, with both versions frozen."""
        workshop.ok("schema", "freeze", "--app", f"{self.one}:schema")
        workshop.ok("schema", "freeze", "--app", f"{self.three}:schema")
        return self
