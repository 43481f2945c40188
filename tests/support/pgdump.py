"""PostgreSQL's own dumps: of a database, into another, and what of two can be compared."""

import re
import subprocess
from itertools import groupby
from pathlib import Path

from sqlalchemy import make_url

from servers import postgresql


def dump(url: str) -> str:
    """All that a database holds, its schema and its data."""
    return _run("pg_dump", url)


def load(url: str, sql: str) -> None:
    """Run what `dump` gave, or any other script, in a database."""
    _run("psql", url, "-v", "ON_ERROR_STOP=1", "-q", input_=sql)


def in_order(dumped: str) -> list[str]:
    """The lines of a dump; the rows of each table, which have no order, in one."""
    lines: list[str] = []
    for is_data, group in groupby(dumped.splitlines(), key=_Data()):
        found = list(group)
        lines += sorted(found) if is_data else found
    return lines


class _Data:
    def __init__(self) -> None:
        self._within = False

    def __call__(self, line: str) -> bool:
        if line == "\\.":
            self._within = False
        within = self._within
        if line.startswith("COPY ") and line.endswith("FROM stdin;"):
            self._within = True
        return within


def _run(program: str, url: str, *options: str, input_: str = "") -> str:
    programs = postgresql.bundled()
    assert isinstance(programs, Path)
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(
        [programs / program, *options, f"--dbname={plain}"],
        input=input_,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    # A key of its own in each dump.
    return re.sub(r"^\\(un)?restrict .*\n", "", done.stdout, flags=re.MULTILINE)
