"""Which fields may be secret, and how a schema says so."""

from typing import Any

import attrs
import pytest

from databackup import Collection, Field, Reference, Schema
from databackup.errors import SchemaError
from databackup.schema import kinds
from databackup.schema.composite import Optional
from databackup.schema.document import describe, described_collection, description_digest
from databackup.schema.narrowed import secret_fields, with_secrets

FIELDS = {"id": int, "name": str, "password": str}
USERS = Collection("users", key="id", fields=FIELDS, secret=["password"])


@attrs.define
class _User:
    id: int
    name: str
    password: str


@pytest.mark.parametrize(
    "collection",
    [
        USERS,
        Collection.of(_User, "users", key="id", secret=["password"]),
        Collection(
            "users",
            key="id",
            fields=[*USERS.fields[:2], Field("password", kinds.Str(), secret=True)],
        ),
        *with_secrets(
            Schema(collections=[Collection("users", key="id", fields=FIELDS)]), ["users.password"]
        ).collections,
    ],
)
def test_ways_to_mark(collection: Collection) -> None:
    """A field is marked by itself, by its collection, by a class's, or in a whole schema."""
    assert USERS == collection
    assert {"users": {"password"}} == secret_fields(Schema(collections=[collection]))


def test_mark_is_described_and_no_part_of_the_digest() -> None:
    """A description has the mark, and is read back; its digest is as it was without."""
    plain = Schema(collections=[Collection("users", key="id", fields=FIELDS)])
    marked = Schema(collections=[USERS])
    described = describe(marked)
    fields = described["collections"]["users"]["fields"]
    assert {"kind": "str", "secret": True} == fields["password"]
    assert (
        {"kind": "str"}
        == fields["name"]
        == describe(plain)["collections"]["users"]["fields"]["name"]
    )
    assert USERS == described_collection("users", described["collections"]["users"])
    assert description_digest(describe(plain)) == description_digest(described)


@pytest.mark.parametrize("mark", [1, "yes", None])
def test_mark_is_true_or_false(mark: Any) -> None:
    """Another value in a description is refused, as by the field itself."""
    description = {"fields": {"id": {"kind": "int", "secret": mark}}, "key": [], "references": []}
    with pytest.raises(SchemaError, match="secret is true or false"):
        described_collection("users", description)
    with pytest.raises(SchemaError, match="secret is true or false"):
        Field("id", kinds.Int(), secret=mark)


@pytest.mark.parametrize("fields", [7, ["id"], {"id": 7}, {"id": ["secret"]}])
def test_digest_of_anything(fields: Any) -> None:
    """A digest is taken before anything is known of a description."""
    assert description_digest({"collections": {"users": {"fields": fields}}})


def test_unknown_name() -> None:
    """A name that no field has is refused, in a collection and in a schema."""
    with pytest.raises(SchemaError, match="the secrets of users: 'pasword' is no field of it"):
        Collection("users", key="id", fields=FIELDS, secret=["pasword"])
    with pytest.raises(SchemaError, match=r"there is no field 'users\.pasword'"):
        with_secrets(Schema(collections=[USERS]), ["users.pasword"])


def test_ambiguous_name() -> None:
    """Names with dots may mean two fields; neither is taken."""
    one = Collection("a.b", key="id", fields={"id": int, "c": str})
    other = Collection("a", key="id", fields={"id": int, "b.c": str})
    with pytest.raises(SchemaError, match=r"'a\.b\.c' is ambiguous"):
        with_secrets(Schema(collections=[one, other]), ["a.b.c"])


def test_schema_stays_what_it_is() -> None:
    """Marks are added; all else that a schema and its collections say is kept."""
    collection = Collection.of(
        _User, "users", key="id", secret=["name"], references=[Reference("id", "users")]
    )
    schema = Schema(app="a", version=1, collections=[collection], exclude={"t": "not ours"})
    marked = with_secrets(schema, ["users.password"])
    assert {"users": {"name", "password"}} == secret_fields(marked)
    assert _User is marked["users"].model
    assert (schema.app, schema.excluded) == (marked.app, marked.excluded)
    assert collection.references == marked["users"].references
    assert schema is with_secrets(schema, [])


@pytest.mark.parametrize(
    "collections,problem",
    [
        (
            [Collection("users", key="id", fields=FIELDS, secret=["id"])],
            "users.id is of the key, and cannot be secret",
        ),
        (
            [Collection("users", fields={"a": str, "b": int}, secret=["a", "b"])],
            "all fields of users are secret",
        ),
        (
            [
                Collection(
                    "users",
                    key="id",
                    fields={"id": int, "boss": int | None},
                    references=[Reference("boss", "users")],
                    secret=["boss"],
                )
            ],
            "users.boss is of a reference, and cannot be secret",
        ),
        (
            [
                USERS,
                Collection(
                    "logins",
                    key="id",
                    fields={"id": int, "by": str},
                    references=[Reference("by", "users", "password")],
                ),
            ],
            "users.password is of a reference, and cannot be secret",
        ),
    ],
)
def test_what_cannot_be_secret(collections: list[Collection], problem: str) -> None:
    """Keys and references tell records apart; a record is more than its secrets."""
    with pytest.raises(SchemaError) as caught:
        Schema(collections=collections)
    assert problem in str(caught.value)


def test_default_is_of_its_kind() -> None:
    """A default that is not of the field's kind is refused, and not shown."""
    with pytest.raises(
        SchemaError, match="its default is not of its kind: expected text"
    ) as caught:
        Field("password", kinds.Str(), secret=True, default=b"zqXq")
    assert "zqXq" not in str(caught.value)
    assert Field("password", Optional(kinds.Str()), default=None).default is None


def test_default_is_no_part_of_the_field() -> None:
    """Fields with other defaults describe the same, and are equal."""
    one = Field("a", kinds.Str(), default="x")
    assert Field("a", kinds.Str()) == one
    assert hash(Field("a", kinds.Str())) == hash(one)
