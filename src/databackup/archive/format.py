"""The fixed parts of an archive, format 1: its header, its end, its seal.

Each part has one layout in bytes; docs/reference/archive-format.md is the normative text.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from databackup.archive import text
from databackup.archive.describing import described_collections, schema_of
from databackup.archive.extensions import SafetyBackupOf, is_safety_backup
from databackup.errors import ArchiveInvalid, NewerFormat, NotAnArchive, NotUtf8
from databackup.schema import Exclusion
from databackup.schema.compiled import json_pointer
from databackup.schema.document import description_digest
from databackup.schema.jsonplace import steps_to_flaw
from databackup.schema.jsontext import JsonTextError
from databackup.schema.kind import shown
from databackup.schema.narrowed import Omitted, secret_fields, without

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from databackup.schema import Collection, Schema

FORMAT: Final = "databackup"
FORMAT_VERSION: Final = 1
FIRST_BYTES: Final = b'{"format":"databackup",'
HEADER_LINES: Final = 4
DATA_LINE: Final = b'"data":{'
END_START: Final = b'"end":{"collections":'
SEAL_LENGTH: Final = 83
_COUNTER_LIMIT: Final = 2**63
# Numbers that no double holds are Decimals where a header was read, and stay numbers.
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_SEAL = re.compile(rb'"seal":"sha256:([0-9a-f]{64})"\}\}\n')
_DIGEST = re.compile("sha256:[0-9a-f]{64}")
_SUM = re.compile("[0-9a-f]{64}")
_VERSION = re.compile(rb'"format_version":([0-9]{1,18})[,}]')
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?Z")


@attrs.frozen
class Provenance:
    """That an archive was edited and sealed anew: the edited one's id, and when in UTC."""

    archive_id: str
    sealed_at: str


@attrs.frozen(kw_only=True)
class Header:
    """What an archive says of itself before its data.

    `created_at` is UTC as ISO 8601; `schema` describes the collections, each with its `order`.
    """

    archive_id: str
    created_at: str
    app: str | None
    schema_version: int
    schema_digest: str
    producer: Mapping[str, str]
    consistency: str
    schema: Mapping[str, Any]
    selection: tuple[str, ...] | None = None
    secrets: str = "included"
    excluded: tuple[Exclusion, ...] = ()
    extensions: Mapping[str, Any] = attrs.field(factory=dict)
    format_version: int = FORMAT_VERSION

    @functools.cached_property
    def collections(self) -> tuple[str, ...]:
        """The names of the collections, in the order they are written."""
        return tuple(self.schema["collections"])

    @functools.cached_property
    def described(self) -> Schema:
        """The schema that is described, without what a selection leaves out.

        Raises `ArchiveInvalid`.
        """
        return schema_of(self.whole, is_selection=self.selection is not None)

    @functools.cached_property
    def whole(self) -> tuple[Collection, ...]:
        """The collections as described, with references that lead out of a selection.

        Raises `ArchiveInvalid`.
        """
        return described_collections(self.schema["collections"])

    @functools.cached_property
    def omitted(self) -> Omitted:
        """The secret fields that records lack, by collection. Raises `ArchiveInvalid`."""
        return secret_fields(self.described) if self.secrets == "omitted" else {}

    @functools.cached_property
    def recorded(self) -> Schema:
        """The schema of what records have. Raises `ArchiveInvalid`."""
        return without(self.described, self.omitted)

    @property
    def counters(self) -> dict[str, int]:
        """By collection, the last number that the store gave out as a key."""
        return dict(self.extensions.get("counters", {}))

    @property
    def edited(self) -> Provenance | None:
        """Where the archive comes from, if it was edited and sealed anew."""
        edited = self.extensions.get("edited")
        return None if edited is None else Provenance(**edited)

    @property
    def safety_backup(self) -> SafetyBackupOf | None:
        """Ahead of which import the archive was made, if it is a safety backup.

        One that was edited is none any more: it is not what the store held.
        """
        found = self.extensions.get("safety_backup")
        return None if found is None or self.edited else SafetyBackupOf(**found)

    def in_key_order(self, collection: str) -> bool:
        """Whether the records of a collection are strictly increasing by key."""
        return bool(self.schema["collections"][collection]["order"] == "key")

    def to_bytes(self) -> bytes:
        """The header's four lines and the line that opens the data."""
        excluded = [attrs.asdict(exclusion) for exclusion in self.excluded]
        selection = None if self.selection is None else list(self.selection)
        lines: list[dict[str, Any]] = [
            {
                "format": FORMAT,
                "format_version": self.format_version,
                "archive_id": self.archive_id,
                "created_at": self.created_at,
                "app": self.app,
                "schema_version": self.schema_version,
            },
            {
                "schema_digest": self.schema_digest,
                "producer": dict(self.producer),
                "consistency": self.consistency,
            },
            {
                "selection": selection,
                "secrets": self.secrets,
                "excluded": excluded,
                "extensions": dict(self.extensions),
            },
            {"schema": dict(self.schema)},
        ]
        members = b",\n".join(_ENCODER.encode(line)[1:-1] for line in lines)
        return b"{" + members + b",\n" + DATA_LINE + b"\n"


def utc_now() -> str:
    """The time as it stands in a header, to the second."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return now.isoformat().replace("+00:00", "Z")


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda value: type(value) is kind


def _is_excluded(value: Any) -> bool:
    return type(value) is list and all(
        type(item) is dict
        and set(item) == {"name", "reason"}
        and all(type(part) is str and part != "" for part in item.values())
        for item in value
    )


def _is_extensions(value: Any) -> bool:
    return (
        type(value) is dict
        and _is_counters(value.get("counters", {}))
        and ("edited" not in value or _is_edited(value["edited"]))
        and ("safety_backup" not in value or is_safety_backup(value["safety_backup"]))
    )


def _is_counters(value: Any) -> bool:
    return type(value) is dict and all(
        type(last) is int and abs(last) < _COUNTER_LIMIT for last in value.values()
    )


def _is_edited(value: Any) -> bool:
    return (
        type(value) is dict
        and set(value) == {"archive_id", "sealed_at"}
        and _is_uuid(value["archive_id"])
        and _is_timestamp(value["sealed_at"])
    )


def _is_uuid(value: Any) -> bool:
    return type(value) is str and bool(_UUID.fullmatch(value))


def _is_timestamp(value: Any) -> bool:
    if type(value) is not str or not _TIMESTAMP.fullmatch(value):
        return False
    try:
        datetime.datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_schema(value: Any) -> bool:
    return (
        type(value) is dict
        and set(value) == {"collections"}
        and type(value["collections"]) is dict
        and all(type(item) is dict for item in value["collections"].values())
    )


# Each member of the header: what is expected of it, and whether a value is that.
_MEMBERS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "format": ("databackup", lambda value: value == FORMAT),
    "format_version": ("an integer from 1 on", lambda v: type(v) is int and v >= 1),
    "archive_id": ("a UUID in lower case", _is_uuid),
    "created_at": ("a time in UTC", _is_timestamp),
    "app": ("text or null", lambda value: value is None or (type(value) is str and value != "")),
    "schema_version": ("an integer from 1 on", lambda v: type(v) is int and v >= 1),
    "schema_digest": (
        "sha256: and 64 digits",
        lambda value: type(value) is str and bool(_DIGEST.fullmatch(value)),
    ),
    "producer": (
        "an object of texts",
        lambda value: type(value) is dict and all(type(v) is str for v in value.values()),
    ),
    "consistency": ("snapshot or none", lambda value: value in ("snapshot", "none")),
    "selection": (
        "null or an array of names",
        lambda v: v is None or (type(v) is list and all(type(name) is str for name in v)),
    ),
    "secrets": ("included or omitted", lambda value: value in ("included", "omitted")),
    "excluded": ("an array of names with reasons", _is_excluded),
    "extensions": (
        (
            "an object; counters in it of 64-bit integers, edited of archive_id and sealed_at, "
            "safety_backup of store and seal"
        ),
        _is_extensions,
    ),
    "schema": ("an object with collections", _is_schema),
    "data": ("an object", _is(dict)),
}


def read_header(lines: bytes) -> Header:
    """The header from its lines, up to the one that opens the data.

    Raises `NotAnArchive`, `NewerFormat`, `ArchiveInvalid`.
    """
    try:
        members = text.load(lines + b"}}")
    except JsonTextError as error:
        raise _unreadable("the header", lines + b"}}", error) from error
    return header_of(members)


def header_of(members: dict[str, Any]) -> Header:
    """The header from its members as they were parsed, `data` among them.

    Raises `NewerFormat`, `ArchiveInvalid`.
    """
    _require_known(members.get("format_version"))
    for name in members:
        if name not in _MEMBERS:
            raise ArchiveInvalid(f"the header has an unknown member {shown(name)}")
    for name, (expected, holds) in _MEMBERS.items():
        if name not in members:
            raise ArchiveInvalid(f"the header has no member {name!r}")
        if not holds(members[name]):
            found = shown(members[name])
            raise ArchiveInvalid(f"the header's {name} is {found}, expected {expected}")
    return _header(members)


def _unreadable(what: str, document: bytes, error: JsonTextError) -> ArchiveInvalid:
    """The error that says where in the document the flaw is: by line, or else by pointer."""
    message = f"{what} cannot be read: {error}"
    if isinstance(error.__cause__, json.JSONDecodeError):
        return ArchiveInvalid(message, error.__cause__.lineno)
    steps = steps_to_flaw(document.decode(errors="replace").encode(), error)
    return ArchiveInvalid(f"{message}, at {json_pointer(steps)}" if steps else message, 1)


def _require_known(version: object) -> None:
    if type(version) is int and version > FORMAT_VERSION:
        raise NewerFormat(
            f"the archive has format {version}, this databackup reads up to {FORMAT_VERSION}",
            None,
            version,
            FORMAT_VERSION,
        )


def _header(members: dict[str, Any]) -> Header:
    try:
        digest = description_digest(members["schema"])
    except RecursionError:
        raise ArchiveInvalid("the header's schema is nested too deep") from None
    if digest != members["schema_digest"]:
        raise ArchiveInvalid("the header's schema_digest is not that of its schema")
    selection, excluded = members["selection"], members["excluded"]
    rest = members.keys() - {"format", "data", "selection", "excluded"}
    header = Header(
        **{name: members[name] for name in rest},
        selection=None if selection is None else tuple(selection),
        excluded=tuple(Exclusion(**item) for item in excluded),
    )
    if header.selection is not None and sorted(header.selection) != sorted(header.collections):
        raise ArchiveInvalid("the header's selection is not what its schema describes")
    for name in header.counters.keys() - header.schema["collections"].keys():
        raise ArchiveInvalid(f"the header counts for {shown(name)}, which is no collection")
    described_schema(header)
    return header


def described_schema(header: Header) -> Schema:
    """The schema as the header describes it. Raises `ArchiveInvalid`."""
    return header.described


@attrs.frozen
class CollectionEnd:
    """The totals of one collection: how many records, and the sum of their hashes."""

    count: int
    digest: str


def end_to_bytes(ends: Mapping[str, CollectionEnd]) -> bytes:
    """The line with the totals, behind the line that closes the data."""
    collections = {name: attrs.asdict(end) for name, end in ends.items()}
    return b"},\n" + text.dump({"end": {"collections": collections}})[1:-2] + b",\n"


def read_end(line: bytes, header: Header) -> dict[str, CollectionEnd]:
    """The totals from their line. Raises `ArchiveInvalid`."""
    document = b"{" + line + b'"seal":""}}'
    try:
        members = text.load(document)
    except JsonTextError as error:
        raise _unreadable("the end", document, error) from error
    end = members["end"]
    if set(members) != {"end"} or set(end) != {"collections", "seal"} or line[-2:] != b"},":
        raise ArchiveInvalid("the end has members other than collections and seal")
    totals = end["collections"]
    if type(totals) is not dict:
        raise ArchiveInvalid(f"the end's collections are {shown(totals)}, expected an object")
    if tuple(totals) != header.collections:
        raise ArchiveInvalid("the end lists other collections than the header")
    return {name: _collection_end(name, total) for name, total in totals.items()}


def _collection_end(name: str, total: Any) -> CollectionEnd:
    if type(total) is not dict or set(total) != {"count", "digest"}:
        raise ArchiveInvalid(f"the end gives {name} other members than count and digest")
    count, digest = total["count"], total["digest"]
    if type(count) is not int or count < 0:
        raise ArchiveInvalid(f"the end gives {name} the count {shown(count)}")
    if type(digest) is not str or not _SUM.fullmatch(digest):
        raise ArchiveInvalid(f"the end gives {name} the digest {shown(digest)}")
    return CollectionEnd(count, digest)


def seal_to_bytes(hex_digest: str) -> bytes:
    """The last line, whose form is fixed to the byte."""
    return b'"seal":"sha256:' + hex_digest.encode() + b'"}}\n'


def read_seal(line: bytes) -> str | None:
    """The hexadecimal digits of the last line, None where it is no seal."""
    match = _SEAL.fullmatch(line)
    return None if match is None else match[1].decode()


def format_of(head: bytes) -> int:
    """The format version that a file starts with, 0 where it has none that can be told.

    Raises `NotAnArchive`, saying what it is; `NewerFormat`, whatever else the new format changed.
    """
    if not head.startswith(FIRST_BYTES):
        raise NotAnArchive(_what_it_is(head))
    found = _VERSION.match(head, len(FIRST_BYTES))
    version = 0 if found is None else int(found[1])
    _require_known(version)
    return version


def require_json_object(head: bytes) -> None:
    """See that a file starts as any layout of an archive may. Raises `NotAnArchive`, `NotUtf8`."""
    if head.startswith((*_UTF_32, *_UTF_16)):
        raise NotUtf8(_what_it_is(head))
    if not head.lstrip().startswith(b"{"):
        raise NotAnArchive(_what_it_is(head))


BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
# Asked for first: in little endian its marks begin with those of UTF-16.
_UTF_32: Final = (b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"{\0\0\0", b"\0\0\0{")
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{")
_FOREIGN: Final = (
    (b"SQLite format 3\0", "the file is a SQLite database, not an archive"),
    (BYTE_ORDER_MARK, "the file starts with a byte order mark, an archive is UTF-8 without one"),
    *((start, "the file is UTF-32, an archive is UTF-8") for start in _UTF_32),
    *((start, "the file is UTF-16, an archive is UTF-8") for start in _UTF_16),
    (b"PK\x03\x04", "the file is a ZIP file, not an archive"),
)


# What stands near the start of an archive in any layout, its members sorted or not.
_TELLING: Final = (b'"databackup"', b'"archive_id"')


def _what_it_is(head: bytes) -> str:
    for start, what in _FOREIGN:
        if head.startswith(start):
            return what
    if FIRST_BYTES.startswith(head):
        return "the file ends within the header" if head else "the file is empty"
    if head.lstrip().startswith((b"{", b"[")):
        changed = any(name in head for name in _TELLING)
        return (
            "the file was reformatted or edited after it was written"
            if changed
            else "the file is JSON, but no databackup archive"
        )
    return "the file is no databackup archive"
