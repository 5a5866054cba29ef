"""Where a node stands in the DHT (psp/directory/dht_id.py)."""

from psp.directory.dht_id import dht_id, must_retiring_speak
from psp.ids import NodeId
from psp.wire.network import Network


def test_a_dht_id_depends_on_the_node_and_on_the_network_alone():
    node, network = NodeId(b"n" * 32), Network(1, bytes(20))

    assert dht_id(node, network) == dht_id(node, network)
    assert len(dht_id(node, network)) == 20
    assert dht_id(node, network) != dht_id(NodeId(b"m" * 32), network)
    assert dht_id(node, network) != dht_id(node, Network(2, bytes(20)))


def test_retiring_nodes_must_speak_where_half_or_more_are_new():
    assert not must_retiring_speak(8, 0)
    assert not must_retiring_speak(8, 3)
    assert must_retiring_speak(8, 4)
    assert must_retiring_speak(3, 8)
