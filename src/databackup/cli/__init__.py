"""The command line. Needs the extra `cli`, and says so where it is missing."""

from __future__ import annotations

import sys

from databackup.errors import MissingExtra


def main() -> int:
    """Run the command that `sys.argv` gives, and return its exit code."""
    try:
        # Here, so that this module can be imported, and can answer, without click and rich.
        from databackup.cli.commands import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"click", "rich"}:
            raise
        sys.stderr.write(f"error: {MissingExtra.of('cli', 'the command line')}\n")
        return 2 if sys.argv[1:2] in (["diff"], ["status"]) else 1  # for them 1 is an answer
    except KeyboardInterrupt:  # while the modules load
        return 130
    return run()
