"""Watching between relays in memory: who is told what, and who is not."""

import asyncio
from dataclasses import dataclass, field

import pytest

from presence.config import WatchConfig
from presence.watch.service import WatchService
from psp.ids import NodeId
from psp.netdoc.watch_handle import open_change
from psp.runtime.ports import RefusedError
from psp.testing.memory_ports import MemoryCircuit, MemoryCircuits, MemoryLinks
from psp.testing.simloop import run_simulation
from psp.units import Seconds
from psp.wire.relay_message import RelayCommand
from psp.wire.watch import (
    SERVICE_NUMBER,
    Change,
    ChangeMessage,
    Held,
    HoldRequest,
    Passed,
    Watched,
    WatchRequest,
    WatchStatus,
)

TAG, OTHER_TAG = b"t" * 16, b"u" * 16
KEY = b"k" * 32


@dataclass
class Relay:
    node_id: NodeId
    circuits: MemoryCircuits
    service: WatchService
    tags: dict[bytes, WatchStatus]
    owners: dict[bytes, int]


@dataclass
class Bob:
    """A watcher's circuit to its watch point, and what came over it."""

    circuit: MemoryCircuit
    heard: list[ChangeMessage] = field(default_factory=list)


class World:
    def __init__(self, relays: int = 3, config: WatchConfig | None = None) -> None:
        self.links = MemoryLinks()
        self.links.latency = lambda: 0.01
        names = [NodeId(bytes([number]) * 32) for number in range(1, relays + 1)]
        self.relays = [
            self._relay(name, names, config or WatchConfig()) for name in names
        ]

    def _relay(self, name, names, config) -> Relay:
        circuits = MemoryCircuits()
        tags: dict[bytes, WatchStatus] = {TAG: WatchStatus.HERE}
        owners: dict[bytes, int] = {}
        service = WatchService(
            config,
            node_id=name,
            is_relay=lambda node: node in names,
            tag_status=lambda tag: tags.get(tag, WatchStatus.NO_SUCH_TAG),
            served=lambda: owners,
            circuits=circuits,
            links=self.links.port(name),
        )
        service.start()
        return Relay(name, circuits, service, tags, owners)

    async def close(self) -> None:
        for relay in self.relays:
            await relay.service.close()


async def hold(relay: Relay, *cookies: int) -> Bob:
    bob = Bob(relay.circuits.open(lambda command, data: _take(bob, command, data)))
    await hold_more(bob, *cookies)
    return bob


async def hold_more(bob: Bob, *cookies: int) -> int:
    request = HoldRequest(tuple(number.to_bytes(20) for number in cookies))
    return Held.decode(
        await bob.circuit.request(RelayCommand.HOLD, request.encode())
    ).held


async def _take(bob: Bob, command: RelayCommand, data: bytes) -> bytes:
    assert command is RelayCommand.CHANGED
    bob.heard.append(ChangeMessage.decode(data))
    return b""


async def watch(point: Relay, watch_point: NodeId, cookie: int, tag=TAG) -> Watched:
    request = WatchRequest(
        tag, Seconds(3_600), watch_point, cookie.to_bytes(20), KEY
    ).encode()
    circuit = point.circuits.open()
    return Watched.decode(await circuit.request(RelayCommand.WATCH, request))


def in_simulation(main, **settings):
    async def run(_hub):
        world = World(**settings)
        await main(world)
        await world.close()

    run_simulation(run)


def test_a_watcher_is_told_once_by_somebody_who_does_not_know_it():
    async def main(world):
        point, between, _ = world.relays
        bob = await hold(between, 1, 2)
        assert await watch(point, between.node_id, 1) == Watched(WatchStatus.HERE)

        point.service.changed(TAG, Change.STATUS, 9)
        point.service.changed(TAG, Change.GONE, 9)
        await asyncio.sleep(1)

        (message,) = bob.heard
        assert open_change(KEY, message.cookie, message.sealed) == (Change.STATUS, 9)
        assert point.service.stats.messages == {"passed": 1}
        assert (point.service.handles, between.service.cookies) == (0, 1)

    in_simulation(main)


def test_a_presence_point_may_be_the_watch_point_too():
    async def main(world):
        point = world.relays[0]
        bob = await hold(point, 1)
        await watch(point, point.node_id, 1)

        point.service.changed(TAG, Change.GONE, 0)
        await asyncio.sleep(1)

        assert len(bob.heard) == 1
        assert world.links.requests == 0

    in_simulation(main)


@pytest.mark.parametrize("status", [WatchStatus.AWAY, WatchStatus.NO_SUCH_TAG])
def test_the_watcher_hears_how_the_tag_stands(status):
    async def main(world):
        point, between, _ = world.relays
        point.tags[OTHER_TAG] = status

        answer = await watch(point, between.node_id, 1, OTHER_TAG)

        assert answer.status is status
        assert point.service.handles == (status is WatchStatus.AWAY)

    in_simulation(main)


def test_a_watch_point_that_is_no_relay_is_refused():
    async def main(world):
        point = world.relays[0]
        with pytest.raises(RefusedError):
            await watch(point, NodeId(b"x" * 32), 1)
        assert point.service.stats.requests_bad == 1

    in_simulation(main)


@pytest.mark.parametrize("command", [RelayCommand.WATCH, RelayCommand.HOLD])
def test_what_is_no_request_is_refused(command):
    async def main(world):
        circuit = world.relays[0].circuits.open()
        with pytest.raises(RefusedError):
            await circuit.request(command, b"\xff" * 30)

    in_simulation(main)


def test_a_circuit_leaves_no_second_handle():
    async def main(world):
        point, between, _ = world.relays
        circuit = point.circuits.open()
        for cookie in (1, 2):
            request = WatchRequest(
                TAG, Seconds(60), between.node_id, cookie.to_bytes(20), KEY
            ).encode()
            if cookie == 1:
                await circuit.request(RelayCommand.WATCH, request)
            else:
                with pytest.raises(RefusedError):
                    await circuit.request(RelayCommand.WATCH, request)
        assert point.service.handles == 1

    in_simulation(main)


def test_a_replayed_message_and_an_unknown_cookie_reach_nobody():
    async def main(world):
        _, between, stranger = world.relays
        bob = await hold(between, 1)
        message = ChangeMessage((1).to_bytes(20), bytes(32)).encode()
        port = world.links.port(stranger.node_id)

        async def send(data: bytes) -> Passed:
            answer = await port.request(
                between.node_id, SERVICE_NUMBER, data, Seconds(1)
            )
            return Passed.decode(answer)

        answers = [await send(message) for _ in range(3)]
        answers.append(await send(ChangeMessage(b"?" * 20, bytes(32)).encode()))
        await asyncio.sleep(1)

        assert answers == [Passed.PASSED] + [Passed.UNKNOWN] * 3
        assert len(bob.heard) == 1

    in_simulation(main)


def test_a_flood_of_messages_is_not_answered_beyond_its_rate():
    async def main(world):
        _, between, stranger = world.relays
        honest = world.links.port(world.relays[0].node_id)
        await hold(between, 1)
        port = world.links.port(stranger.node_id)
        junk = ChangeMessage(b"?" * 20, bytes(32)).encode()
        sent = [
            port.request(between.node_id, SERVICE_NUMBER, junk, Seconds(1))
            for _ in range(1_000)
        ]
        answers = await asyncio.gather(*sent)

        served = sum(answer is not None for answer in answers)
        assert served == WatchConfig().change_burst
        message = ChangeMessage((1).to_bytes(20), bytes(32)).encode()
        answer = await honest.request(
            between.node_id, SERVICE_NUMBER, message, Seconds(1)
        )
        assert Passed.decode(answer) is Passed.PASSED

    in_simulation(main)


def test_a_dead_watch_point_keeps_nobody_else_from_being_told():
    async def main(world):
        point, dead, between = world.relays
        bob = await hold(between, 1)
        world.links.dead.add(dead.node_id)
        for cookie in range(2, 102):
            await watch(point, dead.node_id, cookie)
        await watch(point, between.node_id, 1)

        point.service.changed(TAG, Change.GONE, 0)
        await asyncio.sleep(1)

        assert len(bob.heard) == 1
        await asyncio.sleep(30)
        assert point.service.stats.messages == {"passed": 1, "unanswered": 100}

    in_simulation(main)


def test_a_popular_tag_tells_a_thousand_watchers_at_its_pace():
    async def main(world):
        point, between, _ = world.relays
        bobs = [await hold(between, *range(n, n + 50)) for n in range(0, 1_000, 50)]
        for cookie in range(1_000):
            await watch(point, between.node_id, cookie)

        point.service.changed(TAG, Change.GONE, 0)
        await asyncio.sleep(5)
        early = sum(len(bob.heard) for bob in bobs)
        await asyncio.sleep(25)

        assert 400 <= early <= 510
        assert sum(len(bob.heard) for bob in bobs) == 1_000

    in_simulation(main)


def test_who_is_heard_no_more_is_told_and_who_is_heard_again_too():
    async def main(world):
        point, between, _ = world.relays
        bob = await hold(between, 1, 2)
        owner = point.circuits.open()
        point.owners[TAG] = owner.peer.key
        await watch(point, between.node_id, 1)
        for _ in range(10):  # a sign of life every 5 s
            owner.cells.append(None)
            await asyncio.sleep(5)
        assert not bob.heard
        await asyncio.sleep(20)
        assert [open_change(KEY, m.cookie, m.sealed)[0] for m in bob.heard] == [
            Change.SILENT
        ]
        assert (await watch(point, between.node_id, 2)).status is WatchStatus.SILENT

        owner.cells.append(None)
        await asyncio.sleep(5)
        assert [open_change(KEY, m.cookie, m.sealed)[0] for m in bob.heard] == [
            Change.SILENT,
            Change.HEARD,
        ]

    in_simulation(main)


def test_a_point_that_closes_says_so():
    async def main(world):
        point, between, _ = world.relays
        bob = await hold(between, 1)
        await watch(point, between.node_id, 1)

        await point.service.close()
        await asyncio.sleep(1)

        (message,) = bob.heard
        assert open_change(KEY, message.cookie, message.sealed) == (Change.GONE, 0)
        point.service.changed(TAG, Change.STATUS, 9)  # too late, and harmless

    in_simulation(main)


def test_closing_leaves_nothing_running():
    async def main(world):
        point, between, _ = world.relays
        world.links.dead.add(between.node_id)
        for cookie in range(100):
            await watch(point, between.node_id, cookie)
        point.service.changed(TAG, Change.GONE, 0)
        await asyncio.sleep(0.05)

        await point.service.close()

        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert left == {relay.service._listener for relay in world.relays[1:]}

    in_simulation(main)
