"""What a client keeps of the directory."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.directory.cache import SEEN_LIFE, DirectoryCache
from psp.errors import DecodeError
from psp.ids import NodeId
from psp.testing.directory import LOOPBACK, START, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.units import UnixTime
from psp.wire.network import Network

RIG = SignedNetwork.build(SeededEntropy(22), nodes=3)
DESCRIPTORS = {node.node_id: RIG.descriptor(node, sequence=7) for node in RIG.nodes}
CACHE = DirectoryCache(
    RIG.file(), 1, DESCRIPTORS, {**dict.fromkeys(DESCRIPTORS, 7), NodeId(bytes(32)): 9}
)
WIRE = CACHE.encode()


def test_cache_survives_the_round_trip():
    assert DirectoryCache.decode(WIRE, LOOPBACK) == CACHE
    empty = DirectoryCache()
    assert DirectoryCache.decode(empty.encode(), LOOPBACK) == empty


@given(st.binary(max_size=300))
def test_any_bytes_give_a_cache_or_decode_error(data):
    with pytest.raises(DecodeError):
        DirectoryCache.decode(data, LOOPBACK)


@given(st.integers(0, len(WIRE) * 8 - 1))
def test_one_flipped_bit_never_yields_another_descriptor(bit):
    changed = bytearray(WIRE)
    changed[bit // 8] ^= 1 << bit % 8

    with contextlib.suppress(DecodeError):
        cache = DirectoryCache.decode(bytes(changed), LOOPBACK)
        assert set(cache.descriptors.values()) <= set(DESCRIPTORS.values())


def test_a_cache_of_another_network_is_refused():
    with pytest.raises(DecodeError):
        DirectoryCache.decode(WIRE, Network(1, bytes(20)))


def test_a_descriptor_above_the_highest_sequence_is_refused():
    cache = DirectoryCache(b"", 0, DESCRIPTORS, dict.fromkeys(DESCRIPTORS, 6))

    with pytest.raises(DecodeError, match="above the highest"):
        DirectoryCache.decode(cache.encode(), LOOPBACK)


def test_a_relay_twice_is_refused():
    raw = msgspec.msgpack.decode(WIRE)
    raw["descriptors"].append(raw["descriptors"][0])

    with pytest.raises(DecodeError, match="twice"):
        DirectoryCache.decode(msgspec.msgpack.encode(raw), LOOPBACK)


def test_relays_count_as_seen_for_a_day():
    assert CACHE.seen(START) == set(DESCRIPTORS)
    assert CACHE.seen(UnixTime(START + SEEN_LIFE)) == frozenset()


def test_trimming_forgets_those_who_left():
    one = next(iter(DESCRIPTORS))

    trimmed = CACHE.trimmed({one})

    assert set(trimmed.descriptors) == set(trimmed.highest) == {one}
    assert trimmed.registry == CACHE.registry
