"""Settings of all tests: hypothesis repeats itself, and in CI nothing is skipped."""

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "psp",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("psp")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Fail what is skipped in CI: a check that never runs there proves nothing."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in continuous integration: {report.longrepr}"
    return report
