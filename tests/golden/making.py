"""The golden archives by the names of their files: sound ones, and damaged in each way."""

from __future__ import annotations

import functools
import io
import json
import re
from typing import TYPE_CHECKING, Any

from databackup import Collection, Field, Schema, export_all
from databackup.adapters.memory import MemoryRepository
from databackup.archive.format import SEAL_LENGTH
from databackup.schema.composite import Optional
from databackup.schema.kinds import Str
from databackup.schema.versions import Versions
from tests.archive.support import (
    packed,
    recounted,
    resealed,
    sealed,
    with_end,
    with_header,
    with_lines,
)
from tests.golden.catering.schema import VERSIONS
from tests.golden.records import records_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from databackup.archive.compression import Compression

_TIME = "2026-03-02T08:15:00Z"
_MIB = 1024 * 1024
_PACKINGS: tuple[tuple[str, Compression], ...] = (("gz", "gzip"), ("zst", "zstd"))


def schema_of(version: int) -> Schema:
    """The schema of a version as it was frozen, its fields in the order that the app had them."""
    frozen = Versions(VERSIONS)[version].schema
    collections = [
        Collection(
            name,
            fields=[frozen[name].field(field) for field in records[0]],
            key=frozen[name].key,
            references=frozen[name].references,
        )
        for name, records in records_of(version).items()
    ]
    return Schema(app="catering", version=version, collections=collections)


@functools.cache
def sound(version: int) -> bytes:
    """The archive of a version, as the app of that version exported it."""
    return _exported(schema_of(version), records_of(version))


def _exported(schema: Schema, records: dict[str, list[dict[str, Any]]]) -> bytes:
    """An archive with an id and a time that are always the same."""
    file = io.BytesIO()
    export_all(MemoryRepository(schema, records), file)
    uuid = f'"archive_id":"{schema.version:08}-0000-4000-8000-000000000000"'.encode()
    archive = re.sub(rb'"archive_id":"[^"]*"', uuid, file.getvalue(), count=1)
    made = b'"created_at":"%s"' % _TIME.encode()
    return resealed(re.sub(rb'"created_at":"[^"]*"', made, archive, count=1))


def golden() -> Iterator[tuple[str, bytes]]:
    """All files: their names, and what is in them."""
    for version in (1, 2, 3):
        yield f"sound/v{version}.json", sound(version)
    yield "sound/v3-other-layout.json", _record('"last":""', '"last": ""')
    yield "sound/v3-no-app.json", _header(app=None)
    yield "sound/v1.json.gz", packed(sound(1), "gzip")
    yield "sound/v2.json.zst", packed(sound(2), "zstd")
    for make in (_cut, _changed, _resealed, _miscounted, _headers, _of_old, _packed):
        for name, data in make():
            yield f"damaged/{name}", data


# -- bytes -------------------------------------------------------------------------------------


def _cut() -> Iterator[tuple[str, bytes]]:
    archive = sound(3)
    places = {
        "nothing": 0,
        "first-byte": 1,
        "within-header": 100,
        "before-data": archive.index(b'"data":{'),
        "within-record": archive.index(b"Cher"),
        "behind-record": archive.index(b"\n", archive.index(b"Cher")) + 1,
        "between-collections": archive.index(b'"menus":[\n'),
        "before-end": archive.rindex(b'"end":'),
        "before-seal": archive.rindex(b'"seal":'),
        "within-seal": len(archive) - 20,
        "last-byte": len(archive) - 1,
    }
    for place, size in places.items():
        yield f"cut-{place}.json", archive[:size]
    yield "cut.json.gz", packed(archive, "gzip")[:-300]
    yield "cut-checksum.json.gz", packed(archive, "gzip")[:-1]
    yield "cut.json.zst", packed(archive, "zstd")[:-300]


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def _changed() -> Iterator[tuple[str, bytes]]:
    archive = sound(3)
    yield "byte-in-first-line.json", _flipped(archive, 3)
    yield "byte-in-header.json", _flipped(archive, archive.index(b"catering"))
    yield "byte-in-record.json", _flipped(archive, archive.index(b"Cher"))
    yield "byte-in-digest.json", _flipped(archive, archive.rindex(b'"digest":"') + 12)
    yield "byte-in-seal.json", _flipped(archive, len(archive) - 10)
    for name, compression in _PACKINGS:
        data = packed(archive, compression)
        yield f"byte.json.{name}", _flipped(data, len(data) // 2)
    yield "seal-of-another.json", archive[:-SEAL_LENGTH] + sound(2)[-SEAL_LENGTH:]
    yield "trailing-newline.json", archive + b"\n"
    yield "trailing-record.json", archive + b'{"id":1}\n'
    yield "twice.json", archive + archive
    yield "byte-order-mark.json", b"\xef\xbb\xbf" + archive
    yield "utf-16.json", archive.decode().encode("utf-16")
    yield "utf-16-big-endian.json", archive.decode().encode("utf-16-be")
    yield "carriage-returns.json", archive.replace(b"\n", b"\r\n")
    document = json.loads(archive)
    yield "reformatted.json", json.dumps(document, indent=2, ensure_ascii=False).encode()
    yield "sorted.json", json.dumps(document, sort_keys=True).encode()
    yield "no-archive.json", b'{"people":[]}\n'
    yield "sqlite.json", b"SQLite format 3\0" + bytes(84)
    yield "zip.json", b"PK\x03\x04" + bytes(26)


# -- records, with a seal that fits ------------------------------------------------------------


def _lines(change: Callable[[list[bytes]], object], version: int = 3) -> bytes:
    """An archive with its lines changed, and sealed; counts and digests are what they were."""
    return with_lines(sound(version), change)


def _line(lines: list[bytes], text: str) -> int:
    return next(place for place, line in enumerate(lines) if text.encode() in line)


def _swap(lines: list[bytes], one: int, other: int) -> None:
    lines[one], lines[other] = lines[other], lines[one]


def _resealed() -> Iterator[tuple[str, bytes]]:
    yield "record-dropped.json", _lines(lambda lines: lines.pop(_line(lines, "Cher")))
    yield (
        "record-doubled.json",
        _lines(lambda lines: lines.insert(_line(lines, "Cher"), lines[_line(lines, "Cher")])),
    )
    yield "record-changed.json", resealed(sound(3).replace(b"Cher", b"Char"))
    yield (
        "records-reordered.json",
        _lines(lambda lines: _swap(lines, _line(lines, "Cher"), _line(lines, "Cher") - 1)),
    )
    yield (
        "record-moved.json",
        _lines(
            lambda lines: lines.insert(
                _line(lines, '"venues":[') + 1, lines.pop(_line(lines, "Cher"))
            )
        ),
    )
    yield "collection-renamed.json", resealed(sound(3).replace(b'"venues":[\n', b'"vanues":[\n'))
    swapped = (
        sound(3)
        .replace(b'"contacts":[\n', b'"\0":[\n')
        .replace(b'"coordinators":[\n', b'"contacts":[\n')
    )
    yield "collections-swapped.json", resealed(swapped.replace(b'"\0":[', b'"coordinators":['))
    yield "count.json", resealed(sound(3).replace(b'{"count":2,', b'{"count":3,'))
    yield "digest.json", with_end(sound(3), _other_digest(sound(3).splitlines()[-2]))
    yield (
        "collection-not-counted.json",
        with_end(sound(3), re.sub(rb'"venues":\{[^}]*\},?', b"", sound(3).splitlines()[-2])),
    )


def _other_digest(line: bytes) -> bytes:
    return re.sub(rb'"digest":"[0-9a-f]{64}"', b'"digest":"%s"' % (b"0" * 64), line, count=1)


def _record(found: str, put: str, version: int = 3) -> bytes:
    """An archive with a text within its records replaced, counted and sealed anew."""
    archive = sound(version)
    assert found.encode() in archive
    return _counted(archive.replace(found.encode(), put.encode(errors="surrogatepass")), version)


def _counted(archive: bytes, version: int) -> bytes:
    schema, lines = schema_of(version), dict[str, list[bytes]]()
    for line in archive.partition(b'"data":{\n')[2].partition(b'"end":')[0].splitlines():
        if line.endswith(b":["):
            own = lines.setdefault(json.loads(line[:-2]), [])
        elif line.rstrip(b",") not in (b"]", b"}"):
            own.append(line.removesuffix(b","))
    return recounted(schema, archive, lines)


def _miscounted() -> Iterator[tuple[str, bytes]]:
    yield "key-twice.json", _record('"id":2,"first":"Cher"', '"id":1,"first":"Cher"')
    yield "key-twice-unordered.json", _unordered('"id":2,"first":"Cher"', '"id":1,"first":"Cher"')
    yield "key-order.json", _record('"id":2,"first":"Cher"', '"id":9,"first":"Cher"')
    yield "reference.json", _record('"venue_id":2', '"venue_id":5')
    yield "reference-of-version-1.json", _record('"person_id":7', '"person_id":8', 1)
    yield "kind.json", _record('"venue_id":2', '"venue_id":"2"')
    yield "null.json", _record('"status":"open"', '"status":null')
    yield "enum.json", _record('"status":"draft"', '"status":"gone"')
    yield "date.json", _record('"2026-03-02"', '"2026-02-30"')
    yield "decimal.json", _record('"14.50"', "14.50")
    yield "model.json", _record('"guests":12', '"guests":0')
    yield "field-missing.json", _record('"last":""', '"first_again":""')
    yield "field-left-out.json", _record(',"last":""}', "}")
    yield "field-unknown.json", _record('"last":""', '"last":"","age":5')
    yield "field-twice.json", _record('"last":""', '"last":"","last":""')
    yield "not-a-record.json", _record('{"id":2,"first":"Cher","last":""}', "null")
    yield "record-empty.json", _record('{"id":2,"first":"Cher","last":""}', "{}")
    yield "record-gone.json", _record('{"id":2,"first":"Cher","last":""},\n', "")
    yield "nan.json", _record('"guests":12', '"guests":NaN')
    yield "infinity.json", _record('"guests":12', '"guests":1e400')
    yield "float.json", _record('"guests":12', '"guests":12.0')
    yield "long-number.json", _record('"guests":12', '"guests":' + "9" * 5000)
    yield "deep.json", _record('"guests":12', '"guests":' + "[" * 3000 + "]" * 3000)
    yield "deep-open.json", _record('"guests":12', '"guests":' + "[" * 5000)
    yield "surrogate.json", _record("Cher", "\\ud800")
    yield "surrogate-bytes.json", _record("Cher", "\ud800")
    yield "control.json", _record("Cher", "Ch\ter")
    yield "not-utf-8.json", resealed(sound(3).replace(b"Cher", b"Ch\xe9r"))


def _unordered(found: str, put: str) -> bytes:
    def forget(header: dict[str, Any]) -> None:
        for collection in header["schema"]["collections"].values():
            collection["order"] = "none"

    return _counted(with_header(_record(found, put), forget), 3)


# -- the header and the end --------------------------------------------------------------------


def _header(version: int = 3, **members: Any) -> bytes:
    return with_header(sound(version), lambda header: header.update(members))


def _collections(version: int, change: Callable[[dict[str, Any]], object]) -> bytes:
    """An archive whose header describes other collections, with the digest of those."""
    return with_header(sound(version), lambda header: change(header["schema"]["collections"]))


def _headers() -> Iterator[tuple[str, bytes]]:
    versions = {"newer": 2, "float": 1.0, "text": "1", "true": True, "negative": -1, "null": None}
    for name, version in versions.items():
        yield f"format-{name}.json", _header(format_version=version)
    versions = {"newer": 4, "zero": 0, "float": 3.0, "text": "3", "true": True}
    for name, version in versions.items():
        yield f"version-{name}.json", _header(schema_version=version)
    yield "app.json", _header(app="bakery")
    yield "app-none-of-old.json", _header(1, app=None)
    yield "app-of-old.json", _header(1, app="bakery")
    yield "header-member.json", _header(comment="mine")
    yield "header-member-missing.json", with_header(sound(3), lambda header: header.pop("secrets"))
    yield (
        "header-member-twice.json",
        resealed(sound(3).replace(b'"app":"catering"', b'"app":"bakery","app":"catering"')),
    )
    yield "created-at.json", _header(created_at="yesterday")
    yield "archive-id.json", _header(archive_id=7)
    yield "selection.json", _header(selection=["menus"])
    yield "counters.json", _header(extensions={"counters": {"menus": "31"}})
    yield "schema-digest.json", _header(schema_digest="sha256:" + "0" * 64)
    yield "schema-list.json", _header(schema=[])
    yield "kind-unknown.json", _collections(3, _put("menus", "title", {"kind": "regex"}))
    yield (
        "kind-hostile.json",
        _collections(
            3,
            _put("menus", "title", {"kind": "str", "pattern": "(a+)+$", "$ref": "http://x.test/"}),
        ),
    )
    yield (
        "reference-to-nothing.json",
        _collections(3, lambda found: found["menus"]["references"][1].update(collection="halls")),
    )
    yield "collection-unknown.json", _forked(3, "scraps")
    yield "field-of-another-app.json", _forked(3, "venues", "place")
    yield "end-count-negative.json", resealed(sound(3).replace(b'{"count":2,', b'{"count":-2,'))
    yield "end-count-text.json", resealed(sound(3).replace(b'{"count":2,', b'{"count":"2",'))
    yield (
        "end-member.json",
        with_end(
            sound(3), sound(3).splitlines()[-2].replace(b'{"count":2,', b'{"count":2,"more":0,')
        ),
    )
    yield "end-empty.json", with_end(sound(3), b'"end":{"collections":{},')
    yield "end-missing.json", sealed(sound(3).partition(b'"end":')[0])


def _forked(version: int, name: str, field: str = "id") -> bytes:
    """The archive of an app that has one more collection, or one more field in one."""
    schema, records = schema_of(version), records_of(version)
    if name in schema:
        fields = [*schema[name].fields, Field(field, Optional(Str()))]
        forked = Collection(name, fields=fields, key=schema[name].key)
        records[name] = [record | {field: None} for record in records[name]]
    else:
        forked = Collection(name, fields={field: int})
        records[name] = [{field: 1}]
    others = [collection for collection in schema.collections if collection.name != name]
    forked_schema = Schema(app=schema.app, version=version, collections=[*others, forked])
    return _exported(forked_schema, records)


def _put(collection: str, field: str, kind: Any) -> Callable[[dict[str, Any]], object]:
    return lambda found: found[collection]["fields"].update({field: kind})


# -- versions ----------------------------------------------------------------------------------


def _of_old() -> Iterator[tuple[str, bytes]]:
    yield "old-kind.json", _collections(1, _put("menus", "served_on", {"kind": "date"}))
    yield "old-null.json", _collections(1, _put("people", "mail", {"kind": "str"}))
    yield (
        "old-field-gone.json",
        _collections(1, lambda found: found["menus"]["fields"].pop("legacy_code")),
    )
    yield (
        "old-reference-gone.json",
        _collections(2, lambda found: found["confirmations"].update(references=[])),
    )
    yield "old-collection.json", _forked(2, "scraps")
    yield "old-field.json", _forked(1, "drafts", "author")
    yield "old-key.json", _collections(1, lambda found: found["menus"].update(key=["title"]))
    yield "old-as-new.json", _header(1, schema_version=3)
    yield "old-as-newer.json", _header(1, schema_version=2)
    yield "old-step-fails.json", _record('"2026-03-02"', '"2 March 2026"', 1)
    yield "old-model-refuses.json", _record('"price":"14.50"', '"price":"-1"', 2)
    yield "old-kind-of-record.json", _record('"price":"14.50"', '"price":null', 2)
    yield "old-key-twice.json", _record('"id":2,"full_name"', '"id":1,"full_name"', 1)
    yield "old-dropped-field.json", _record('"legacy_code":"A-17"', '"legacy_code":17', 1)
    yield "old-dropped-collection.json", _record('{"text":"less soup"}', '{"text":5}', 2)
    yield "old-record-dropped.json", _lines(lambda lines: lines.pop(_line(lines, "Cher")), 1)
    yield "old-record-changed.json", resealed(sound(1).replace(b"less soup", b"Less soup"))
    yield "old-byte.json", _flipped(sound(1), sound(1).index(b"Cher"))
    yield "old-cut.json", sound(1)[:-SEAL_LENGTH]


# -- compressed --------------------------------------------------------------------------------


def _packed() -> Iterator[tuple[str, bytes]]:
    archive = sound(3)
    for name, compression in _PACKINGS:
        whole = packed(archive, compression)
        yield f"trailing.json.{name}", whole + b"more"
        yield f"trailing-zeros.json.{name}", whole + bytes(8)
        yield f"second-member.json.{name}", whole + whole
        cut = archive.index(b'"data":{')
        halves = [packed(part, compression) for part in (archive[:cut], archive[cut:])]
        yield f"two-members.json.{name}", b"".join(halves)
        yield f"inner-cut.json.{name}", packed(archive[:-1], compression)
    yield "twice-packed.json.gz", packed(packed(archive, "gzip"), "gzip")
    deepest = _record('"guests":12', '"guests":' + "[" * 100_000)
    yield "deep-open.json.zst", packed(deepest, "zstd")
    head, tail = archive.split(b"Cher")
    yield "bomb-of-a-record.json.zst", packed(head + b"a" * (70 * _MIB) + tail, "zstd")
    line = b'{"id":3,"first":"","last":""},\n'
    place = archive.index(b'{"id":7')
    bomb = archive[:place] + line * (140 * _MIB // len(line)) + archive[place:]
    yield "bomb-of-records.json.zst", packed(bomb, "zstd")
