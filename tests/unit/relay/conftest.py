"""Real relays, real links and real origins on a simulated network."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from psp.circuit.origin import HopSpec
from psp.crypto.keys import SigningKey, link_public
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.ids import NodeId
from psp.link.config import LinkConfig
from psp.link.machine import LinkMachine
from psp.netdoc.node_record import NodeRecord
from psp.testing.entropy import SeededEntropy
from psp.testing.machine_network import SimNetwork
from psp.testing.origins import UNIX_TIME, OriginClient, RecordedCircuit
from psp.testing.weather import Weather
from psp.units import Monotonic, Seconds
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network
from psp.wire.relay_message import RelayCommand
from relay.config import RelayConfig
from relay.events import RelayEvent
from relay.machine import RelayMachine

NETWORK = Network(31337, bytes(20))


@dataclass
class RigRelay:
    """One relay: its machine, its record, and the events nobody else took."""

    machine: RelayMachine
    record: NodeRecord
    onion_private: bytes = field(repr=False)
    events: list[RelayEvent] = field(default_factory=list)

    @property
    def spec(self) -> HopSpec:
        return HopSpec(
            self.record.node_id, self.record.onion_key, self.record.endpoints
        )

    def told(self, kind: type) -> list[RelayEvent]:
        return [event for event in self.events if isinstance(event, kind)]


def new_relay(
    seed: str,
    endpoint: Endpoint,
    nodes: dict[NodeId, NodeRecord],
    config: RelayConfig,
    unix_time: Callable[[], float],
) -> tuple[RelayMachine, NodeRecord, bytes]:
    """Make a relay and register it in ``nodes``; or one more worker of one."""
    entropy = SeededEntropy(f"relay {seed}")
    identity = SigningKey.generate(entropy)
    node_id = NodeId(identity.public)
    onion_private = x25519_generate(entropy)
    known = nodes.get(node_id)
    endpoints = () if known is None else known.endpoints
    record = NodeRecord(
        node_id, x25519_public(onion_private), (*endpoints, endpoint), bytes(20)
    )
    nodes[node_id] = record
    entropy = entropy.child(f"worker {len(endpoints)}") if endpoints else entropy

    def peer_of_static(static: bytes) -> NodeId | None:
        return {link_public(known): known for known in nodes}.get(static)

    links = LinkMachine(
        LinkConfig(handshake_burst=1000, handshakes_per_second=1000.0),
        network=NETWORK,
        entropy=entropy.child("links"),
        identity=identity,
        own_port=endpoint.port,
        peer_of_static=peer_of_static,
        unix_time=unix_time,
    )
    machine = RelayMachine(
        links,
        node_id=node_id,
        onion_privates=[onion_private],
        node=nodes.get,
        entropy=entropy.child("relay"),
        config=config,
    )
    return machine, record, onion_private


class RelayRig:
    """Some relays, some clients, and a clock."""

    def __init__(
        self,
        count: int,
        *,
        config: RelayConfig | None = None,
        weather: Weather | None = None,
        seed: int = 0,
    ) -> None:
        self.net = SimNetwork(weather or Weather(latency=Seconds(0.01)), seed)
        self.nodes: dict[NodeId, NodeRecord] = {}
        self.seed = seed
        self.relays = [self._relay(number, config) for number in range(count)]
        self.clients: list[OriginClient] = []

    @property
    def now(self) -> Monotonic:
        return self.net.now

    def _relay(self, number: int, config: RelayConfig | None) -> RigRelay:
        machine, record, onion_private = new_relay(
            f"{self.seed}/{number}",
            Endpoint(f"10.0.{number}.1", 9000),
            self.nodes,
            config or RelayConfig(neighbours=0),
            lambda: UNIX_TIME + self.now,
        )
        relay = RigRelay(machine, record, onion_private)
        self.net.add(record.endpoints[0].address, machine, relay.events.append)
        return relay

    def add_worker(self, number: int, config: RelayConfig | None = None) -> RigRelay:
        """Start one more worker of a relay; its record names the endpoint then."""
        relay = self.relays[number]
        last = relay.record.endpoints[-1]
        machine, record, onion_private = new_relay(
            f"{self.seed}/{number}",
            Endpoint(last.host, last.port + 1),
            self.nodes,
            config or RelayConfig(neighbours=0),
            lambda: UNIX_TIME + self.now,
        )
        relay.record = record
        worker = RigRelay(machine, record, onion_private)
        self.net.add(record.endpoints[-1].address, machine, worker.events.append)
        return worker

    def client(self) -> OriginClient:
        number = len(self.clients)
        client = OriginClient(NETWORK, f"{self.seed}/{number}")
        self.clients.append(client)
        self.net.add((f"10.99.{number}.1", 40_000), client)
        return client

    def path(self, *numbers: int) -> list[HopSpec]:
        return [self.relays[number].spec for number in numbers]

    def build(
        self, *numbers: int, client: OriginClient | None = None
    ) -> tuple[OriginClient, RecordedCircuit]:
        client = client or self.client()
        circuit = client.open(self.path(*numbers), self.now)
        assert self.run_until(lambda: circuit.origin.is_open or circuit.closed)
        assert circuit.origin.is_open, circuit.events
        return client, circuit

    def ask(
        self, circuit: RecordedCircuit, command: RelayCommand, data: bytes
    ) -> object:
        stream_id = circuit.origin.request(command, data, self.now)
        self.run_until(lambda: circuit.outcome(stream_id) is not None)
        return circuit.outcome(stream_id)

    def join(
        self, host: RecordedCircuit, guest: RecordedCircuit, cookie: bytes
    ) -> None:
        self.ask(host, RelayCommand.ESTABLISH, cookie)
        self.ask(guest, RelayCommand.JOIN, cookie)
        self.run(0.1)

    def run(self, seconds: float) -> None:
        self.net.run_for(Seconds(seconds))

    def run_until(self, is_true: Callable[[], object], within: float = 20.0) -> bool:
        return self.net.run_while(lambda: not is_true(), Monotonic(self.now + within))

    def audit(self) -> None:
        for relay in self.relays:
            assert relay.machine.audit()


@pytest.fixture(scope="session")
def make_rig() -> type[RelayRig]:
    return RelayRig


@pytest.fixture(scope="session")
def make_relay() -> Callable[..., tuple[RelayMachine, NodeRecord, bytes]]:
    return new_relay


@pytest.fixture(scope="session")
def network() -> Network:
    return NETWORK
