"""What a table was made on."""

import datetime
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import databackup

_GIGABYTE = 1_000_000_000


def facts(rounds: int) -> str:
    """A sentence about the machine, one about versions, and how often was measured; no names."""
    today = datetime.datetime.now(datetime.UTC).date()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIGABYTE
    return (
        f"{today}: {_processor()}, {os.cpu_count()} cores, {memory:.0f} GB of memory, "
        f"{platform.system()} {platform.machine()}; load {os.getloadavg()[0]:.1f} at the start.\n"
        f"{', '.join(_versions())}.\n"
        f"Rounds: {rounds}; the best counts."
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text("utf-8") if cpuinfo.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or "unknown processor"


def _versions() -> list[str]:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    versions = [
        f"databackup {databackup.__version__}",
        f"{python} with SQLite {sqlite3.sqlite_version}",
    ]
    if shutil.which("sqlite3"):
        said = subprocess.run(["sqlite3", "--version"], capture_output=True, text=True, check=True)
        versions.append(f"command sqlite3 {said.stdout.split()[0]}")
    else:
        versions.append("no command sqlite3")
    if importlib.util.find_spec("django"):
        versions.append(f"Django {importlib.metadata.version('django')}")
    else:
        versions.append("no Django")
    return versions
