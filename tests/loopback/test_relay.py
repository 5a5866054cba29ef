"""Real services on real sockets, through the kernel."""

import asyncio
import time

import pytest

from psp.circuit.origin import HopSpec
from psp.crypto.keys import SigningKey, link_public
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.ids import NodeId
from psp.link.config import LinkConfig
from psp.link.machine import LinkMachine
from psp.runtime.driver import Driver
from psp.runtime.entropy import SystemEntropy
from psp.runtime.udp import UdpSocket
from psp.testing.origins import OriginClient, RecordedCircuit
from psp.units import Seconds
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network
from psp.wire.onion import BLOCK_SIZE
from psp.wire.relay_message import RelayCommand
from relay.config import RelayConfig
from relay.extending import KnownNode
from relay.machine import RelayMachine
from relay.service import RelayService

NETWORK = Network(31337, bytes(20))
HOST = "127.0.0.1"


class Known:
    """A registry entry."""

    def __init__(self, node_id: NodeId, onion_key: bytes, port: int) -> None:
        self.endpoints = (Endpoint(HOST, port),)
        self.spec = HopSpec(node_id, onion_key, self.endpoints)


class Loopback:
    """Relay services and clients on 127.0.0.1."""

    def __init__(self, relays: int, *, batched: bool) -> None:
        self.batched = batched
        self.nodes: dict[NodeId, Known] = {}
        self.sockets: list[UdpSocket] = []
        self.drivers: list[Driver[None]] = []
        self.services = [self._relay() for _ in range(relays)]
        for service in self.services:
            service.start()

    def _socket(self) -> UdpSocket:
        udp = UdpSocket((HOST, 0), gso=self.batched, gro=self.batched)
        self.sockets.append(udp)
        return udp

    def _relay(self) -> RelayService:
        entropy = SystemEntropy()
        udp = self._socket()
        identity = SigningKey.generate(entropy)
        node_id = NodeId(identity.public)
        onion_private = x25519_generate(entropy)
        port = udp.local_address[1]
        self.nodes[node_id] = Known(node_id, x25519_public(onion_private), port)

        def peer_of_static(static: bytes) -> NodeId | None:
            return {link_public(known): known for known in self.nodes}.get(static)

        def node(node_id: NodeId) -> KnownNode | None:
            return self.nodes.get(node_id)

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
            node=node,
            entropy=entropy,
            config=RelayConfig(neighbours=0),
        )
        return RelayService(machine, udp, unix_time=time.time)

    def client(self, name: str) -> tuple[OriginClient, Driver[None]]:
        client = OriginClient(NETWORK, name)
        driver: Driver[None] = Driver(client, self._socket(), lambda _: None)
        self.drivers.append(driver)
        return client, driver

    async def build(
        self, client: OriginClient, driver: Driver[None], *numbers: int
    ) -> RecordedCircuit:
        known = list(self.nodes.values())
        circuit = client.open([known[n].spec for n in numbers], driver.now())
        driver.flush()
        await until(lambda: circuit.origin.is_open or circuit.closed)
        assert circuit.origin.is_open, circuit.events
        return circuit

    async def close(self) -> None:
        for driver in self.drivers:
            driver.close()
        for service in self.services:
            await service.stop()
        for udp in self.sockets:
            udp.close()


async def until(is_true, within: float = 15.0) -> None:
    """Let the loop run until something is true."""
    async with asyncio.timeout(within):
        while not is_true():  # noqa: ASYNC110 - nothing here has an event to wait for
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("batched", [True, False])
async def test_call_crosses_six_real_hops_both_ways(batched):
    world = Loopback(4, batched=batched)
    try:
        alice, alice_driver = world.client("alice")
        bob, bob_driver = world.client("bob")
        caller = await world.build(alice, alice_driver, 0, 1, 3)
        callee = await world.build(bob, bob_driver, 2, 1, 3)
        for circuit, driver, command in (
            (caller, alice_driver, RelayCommand.ESTABLISH),
            (callee, bob_driver, RelayCommand.JOIN),
        ):
            stream = circuit.origin.request(command, b"c" * 20, driver.now())
            driver.flush()
            await until(lambda c=circuit, s=stream: c.outcome(s))

        sent = [number.to_bytes(4).ljust(BLOCK_SIZE, b"x") for number in range(500)]
        for start in range(0, 500, 50):
            alice.send_blocks(caller, sent[start : start + 50], alice_driver.now())
            bob.send_blocks(callee, sent[start : start + 50], bob_driver.now())
            alice_driver.flush()
            bob_driver.flush()
            due = start + 50
            await until(lambda due=due: len(callee.blocks) == due == len(caller.blocks))

        assert sorted(callee.blocks) == sorted(sent) == sorted(caller.blocks)
        assert all(service.machine.audit() for service in world.services)
        assert world.services[3].machine.stats.cells_spliced == 1000
    finally:
        await world.close()


async def test_relays_ask_each_other_over_real_sockets():
    world = Loopback(2, batched=True)
    try:

        async def echo(node_id: NodeId, data: bytes) -> bytes:
            assert node_id in world.nodes
            return data[::-1]

        world.services[1].links.serve(1, echo)
        peer = list(world.nodes)[1]
        answers = await asyncio.gather(
            *(
                world.services[0].links.request(peer, 1, b"%d" % n, Seconds(5.0))
                for n in range(10, 60)
            )
        )

        assert answers == [(b"%d" % n)[::-1] for n in range(10, 60)]
    finally:
        await world.close()
