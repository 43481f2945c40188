"""Where the data is that tests share and the repository does not hold."""

import os
from pathlib import Path

_BESIDE = Path(__file__).parents[3] / "shared" / "data"
SHARED = Path(os.environ.get("DATABACKUP_TEST_DATA", _BESIDE))
"""Kept beside the repository, or where the environment variable says; may be missing."""
