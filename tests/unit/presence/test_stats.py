"""Counters start at nothing and are not shared."""

from presence.stats import PresenceStats


def test_two_services_count_apart():
    one, other = PresenceStats(), PresenceStats()

    one.stores["far"] += 1

    assert one != other
    assert other == PresenceStats()
