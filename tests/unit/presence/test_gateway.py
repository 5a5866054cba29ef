"""The gateway's memory: 20 s, never absence, never older, bounded."""

import pytest

from presence.config import GatewayConfig
from presence.gateway import GatewayCache
from psp.crypto.keys import SigningKey
from psp.netdoc.presence_record import parse
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import TEST_NETWORK, PresenceUser, random_value
from psp.units import Monotonic
from psp.wire.presence import LookupRequest

NOON = 20_000 * 86_400 + 43_200
RELAY = SigningKey.generate(SeededEntropy("relay"))
REQUEST = LookupRequest(bytes(20))


def at(seconds):
    return Monotonic(seconds)


@pytest.fixture
def records():
    user = PresenceUser(SeededEntropy(1))
    return [
        parse(
            user.agreed_record(RELAY, NOON),
            network=TEST_NETWORK,
            random_value=random_value,
            unix_now=NOON,
        )
        for _ in range(2)
    ]


def test_record_is_given_again_for_twenty_seconds(records):
    cache = GatewayCache(GatewayConfig())
    cache.keep(REQUEST, records[0], at(100.0))

    assert cache.find(REQUEST, at(119.9), NOON) is records[0]
    assert cache.find(REQUEST, at(120.0), NOON) is None
    assert cache.find(REQUEST, at(119.9), NOON) is None


def test_expired_record_is_not_given_again(records):
    cache = GatewayCache(GatewayConfig())
    cache.keep(REQUEST, records[0], at(100.0))

    assert cache.find(REQUEST, at(101.0), NOON + 1_800) is None


def test_slots_and_locations_are_kept_apart(records):
    cache = GatewayCache(GatewayConfig())
    cache.keep(REQUEST, records[0], at(100.0))

    assert cache.find(LookupRequest(bytes(20), 0), at(101.0), NOON) is None
    assert cache.find(LookupRequest(b"x" * 20), at(101.0), NOON) is None


def test_older_record_does_not_replace_a_newer_one(records):
    old, new = records
    cache = GatewayCache(GatewayConfig())

    cache.keep(REQUEST, new, at(100.0))
    cache.keep(REQUEST, old, at(101.0))

    assert cache.find(REQUEST, at(102.0), NOON) is new


def test_newer_record_replaces_an_older_one(records):
    old, new = records
    cache = GatewayCache(GatewayConfig())

    cache.keep(REQUEST, old, at(100.0))
    cache.keep(REQUEST, new, at(101.0))

    assert cache.find(REQUEST, at(102.0), NOON) is new


def test_full_cache_drops_the_oldest(records):
    cache = GatewayCache(GatewayConfig(cache_size=2))
    requests = [LookupRequest(bytes([i]) * 20) for i in range(3)]

    for i, request in enumerate(requests):
        cache.keep(request, records[0], at(100.0 + i))

    assert cache.find(requests[0], at(103.0), NOON) is None
    assert cache.find(requests[1], at(103.0), NOON) is records[0]
    assert cache.find(requests[2], at(103.0), NOON) is records[0]


def test_circuit_asks_a_few_times_only_and_is_forgotten_when_it_closes():
    cache = GatewayCache(GatewayConfig(lookups_per_circuit=2))

    assert [cache.admit(7) for _ in range(3)] == [True, True, False]
    assert cache.admit(8)
    cache.circuit_closed(7)
    cache.circuit_closed(99)
    assert cache.admit(7)
