"""CREATE and EXTEND: who may, and where to."""

from dataclasses import replace

import pytest

from psp.circuit.events import RequestFailed
from psp.circuit.origin import HopSpec
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.ids import CircuitId
from psp.testing.entropy import SeededEntropy
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint
from relay.config import RelayConfig


def failed(rig, path, client=None):
    """Try to build a circuit that must fail; return it and its client."""
    client = client or rig.client()
    circuit = client.open(path, rig.now)
    assert rig.run_until(lambda: circuit.closed is not None)
    return client, circuit


def test_extend_to_an_endpoint_that_is_not_the_nodes_own_is_refused(make_rig):
    rig = make_rig(3)
    good = rig.relays[1].spec
    foreign = HopSpec(
        good.node_id, good.onion_key, (Endpoint("203.0.113.5", 53), *good.endpoints)
    )

    _, circuit = failed(rig, [rig.relays[0].spec, foreign])

    assert circuit.closed.reason is Reason.REFUSED
    stats = rig.relays[0].machine.stats
    assert stats.extends_refused == {Reason.REFUSED: 1}
    assert rig.relays[0].machine.links.link_to(good.node_id) is None


def test_extend_to_a_node_that_is_not_registered_is_refused(make_rig):
    rig = make_rig(2)
    stranger = rig.relays[1].spec
    del rig.nodes[stranger.node_id]

    _, circuit = failed(rig, [*rig.path(0), stranger])

    assert circuit.closed.reason is Reason.NO_SUCH_NODE


@pytest.mark.parametrize("path", [(0, 0), (0, 1, 0)])
def test_extend_to_oneself_or_back_is_refused(make_rig, path):
    rig = make_rig(2)

    _, circuit = failed(rig, rig.path(*path))

    assert circuit.closed.reason is Reason.REFUSED
    rig.audit()


def test_wrong_onion_key_is_refused_by_the_node_itself(make_rig):
    rig = make_rig(2)
    node = rig.relays[1].spec
    other_key = x25519_public(x25519_generate(SeededEntropy("other")))

    _, circuit = failed(
        rig, [rig.relays[0].spec, HopSpec(node.node_id, other_key, node.endpoints)]
    )

    assert circuit.closed is not None
    assert rig.relays[1].machine.stats.creates_refused == {Reason.PROTOCOL: 1}
    assert rig.relays[1].machine.stats.circuits_created == 0
    rig.audit()


def test_previous_onion_key_still_works_after_rotation(make_rig):
    rig = make_rig(1)
    relay = rig.relays[0]
    new = x25519_generate(SeededEntropy("rotation"))
    relay.machine.set_onion_keys([new, relay.onion_private])

    rig.build(0)
    fresh = HopSpec(relay.record.node_id, x25519_public(new), relay.record.endpoints)
    client = rig.client()
    circuit = client.open([fresh], rig.now)

    assert rig.run_until(lambda: circuit.origin.is_open)


def test_nobody_can_lead_a_link_that_others_use_to_an_address_out_of_reach(make_rig):
    rig = make_rig(2)
    target = rig.relays[1].record
    (real,) = target.endpoints
    far = Endpoint("2001:db8::1", real.port)
    rig.nodes[target.node_id] = replace(target, endpoints=(real, far))
    rig.build(0, 1)

    client = rig.client()
    mean = HopSpec(target.node_id, target.onion_key, (far, real))
    client.open([rig.relays[0].spec, mean], rig.now)
    # The keys of the link between the relays are renewed after 120 s.
    rig.run(240.0)

    links = rig.relays[0].machine.links
    assert links.is_up(links.link_to(target.node_id))
    assert rig.relays[0].machine.stats.circuits_closed.total() == 0


def test_dead_next_hop_is_given_up_after_the_retries(make_rig):
    rig = make_rig(2)
    rig.net.kill(rig.relays[1].record.endpoints[0].address)

    _, circuit = failed(rig, rig.path(0, 1))

    assert circuit.closed.reason is Reason.TIMEOUT
    assert circuit.closed.hop == 2
    rig.run(2.0)
    rig.audit()


def test_client_link_takes_64_circuits_and_no_more(make_rig):
    config = RelayConfig(neighbours=0, client_circuits=5)
    rig = make_rig(1, config=config)
    client, _ = rig.build(0)
    for _ in range(4):
        rig.build(0, client=client)

    _, circuit = failed(rig, rig.path(0), client)

    assert circuit.closed.reason is Reason.RESOURCE_LIMIT
    rig.build(0)
    assert RelayConfig().client_circuits == 64
    rig.audit()


def test_relay_link_has_a_limit_of_its_own(make_rig):
    config = RelayConfig(neighbours=0, relay_circuits=2)
    rig = make_rig(2, config=config)
    client, _ = rig.build(0, 1)
    rig.build(0, 1, client=client)

    _, circuit = failed(rig, rig.path(0, 1), client)

    assert circuit.closed.reason is Reason.RESOURCE_LIMIT
    assert rig.relays[0].machine.stats.extends_refused == {Reason.RESOURCE_LIMIT: 1}
    rig.audit()


def test_client_that_creates_too_fast_is_delayed_not_refused(make_rig):
    config = RelayConfig(neighbours=0, create_burst=3, creates_per_s=10.0)
    rig = make_rig(1, config=config)
    client, _ = rig.build(0)

    circuits = [client.open(rig.path(0), rig.now) for _ in range(8)]
    assert rig.run_until(lambda: all(c.origin.is_open for c in circuits))

    assert rig.relays[0].machine.stats.creates_delayed > 0
    assert rig.relays[0].machine.stats.circuits_created == 9


def test_repeated_create_makes_one_circuit(make_rig):
    rig = make_rig(1)
    client = rig.client()
    circuit = client.open(rig.path(0), rig.now)
    cells = list(circuit.origin.cells_to_send(rig.now))

    client.send_cells(circuit, cells * 3, rig.now)
    rig.run(1.0)

    assert rig.relays[0].machine.stats.circuits_created == 1
    assert rig.relays[0].machine.stats.creates.repeated >= 2


@pytest.mark.parametrize("circuit_id", [3, 0xFFFFFFFF])
def test_circuit_id_of_the_wrong_parity_is_refused(make_rig, circuit_id):
    rig = make_rig(1)
    client = rig.client()

    circuit = client.open(rig.path(0), rig.now, circuit_id=CircuitId(circuit_id))
    rig.run_until(lambda: circuit.closed is not None)

    assert rig.relays[0].machine.stats.creates_refused == {Reason.PROTOCOL: 1}
    assert len(list(rig.relays[0].machine.links.links(rig.now))) == 1


def test_circuit_id_is_not_used_again_within_a_minute(make_rig):
    rig = make_rig(1)
    client = rig.client()
    chosen = CircuitId(42)
    first = client.open(rig.path(0), rig.now, circuit_id=chosen)
    rig.run(0.5)
    first.origin.destroy()
    rig.run(0.5)

    again = client.open(rig.path(0), rig.now, circuit_id=chosen)
    rig.run_until(lambda: again.closed is not None)
    rig.run(61.0)
    later = client.open(rig.path(0), rig.now, circuit_id=chosen)
    rig.run(0.5)

    assert not again.origin.is_open
    assert later.origin.is_open


def test_memory_pressure_refuses_new_circuits(make_rig):
    config = RelayConfig(neighbours=0, max_mem_bytes=1 << 20)
    rig = make_rig(1, config=config)
    clients = [rig.build(0)[0] for _ in range(2)]
    for _ in range(47):
        rig.build(0, client=clients[0])
    for _ in range(48):
        rig.build(0, client=clients[1])

    _, circuit = failed(rig, rig.path(0))

    assert circuit.closed.reason is Reason.RESOURCE_LIMIT
    assert rig.relays[0].machine.memory_used() > 0.75 * (1 << 20)
    rig.audit()


def test_extend_of_a_joined_circuit_is_refused(make_rig):
    rig = make_rig(2)
    _, host = rig.build(0)
    _, guest = rig.build(0)
    rig.join(host, guest, b"c" * 20)

    host.origin.extend(rig.relays[1].spec, rig.now)
    rig.run(1.0)

    assert rig.relays[0].machine.stats.extends_refused == {Reason.REFUSED: 1}
    assert not [e for e in host.events if isinstance(e, RequestFailed)]
