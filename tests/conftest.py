"""Settings of all tests: hypothesis repeats itself, and never fails for being slow."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "psp",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("psp")
