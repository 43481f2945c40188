"""What is made of the numbers: ratios, verdicts, tables."""

from pathlib import Path

import pytest

from benchmarks.child import Usage
from benchmarks.plan import Group, Step
from benchmarks.report import Report
from benchmarks.results import TARGETS, Result, Target, largest_peak
from benchmarks.table import README, keep, markdown

MEGABYTE = 1_000_000


def _usage(seconds: float, cpu: float = 1.0, peak: int = 40 * MEGABYTE) -> Usage:
    return Usage(seconds=seconds, cpu=cpu, peak=peak, floor=20 * MEGABYTE)


def _result(group: Group, name: str, *usages: Usage, rows: int = 100) -> Result:
    return Result(Step(group=group, name=name, rows=rows, command=()), usages, 5 * MEGABYTE)


def _report(*results: Result, tenth: tuple[Result, ...] = ()) -> str:
    by_id = {result.step.id: result for result in results}
    return Report(by_id, {result.step.id: result for result in tenth}, "facts").as_markdown()


def _cells(text: str, start: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith(f"| {start}")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_best_time_and_largest_peak_count() -> None:
    """Of several rounds the least seconds count, by clock and CPU apart, and the most memory."""
    usages = (_usage(3.0, 2.0, 70), _usage(2.0, 2.5, 90), _usage(4.0, 1.5, 80))
    result = _result("reflected", "export", *usages)
    assert (2.0, 1.5, 90) == (result.seconds, result.cpu, result.peak.peak)


def test_ratios_are_per_row() -> None:
    """A peer that had a tenth of the rows is compared row by row."""
    ours = _result("reflected", "export", _usage(2.0, 1.0), rows=1000)
    peer = _result("django", "dumpdata", _usage(4.0, 3.0), rows=100)
    assert pytest.approx(20.0) == peer.ratio_to(ours)
    assert pytest.approx(30.0) == peer.cpu_ratio_to(ours)


@pytest.mark.parametrize(
    "target, met, not_met",
    [
        (Target(("reflected", "export"), ("sqlite3", ".dump"), at_most=1.8), 1.8, 1.81),
        (Target(("django", "dumpdata"), ("reflected", "export"), at_least=14), 14.0, 13.99),
    ],
)
def test_limits(target: Target, met: float, not_met: float) -> None:
    """A limit itself is met, and what is beyond it is not."""
    assert target.is_met(met)
    assert not target.is_met(not_met)


def test_targets() -> None:
    """The targets are those that were set; models may take twice as long."""
    assert {
        ("reflected", "export", "≤ 1.8 ×"),
        ("reflected", "import", "≤ 1 ×"),
        ("reflected", "import with read-back", "≤ 1.5 ×"),
        ("django", "dumpdata", "≥ 14 ×"),
        ("django", "loaddata", "≥ 35 ×"),
        ("models", "export", "≤ 3.6 ×"),
        ("models", "import", "≤ 2 ×"),
        ("models", "import with read-back", "≤ 3 ×"),
        ("django", "dumpdata", "≥ 7 ×"),
        ("django", "loaddata", "≥ 17.5 ×"),
        ("reflected", "preview of equal data", "≤ 1.2 ×"),
        ("models", "preview of equal data", "≤ 1.2 ×"),
        ("reflected", "export to .json.age", "≤ 1.3 ×"),
        ("reflected", "export to .json.zst.age", "≤ 1.3 ×"),
        ("migrations", "import of version 1", "≤ 1.6 ×"),
        ("migrations", "import with read-back of version 1", "≤ 1.6 ×"),
        *(
            (f"{engine}-{schema}", name, words)
            for schema in ("reflected", "models")
            for engine, name, words in (
                ("postgresql", "export to .json.zst", "≤ 1.3 ×"),
                ("postgresql", "import", "≤ 1.3 ×"),
                ("postgresql", "import with read-back", "≤ 1.9 ×"),
                ("mariadb", "export", "≤ 2.5 ×"),
                ("mariadb", "import", "≤ 1.5 ×"),
                ("mariadb", "import with read-back", "none"),
            )
        ),
    } == {(*target.step, target.words) for target in TARGETS}


def test_peers() -> None:
    """Exports are held against exports, imports against imports."""
    pairs = {(*target.step, *target.peer) for target in TARGETS}
    dump, replay = ("mariadb-dump", "mariadb-dump"), ("mariadb-dump", "mariadb < dump.sql")
    assert {
        ("reflected", "export", "sqlite3", ".dump"),
        ("reflected", "import", "sqlite3", "< dump.sql"),
        ("reflected", "export to .json.age", "reflected", "export"),
        ("reflected", "export to .json.zst.age", "reflected", "export to .json.zst"),
        ("postgresql-models", "export to .json.zst", "pg_dump", "pg_dump -Fc"),
        ("postgresql-models", "import", "pg_dump", "pg_restore"),
        ("postgresql-models", "import with read-back", "pg_dump", "pg_restore"),
        ("mariadb-models", "export", *dump),
        ("mariadb-models", "import", *replay),
        ("mariadb-models", "import with read-back", *replay),
    } <= pairs


@pytest.mark.parametrize(
    "group, megabytes", [("models", 80), ("postgresql-models", 120), ("mariadb-reflected", 120)]
)
def test_largest_peaks(group: Group, megabytes: int) -> None:
    """SQLAlchemy and a driver have memory of their own."""
    assert megabytes * MEGABYTE == largest_peak(_result(group, "export", _usage(1.0)).step)


def test_step_row() -> None:
    """A step's row has time, rate, ratio to its peer, memory and file."""
    ours = _result("reflected", "export", _usage(2.5, 2.0), rows=5000)
    peer = _result("sqlite3", ".dump", _usage(1.0, 1.0, 20 * MEGABYTE), rows=5000)
    text = _report(ours, peer)
    assert _cells(text, "reflected schema: export |") == [
        [
            "reflected schema: export",
            "5,000",
            "2.50",
            "2.00",
            "2,000",
            "2.50 × .dump",
            "40.0",
            "5.0",
        ]
    ]
    peer_cells = ["sqlite3 .dump", "5,000", "1.00", "1.00", "5,000", "", "≤ 20.0", "5.0"]
    assert _cells(text, "sqlite3 .dump") == [peer_cells]


@pytest.mark.parametrize("seconds, verdict", [(1.7, "met"), (1.9, "not met")])
def test_target_row(seconds: float, verdict: str) -> None:
    """A target's row has what was found, by clock and CPU, and whether the clock met it."""
    ours = _result("reflected", "export", _usage(seconds, 3.0))
    peer = _result("sqlite3", ".dump", _usage(1.0, 1.0))
    assert _cells(_report(ours, peer), "reflected schema: export / ") == [
        [
            "reflected schema: export / sqlite3 .dump",
            f"{seconds:.2f} ×",
            "3.00 ×",
            "≤ 1.8 ×",
            verdict,
        ]
    ]


def test_target_row_of_a_server() -> None:
    """The server's processors are not counted, so that CPU times do not compare."""
    ours = _result("postgresql-models", "import", _usage(2.0, 3.0))
    peer = _result("pg_dump", "pg_restore", _usage(1.0, 1.0))
    title = "PostgreSQL, attrs models: import / pg_restore"
    assert [[title, "2.00 ×", "", "≤ 1.3 ×", "not met"]] == _cells(_report(ours, peer), title)


def test_row_without_a_target() -> None:
    """Where no limit was set, the ratio is shown and nobody judges it."""
    ours = _result("mariadb-models", "import with read-back", _usage(2.0))
    peer = _result("mariadb-dump", "mariadb < dump.sql", _usage(1.0))
    title = "MariaDB, attrs models: import with read-back / mariadb < dump.sql"
    assert [[title, "2.00 ×", "", "none", ""]] == _cells(_report(ours, peer), title)


def test_notes() -> None:
    """What was left out, and on what the rest was run, follows the facts of the machine."""
    report = Report({}, {}, "facts", ["PostgreSQL 18.4", "MariaDB is left out: install it"])
    expected = "facts\nPostgreSQL 18.4.\nMariaDB is left out: install it.\n\n"
    assert report.as_markdown().startswith(expected)


def test_targets_without_a_peer_are_left_out() -> None:
    """Where sqlite3 or Django is missing, nothing is said about it."""
    assert "met" not in _report(_result("reflected", "export", _usage(1.0)))


@pytest.mark.parametrize(
    "small, large, verdict", [(30, 80, "met"), (81, 80, "not met"), (30, 81, "not met")]
)
def test_memory_row(small: int, large: int, verdict: str) -> None:
    """Memory is within its limit if it is at both sizes."""
    tenth, full = (
        _result("models", "export", _usage(1.0, peak=peak * MEGABYTE), rows=rows)
        for peak, rows in ((small, 100), (large, 1000))
    )
    text = _report(full, tenth=(tenth,))
    assert ["attrs models: export", f"{small}.0", f"{large}.0", "≤ 80", verdict] in _cells(
        text, "attrs models: export"
    )
    assert _cells(text, "peak MB")[0][1:3] == ["of 100 rows", "of 1,000 rows"]


def test_markdown() -> None:
    """Columns are as wide as their widest cell, three at least; the first stands on the left."""
    assert markdown(("a", "long head"), [["first", "1"]]) == (
        "| a     | long head |\n| ----- | --------: |\n| first |         1 |"
    )


def test_narrow_markdown() -> None:
    """A rule has three characters at least, as every reader of Markdown takes it."""
    assert markdown(("a", ""), [["1", "2"]]) == "| a   |     |\n| --- | --: |\n| 1   |   2 |"


def test_keep(tmp_path: Path) -> None:
    """Tables replace those before them, and nothing else."""
    path = tmp_path / "README.md"
    path.write_text("Before.\n\n<!-- results -->\n<!-- end of results -->\n\nAfter.\n", "utf-8")
    for text in ("first", "second"):
        keep(text, path, "results")
    assert path.read_text("utf-8") == (
        "Before.\n\n<!-- results -->\n\nsecond\n\n<!-- end of results -->\n\nAfter.\n"
    )


@pytest.mark.parametrize("document", ["", "<!-- results -->\n", "<!-- end of results -->\n"])
def test_keep_without_a_place(document: str, tmp_path: Path) -> None:
    """A document without both markers is left as it is."""
    path = tmp_path / "README.md"
    path.write_text(document, "utf-8")
    with pytest.raises(ValueError, match="has no lines"):
        keep("tables", path, "results")
    assert path.read_text("utf-8") == document


def test_places_in_the_readme(tmp_path: Path) -> None:
    """The benchmark's README has a place for the tables of `make bench` and of `make profile`."""
    path = tmp_path / "README.md"
    path.write_text(README.read_text("utf-8"), "utf-8")
    for place in ("results", "shares"):
        keep(f"new {place}", path, place)
        assert f"<!-- {place} -->\n\nnew {place}\n\n<!-- end of {place} -->" in path.read_text(
            "utf-8"
        )
