"""Adapters that declare wrongly what they can do."""

import types

import attrs

from databackup.schema import Schema
from tests.testing.broken import Broken, Cases


class _Undeclared(Broken):
    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        declared = attrs.asdict(self.inner.capabilities)
        del declared["savepoints"]
        self.capabilities = types.SimpleNamespace(**declared)


class _NotAtomicButWilling(Broken):
    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.capabilities = attrs.evolve(self.inner.capabilities, atomic=False)


class _NoSavepointsButWilling(Broken):
    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.capabilities = attrs.evolve(self.inner.capabilities, savepoints=False)


class _OrderWithoutAKey(Broken):
    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        everything = frozenset(collection.name for collection in schema.collections)
        self.capabilities = attrs.evolve(self.inner.capabilities, ordered_rows=everything)


class _AnotherSchema(Broken):
    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.schema = Schema(app=schema.app, collections=schema.collections)


BROKEN: Cases = {
    "undeclared": (_Undeclared, "capabilities_are_declared"),
    "not atomic": (_NotAtomicButWilling, "a_store_that_is_not_atomic_refuses_transactions"),
    "no savepoints": (_NoSavepointsButWilling, "a_store_without_savepoints_refuses_them"),
    "order without a key": (_OrderWithoutAKey, "capabilities_are_declared"),
    "another schema": (_AnotherSchema, "the_schema_is_the_one_given"),
}
