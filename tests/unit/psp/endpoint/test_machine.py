"""A client machine against real relays (psp/endpoint/machine.py)."""

from dataclasses import dataclass, field

import pytest

from psp.circuit.events import CircuitBuilt, CircuitClosed, HopAdded, RequestAnswered
from psp.circuit.origin import HopSpec
from psp.crypto.kdf import LayerKeys
from psp.crypto.keys import SigningKey, link_public
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.crypto.session import SessionKeys
from psp.endpoint.events import (
    CircuitChanged,
    ClientEvent,
    HandshakeBlock,
    LinkChanged,
    SessionChanged,
)
from psp.endpoint.machine import ClientMachine, EndpointConfig
from psp.endpoint.session import (
    DatagramsReceived,
    LegLost,
    MessageReceived,
    Session,
    SessionClosed,
)
from psp.errors import LocalProtocolError
from psp.ids import NodeId
from psp.link.config import LinkConfig
from psp.link.events import LinkClosed
from psp.link.machine import LinkMachine
from psp.netdoc.node_record import NodeRecord
from psp.testing.entropy import SeededEntropy
from psp.testing.machine_network import SimNetwork
from psp.testing.weather import Weather
from psp.units import Monotonic, Seconds
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network
from psp.wire.relay_message import RelayCommand
from psp.wire.session_block import handshake_blocks
from relay.config import RelayConfig
from relay.machine import RelayMachine

NETWORK = Network(31337, bytes(20))
UNIX_TIME = 1_800_000_000.0


@dataclass
class ClientUnderTest:
    machine: ClientMachine
    events: list[ClientEvent] = field(default_factory=list)

    def told(self, key: int, kind: type) -> list:
        return [
            event.event
            for event in self.events
            if isinstance(event, CircuitChanged | SessionChanged)
            and event.key == key
            and isinstance(event.event, kind)
        ]

    def all_of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


class Rig:
    """Three relays, and clients as asked for."""

    def __init__(self, weather: Weather | None = None, relays: int = 3) -> None:
        self.net = SimNetwork(weather or Weather(latency=Seconds(0.01)), 1)
        self.records: dict[NodeId, NodeRecord] = {}
        self.addresses = [self._add_relay(number) for number in range(relays)]
        self.clients: list[ClientUnderTest] = []

    def _links(
        self, seed: str, identity: SigningKey | None, port: int
    ) -> tuple[LinkMachine, SeededEntropy]:
        entropy = SeededEntropy(seed)
        links = LinkMachine(
            LinkConfig(),
            network=NETWORK,
            entropy=entropy.child("links"),
            identity=identity,
            own_port=port,
            peer_of_static=self._peer_of_static,
            unix_time=lambda: UNIX_TIME + self.net.now,
        )
        return links, entropy

    def _peer_of_static(self, static: bytes) -> NodeId | None:
        return {link_public(node): node for node in self.records}.get(static)

    def _add_relay(self, number: int) -> tuple[str, int]:
        entropy = SeededEntropy(f"relay {number}")
        identity = SigningKey.generate(entropy)
        onion_private = x25519_generate(entropy)
        endpoint = Endpoint(f"10.0.{number}.1", 9000)
        node_id = NodeId(identity.public)
        self.records[node_id] = NodeRecord(
            node_id, x25519_public(onion_private), (endpoint,), bytes(20)
        )
        links, _ = self._links(f"relay links {number}", identity, 9000)
        machine = RelayMachine(
            links,
            node_id=node_id,
            onion_privates=[onion_private],
            node=self.records.get,
            entropy=entropy.child("relay"),
            config=RelayConfig(neighbours=0),
        )
        self.net.add(endpoint.address, machine, lambda _: None)
        return endpoint.address

    def client(self, config: EndpointConfig | None = None) -> ClientUnderTest:
        number = len(self.clients)
        links, entropy = self._links(f"client {number}", None, 0)
        client = ClientUnderTest(ClientMachine(links, entropy, config))
        self.clients.append(client)
        address = (f"10.9.{number}.1", 4000)
        self.net.add(address, client.machine, client.events.append)
        return client

    def path(self, *numbers: int) -> list[HopSpec]:
        records = list(self.records.values())
        return [
            HopSpec(record.node_id, record.onion_key, record.endpoints)
            for record in (records[number] for number in numbers)
        ]

    def build(self, client: ClientUnderTest, *numbers: int) -> int:
        key = client.machine.open_circuit(self.path(*numbers), self.net.now)
        self.run(1.0)
        assert client.told(key, CircuitBuilt)
        return key

    def ask(
        self, client: ClientUnderTest, key: int, command: RelayCommand, data: bytes
    ) -> None:
        origin = client.machine.circuit(key)
        assert origin is not None
        origin.request(command, data, self.net.now)
        client.machine.touch(key)
        self.run(0.5)
        assert client.told(key, RequestAnswered)

    def joined(self) -> tuple[ClientUnderTest, int, ClientUnderTest, int]:
        """Two clients whose circuits meet at the last relay."""
        alice, bob = self.client(), self.client()
        waiting, calling = self.build(bob, 0, 2), self.build(alice, 1, 2)
        self.ask(bob, waiting, RelayCommand.ESTABLISH, b"c" * 20)
        self.ask(alice, calling, RelayCommand.JOIN, b"c" * 20)
        return alice, calling, bob, waiting

    def run(self, seconds: float) -> None:
        self.net.run_for(Seconds(seconds))


FORWARD = LayerKeys(b"f" * 32, 7, b"forward")
BACKWARD = LayerKeys(b"b" * 32, 9, b"backward")


def sessions(now: Monotonic) -> tuple[Session, Session]:
    return (
        Session(SessionKeys(FORWARD, BACKWARD, bytes(32)), now),
        Session(SessionKeys(BACKWARD, FORWARD, bytes(32)), now),
    )


def in_session(rig: Rig) -> tuple[ClientUnderTest, int, ClientUnderTest, int]:
    alice, calling, bob, waiting = rig.joined()
    ends = sessions(rig.net.now)
    keys = []
    for client, circuit, end in zip(
        (alice, bob), (calling, waiting), ends, strict=True
    ):
        key = client.machine.add_session(end)
        client.machine.add_leg(key, 0, circuit, rig.net.now)
        keys.append(key)
    rig.run(0.5)
    return alice, keys[0], bob, keys[1]


def test_a_circuit_is_built_and_told_hop_by_hop():
    rig = Rig()
    client = rig.client()

    key = rig.build(client, 0, 1, 2)

    assert [event.hop for event in client.told(key, HopAdded)] == [1, 2, 3]
    assert client.machine.circuit(key) is not None


def test_two_circuits_share_the_link_to_their_first_relay():
    rig = Rig()
    client = rig.client()

    first, second = rig.build(client, 0, 1), rig.build(client, 0, 2)

    assert first != second
    assert len(client.all_of(LinkChanged)) == 1


def test_a_closed_circuit_is_told_once_and_forgotten():
    rig = Rig()
    client = rig.client()
    key = rig.build(client, 0, 1)

    client.machine.close_circuit(key, Reason.REQUESTED, rig.net.now)
    client.machine.close_circuit(key, Reason.REQUESTED, rig.net.now)
    rig.run(0.5)
    client.machine.touch(key)
    client.machine.send_blocks(key, [bytes(1106)], rig.net.now)
    rig.run(0.5)

    assert len(client.told(key, CircuitClosed)) == 1
    assert client.machine.circuit(key) is None


def test_no_more_circuits_than_allowed_are_open():
    rig = Rig()
    client = rig.client(EndpointConfig(max_circuits=2))
    first = rig.build(client, 0)
    rig.build(client, 1)

    with pytest.raises(LocalProtocolError, match="2 circuits are open"):
        client.machine.open_circuit(rig.path(2), rig.net.now)
    client.machine.close_circuit(first, Reason.REQUESTED, rig.net.now)

    assert rig.build(client, 2)


def test_a_build_to_a_dead_relay_fails_and_frees_its_place():
    rig = Rig()
    client = rig.client(EndpointConfig(max_circuits=1))
    rig.net.kill(rig.addresses[1])

    key = client.machine.open_circuit(rig.path(0, 1), rig.net.now)
    rig.run(30.0)

    (closed,) = client.told(key, CircuitClosed)
    assert closed.hop == 2
    assert rig.build(client, 0, 2)


def test_when_a_link_dies_every_circuit_over_it_is_closed():
    rig = Rig()
    client = rig.client()
    over = [rig.build(client, 0, 1), rig.build(client, 0, 2)]
    besides = rig.build(client, 1, 2)

    rig.net.kill(rig.addresses[0])
    rig.run(120.0)  # a handshake is given up after 90 s

    closed = [e for e in client.all_of(LinkChanged) if isinstance(e.event, LinkClosed)]
    assert len(closed) == 1
    for key in over:
        (event,) = client.told(key, CircuitClosed)
        assert event.reason in {Reason.LINK_CLOSED, Reason.TIMEOUT}
    assert client.machine.circuit(besides) is not None


def test_handshake_blocks_are_told_with_the_circuit_they_came_over():
    rig = Rig()
    alice, calling, bob, waiting = rig.joined()
    (block,) = handshake_blocks(3, b"message three")

    alice.machine.send_blocks(calling, [block], rig.net.now)
    rig.run(0.5)

    assert bob.all_of(HandshakeBlock) == [HandshakeBlock(waiting, block)]


def test_sessions_talk_over_joined_circuits_at_ten_percent_loss():
    rig = Rig(Weather(latency=Seconds(0.01)))
    alice, alices, bob, bobs = in_session(rig)
    rig.net.sky.weather = Weather(latency=Seconds(0.01), loss=0.1)
    session = alice.machine.session(alices)
    assert session is not None

    for number in range(20):
        session.send_message(b"%d" % number)
        session.send_datagram(b"datagram")
        alice.machine.touch_session(alices)
        rig.run(0.1)
    rig.run(3.0)

    messages = [event.message for event in bob.told(bobs, MessageReceived)]
    assert messages == [b"%d" % number for number in range(20)]
    assert len(bob.told(bobs, DatagramsReceived)) > 5


def test_a_late_handshake_block_is_told_apart_from_the_sessions_blocks():
    rig = Rig()
    alice, _, bob, bobs = in_session(rig)
    (late,) = handshake_blocks(3, b"again")

    alice.machine.send_blocks(1, [late], rig.net.now)
    rig.run(0.5)

    assert [event.block for event in bob.all_of(HandshakeBlock)] == [late]
    session = bob.machine.session(bobs)
    assert session is not None
    assert session.stats.malformed == 0


def test_a_removed_session_takes_its_circuits_along_and_tells_the_peer():
    rig = Rig()
    alice, alices, bob, bobs = in_session(rig)
    session = alice.machine.session(alices)
    assert session is not None

    session.close()
    alice.machine.remove_session(alices, rig.net.now)
    alice.machine.remove_session(alices, rig.net.now)
    rig.run(1.0)

    assert alice.machine.session(alices) is None
    assert [event.reason for event in bob.told(bobs, SessionClosed)] == [
        Reason.REQUESTED
    ]
    assert len(alice.told(1, CircuitClosed)) == 1


def test_a_session_loses_the_leg_whose_circuit_ends():
    rig = Rig()
    alice, alices, bob, bobs = in_session(rig)

    alice.machine.close_circuit(1, Reason.REQUESTED, rig.net.now)
    rig.run(2.0)

    for client, key in ((alice, alices), (bob, bobs)):
        session = client.machine.session(key)
        assert session is not None
        assert list(session.legs) == []
    assert alice.told(alices, LegLost) == []


def test_a_leg_of_an_unknown_session_or_circuit_is_ignored():
    rig = Rig()
    client = rig.client()
    circuit = rig.build(client, 0)
    session = client.machine.add_session(sessions(rig.net.now)[0])

    client.machine.add_leg(99, 0, circuit, rig.net.now)
    client.machine.add_leg(session, 0, 99, rig.net.now)

    kept = client.machine.session(session)
    assert kept is not None
    assert len(kept.legs) == 0


def test_stray_trains_and_cells_of_closed_circuits_are_dropped():
    rig = Rig()
    client = rig.client()
    stray = memoryview(bytes(1232))

    client.machine.receive(stray, 1232, ("10.66.0.1", 1), rig.net.now)
    rig.run(1.0)

    assert client.events == []
