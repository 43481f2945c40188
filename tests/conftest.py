import contextlib
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from servers import sessions
from tests.support import databases
from tests.support.data import SHARED

# Times depend on the machine, so neither a deadline nor slow data makes a test fail.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

_MACHINE = "test_any_transactions_match_an_oracle"
"""The state machine of AdapterContract. Who imports it here does so before coverage measures."""

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


def pytest_configure(config: pytest.Config) -> None:
    """Make a place for the servers that tests will ask for; xdist's workers find it there."""
    databases.required()
    place = contextlib.ExitStack()
    place.enter_context(sessions.session(databases.folder()))
    config.add_cleanup(place.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure the coverage of quick examples alone: a line that none of them runs is not covered.

    Random tests and slow ones run the same lines again and again, measured three times as long.
    """
    for item in items:
        if isinstance(item, pytest.Function) and (_is_random(item) or _is_slow(item)):
            item.add_marker(pytest.mark.unmeasured)


def _is_random(test: pytest.Function) -> bool:
    return is_hypothesis_test(test.obj) or test.originalname == _MACHINE


def _is_slow(test: pytest.Function) -> bool:
    return test.get_closest_marker("slow") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run what is marked so without coverage, in this process and in child processes.

    The mark `no_cover` does not: in xdist's workers two of pytest-cov's measure, and one pauses.
    """
    if item.get_closest_marker("unmeasured") is None:
        return (yield)
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        with mock.patch.dict(os.environ):
            for name in [name for name in os.environ if name.startswith("COVERAGE_PROCESS_")]:
                del os.environ[name]
            return (yield)
    finally:
        sys.settrace(tracer)


def pytest_report_header() -> str:
    """Which servers the tests will get."""
    return databases.versions()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Last of all, which servers were not tested, and what to do about it."""
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = {report.longrepr[2].removeprefix("Skipped: ") for report in skipped}
    for reason in sorted(reason for reason in reasons if databases.LEFT_OUT in reason):
        terminalreporter.write_line(reason, yellow=True)


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    """A new, empty PostgreSQL database."""
    with databases.postgresql() as url:
        yield url


@pytest.fixture
def postgresql_icu_url() -> Iterator[str]:
    """A new, empty PostgreSQL database whose text is in the order of ICU's `en-US`."""
    with databases.postgresql(icu=True) as url:
        yield url


@pytest.fixture
def mysql_url() -> Iterator[str]:
    """A new, empty MariaDB or MySQL database."""
    with databases.mysql() as url:
        yield url
