"""Real relay processes for benchmarks: started, told who is who, measured.

Each child binds a port, says who it is, learns of all nodes, and then runs a
`relay.service.RelayService` until it is told to stop.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import cast

from cli.bench.child import (
    Child,
    answer_until_closed,
    cpu_seconds,
    resident_bytes,
    run_child,
)
from cli.bench.place import LOOPBACK, Place
from psp.circuit.origin import HopSpec
from psp.crypto.keys import SigningKey, link_public
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.ids import NodeId
from psp.link.config import LinkConfig
from psp.link.machine import LinkMachine
from psp.runtime.entropy import SystemEntropy
from psp.runtime.udp import UdpSocket
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network
from relay.config import RelayConfig
from relay.machine import RelayMachine
from relay.service import RelayService

NETWORK = Network(31337, bytes(20))
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Node:
    """One relay of the benchmark's network, as its registry lists it.

    Attributes:
        node_id: Its identity.
        onion_key: For circuit handshakes, 32 bytes.
        port: Where it listens.
        host: See ``port``.
    """

    node_id: NodeId
    onion_key: bytes
    port: int
    host: str = HOST

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where it listens."""
        return (Endpoint(self.host, self.port),)

    @property
    def spec(self) -> HopSpec:
        """As a hop of a path."""
        return HopSpec(self.node_id, self.onion_key, self.endpoints)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a relay process used so far.

    Attributes:
        cpu: Seconds, user and system.
        resident: Bytes of memory.
        counters: From its machine and its socket.
    """

    cpu: float
    resident: int
    counters: dict[str, int]


def bench_relay(
    udp: UdpSocket, nodes: dict[NodeId, Node], config: RelayConfig
) -> tuple[RelayMachine, Node]:
    """Return a new relay for ``udp``, and its entry; ``nodes`` may grow later."""
    entropy = SystemEntropy()
    identity = SigningKey.generate(entropy)
    onion_private = x25519_generate(entropy)
    node_id = NodeId(identity.public)
    statics: dict[bytes, NodeId] = {}

    def peer_of_static(static: bytes) -> NodeId | None:
        if len(statics) != len(nodes):
            statics.update({link_public(known): known for known in nodes})
        return statics.get(static)

    host, port = udp.local_address
    links = LinkMachine(
        LinkConfig(),
        network=NETWORK,
        entropy=entropy,
        identity=identity,
        own_port=port,
        peer_of_static=peer_of_static,
        unix_time=time.time,
    )
    machine = RelayMachine(
        links,
        node_id=node_id,
        onion_privates=[onion_private],
        node=nodes.get,
        entropy=entropy,
        config=config,
    )
    return machine, Node(node_id, x25519_public(onion_private), port, host)


class RelayProcess(Child):
    """One child; use as a context manager.

    Attributes:
        node: What the registry says of it.
    """

    def __init__(
        self,
        config: RelayConfig,
        *,
        batched: bool = True,
        place: Place = LOOPBACK,
        name: str = "a relay",
    ) -> None:
        """Start it; ``batched`` is whether it may use GSO and GRO."""
        super().__init__(_run, config, batched, place, name=name)
        self.node = cast("Node", self.receive())

    def introduce(self, nodes: Sequence[Node]) -> None:
        """Tell it who is registered; it begins to serve."""
        self.ask(list(nodes))

    def usage(self) -> Usage:
        """Ask what it used."""
        return cast("Usage", self.ask("usage"))


def _run(
    pipe: Connection,
    config: RelayConfig,
    batched: bool,  # noqa: FBT001
    place: Place,
) -> None:
    """Be a relay until the pipe closes."""
    run_child(
        pipe,
        lambda: serve(
            pipe, config, UdpSocket((place.host, 0), gso=batched, gro=batched)
        ),
        place,
    )


async def serve(pipe: Connection, config: RelayConfig, udp: UdpSocket) -> None:
    """Be a relay on a socket, and close it, as a child does."""
    nodes: dict[NodeId, Node] = {}
    machine, own = bench_relay(udp, nodes, config)
    pipe.send(own)
    nodes.update({node.node_id: node for node in pipe.recv()})
    service = RelayService(machine, udp, unix_time=time.time)
    service.start()
    pipe.send("ready")
    await answer_until_closed(pipe, lambda: _measure(machine, udp))
    await service.stop()
    udp.close()


def _measure(machine: RelayMachine, udp: UdpSocket) -> Usage:
    counters = machine.status() | {
        "dropped_at_socket": udp.stats.kernel_drops + udp.stats.dropped_full,
        "bad_tag": machine.stats.hops.bad_tag,
        "replayed": machine.stats.hops.replayed,
    }
    return Usage(cpu_seconds(), resident_bytes(), counters)
