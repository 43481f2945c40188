"""Headers that are not as the format says, in archives whose seal fits."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup.archive.extensions import SafetyBackupOf
from databackup.archive.format import FORMAT_VERSION
from databackup.archive.limits import Limits
from databackup.archive.reader import open_archive
from databackup.errors import (
    ArchiveError,
    ArchiveInvalid,
    ArchiveTruncated,
    DatabackupError,
    LimitExceeded,
    NewerFormat,
    NotAnArchive,
)
from databackup.operations.verify import inspect_archive, verify_archive
from tests.archive.support import (
    SHOP,
    resealed,
    shop,
    with_header,
)

MEMBERS = [
    "archive_id",
    "created_at",
    "app",
    "schema_version",
    "schema_digest",
    "producer",
    "consistency",
    "selection",
    "secrets",
    "excluded",
    "extensions",
    "schema",
]
ANYTHING: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 1.5, 2**70, "", "x", "1", [], [None], [1], ["x"], [[]], {},
    {"x": None}, {"x": "y"}, {"collections": None}, {"collections": []}, {"collections": {"t": 5}},
    {"collections": {"t": {}}}, {"collections": {}, "x": 1}, {"counters": []},
    {"counters": {"t": "1"}}, {"counters": {"nowhere": 1}}, {"edited": None}, {"edited": {}},
]  # fmt: skip
SOUND: dict[str, list[Any]] = {
    "app": [None, "x", "1"],
    "schema_version": [1, 2**70],
    "producer": [{}, {"x": "y"}],
    "selection": [None],
    "excluded": [[]],
    "extensions": [
        value
        for value in ANYTHING
        if type(value) is dict and "counters" not in value and "edited" not in value
    ],
}


def test_nothing_changed() -> None:
    """The header that these tests change is sound while it is as it was."""
    assert shop() == with_header(shop(), lambda _header: None)


@pytest.mark.parametrize("name", ["format_version", *MEMBERS])
def test_missing_members(name: str) -> None:
    """A header without one of its members is refused, and the member named."""
    archive = with_header(shop(), lambda header: header.pop(name))
    with pytest.raises(ArchiveError, match=f"no member {name!r}"):
        inspect_archive(io.BytesIO(archive))


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("value", ANYTHING, ids=repr)
def test_members_of_other_types(name: str, value: Any) -> None:
    """A member of another type or out of its range is refused; what is allowed comes back."""
    archive = with_header(shop(), lambda header: header.update({name: value}))
    if any(repr(value) == repr(sound) for sound in SOUND.get(name, [])):
        with open_archive(io.BytesIO(archive)) as opened:
            found = getattr(opened.header, name)
        assert value == (list(found) if isinstance(found, tuple) else found)
    else:
        with pytest.raises(ArchiveInvalid, match="header"):
            inspect_archive(io.BytesIO(archive))


@pytest.mark.parametrize("name", ["end", "seal", "Format", "", "$x", "data2", "__class__"])
def test_unknown_members(name: str) -> None:
    """A member that the format does not know is refused, and named."""
    archive = with_header(shop(), lambda header: header.update({name: 1}))
    with pytest.raises(ArchiveInvalid, match="unknown member"):
        inspect_archive(io.BytesIO(archive))


@pytest.mark.parametrize("member", [b'"app":"shop",', b'"data":{},', b'"format":"databackup",'])
def test_members_twice(member: bytes) -> None:
    """A member that stands twice is refused, though its values may be the same."""
    archive = shop().replace(b',\n"data":{\n', b",%s\n" % member + b'"data":{\n')
    with pytest.raises(ArchiveInvalid, match="stands twice"):
        inspect_archive(io.BytesIO(resealed(archive)))


@pytest.mark.parametrize("version", [1.0, "1", True, -1, 0, None, [1], 1.5, "2", 2.0])
@pytest.mark.parametrize("name", ["format_version", "schema_version"])
def test_no_versions(name: str, version: Any) -> None:
    """What is no integer from 1 on is no version of the format, nor of the schema."""
    archive = with_header(shop(), lambda header: header.update({name: version}))
    with pytest.raises(ArchiveInvalid, match=f"the header's {name} is "):
        inspect_archive(io.BytesIO(archive))


@pytest.mark.parametrize("version", [2, 3, 2**40, 2**70])
def test_newer_formats(version: int) -> None:
    """A newer format is refused before all else, naming its version and ours."""

    def newer(header: dict[str, Any]) -> None:
        del header["secrets"]
        header |= {"format_version": version, "new": 1, "schema": None}

    with pytest.raises(NewerFormat) as caught:
        inspect_archive(io.BytesIO(with_header(shop(), newer)))
    assert (version, FORMAT_VERSION) == (caught.value.found, caught.value.supported)
    assert f"format {version}" in str(caught.value)
    assert f"up to {FORMAT_VERSION}" in str(caught.value)


@pytest.mark.parametrize("rest", [b"}", b',"x":', b',"header_lines":9}\n{"t":1}\n', b",\n\n\n\n\n"])
def test_newer_formats_of_another_layout(rest: bytes) -> None:
    """A newer format is known by its first bytes, whatever it changed behind them."""
    with pytest.raises(NewerFormat):
        inspect_archive(io.BytesIO(b'{"format":"databackup","format_version":2' + rest))


@pytest.mark.parametrize("value", ["Databackup", "", None, 1, ["databackup"]])
def test_other_formats(value: Any) -> None:
    """A file whose format has another name is no archive."""
    archive = with_header(shop(), lambda header: header.update(format=value))
    with pytest.raises(NotAnArchive):
        inspect_archive(io.BytesIO(archive))


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-22T10:15:00",
        "2026-11-22 10:15:00Z",
        "2026-11-22T10:15:00+00:00",
        "2026-13-22T10:15:00Z",
        "2026-02-30T10:15:00Z",
        "2026-11-22T24:15:00Z",
        "2026-11-22T10:15:00.5Z",
        "2026-11-22T10:15:00Z\n",
        "٢٠٢٦-11-22T10:15:00Z",
    ],
)
def test_moments(moment: str) -> None:
    """`created_at` is a moment that there is, in the one layout."""
    archive = with_header(shop(), lambda header: header.update(created_at=moment))
    with pytest.raises(ArchiveInvalid, match="created_at"):
        inspect_archive(io.BytesIO(archive))


@pytest.mark.parametrize(
    "value", ["6F9619FF-8B86-4D01-B42D-00CF4FC964FF", "6f9619ff8b864d01", "\n"]
)
def test_archive_ids(value: str) -> None:
    """`archive_id` is a UUID in lower case."""
    archive = with_header(shop(), lambda header: header.update(archive_id=value))
    with pytest.raises(ArchiveInvalid, match="archive_id"):
        inspect_archive(io.BytesIO(archive))


@pytest.mark.parametrize(
    "excluded",
    [
        [{}],
        [{"name": "x"}],
        [{"name": "x", "reason": 1}],
        [{"name": "x", "reason": ""}],
        [{"name": "x", "reason": "y", "more": "z"}],
        {"name": "x", "reason": "y"},
    ],
)
def test_excluded(excluded: Any) -> None:
    """What is excluded has a name and a reason, and nothing else."""
    archive = with_header(shop(), lambda header: header.update(excluded=excluded))
    with pytest.raises(ArchiveInvalid, match="excluded"):
        inspect_archive(io.BytesIO(archive))


def test_schema_digest_that_does_not_fit() -> None:
    """A schema that was changed without its digest is refused; `order` is not in the digest."""
    wrong = with_header(shop(), lambda h: h.update(schema_digest="sha256:" + "0" * 64))
    with pytest.raises(ArchiveInvalid, match="schema_digest is not that of its schema"):
        inspect_archive(io.BytesIO(wrong))
    with open_archive(io.BytesIO(shop())) as opened:
        expected = opened.header.schema_digest

    def unordered(header: dict[str, Any]) -> None:
        header["schema"]["collections"]["buyers"]["order"] = "none"

    archive = with_header(shop(), unordered)
    with open_archive(io.BytesIO(archive)) as opened:
        assert expected == opened.header.schema_digest
        assert not opened.header.in_key_order("buyers")
    assert 9 == verify_archive(io.BytesIO(archive), SHOP).records


@given(
    path=st.lists(st.integers(0, 5), max_size=6),
    value=st.sampled_from([*ANYTHING, [{}], {"kind": "int"}, {"kind": []}, "key", "i"]),
)
def test_anything_anywhere(path: list[int], value: Any) -> None:
    """Whatever stands anywhere in a header, an archive is read, or refused with a typed error."""

    def change(header: dict[str, Any]) -> None:
        place: Any = header["schema"] if path else header
        for step in path:
            keys = list(place) if type(place) is dict else list(range(len(place)))
            if not keys:
                return
            key = keys[step % len(keys)]
            if type(place[key]) not in (dict, list) or step == 5:
                place[key] = value
                return
            place = place[key]
        if type(place) is dict:
            place["more"] = value
        else:
            place.append(value)

    archive = with_header(shop(), change)
    for schema in (None, SHOP):
        with contextlib.suppress(DatabackupError):
            verify_archive(io.BytesIO(archive), schema)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b'"x":NaN,',
        b'"x":"\\ud800",',
        b'"x":1e400,',
        b'"x":%s,' % (b"9" * 5000),
        b'"x":{"a":1,"a":2},',
        b"}",
        b'"data":{',
        b'"data":{},',
    ],
)
def test_lines_that_are_no_header(line: bytes) -> None:
    """A header that cannot be read is refused, and says why."""
    lines = shop().split(b"\n")
    lines[2] = line
    with pytest.raises(ArchiveInvalid):
        inspect_archive(io.BytesIO(resealed(b"\n".join(lines))))


def test_other_spaces_in_a_header() -> None:
    """The members of a header may stand in another order, and with other spaces."""
    lines = shop().split(b"\n")
    lines[1], lines[2] = lines[2].replace(b":", b" : "), lines[1]
    report = verify_archive(io.BytesIO(resealed(b"\n".join(lines))), SHOP)
    assert 9 == report.records


def test_a_header_over_the_limit() -> None:
    """A header that is longer than the limit is refused, and the limit named."""
    archive = with_header(shop(), lambda h: h["extensions"].update(x="y" * 2_000_000))
    inspect_archive(io.BytesIO(archive))
    with pytest.raises(LimitExceeded) as caught:
        inspect_archive(io.BytesIO(archive), limits=Limits(header=1_000_000))
    assert ("header", 3) == (caught.value.limit, caught.value.line)
    cut = archive[:1_500_000]
    with pytest.raises(ArchiveTruncated):
        inspect_archive(io.BytesIO(cut))


EDITED = {
    "archive_id": "11111111-2222-3333-4444-555555555555",
    "sealed_at": "2026-11-22T10:15:00.000001Z",
}


def test_edited() -> None:
    """Where an archive was edited, its header says from which one, and when it was sealed."""
    archive = with_header(shop(), lambda header: header["extensions"].update(edited=EDITED))
    info = inspect_archive(io.BytesIO(archive))
    assert info.edited is not None
    assert tuple(EDITED.values()) == (info.edited.archive_id, info.edited.sealed_at)
    assert inspect_archive(io.BytesIO(shop())).edited is None


@pytest.mark.parametrize(
    "edited",
    [
        None, [], "x", {}, EDITED | {"by": "Ana"}, EDITED | {"archive_id": "1"},
        EDITED | {"archive_id": None}, EDITED | {"sealed_at": "2026-11-22"},
        EDITED | {"sealed_at": "2026-13-22T10:15:00Z"}, EDITED | {"sealed_at": 1},
        {"archive_id": EDITED["archive_id"]}, {"sealed_at": EDITED["sealed_at"]},
    ],
)  # fmt: skip
def test_edited_of_another_form(edited: Any) -> None:
    """`extensions.edited` has an id and a time, and nothing else."""
    archive = with_header(shop(), lambda header: header["extensions"].update(edited=edited))
    with pytest.raises(ArchiveInvalid, match="edited of archive_id and sealed_at"):
        inspect_archive(io.BytesIO(archive))


SAFETY = {"store": "0123456789abcdef" * 4, "seal": "f" * 64}


@pytest.mark.parametrize("store", [SAFETY["store"], None])
def test_safety_backup(store: str | None) -> None:
    """A safety backup names its store and the seal that was imported; an edited one is none."""
    member = SAFETY | {"store": store}
    archive = with_header(shop(), lambda header: header["extensions"].update(safety_backup=member))
    with open_archive(io.BytesIO(archive)) as found:
        assert SafetyBackupOf(store, "f" * 64) == found.header.safety_backup
    both = with_header(archive, lambda header: header["extensions"].update(edited=EDITED))
    with open_archive(io.BytesIO(both)) as found:
        assert found.header.safety_backup is None
    with open_archive(io.BytesIO(shop())) as found:
        assert found.header.safety_backup is None


@pytest.mark.parametrize(
    "member",
    [
        None, [], "x", True, {}, SAFETY | {"by": "Ana"}, SAFETY | {"store": 1},
        SAFETY | {"store": "x"}, SAFETY | {"store": "F" * 64}, SAFETY | {"seal": None},
        SAFETY | {"seal": "sha256:" + "f" * 64}, {"seal": "f" * 64}, {"store": None},
    ],
)  # fmt: skip
def test_safety_backup_of_another_form(member: Any) -> None:
    """`extensions.safety_backup` has a store and a seal, and nothing else."""
    archive = with_header(shop(), lambda header: header["extensions"].update(safety_backup=member))
    with pytest.raises(ArchiveInvalid, match="safety_backup of store and seal"):
        inspect_archive(io.BytesIO(archive))


@pytest.mark.parametrize(
    "found, place",
    [
        (b'{"a":1e400}', "at /extensions/a"),
        (b'{"a":[1,{"b":NaN}]}', "at /extensions/a/1/b"),
        (b'{"a":{"b":1,"b":2}}', "at /extensions/a"),
        (b'{"a":}', "line 3"),
    ],
)
def test_hostile_json_in_the_header_has_a_place(found: bytes, place: str) -> None:
    """What JSON of the header is refused for is told with its pointer, or its line."""
    mutant = resealed(shop().replace(b'"extensions":{}', b'"extensions":' + found))
    with pytest.raises(ArchiveInvalid) as caught:
        inspect_archive(io.BytesIO(mutant))
    assert place in f"{caught.value.message} line {caught.value.line}"


def test_hostile_json_in_the_end_has_a_place() -> None:
    """The totals are read with the same care, and their line is told."""
    mutant = resealed(shop().replace(b'"count":3', b'"count":1e400', 1))
    with pytest.raises(ArchiveInvalid) as caught:
        inspect_archive(io.BytesIO(mutant))
    assert "/end/collections/" in caught.value.message
    assert shop().count(b"\n") - 1 == caught.value.line
