"""Settings of calls."""

import pytest

from psp.bandwidth import Bandwidth
from psp.client.call_config import CallConfig
from psp.errors import ConfigError


def test_a_call_asks_for_voice_at_least_and_wants_video():
    assert CallConfig().bandwidth == Bandwidth(480, 3000)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((-1, 3000), "call.min_kbit_per_s = -1: must be 0 … wanted_kbit_per_s"),
        ((3001, 3000), "call.min_kbit_per_s = 3001: .*, which is 3000"),
        ((480, 524_281), "call.wanted_kbit_per_s = 524281: must be at most 524280"),
    ],
)
def test_absurd_rates_are_refused_with_the_key_and_the_fix(settings, words):
    with pytest.raises(ConfigError, match=words):
        CallConfig(*settings)
