"""Who is to hold what, as a client sees it (psp/client/lookups/replicas.py)."""

from psp.client.lookups.replicas import ReplicaFinder
from psp.directory.dht_id import dht_id
from psp.ids import NodeId
from psp.testing.presence import TEST_NETWORK, MemoryRegistry
from psp.units import UnixTime

NOON = 20_000 * 86_400 + 43_200
IDS = [NodeId(number.to_bytes() * 32) for number in range(1, 33)]
WHERE = b"w" * 20


def nearest(nodes, count=8):
    def distance(node):
        return int.from_bytes(dht_id(node, TEST_NETWORK)) ^ int.from_bytes(WHERE)

    return set(sorted(nodes, key=distance)[:count])


def test_the_eight_nearest_elected_are_found_by_their_short_ids():
    registry = MemoryRegistry(IDS, IDS[:20])

    replicas = ReplicaFinder(registry).at(WHERE, NOON)

    assert set(replicas.elected.values()) == nearest(IDS[:20])
    assert replicas.retiring == {}
    for short, node in replicas.elected.items():
        assert node.startswith(short)
        assert replicas.find(short) == node
    assert replicas.find(bytes(8)) is None


def test_partners_stand_in_while_nobody_is_elected():
    registry = MemoryRegistry(IDS, ())
    registry.trusted = set(IDS[:3])

    assert set(ReplicaFinder(registry).at(WHERE, NOON).elected.values()) == set(IDS[:3])


def test_retiring_nodes_count_while_the_election_is_fresh():
    registry = MemoryRegistry(IDS, IDS[:16])
    finder = ReplicaFinder(registry)
    assert set(finder.at(WHERE, NOON).elected.values()) == nearest(IDS[:16])

    registry.elect(IDS[16:], UnixTime(NOON))

    fresh = finder.at(WHERE, NOON + 1_300)
    assert set(fresh.elected.values()) == nearest(IDS[16:])
    assert set(fresh.retiring.values()) == nearest(IDS[:16])
    assert all(fresh.find(short) == node for short, node in fresh.retiring.items())
    assert finder.at(WHERE, NOON + 1_320).retiring == {}


def test_a_few_that_retire_need_not_be_heard():
    registry = MemoryRegistry(IDS, IDS[:16])
    finder = ReplicaFinder(registry)
    registry.elect(IDS[7:23], UnixTime(NOON))

    assert finder.at(WHERE, NOON + 1).retiring == {}
