import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.data import SHARED

# Times depend on the machine, so neither a deadline nor slow data makes a test fail.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("default", _PATIENT, max_examples=50, derandomize=False)
settings.register_profile("ci", _PATIENT, max_examples=50, derandomize=True, print_blob=True)
settings.register_profile("long", _PATIENT, max_examples=2000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real databases for tests, kept beside the repository; without them the test is skipped."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here; DATABACKUP_TEST_DATA names another folder")
    return SHARED
