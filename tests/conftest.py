"""Settings of all tests: hypothesis repeats itself, and in CI nothing is skipped."""

import os
import sys

import pytest
import structlog
from hypothesis import HealthCheck, settings

from psp.runtime import logs

settings.register_profile(
    "psp",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("psp")

RECURSION_LIMIT = sys.getrecursionlimit()


@pytest.fixture(autouse=True)
def _recursion_limit():
    """Undo what web3 and eth_account do to the process: our own code does not need it."""
    sys.setrecursionlimit(RECURSION_LIMIT)
    yield
    sys.setrecursionlimit(RECURSION_LIMIT)


@pytest.fixture(autouse=True)
def _log():
    """Undo what commands do to the log of the process: their streams end with them."""
    yield
    logs.configure(logs.LogOutput())
    structlog.reset_defaults()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Fail what is skipped in CI: a check that never runs there proves nothing."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in continuous integration: {report.longrepr}"
    return report
