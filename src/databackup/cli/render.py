"""Reports and errors as people read them. Every foreign text goes through `visible`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from databackup.cli.secrets import archive_text, omitted_text
from databackup.cli.text import counted, size, visible
from databackup.errors import (
    ArchiveError,
    DatabackupError,
    InvalidRecords,
    Problem,
    SchemaError,
    SchemaMismatch,
    StoreMismatch,
    reason_of,
)
from databackup.schema.document import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from databackup.archive.format import Provenance
    from databackup.operations.plans import ImportPlan
    from databackup.operations.reports import (
        ArchiveInfo,
        ExportReport,
        ImportReport,
        ImportStatus,
        MigrationReport,
        Outlook,
        SealReport,
        VerifyReport,
    )
    from databackup.schema import Exclusion, Schema

_INDENT = (0, 0, 0, 2)
_DIGEST_SHOWN = 16


# -- errors ------------------------------------------------------------------------------------


def error(found: DatabackupError, place: str | None = None) -> RenderableType:
    """What is wrong, and where, each thing on its own lines, and what to do."""
    headline = _headline(found) if place is None else f"{place}: {_headline(found)}"
    parts: list[RenderableType] = [_labelled("error", "bold red", headline)]
    if isinstance(found, InvalidRecords):
        parts += problems(found.problems, found.total)
    else:
        parts += [Padding(Text(f"- {visible(item)}"), _INDENT) for item in _items(found)]
    if found.remedy:
        parts.append(Text(f"{found.remedy}."))
    return Group(*parts)


def _headline(found: DatabackupError) -> str:
    """The message, without the list that follows it line by line."""
    if isinstance(found, InvalidRecords):
        return found.message.partition("\n")[0]
    listed = "; ".join(_items(found))
    message = found.message.removesuffix(listed).rstrip(" ") if listed else found.message
    if isinstance(found, ArchiveError) and found.line is not None:
        line = f"line {found.line}"
        return message if line in message else f"{message} ({line})"
    return message


def _items(found: DatabackupError) -> tuple[str, ...]:
    """What the message lists, where it is more than one thing."""
    items: tuple[str, ...] = ()
    if isinstance(found, SchemaMismatch | StoreMismatch):
        items = found.differences
    elif isinstance(found, SchemaError):
        items = found.problems
    return items if len(items) > 1 and found.message.endswith("; ".join(items)) else ()


def problems(found: Sequence[Problem], total: int) -> Iterator[RenderableType]:
    """Each problem with its place, and how many more there are."""
    for problem in found:
        yield Text("")
        yield Padding(_problem(problem), _INDENT)
    if total > len(found):
        yield Text("")
        yield Text(f"  and {counted(total - len(found), 'more problem')}")


def _problem(problem: Problem) -> RenderableType:
    lines = [Text(visible(problem.place), "bold"), Text(f"  {visible(problem.message)}")]
    if problem.expected and problem.expected not in problem.message:
        lines.append(Text(f"  expected {visible(problem.expected)}"))
    if problem.pointer:
        lines.append(Text(f"  at {visible(problem.pointer)}", "dim"))
    return Group(*lines)


def cancelled() -> RenderableType:
    """The answer to Ctrl-C."""
    return Text("cancelled; nothing was changed")


def unprinted(reason: OSError) -> RenderableType:
    """Work that is done, and whose report cannot be printed."""
    text = visible(reason_of(reason))
    return _labelled("warning", "bold yellow", f"all is done, but its report is lost: {text}")


# -- reports -----------------------------------------------------------------------------------


def exported(report: ExportReport, done: str = "exported") -> RenderableType:
    """What an export wrote."""
    place = "standard output" if report.path is None else report.path
    records = counted(report.records, "record")
    collections = counted(len(report.collections), "collection")
    return Group(
        *_migrated(report.migrated),
        Text(f"{done} {records} of {collections} to {visible(place)}, {size(report.size)}"),
        _indented(counts({"records": report.collections})),
        _indented(_facts([("seal", f"sha256:{report.seal}"), *_not_there(report)])),
        *warnings(report.warnings),
    )


def sealed(report: SealReport) -> RenderableType:
    """What was sealed anew."""
    place = "standard output" if report.path is None else report.path
    records = counted(report.records, "record")
    collections = counted(len(report.collections), "collection")
    facts = [("edited", report.edited.archive_id), ("seal", f"sha256:{report.seal}")]
    return Group(
        Text(f"sealed {records} of {collections} to {visible(place)}, {size(report.size)}"),
        _indented(counts({"records": report.collections})),
        _indented(_facts(facts)),
        *warnings(report.warnings),
    )


def imported(report: ImportReport, source: str, target: str) -> RenderableType:
    """What an import did."""
    changes = report.collections
    columns = {
        what.replace("_", " "): {name: getattr(change, what) for name, change in changes.items()}
        for what in (*CHANGES[report.mode], "records")
    }
    given = f"{counted(report.records - report.only_in_store, 'record')} of "
    if report.mode == "add":
        given = f"{report.added:,} of {given}"
    checked = (
        "read back and compared, then committed" if report.read_back else "committed, not read back"
    )
    marked = [_indented(Text(f"import id {report.import_id}"))] if report.import_id else []
    return Group(
        *_migrated(report.migrated),
        Text(
            f"{_DONE[report.mode]} {given}{counted(len(changes), 'collection')} "
            f"from {visible(source)} into {visible(target)}"
        ),
        _indented(counts(columns)),
        *(
            [_indented(Text(f"made {counted(len(report.created), 'new table')}"))]
            if report.created
            else []
        ),
        *map(_indented, secrets_of_import(report)),
        _indented(Text(checked)),
        *_left_alone(report),
        *marked,
        *warnings(report.warnings),
    )


def _left_alone(report: ImportReport) -> list[RenderableType]:
    if not report.left_alone:
        return []
    return [_indented(Text(f"left alone: {', '.join(map(visible, report.left_alone))}"))]


def secrets_of_import(report: ImportReport | ImportPlan) -> Iterator[RenderableType]:
    """What became of secrets that the archive omits."""
    columns = {"kept": report.secrets_kept, "by default": report.secrets_defaulted}
    names = sorted({*report.secrets_kept, *report.secrets_defaulted})
    if names:
        numbers = {what: {n: found.get(n, 0) for n in names} for what, found in columns.items()}
        yield counts(numbers, of="secret")


_DONE = {"replace": "imported", "merge": "merged", "add": "added"}
CHANGES = {
    "replace": ("added", "changed", "deleted", "unchanged"),
    "merge": ("added", "changed", "unchanged", "only_in_store"),
    "add": ("added", "kept", "unchanged", "only_in_store"),
}


def status(found: ImportStatus, target: str) -> RenderableType:
    """Whether an import was committed."""
    said = "was committed" if found.committed else "was not committed, and will not be"
    parts: list[RenderableType] = [Text(f"the import {found.import_id} {said}: {visible(target)}")]
    if found.committed:
        facts = [("begun", str(found.time)), ("seal", str(found.seal))]
        parts.append(_indented(_facts(facts)))
    return Group(*parts)


def marked(found: Sequence[ImportStatus], target: str) -> RenderableType:
    """The imports that left a mark."""
    if not found:
        return Text(f"{visible(target)} has no marks of imports")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("id", "begun", "seal"):
        table.add_column(name, overflow="fold")
    for item in found:
        table.add_row(*map(_cell, (item.import_id, item.time, item.seal)))
    return Group(
        Text(f"imports into {visible(target)} that were committed, the newest first"),
        _indented(table),
    )


def inspected(info: ArchiveInfo) -> RenderableType:
    """What an archive says of itself."""
    ways = {None: None, "recipients": "age to recipients", "passphrase": "age with a passphrase"}
    forms = ", ".join(filter(None, [info.compression, ways[info.encryption]]))
    packed = f", {size(info.file_size)} as {forms}" if forms else ""
    facts = [
        ("app", f"{info.app or 'not named'}, schema version {info.schema_version}"),
        ("made", f"{info.created_at} by {info.producer.get('library', 'unknown')}"),
        ("from", f"{info.producer.get('adapter', 'unknown')}, {_CONSISTENCY[info.consistency]}"),
        ("holds", "everything" if info.selection is None else _selection(info.selection)),
        ("secrets", archive_text(info)),
        ("format", f"{info.format_version}, {size(info.size)}{packed}"),
        ("id", info.archive_id),
        *([] if info.edited is None else [("edited", _edited(info.edited))]),
        ("seal", f"sha256:{info.seal}, sound"),
        *_left_out(info.excluded),
        *([] if info.outlook is None else _outlook(info.outlook)),
    ]
    table = _table("collection", "records", "digest", "key", "fields")
    for name, collection in info.collections.items():
        key, fields = ", ".join(collection.key) or "none", ", ".join(collection.fields)
        records, digest = f"{collection.records:,}", collection.digest[:_DIGEST_SHOWN]
        table.add_row(*map(_cell, (name, records, digest, key, fields)))
    records = counted(info.records, "record")
    total = Text(f"{records} of {counted(len(info.collections), 'collection')}")
    return Group(_facts(facts), Text(""), total, _indented(table))


def _selection(names: Sequence[str]) -> str:
    return f"a selection: {', '.join(names)}"


def _outlook(outlook: Outlook) -> list[tuple[str, str]]:
    app = f"{outlook.app or 'the app'}, schema version {outlook.version}"
    if outlook.refused is not None:
        return [("import", f"would be refused by {app}: {outlook.refused}")]
    if not outlook.steps:
        return [("import", f"into {app}, needs no migration")]
    return [("import", f"into {app}, runs the migrations"), *(("", s) for s in outlook.steps)]


def migration(report: MigrationReport, headline: str) -> Iterator[RenderableType]:
    """The steps of a migration, and the values that were lost or filled in."""
    yield Text(f"{headline} from schema version {report.source} to {report.target}")
    yield from (_indented(Text(visible(step))) for step in report.steps)
    columns = {"dropped": report.dropped, "defaulted": report.defaulted}
    names = sorted({*report.dropped, *report.defaulted})
    if names:
        numbers = {what: {n: found.get(n, 0) for n in names} for what, found in columns.items()}
        yield _indented(counts(numbers, {"dropped": "yellow"}, of="field or collection"))
    else:
        yield _indented(Text("nothing was dropped, nothing was filled in"))


def _migrated(report: MigrationReport | None) -> Iterator[RenderableType]:
    if report is not None:
        yield from migration(report, "migrated")


def _edited(edited: Provenance) -> str:
    return f"sealed anew {edited.sealed_at}, after {edited.archive_id} was edited"


_CONSISTENCY = {
    "snapshot": "one consistent snapshot",
    "none": "not a consistent snapshot",
}


def verified(report: VerifyReport, source: str) -> RenderableType:
    """What a verification saw."""
    records = counted(report.records, "record")
    collections = counted(len(report.collections), "collection")
    return Group(
        *_migrated(report.migrated),
        Text(f"{visible(source)} is sound: {records} of {collections}"),
        _indented(counts({"records": report.collections})),
        _indented(Text("seal, values, counts, digests, keys and references are right")),
        _indented(_facts([("seal", f"sha256:{report.seal}")])),
        *warnings(report.warnings),
    )


def schema(found: Schema) -> RenderableType:
    """Collections with their fields, kinds, keys and references."""
    parts: list[RenderableType] = [
        _facts([("app", f"{found.app or 'not named'}, schema version {found.version}")])
    ]
    described = describe(found)["collections"]
    for name, collection in described.items():
        table = Table.grid(padding=(0, 2))
        for field, kind in collection["fields"].items():
            key = "key" if field in collection["key"] else ""
            table.add_row(*map(_cell, (field, kind_text(kind), key)))
        references = [
            Text(f"{_names(item['fields'])} -> {visible(item['collection'])} {_names(item['to'])}")
            for item in collection["references"]
        ]
        parts += [Text(""), Text(visible(name), "bold"), _indented(table)]
        parts += map(_indented, references)
    if found.excluded:
        parts += [Text(""), _facts(_left_out(found.excluded))]
    return Group(*parts)


def kind_text(described: Mapping[str, Any]) -> str:
    """A described kind in a few words: `list of str`, `decimal or null`."""
    kind = described["kind"]
    match kind:
        case "enum":
            text = "one of " + ", ".join(map(str, described["values"]))
        case "list":
            text = f"list of {kind_text(described['items'])}"
        case "dict":
            text = f"dict of {kind_text(described['values'])}"
        case "nested":
            members = described["members"].items()
            text = "(" + ", ".join(f"{name}: {kind_text(inner)}" for name, inner in members) + ")"
        case "native":
            text = f"native {described['type']}"
        case _:
            text = str(kind)
    if described.get("scale") is not None:
        text += f" of scale {described['scale']}"
    if described.get("nullable"):
        text += " or null"
    if described.get("off_kind") == "keep":
        text += ", other kinds kept"
    if described.get("secret"):
        text += ", secret"
    return text


# -- parts -------------------------------------------------------------------------------------


def _labelled(label: str, style: str, text: str) -> Text:
    return Text.assemble((f"{label}: ", style), visible(text))


def warnings(found: Iterable[str]) -> list[Text]:
    """A line for each warning."""
    return [_labelled("warning", "bold yellow", warning) for warning in found]


def _not_there(report: ExportReport) -> list[tuple[str, str]]:
    omitted = [("secrets", omitted_text(report.omitted))] if report.omitted else []
    return [*omitted, *_left_out(report.excluded)]


def _left_out(excluded: Sequence[Exclusion]) -> list[tuple[str, str]]:
    return [
        ("" if position else "left out", f"{item.name}: {item.reason}")
        for position, item in enumerate(excluded)
    ]


def _facts(facts: Iterable[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(Text(name), _cell(value))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first, overflow="fold")
    for other in others:
        numbers = other not in {"digest", "key", "fields"}
        table.add_column(other, justify="right" if numbers else "left", overflow="fold")
    return table


def counts(
    columns: Mapping[str, Mapping[str, int]],
    styles: Mapping[str, str] | None = None,
    of: str = "collection",
) -> Table:
    """A row for each collection, with its number in each column, in that column's style."""
    styles = styles or {}
    table = _table(of, *columns)
    for name in next(iter(columns.values())):
        numbers = [
            Text(f"{column[name]:,}", styles.get(what, "") if column[name] else "")
            for what, column in columns.items()
        ]
        table.add_row(_cell(name), *numbers)
    return table


def _indented(part: RenderableType) -> Padding:
    return Padding(part, _INDENT)


def _cell(value: object) -> Text:
    return Text(visible(value))


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(visible, names))
