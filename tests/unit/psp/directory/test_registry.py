"""The port to the registry."""

from psp.directory.registry import Registry, period_of
from psp.testing.directory import SignedNetwork
from psp.testing.entropy import SeededEntropy


def test_the_signed_file_is_a_registry():
    registry: Registry = SignedNetwork.build(SeededEntropy(6)).registry()

    assert registry.sequence == 1


def test_periods_are_days_since_the_epoch():
    assert [period_of(t) for t in (0, 86_399, 86_400)] == [0, 0, 1]
