"""Injected randomness (psp/entropy.py): the real and the fake pass the same tests."""

import pytest

from psp.entropy import Entropy
from psp.runtime.entropy import SystemEntropy
from psp.testing.entropy import SeededEntropy


@pytest.fixture(params=[SystemEntropy, SeededEntropy])
def entropy(request) -> Entropy:
    source: Entropy = request.param()
    return source


def test_tokens_have_their_length(entropy):
    assert [len(entropy.token(size)) for size in (0, 1, 32, 1_000)] == [0, 1, 32, 1_000]


def test_integers_cover_the_range(entropy):
    assert {entropy.below(4) for _ in range(400)} == {0, 1, 2, 3}
    assert entropy.below(1) == 0


def test_nothing_is_below_nothing(entropy):
    with pytest.raises(ValueError, match=r"."):
        entropy.below(0)


def test_floats_cover_the_unit_interval(entropy):
    drawn = [entropy.uniform() for _ in range(1_000)]

    assert all(0.0 <= value < 1.0 for value in drawn)
    assert min(drawn) < 0.1
    assert max(drawn) > 0.9
