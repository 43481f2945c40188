import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from databackup import (
    Collection,
    Field,
    Problem,
    Schema,
    diff,
    import_all,
    inspect_archive,
    seal_archive,
    verify_archive,
)
from databackup.adapters.sqlite import SQLiteRepository
from databackup.archive.format import CollectionEnd
from databackup.archive.records import RecordCodec
from databackup.errors import ArchiveInvalid, ArchiveSwapped, InvalidRecords
from databackup.schema import kinds
from databackup.testing.harness import stored
from tests.operations.conftest import Make
from tests.support import sqlite
from tests.support.archives import Lines, edited, exported
from tests.support.club import CLUB, TEAMS, Dataset, club, many, memory
from tests.support.wrappers import Passed, unordered


def _refused(archive: bytes, target: Passed | None = None, **options: Any) -> InvalidRecords:
    """Import into a spoiled store, which must refuse and stay as it was."""
    target = target or Passed(memory(club() | {"log": []}))
    before = stored(target)
    with pytest.raises(InvalidRecords) as caught:
        import_all(target, io.BytesIO(archive), **options)
    assert before == stored(target)
    return caught.value


def _spoil(edit: Callable[[Lines], Any]) -> bytes:
    return edited(exported(memory()), CLUB, edit)


def _replace(name: str, number: int, line: bytes) -> Callable[[Lines], None]:
    def edit(lines: Lines) -> None:
        lines.collections[name][number - 1] = line

    return edit


@pytest.mark.parametrize(
    "line,problem",
    [
        (
            b'{"id":2,"name":7,"fee":"20.00","recruited_by":1}',
            Problem(
                code="invalid-value",
                message="expected text, found int 7",
                collection="members",
                record=2,
                key=(2,),
                field="name",
                pointer="/data/members/1/name",
                expected="text",
            ),
        ),
        (
            b'{"id":2,"name":"Bo","fee":"20.00"}',
            Problem(
                code="invalid-value",
                message="expected an integer or null, found no such field",
                collection="members",
                record=2,
                key=(2,),
                field="recruited_by",
                pointer="/data/members/1/recruited_by",
                expected="an integer or null",
            ),
        ),
        (
            b'{"id":2,"name":"Bo","fee":"20.00","recruited_by":1,"x":0}',
            Problem(
                code="invalid-value",
                message="expected only known fields, found unknown field",
                collection="members",
                record=2,
                key=(2,),
                field="x",
                pointer="/data/members/1/x",
                expected="only known fields",
            ),
        ),
        (
            b'{"id":2,"name":"Bo","name":"Eve","fee":"20.00","recruited_by":1}',
            Problem(
                code="invalid-json",
                message="the name str 'name' stands twice in one object",
                collection="members",
                record=2,
                key=(2,),
                pointer="/data/members/1",
                expected="a JSON object on one line",
            ),
        ),
    ],
    ids=["wrong type", "missing field", "extra field", "repeated name"],
)
def test_invalid_record_is_named(line: bytes, problem: Problem) -> None:
    """Collection, number, key, field, pointer and what was expected are all told."""
    error = _refused(_spoil(_replace("members", 2, line)))
    assert ((problem,), 1) == (error.problems, error.total)


def test_up_to_100_problems_with_the_true_total() -> None:
    """All collections are read to the end: the first 100 problems, and how many there are."""

    def edit(lines: Lines) -> None:
        lines.collections["members"] = [
            b'{"id":%d,"name":null,"fee":"1","recruited_by":"x"}' % i for i in range(1, 3001)
        ]
        lines.collections["teams"][1] = b'{"code":"b","rating":"no","notes":null}'

    error = _refused(_spoil(edit))
    assert (100, 6001) == (len(error.problems), error.total)
    assert [1, 1, 2, 2] == [problem.record for problem in error.problems[:4]]
    assert "6001 problems" in str(error)
    assert "and 5996 more" in str(error)


def test_problems_of_all_collections_are_told() -> None:
    """A problem in one collection does not hide those of the next ones."""

    def edit(lines: Lines) -> None:
        for name in ("members", "teams", "log"):
            lines.collections[name][0] = b"{}"

    error = _refused(_spoil(edit))
    assert {"members", "teams", "log"} == {problem.collection for problem in error.problems}


@pytest.mark.parametrize("filled", [False, True])
def test_nothing_is_written_after_the_first_problem(filled: bool) -> None:
    """Of what comes after a problem nothing is written, of its own batch neither."""
    target = Passed(memory(many(3) if filled else {}))
    archive = edited(exported(memory(club())), CLUB, _replace("teams", 2, b"{}"))
    with pytest.raises(InvalidRecords):
        import_all(target, io.BytesIO(archive))
    assert {"members"} == {collection for _, collection, _ in target.calls}


def test_problem_at_the_very_end_changes_nothing(tmp_path: Path) -> None:
    """The last record of the last collection fails the whole import."""
    path = tmp_path / "club.db"
    archive = _spoil(_replace("log", 3, b'{"line":"out","amount":2}'))
    assert list(Lines.of(archive).collections)[-1] == "log"
    target = Passed(sqlite.repository(path, CLUB, many(20)))
    before = sqlite.dump(path)
    error = _refused(archive, target)
    assert [("log", 3)] == [(problem.collection, problem.record) for problem in error.problems]
    assert target.calls
    assert before == sqlite.dump(path)


# -- keys ------------------------------------------------------------------------------------------


def _twice(lines: Lines) -> None:
    lines.collections["teams"].insert(2, lines.collections["teams"][1])


def _swapped(lines: Lines) -> None:
    lines.collections["teams"][:2] = lines.collections["teams"][1::-1]


@pytest.mark.parametrize("backwards", [False, True])
def test_repeated_key(backwards: bool) -> None:
    """A key that comes twice is named, whether the archive is in order or not."""
    source = unordered(memory()) if backwards else memory()
    error = _refused(edited(exported(source), CLUB, _twice))
    (problem,) = error.problems
    assert ("duplicate-key", "teams", 3, ("b",), "code", "/data/teams/2") == (
        problem.code,
        problem.collection,
        problem.record,
        problem.key,
        problem.field,
        problem.pointer,
    )


def test_repeated_composite_key() -> None:
    """The record of a key of several fields is named without a single field."""

    def edit(lines: Lines) -> None:
        lines.collections["plays"].append(lines.collections["plays"][-1])

    (problem,) = _refused(_spoil(edit)).problems
    assert ("duplicate-key", 4, ("b", 4), None) == (
        problem.code,
        problem.record,
        problem.key,
        problem.field,
    )


def test_broken_order() -> None:
    """An archive that says it is in key order and is not is refused."""
    (problem,) = _refused(_spoil(_swapped)).problems
    assert ("key-order", 2, ("A",), "/data/teams/1") == (
        problem.code,
        problem.record,
        problem.key,
        problem.pointer,
    )


def test_order_is_checked_across_batches() -> None:
    """A key that comes again many records later is found."""

    def edit(lines: Lines) -> None:
        lines.collections["members"].append(lines.collections["members"][0])

    archive = edited(exported(memory(many(9000))), CLUB, edit)
    (problem,) = _refused(archive).problems
    assert ("key-order", 9001, (1,)) == (problem.code, problem.record, problem.key)


# -- references ------------------------------------------------------------------------------------


def _dangles(lines: Lines) -> None:
    lines.collections["members"][3] = b'{"id":4,"name":"Di","fee":"7","recruited_by":77}'
    lines.collections["plays"][1] = b'{"member":2,"team":"Z"}'  # between A and b


@pytest.mark.parametrize("over", ["memory", "sqlite"])
def test_dangling_reference(tmp_path: Path, over: str) -> None:
    """A reference to nowhere is named with record, key and field, also within one collection."""
    archive = edited(exported(memory()), CLUB, _dangles)
    inner = memory(many(5)) if over == "memory" else sqlite.repository(tmp_path / "t.db", CLUB)

    error = _refused(archive, Passed(inner))
    expected = [
        ("members", 4, (4,), "recruited_by", "/data/members/3/recruited_by"),
        ("plays", 2, ("Z", 2), "team", "/data/plays/1/team"),
    ]
    found = [(p.collection, p.record, p.key, p.field, p.pointer) for p in error.problems]
    assert expected == sorted(found)
    assert {"dangling-reference"} == {problem.code for problem in error.problems}


@pytest.mark.parametrize("over", ["memory", "sqlite"])
def test_dangling_reference_can_be_kept(tmp_path: Path, over: str) -> None:
    """With dangling="keep" a reference to nowhere goes in, and the report warns of it."""

    def edit(lines: Lines) -> None:
        lines.collections["members"][3] = b'{"id":4,"name":"Di","fee":"7","recruited_by":77}'

    archive = edited(exported(memory()), CLUB, edit)
    target = memory({}) if over == "memory" else sqlite.repository(tmp_path / "t.db", CLUB)
    report = import_all(target, io.BytesIO(archive), dangling="keep")
    assert 1 == len(report.warnings)
    assert (
        "members, record 4, key 4, field recruited_by: points at members int 77, which is not there"
    ) == report.warnings[0]
    assert 13 == report.records


def test_verify_names_dangling_references() -> None:
    """Verification finds them without a store, and keeps them as warnings when asked to."""

    def edit(lines: Lines) -> None:
        lines.collections["members"][3] = b'{"id":4,"name":"Di","fee":"7","recruited_by":77}'

    archive = edited(exported(memory()), CLUB, edit)
    for schema in (CLUB, None):
        with pytest.raises(InvalidRecords) as caught:
            verify_archive(io.BytesIO(archive), schema)
        (problem,) = caught.value.problems
        assert ("members", 4, (4,), "recruited_by", "/data/members/3/recruited_by") == (
            problem.collection,
            problem.record,
            problem.key,
            problem.field,
            problem.pointer,
        )
        assert 1 == len(verify_archive(io.BytesIO(archive), schema, dangling="keep").warnings)


# -- totals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ends,code",
    [
        ({"log": CollectionEnd(4, "0" * 64)}, "count"),
        ({"log": CollectionEnd(3, "0" * 64)}, "digest"),
    ],
)
def test_totals_that_do_not_fit(ends: dict[str, CollectionEnd], code: str) -> None:
    """Counts and digests of the end hold even where the seal was made anew."""
    archive = Lines.of(exported(memory())).sealed(CLUB, ends)
    (problem,) = _refused(archive).problems
    assert (code, "log") == (problem.code, problem.collection)
    with pytest.raises(InvalidRecords):
        verify_archive(io.BytesIO(archive), CLUB)


TEAMS_ALONE = Schema(collections=[TEAMS])
TWO_TEAMS = {"teams": [("A", 1.5, {"a": [1, None]}), ("b", -2.0, None)]}


@pytest.mark.parametrize("mode", ["replace", "merge", "add"])
@pytest.mark.parametrize("read_back", [True, False])
@pytest.mark.parametrize(
    "stored", [{}, TWO_TEAMS, {"teams": [("b", 3.0, None), ("c", 1.0, None)]}], ids=len
)
def test_a_digest_is_checked_in_every_import(
    make: Make, mode: Any, stored: Dataset, *, read_back: bool
) -> None:
    """Whatever the store holds, and whether or not it is read back: the archive itself is wrong."""
    archive = Lines.of(exported(memory(TWO_TEAMS, TEAMS_ALONE)))
    wrong = archive.sealed(TEAMS_ALONE, {"teams": CollectionEnd(2, "0" * 64)})
    repository = make(TEAMS_ALONE, stored)
    before = Lines.of(exported(repository)).collections
    with pytest.raises(InvalidRecords) as caught:
        import_all(repository, io.BytesIO(wrong), mode=mode, read_back=read_back)
    (problem,) = caught.value.problems
    assert ("digest", "teams") == (problem.code, problem.collection)
    assert before == Lines.of(exported(repository)).collections


@pytest.mark.parametrize("read_back", [True, False])
@pytest.mark.parametrize("stored", [[], ["a", "b"], ["c"]], ids=len)
def test_a_digest_is_checked_without_a_key(
    make: Make, stored: list[str], *, read_back: bool
) -> None:
    """Records that the totals do not speak of are refused, also where the store equals these."""
    schema = Schema(collections=[Collection("log", fields={"line": str})])
    archive = Lines.of(exported(memory({"log": [("a",), ("b",)]}, schema)))
    totals = archive.sealed(schema)
    end = inspect_archive(io.BytesIO(totals)).collections["log"]
    archive.collections["log"][1] = b'{"line":"lost"}'
    wrong = archive.sealed(schema, {"log": CollectionEnd(2, end.digest)})
    repository = make(schema, {"log": [(line,) for line in stored]})
    with pytest.raises(InvalidRecords) as caught:
        import_all(repository, io.BytesIO(wrong), read_back=read_back)
    (problem,) = caught.value.problems
    assert ("digest", "log") == (problem.code, problem.collection)


def test_record_moved_to_another_collection() -> None:
    """A record that stands in another collection does not have its fields."""

    def edit(lines: Lines) -> None:
        lines.collections["teams"].append(lines.collections["members"].pop())

    error = _refused(_spoil(edit))
    assert {"teams"} == {problem.collection for problem in error.problems}


# -- the host's own classes ------------------------------------------------------------------------


@attrs.define
class _Member:
    id: int
    name: str = attrs.field(validator=attrs.validators.min_len(2))


def _lower(text: str) -> str:
    return text.lower()


@attrs.define
class _Team:
    code: str = attrs.field(converter=_lower)


@dataclasses.dataclass
class _Play:
    member: int
    team: str

    def __post_init__(self) -> None:
        if self.team == "b" and self.member > 1:
            raise ValueError(f"no place for {self.member} in b")


MODELS = Schema(
    app="club",
    collections=[
        Collection.of(_Member, "members", key="id"),
        Collection.of(_Team, "teams", key="code"),
        Collection.of(_Play, "plays"),
    ],
)
PLAIN = Schema(
    app="club",
    collections=[
        Collection("members", key="id", fields={"id": int, "name": str}),
        Collection("teams", key="code", fields={"code": str}),
        Collection("plays", fields={"member": int, "team": str}),
    ],
)


def test_what_the_hosts_classes_refuse_are_problems() -> None:
    """Validators, `__post_init__`, and converters that would change a value: each is named."""
    rows: Dataset = {
        "members": [(1, "Ana"), (2, "B")],
        "teams": [("A",), ("b",)],
        "plays": [(1, "b"), (2, "b")],
    }
    error = _refused(exported(memory(rows, PLAIN)), Passed(memory({}, MODELS)))
    assert 3 == error.total
    members, plays, teams = sorted(error.problems, key=lambda problem: str(problem.collection))
    assert ("model-refuses", 2, (2,), "name", "/data/members/1/name") == (
        members.code,
        members.record,
        members.key,
        members.field,
        members.pointer,
    )
    assert ("what _Member takes unchanged", "name") == (members.expected, members.field)
    assert ("the model changes the value", 1, ("A",), "code") == (
        teams.message,
        teams.record,
        teams.key,
        teams.field,
    )
    assert ("no place for 2 in b", 2, None, None, "/data/plays/1") == (
        plays.message,
        plays.record,
        plays.key,
        plays.field,
        plays.pointer,
    )


def test_models_are_asked_whatever_the_store(tmp_path: Path) -> None:
    """A store that knows no classes takes only what the classes take."""
    archive = exported(memory({"members": [(1, "A")]}, PLAIN))
    target = Passed(sqlite.repository(tmp_path / "t.db", MODELS))
    (problem,) = _refused(archive, target).problems
    assert ("members", 1, "name") == (problem.collection, problem.record, problem.field)


# -- what a store refuses --------------------------------------------------------------------------


def test_record_that_the_store_refuses_is_named(tmp_path: Path) -> None:
    """Constraints of the store's own are told with the record, out of a batch of thousands."""
    schema = Schema(collections=[Collection("t", key="id", fields={"id": int, "v": int})])
    path = tmp_path / "t.db"
    sqlite.run(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT NOT NULL CHECK (v <> 1234))")
    archive = exported(memory({"t": [(i, i) for i in range(3000)]}, schema))
    (problem,) = _refused(archive, Passed(SQLiteRepository(path, schema))).problems
    assert ("store-refuses", 1235, (1234,), "/data/t/1234") == (
        problem.code,
        problem.record,
        problem.key,
        problem.pointer,
    )
    assert "CHECK" in problem.message


def test_records_without_a_key_are_found_by_what_they_hold(tmp_path: Path) -> None:
    """A refused record of a collection without a key has its number, too."""
    schema = Schema(collections=[Collection("t", fields={"v": int, "w": str})])
    path = tmp_path / "t.db"
    sqlite.run(path, "CREATE TABLE t (v INT UNIQUE NOT NULL, w TEXT NOT NULL)")
    archive = exported(memory({"t": [(1, "a"), (2, "b"), (1, "c")]}, schema))
    (problem,) = _refused(archive, Passed(SQLiteRepository(path, schema))).problems
    assert (3, None, "/data/t/2/v") == (problem.record, problem.key, problem.pointer)


def test_integer_that_a_store_cannot_hold(tmp_path: Path) -> None:
    """An integer of more than 64 bits goes into memory, and is refused by SQLite by name."""
    schema = Schema(collections=[Collection("t", key="id", fields={"id": int, "v": int})])
    archive = exported(memory({"t": [(1, 2**63 - 1), (2, 2**63)]}, schema))
    import_all(memory({}, schema), io.BytesIO(archive))
    target = Passed(sqlite.repository(tmp_path / "t.db", schema))
    assert [2] == [problem.record for problem in _refused(archive, target).problems]


def test_counter_that_a_store_cannot_hold(tmp_path: Path) -> None:
    """A counter of the header that no store can have is _refused, with nothing changed."""
    path = tmp_path / "t.db"
    sqlite.run(path, "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)")
    sqlite.run(path, "INSERT INTO t VALUES (5, 'x')")
    target = SQLiteRepository.reflect(path)
    lines = Lines.of(exported(target))
    lines.header = lines.header.replace(b'"counters":{"t":5}', b'"counters":{"t":%d}' % 2**70)
    archive = lines.sealed(target.schema)
    assert exported(target) != archive
    before = sqlite.dump(path)
    with pytest.raises(ArchiveInvalid, match="extensions"):
        import_all(target, io.BytesIO(archive))
    assert before == sqlite.dump(path)


# -- the file --------------------------------------------------------------------------------------


def test_file_swapped_after_the_seal_was_checked(tmp_path: Path) -> None:
    """A file that is another one in the second pass is found before the commit."""
    path = tmp_path / "club.json"
    path.write_bytes(exported(memory()))
    other = exported(memory()).replace(b'"Ana"', b'"Eve"')
    target = memory({})

    class Swapping(Passed):
        def transaction(self, *, wait: float = 5.0) -> Any:
            path.write_bytes(other)
            return super().transaction(wait=wait)

    before = stored(target)
    with pytest.raises((ArchiveSwapped, InvalidRecords)):
        import_all(Swapping(target), path)
    assert before == stored(target)


def test_embedded_schema_is_never_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an archive says of its kinds is no JSON Schema that anything runs, in any lane."""
    archive = exported(memory())

    def compiled(*_args: Any, **_options: Any) -> Any:
        raise AssertionError("compiled")

    monkeypatch.setattr("databackup.schema.compiled.compile_validator", compiled)
    # The strict lane alone validates.
    monkeypatch.setattr("databackup.archive.text.BlockDecoder.load", lambda *_: None)
    assert 13 == verify_archive(io.BytesIO(archive)).records
    assert diff(io.BytesIO(archive), io.BytesIO(archive)).identical
    assert 13 == seal_archive(io.BytesIO(archive), io.BytesIO()).records
    with pytest.raises(AssertionError, match="compiled"):  # as a host's own collection would be
        RecordCodec(Collection("t", fields={"a": int})).strict_batch([b'{"a":1}'], 1)


def test_off_kind_field_names() -> None:
    """A field may have any name, also one that a pointer has to escape."""
    field = Field("a/b~c", kinds.Int())
    schema = Schema(collections=[Collection("t", fields=[field])])
    archive = edited(
        exported(memory({"t": [(1,)]}, schema)), schema, _replace("t", 1, b'{"a/b~c":"x"}')
    )
    (problem,) = _refused(archive, Passed(memory({}, schema))).problems
    assert "/data/t/0/a~1b~0c" == problem.pointer
