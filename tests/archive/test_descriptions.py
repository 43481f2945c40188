"""What a header says of the collections, where it is not sound, in archives whose seal fits."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import pytest

from databackup.errors import (
    ArchiveInvalid,
    DatabackupError,
)
from databackup.operations.verify import inspect_archive, verify_archive
from tests.archive.support import (
    content,
    plain_schema_digest,
    resealed,
    tiny,
    with_header,
)
from tests.support.clock import within

FIELD: dict[str, Any] = {"kind": "int"}
DESCRIPTIONS: dict[str, Any] = {
    "null": None,
    "number": 5,
    "array": [],
    "text": "x",
    "empty": {},
    "no fields": {"key": [], "references": [], "order": "none"},
    "fields of null": {"fields": None, "key": [], "references": [], "order": "none"},
    "fields of an array": {"fields": [], "key": [], "references": [], "order": "none"},
    "field of null": {"fields": {"i": None}, "key": [], "references": [], "order": "none"},
    "field of text": {"fields": {"i": "int"}, "key": [], "references": [], "order": "none"},
    "key of text": {"fields": {"i": FIELD}, "key": "i", "references": [], "order": "none"},
    "key of numbers": {"fields": {"i": FIELD}, "key": [1], "references": [], "order": "none"},
    "references of null": {"fields": {"i": FIELD}, "key": [], "references": None, "order": "none"},
    "reference of null": {"fields": {"i": FIELD}, "key": [], "references": [None], "order": "none"},
    "reference of text": {"fields": {"i": FIELD}, "key": [], "references": ["x"], "order": "none"},
    "no order": {"fields": {"i": FIELD}, "key": ["i"], "references": []},
    "order of null": {"fields": {"i": FIELD}, "key": ["i"], "references": [], "order": None},
    "order of an array": {"fields": {"i": FIELD}, "key": ["i"], "references": [], "order": ["key"]},
    "another order": {"fields": {"i": FIELD}, "key": ["i"], "references": [], "order": "Key"},
    "order without a key": {"fields": {"i": FIELD}, "key": [], "references": [], "order": "key"},
    "unknown member": {
        "fields": {"i": FIELD},
        "key": [],
        "references": [],
        "order": "none",
        "x": 1,
    },
}
KINDS: dict[str, Any] = {
    "no kind": {},
    "kind of null": {"kind": None},
    "kind of a list": {"kind": ["int"]},
    "unknown kind": {"kind": "varchar"},
    "nullable of a number": {"kind": "int", "nullable": 1},
    "off_kind of null": {"kind": "int", "off_kind": None},
    "off_kind of a list": {"kind": "int", "off_kind": []},
    "unknown member": {"kind": "int", "scale": 2},
    "scale of text": {"kind": "decimal", "scale": "2"},
    "scale of an object": {"kind": "decimal", "scale": {}},
    "scale with a fraction": {"kind": "decimal", "scale": 2.0},
    "enum without values": {"kind": "enum"},
    "enum of text": {"kind": "enum", "values": "ab"},
    "enum of nothing": {"kind": "enum", "values": []},
    "enum of lists": {"kind": "enum", "values": [[]]},
    "enum of both": {"kind": "enum", "values": [1, "a"]},
    "list without items": {"kind": "list"},
    "list of null": {"kind": "list", "items": None},
    "nested of a list": {"kind": "nested", "members": []},
    "nested of null": {"kind": "nested", "members": {"a": None}},
    "native of null": {"kind": "native", "type": None},
}


def with_description(description: Any) -> bytes:
    """The smallest archive, with another description of its collection and the digest of that."""

    def change(header: dict[str, Any]) -> None:
        header["schema"] = {"collections": {"t": description}}
        header["schema_digest"] = plain_schema_digest(header["schema"])

    return with_header(tiny(), change)


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_descriptions(name: str) -> None:
    """A description of a collection that is not sound is refused, with a digest that fits."""
    with pytest.raises(ArchiveInvalid, match="the header's schema"):
        inspect_archive(io.BytesIO(with_description(DESCRIPTIONS[name])))


@pytest.mark.parametrize("name", KINDS)
def test_descriptions_of_kinds(name: str) -> None:
    """A description of a kind that is not sound is refused, alone and within others."""
    kind = KINDS[name]
    inner = {key: value for key, value in kind.items() if key != "off_kind"}
    for field in (kind, {"kind": "list", "items": {"kind": "dict", "values": inner}}):
        if field is kind or inner == kind:
            description = {"fields": {"i": field}, "key": [], "references": [], "order": "none"}
            with pytest.raises(ArchiveInvalid, match="the header's schema is not sound"):
                inspect_archive(io.BytesIO(with_description(description)))


@pytest.mark.parametrize(
    "change",
    [
        {"fields": {}},
        {"key": ["x"]},
        {"key": ["i", "i"]},
        {"fields": {"i": {"kind": "int", "nullable": True}}},
        {"fields": {"i": {"kind": "json"}}},
        {"references": [{"fields": ["i"], "collection": "x", "to": ["i"]}]},
        {"references": [{"fields": ["x"], "collection": "t", "to": ["i"]}]},
        {"references": [{"fields": [], "collection": "t", "to": ["i"]}]},
        {"references": [{"fields": ["i"], "collection": "t", "to": ["x"]}]},
    ],
)
def test_descriptions_that_make_no_schema(change: dict[str, Any]) -> None:
    """What a description can say, but no schema can be, is refused when records are read by it."""
    sound = {"fields": {"i": FIELD}, "key": ["i"], "references": [], "order": "key"}
    content(with_description(sound))
    with pytest.raises(ArchiveInvalid, match="not sound"):
        verify_archive(io.BytesIO(with_description(sound | change)))


@pytest.mark.parametrize("depth", [63, 64, 65, 200, 700, 5000])
def test_deep_kinds(depth: int) -> None:
    """Kinds nest to a depth that any machine takes; deeper ones are refused, never a crash."""
    kind = '{"kind":"list","items":' * (depth - 1) + '{"kind":"int"}' + "}" * (depth - 1)
    field = kind.encode()

    def marked(header: dict[str, Any]) -> None:
        header["schema"]["collections"]["t"]["fields"]["i"] = "here"
        header["schema"]["collections"]["t"] |= {"key": [], "order": "none"}

    archive = with_header(tiny(), marked).replace(b'"here"', field)
    head, _, rest = archive.partition(b'"schema":')
    text = rest.split(b',\n"data":{')[0]
    digest = deep_digest(text)
    start = head.index(b'"sha256:')
    archive = resealed(head[:start] + digest + head[start + 73 :] + b'"schema":' + rest)
    with within(5):
        if depth <= 64:
            inspect_archive(io.BytesIO(archive))
        with pytest.raises(DatabackupError):
            verify_archive(io.BytesIO(archive))


def deep_digest(schema: bytes) -> bytes:
    """The digest of a description too deep for `json`, by bytes: its members in sorted order."""
    start = schema.index(b'"fields":') + len(b'"fields":')
    fields = schema[start : schema.index(b',"key"')]
    fields = fields.replace(b'{"kind":"list","items":', b'{"items":')
    depth = fields.count(b'"items"')
    closing = b'"kind":"int"' + b"}" * (depth + 1)
    fields = fields.replace(closing, b'"kind":"int"}' + b',"kind":"list"}' * depth)
    text = b'{"collections":{"t":{"fields":%s,"key":[],"references":[]}}}' % fields
    return b'"sha256:%s"' % hashlib.sha256(text).hexdigest().encode()
