"""Counters are explained where operators see them."""

from dataclasses import fields

from discovery.stats import DiscoveryStats
from psp.runtime.docstrings import attribute_docs


def test_every_counter_is_documented_and_starts_at_nothing():
    stats = DiscoveryStats()

    names = [field.name for field in fields(DiscoveryStats)]

    assert list(attribute_docs(DiscoveryStats)) == names
    assert not any(getattr(stats, name) for name in names)
