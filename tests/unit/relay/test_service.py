"""The asyncio owner: handlers, both ports, mesh, stop. Whole services, virtual time."""

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from psp.circuit.events import RequestAnswered, RequestFailed
from psp.circuit.origin import HopSpec
from psp.directory.registry import Registry
from psp.ids import NodeId
from psp.runtime.driver import Driver
from psp.runtime.ports import CircuitPort, LinkPort, RefusedError
from psp.testing.origins import OriginClient
from psp.testing.simloop import run_simulation
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint
from psp.wire.relay_message import RelayCommand
from relay.config import RelayConfig
from relay.service import RelayService

if TYPE_CHECKING:
    from psp.netdoc.node_record import NodeRecord

DHT = 1
ADDRESSES = [("10.0.0.1", 9000), ("10.0.1.1", 9000), ("10.0.2.1", 9000)]
LOOKUP = bytes(21)


class FakeRegistry:
    """As much of a registry as the mesh needs."""

    def __init__(self, nodes):
        self._nodes = nodes
        self.sequence = 1

    def nodes(self):
        return self._nodes

    def random_value(self, period):
        return None


class World:
    """Three relay services and a client on one simulated network."""

    def __init__(self, hub, make_relay, network, config=None, *, registry=False):
        self.records: dict[NodeId, NodeRecord] = {}
        self.services: list[RelayService] = []
        self.hub = hub
        for number, address in enumerate(ADDRESSES):
            machine, _, _ = make_relay(
                f"service/{number}",
                Endpoint(*address),
                self.records,
                config or RelayConfig(neighbours=0),
                hub.unix_time,
            )
            known = cast(Registry, FakeRegistry(self.records)) if registry else None
            service = RelayService(
                machine, hub.socket(address), registry=known, unix_time=hub.unix_time
            )
            self.services.append(service)
        self.client = OriginClient(network, "service")
        self.driver: Driver[None] = Driver(
            self.client, hub.socket(("10.9.9.9", 5000)), lambda event: None
        )
        for service in self.services:
            service.start()

    @property
    def now(self):
        return self.driver.now()

    def node_id(self, number):
        return list(self.records)[number]

    async def build(self, *numbers):
        records = list(self.records.values())
        path = [
            HopSpec(r.node_id, r.onion_key, r.endpoints)
            for r in (records[number] for number in numbers)
        ]
        circuit = self.client.open(path, self.now)
        self.driver.flush()
        while not circuit.origin.is_open:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.05)
        return circuit

    async def ask(self, circuit, command, data):
        stream = circuit.origin.request(command, data, self.now)
        self.driver.flush()
        while circuit.outcome(stream) is None:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.05)
        return circuit.outcome(stream)

    async def stop(self):
        self.driver.close()
        for service in self.services:
            await service.stop()


@pytest.fixture
def simulate(make_relay, network):
    def run(main, **settings):
        async def whole(hub):
            world = World(hub, make_relay, network, **settings)
            try:
                return await main(world)
            finally:
                await world.stop()

        return run_simulation(whole)

    return run


def test_ports_are_what_other_services_expect(simulate):
    async def main(world):
        circuits: CircuitPort = world.services[0].circuits
        links: LinkPort = world.services[0].links
        return circuits, links

    assert all(simulate(main))


def test_handler_answers_a_request_over_a_circuit(simulate):
    async def main(world):
        seen = []

        async def lookup(peer, data):
            await asyncio.sleep(0.1)
            seen.append((peer.handshake_hash, data))
            return b"\1found"

        world.services[2].circuits.serve(RelayCommand.LOOKUP, lookup)
        circuit = await world.build(0, 1, 2)
        answer = await world.ask(circuit, RelayCommand.LOOKUP, LOOKUP)
        assert seen == [(circuit.origin.handshake_hash(3), LOOKUP)]
        return answer

    answer = simulate(main)

    assert isinstance(answer, RequestAnswered)
    assert answer.data == b"\1found"


def test_handler_may_refuse_and_unserved_commands_are_refused(simulate):
    async def main(world):
        async def lookup(peer, data):
            raise RefusedError(Reason.RESOURCE_LIMIT)

        world.services[0].circuits.serve(RelayCommand.LOOKUP, lookup)
        circuit = await world.build(0)
        return [
            await world.ask(circuit, RelayCommand.LOOKUP, LOOKUP),
            await world.ask(circuit, RelayCommand.PUBLISH, bytes(450)),
        ]

    refused, unserved = simulate(main)

    assert isinstance(refused, RequestFailed)
    assert refused.reason is Reason.RESOURCE_LIMIT
    assert isinstance(unserved, RequestFailed)
    assert unserved.reason is Reason.REFUSED


def test_handler_that_fails_is_refused_and_the_relay_goes_on(simulate):
    async def main(world):
        async def broken(peer, data):
            raise ZeroDivisionError

        world.services[0].circuits.serve(RelayCommand.LOOKUP, broken)
        circuit = await world.build(0)
        answer = await world.ask(circuit, RelayCommand.LOOKUP, LOOKUP)
        await world.build(0, 1)
        return answer

    answer = simulate(main)

    assert isinstance(answer, RequestFailed)
    assert answer.reason is Reason.INTERNAL


def test_handlers_above_the_limit_are_refused(simulate):
    async def main(world):
        release = asyncio.Event()

        async def slow(peer, data):
            await release.wait()
            return b"done"

        world.services[0].circuits.serve(RelayCommand.LOOKUP, slow)
        circuit = await world.build(0)
        streams = [
            circuit.origin.request(RelayCommand.LOOKUP, LOOKUP, world.now)
            for _ in range(4)
        ]
        world.driver.flush()
        await asyncio.sleep(0.2)
        release.set()
        await asyncio.sleep(0.5)
        return [circuit.outcome(stream) for stream in streams]

    outcomes = simulate(main, config=RelayConfig(neighbours=0, max_requests=2))

    assert [type(outcome) for outcome in outcomes] == [
        RequestAnswered,
        RequestAnswered,
        RequestFailed,
        RequestFailed,
    ]


def test_origin_is_asked_through_the_port(simulate):
    async def main(world):
        keys = []

        async def register(peer, data):
            keys.append(peer.key)
            return bytes(113)

        port = world.services[0].circuits
        port.serve(RelayCommand.REGISTER, register)
        circuit = await world.build(0)
        await world.ask(circuit, RelayCommand.REGISTER, bytes(100))
        asking = asyncio.ensure_future(
            port.ask(keys[0], RelayCommand.INTRODUCTION, bytes(1520))
        )
        await asyncio.sleep(0.2)
        asked = circuit.events[-1]
        circuit.origin.answer(1, asked.stream_id, b"\0", world.now)
        world.driver.flush()
        answer = await asking
        nobody = await port.ask(12345, RelayCommand.INTRODUCTION, bytes(1520))
        return answer, nobody

    assert simulate(main) == (b"\0", None)


def test_listeners_hear_of_circuits_that_end(simulate):
    async def main(world):
        ended: list[int] = []
        world.services[0].circuits.on_circuit_closed(ended.append)
        circuit = await world.build(0)
        circuit.origin.destroy()
        world.driver.flush()
        await asyncio.sleep(0.5)
        return ended

    assert len(simulate(main)) == 1


def test_request_of_a_circuit_that_ends_with_it_reaches_no_handler(simulate):
    """Else a handler would remember a circuit after the news that it has closed."""

    async def main(world):
        told: list[str] = []

        async def hold(peer, data):
            told.append("request")
            return b""

        circuits = world.services[0].circuits
        circuits.serve(RelayCommand.HOLD, hold)
        circuits.on_circuit_closed(lambda key: told.append("closed"))
        circuit = await world.build(0)
        # In one train: the second one breaks the protocol, which ends the circuit.
        circuit.origin.request(RelayCommand.HOLD, bytes(22), world.now)
        exchange = circuit.origin._hops.exchanges[0]
        exchange.request(RelayCommand.TRUNCATE, b"data", world.now)
        world.driver.flush()
        await asyncio.sleep(0.5)
        return told

    assert simulate(main) == ["closed"]


def test_relays_ask_each_other_through_the_port(simulate):
    async def main(world):
        asker = world.node_id(0)

        async def echo(node_id, data):
            assert node_id == asker
            return None if data == b"silence" else data[::-1]

        world.services[1].links.serve(DHT, echo)
        port = world.services[0].links
        peer = world.node_id(1)
        return [
            await port.request(peer, DHT, b"abc", Seconds(2.0)),
            await port.request(peer, DHT, b"silence", Seconds(1.0)),
            await port.request(peer, 2, b"nobody serves this", Seconds(1.0)),
            await port.request(NodeId(bytes(32)), DHT, b"x", Seconds(1.0)),
        ]

    assert simulate(main) == [b"cba", None, None, None]


def test_failing_link_handler_sends_no_answer_and_blocks_nothing(simulate):
    async def main(world):
        async def broken(node_id, data):
            raise ZeroDivisionError

        world.services[1].links.serve(DHT, broken)
        port = world.services[0].links
        peer = world.node_id(1)
        answers = [await port.request(peer, DHT, b"x", Seconds(1.0)) for _ in range(3)]
        return answers, world.services[1].machine.status()["requests_open"]

    assert simulate(main) == ([None] * 3, 0)


def test_registry_draws_the_mesh(simulate):
    async def main(world):
        await asyncio.sleep(60.0)
        return [len(s.machine.links.links(world.now)) for s in world.services]

    assert simulate(main, config=RelayConfig(), registry=True) == [2, 2, 2]


def test_stop_ends_questions_handlers_and_circuits(simulate):
    async def main(world):
        cancelled = []

        async def slow(peer, data):
            try:
                await asyncio.sleep(1000.0)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        service = world.services[0]
        service.circuits.serve(RelayCommand.LOOKUP, slow)
        circuit = await world.build(0)
        circuit.origin.request(RelayCommand.LOOKUP, LOOKUP, world.now)
        world.driver.flush()
        asking = asyncio.ensure_future(
            service.links.request(world.node_id(1), DHT, b"x", Seconds(20.0))
        )
        await asyncio.sleep(0.2)
        status = service.status()
        await service.stop()
        await service.stop()
        await asyncio.sleep(0.5)
        return cancelled, await asking, status["handlers"], circuit.closed is not None

    assert simulate(main) == ([True], None, 1, True)
