"""Limits of a relay that make no sense are refused by name (relay/config.py)."""

import re

import pytest

from psp.errors import ConfigError
from relay.config import RelayConfig


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("bandwidth_bytes_per_s", -9, "at least 125000"),
        ("bandwidth_bytes_per_s", 10**18, "above 1 Tbit/s"),
        ("media_kbit_per_s", -1, "takes 480"),
        ("media_kbit_per_s", 10**10, "above 1 Tbit/s"),
        ("creates_per_s", 0.0, "more than 0"),
        ("creates_per_s", -1.0, "more than 0"),
        ("create_burst", 0, "at least 1"),
        ("idle_link", -5.0, "at least 1"),
        ("neighbours", -3, "at least 0"),
        ("max_cookies", -1, "at least 0"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_with_its_cure(name, value, cure):
    with pytest.raises(
        ConfigError, match=f"^{name} = {re.escape(str(value))}: .*{cure}"
    ):
        RelayConfig(**{name: value})


def test_the_ends_of_what_is_allowed_are_allowed():
    RelayConfig(neighbours=0, max_cookies=0, bandwidth_bytes_per_s=125_000_000_000)
    RelayConfig(media_kbit_per_s=1_000_000_000)
