"""What the header of an archive says that holds a selection."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from databackup import inspect_archive, seal_archive, verify_archive
from databackup.archive.reader import open_archive
from databackup.errors import ArchiveInvalid
from tests.archive.support import with_header
from tests.support.club import memory
from tests.support.selecting import part


def _plays() -> bytes:
    return part(memory(), "plays", closure=False)


def _reference(change: Callable[[dict[str, Any]], object]) -> bytes:
    def edit(header: dict[str, Any]) -> None:
        change(header["schema"]["collections"]["plays"]["references"][0])

    return with_header(_plays(), edit)


def test_references_that_lead_out() -> None:
    """They are described and kept, and no part of the schema that can be checked."""
    with open_archive(io.BytesIO(_plays())) as archive:
        header = archive.header
    assert ("plays",) == header.selection == header.collections
    assert ["members", "teams"] == [r.collection for r in header.whole[0].references]
    assert () == header.described["plays"].references


@pytest.mark.parametrize(
    "change",
    [
        lambda reference: reference.update(fields=["nobody"]),
        lambda reference: reference.update(fields=[], to=[]),
        lambda reference: reference.update(to=[]),
        lambda reference: reference.update(to=["id", "name"]),
        lambda reference: reference.update(collection=5),
    ],
)
def test_unsound_references_that_lead_out(change: Callable[[dict[str, Any]], object]) -> None:
    """As far as can be told, they have to be sound."""
    archive = _reference(change)
    with pytest.raises(ArchiveInvalid, match="schema is not sound"):
        inspect_archive(io.BytesIO(archive))


@pytest.mark.parametrize(
    "selection", [None, [], ["members"], ["plays", "members"], ["plays", "plays"]]
)
def test_other_selections(selection: list[str] | None) -> None:
    """A selection names what is there, each once; without one nothing may lead out."""
    archive = with_header(_plays(), lambda header: header.update(selection=selection))
    with pytest.raises(ArchiveInvalid):
        inspect_archive(io.BytesIO(archive))


def test_in_any_order() -> None:
    """The names are a set, whatever their order."""
    names = ["teams", "plays", "members"]
    archive = with_header(part(memory(), "plays"), lambda header: header.update(selection=names))
    assert tuple(names) == inspect_archive(io.BytesIO(archive)).selection
    assert 10 == verify_archive(io.BytesIO(archive)).records


def test_edited_and_sealed_anew() -> None:
    """An editor's order of names does no harm, and no reference is lost."""
    document = json.loads(_plays())
    document["data"]["plays"].pop()
    sealed = io.BytesIO()
    report = seal_archive(io.BytesIO(json.dumps(document, sort_keys=True).encode()), sealed)
    assert ["plays (member)", "plays (team)"] == [
        w.partition(" points")[0] for w in report.warnings
    ]
    again = json.loads(sealed.getvalue())
    assert document["schema"] == again["schema"]
    assert (["plays"], document["schema_digest"]) == (again["selection"], again["schema_digest"])
    assert 2 == verify_archive(io.BytesIO(sealed.getvalue())).records
