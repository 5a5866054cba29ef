"""What the last hop of a look-up sees: every packet it gets, and all it can read of it.

The capture is taken at the sockets of all relays, before decryption, and at the handlers
of the one that looks up, after it. Nothing of it may name who asks.
"""

import asyncio
from collections import defaultdict
from typing import Any

import pytest

import psp.testing
from psp.client.lookups.lookup import PresenceState
from psp.ids import NodeId
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.wire.relay_message import RelayCommand

ASKERS = ("bob", "carol")
LOOK_UPS = 4
Log = defaultdict[NodeId, list[Any]]

pytestmark = pytest.mark.timeout(60)


class Capture:
    """Everything that reached any relay.

    Attributes:
        packets: By relay, the address each packet came from and its bytes.
        read: By relay, what its handler of look-ups was given: circuit, hash, data.
        told: By relay, what it said to and heard from other relays for it.
    """

    def __init__(self, net) -> None:
        self.packets: Log = defaultdict(list)
        self.read: Log = defaultdict(list)
        self.told: Log = defaultdict(list)
        for node_id in net.relays:
            self._tap(net, node_id)

    def _tap(self, net, node_id) -> None:
        packets, read, told = (
            self.packets[node_id],
            self.read[node_id],
            self.told[node_id],
        )
        net.socket(node_id).tap = lambda source, size, data: packets.append(
            (source, data)
        )
        relay = net.node(node_id).relay
        look_up = relay.circuits.handler(RelayCommand.LOOKUP)
        request = relay.links.request

        async def looked_up(peer, data):
            read.append((peer, data))
            return await look_up(peer, data)

        async def requested(to, service, data, within):
            told.append(data)
            answer = await request(to, service, data, within)
            told.append(answer or b"")
            return answer

        relay.circuits.serve(RelayCommand.LOOKUP, looked_up)
        relay.links.request = requested

    def gateways(self):
        return [node_id for node_id, seen in self.read.items() if seen]


def capture(check, *, relays: int = 12) -> None:
    """Let Alice be on line and others look her up; call ``check``."""

    async def main(hub: SimHub) -> None:
        async with psp.testing.network(
            relays=relays, hub=hub, users=("alice", *ASKERS)
        ) as net:
            alice = await net.client("alice")
            await alice.announce()
            clients = {name: await net.client(name) for name in ASKERS}
            # Their directories are fetched over circuits of their own: let that end.
            await asyncio.sleep(30)
            seen = Capture(net)
            for _ in range(LOOK_UPS):
                for client in clients.values():
                    found = await client.lookup(alice.contact_card)
                    assert found.state is PresenceState.ONLINE
            check(net, seen)

    run_simulation(main)


def addresses_of_clients(net) -> set:
    relays = {
        (endpoint.host, endpoint.port)
        for node_id in net.relays
        for endpoint in net.node(net.relays[0]).registry.node(node_id).endpoints
    }
    return {address for address in net.wires.addresses() if address not in relays}


def test_no_packet_comes_from_an_asker_and_none_holds_a_name():
    def check(net, seen):
        clients = addresses_of_clients(net)
        assert len(clients) == 1 + len(ASKERS)
        guards = {
            node_id
            for node_id, packets in seen.packets.items()
            if any(source in clients for source, _ in packets)
        }
        gateways = set(seen.gateways())
        assert guards, "the capture would see an asker's packets"
        assert gateways - guards, "no gateway but guards: nothing to see"
        names = {net.identity(name).user_id for name in (*ASKERS, "alice")}
        secrets = {net.identity(name).discovery_secret for name in (*ASKERS, "alice")}
        for node_id in gateways - guards:
            for source, data in seen.packets[node_id]:
                assert source not in clients
                assert not any(needle in data for needle in names | secrets)

    capture(check)


def test_what_a_gateway_reads_names_nobody_and_ties_no_two_look_ups():
    def check(net, seen):
        needles = [
            needle
            for name in (*ASKERS, "alice")
            for needle in (
                net.identity(name).user_id,
                net.identity(name).discovery_secret,
                name.encode(),
            )
        ]
        needles += [str(port).encode() for _, port in addresses_of_clients(net)]
        circuits, nonces = defaultdict(set), defaultdict(set)
        for node_id in seen.gateways():
            for peer, data in seen.read[node_id]:
                assert len(data) == 37
                circuits[node_id, peer.key].add(peer.handshake_hash)
                nonces[data[21:]].add((node_id, peer.key))
            everything = b"".join(
                [d for _, d in seen.read[node_id]] + seen.told[node_id]
            )
            assert not [needle for needle in needles if needle in everything]
        # A circuit serves one look-up, and nothing of it comes back in another.
        assert len(circuits) >= 2 * LOOK_UPS
        assert all(len(hashes) == 1 for hashes in circuits.values())
        hashes = [h for hashes in circuits.values() for h in hashes]
        assert len(set(hashes)) == len(hashes)
        assert all(len(places) == 1 for places in nonces.values())
        assert len(nonces) >= len(circuits)

    capture(check)


def test_askers_look_alike_to_every_gateway():
    """Same sizes, same number of requests: only the nonces differ."""

    def check(net, seen):
        shapes = set()
        for node_id in seen.gateways():
            by_circuit = defaultdict(list)
            for peer, data in seen.read[node_id]:
                by_circuit[peer.key].append(data[:21])
            shapes |= {tuple(sorted(asked)) for asked in by_circuit.values()}
        assert len(shapes) == 1

    capture(check)
