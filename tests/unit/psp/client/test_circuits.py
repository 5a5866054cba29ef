"""Building circuits: races, suspects, guards (psp/client/circuits.py)."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import pytest

from psp.bandwidth import NO_BANDWIDTH, Bandwidth
from psp.circuit.events import CircuitBuilt, CircuitClosed, HopAdded
from psp.client.circuit import Circuit, CircuitError, CircuitOwner
from psp.client.circuits import (
    MAX_SUSPECTS,
    BandwidthError,
    BuilderConfig,
    CircuitBuilder,
)
from psp.client.ready_circuits import Kind
from psp.directory.trusted import TrustedFileRegistry
from psp.ids import NodeId
from psp.path.constraints import Constraints
from psp.path.guards import GuardSet
from psp.path.layer2 import Layer2Guards
from psp.path.selection import NoPathError, PathSelector, Purpose
from psp.testing.client_circuits import client_context
from psp.testing.directory import START, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.units import Monotonic, Seconds
from psp.wire.cell import Reason

if TYPE_CHECKING:
    from psp.client.network import ClientNetwork
    from psp.client.ready_circuits import ReadyCircuits

CALL = Bandwidth(480, 3000)
SIGNED = SignedNetwork.build(SeededEntropy("builder"), nodes=14, operators=14)


class Sky:
    """A network in which each relay answers after a while, or never."""

    def __init__(self) -> None:
        self.delay = 0.05
        self.slow: dict[NodeId, float] = {}
        self.dead: set[NodeId] = set()
        self.opened: list[Circuit] = []
        self.closed: list[tuple[Circuit, Reason]] = []
        self.silent_hops: set[NodeId] = set()
        self.full: set[NodeId] = set()
        self.asked: list[list[Bandwidth]] = []

    def now(self) -> Monotonic:
        return Monotonic(asyncio.get_running_loop().time())

    def open(self, path, asked) -> Circuit:
        owner = cast("CircuitOwner", self)
        circuit = Circuit(owner, len(self.opened), path)
        self.opened.append(circuit)
        self.asked.append(list(asked or [NO_BANDWIDTH] * len(path)))
        self._tasks = [*getattr(self, "_tasks", []), self._build(circuit)]
        return circuit

    def extend(self, circuit: Circuit, node, asked=NO_BANDWIDTH) -> None:
        circuit.await_hop(node)
        hop = len(circuit.path)
        if node.node_id in self.dead:
            circuit.receive(CircuitClosed(Reason.TIMEOUT, hop, is_remote=False))
            return
        circuit.receive(HopAdded(hop, asked.wanted_kbit_per_s))
        circuit.receive(CircuitBuilt(Seconds(self.delay)))

    def _build(self, circuit: Circuit) -> asyncio.Task[None]:
        async def build() -> None:
            started = self.now()
            for hop, node in enumerate(circuit.path, 1):
                if node.node_id in self.dead:
                    await asyncio.sleep(1.5)
                    circuit.receive(CircuitClosed(Reason.TIMEOUT, hop, is_remote=False))
                    return
                await asyncio.sleep(self.slow.get(node.node_id, self.delay))
                if not circuit.is_open:
                    return
                asked = self.asked[circuit.key][hop - 1]
                if asked.min_kbit_per_s and node.node_id in self.full:
                    # A guard refuses by DESTROY, which names no hop.
                    at = None if hop == 1 else hop
                    circuit.receive(CircuitClosed(Reason.BANDWIDTH, at, is_remote=True))
                    return
                circuit.receive(HopAdded(hop, asked.wanted_kbit_per_s))
            circuit.receive(CircuitBuilt(Seconds(self.now() - started)))

        return asyncio.create_task(build())

    def close_circuit(self, key: int, reason: Reason) -> None:
        circuit = self.opened[key]
        self.closed.append((circuit, reason))
        if circuit.is_open:
            circuit.receive(CircuitClosed(reason, None, is_remote=False))


class Rig:
    def __init__(self, hub: SimHub, config: BuilderConfig | None = None) -> None:
        registry = TrustedFileRegistry.open(SIGNED.file(), SIGNED.anchor, START)
        self.registry = registry
        context = client_context(hub, registry, "builder")
        self.sky = Sky()
        self.guards = GuardSet()
        self.selector = PathSelector(Constraints(), self.guards, Layer2Guards())
        self.selector.update(registry.nodes(), START, context.entropy)
        network = cast("ClientNetwork", self.sky)
        self.builder = CircuitBuilder(
            context, network, self.selector, config, call_bandwidth=CALL
        )
        self.last = registry.discovery_nodes()[0]

    async def open(self, **options) -> Circuit:
        return await self.builder.open(Purpose.LOOKUP, last=self.last, **options)

    async def open_call(self, purpose=Purpose.RENDEZVOUS_CALLER, **options) -> Circuit:
        return await self.builder.open(purpose, **options)


def simulate(main, config: BuilderConfig | None = None):
    async def run(hub: SimHub):
        return await main(Rig(hub, config))

    return run_simulation(run)


def test_a_good_build_is_one_build_and_counts_for_its_guard():
    async def main(rig: Rig):
        circuit = await rig.open()
        guard = rig.guards.guard(circuit.path[0].node_id)
        return len(rig.sky.opened), circuit.path[-1].node_id == rig.last, guard

    count, ends_there, guard = simulate(main)

    assert (count, ends_there) == (1, True)
    assert guard is not None
    assert (guard.attempts, guard.built) == (1, 1)


def test_a_slow_build_gets_company_through_the_same_guard_and_the_first_wins():
    async def main(rig: Rig):
        probe = await rig.open()
        probe.close()
        guard = probe.path[0].node_id
        for node in rig.registry.nodes():
            if node not in {guard, rig.last}:
                rig.sky.slow[node] = 3.0
        opening = asyncio.create_task(rig.open())
        await asyncio.sleep(1.2)
        running = rig.sky.opened[1:]
        rig.sky.slow.clear()
        circuit = await opening
        return guard, running, circuit, rig.sky.opened

    guard, running, circuit, opened = simulate(main)

    assert len(running) == 3
    assert {other.path[0].node_id for other in running} == {guard}
    assert len({other.path[1].node_id for other in running}) == 3
    assert circuit.is_open
    assert [other for other in opened[1:] if other.is_open] == [circuit]


def test_no_more_builds_than_allowed_are_tried():
    async def main(rig: Rig):
        rig.sky.dead.add(rig.last)
        with pytest.raises(CircuitError, match="hop 3: timeout"):
            await rig.open()
        return rig.sky.opened

    opened = simulate(main, BuilderConfig(attempts=4, within=Seconds(60.0)))

    assert len(opened) == 4
    assert not any(circuit.is_open for circuit in opened)


def test_a_wish_that_takes_too_long_is_given_up_whole():
    async def main(rig: Rig):
        rig.sky.delay = 100.0
        with pytest.raises(CircuitError, match="timeout"):
            await rig.open()
        return rig.sky.now(), [circuit.is_open for circuit in rig.sky.opened]

    at, are_open = simulate(main)

    assert at == 10.0
    assert are_open == [False] * 3


def test_who_stops_waiting_leaves_no_build_behind():
    async def main(rig: Rig):
        rig.sky.delay = 5.0
        opening = asyncio.create_task(rig.open())
        await asyncio.sleep(1.0)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        return [circuit.is_open for circuit in rig.sky.opened]

    assert not any(simulate(main))


def test_a_relay_that_did_not_answer_stays_off_paths_for_a_minute():
    async def main(rig: Rig):
        first = await rig.open()
        suspect = first.path[1].node_id
        rig.builder.suspect(first.path, 2)
        soon = [await rig.open() for _ in range(30)]
        await asyncio.sleep(61.0)
        later = [await rig.open() for _ in range(60)]
        return suspect, soon, later

    suspect, soon, later = simulate(main)

    assert all(circuit.path[1].node_id != suspect for circuit in soon)
    assert any(circuit.path[1].node_id == suspect for circuit in later)


def test_suspects_are_used_when_there_is_nobody_else():
    async def main(rig: Rig):
        everybody = list(rig.registry.nodes().values())
        for hop in range(2, len(everybody) + 1):
            rig.builder.suspect(everybody, hop)
        return await rig.open()

    assert simulate(main).is_open


def test_a_failed_build_blames_the_relay_that_failed():
    async def main(rig: Rig):
        first = await rig.open()
        bad = first.path[1].node_id
        rig.sky.dead.add(bad)
        circuits = [await rig.open() for _ in range(40)]
        return bad, circuits, rig.sky.opened

    bad, circuits, opened = simulate(main, BuilderConfig(race_after=Seconds(5.0)))

    assert all(bad not in {n.node_id for n in circuit.path} for circuit in circuits)
    tried = [c for c in opened if bad in {n.node_id for n in c.path}]
    assert len(tried) <= 2, "the first one, and the one that failed"


def test_a_guard_is_not_held_responsible_while_our_own_network_is_down():
    async def main(rig: Rig):
        first = await rig.open()
        guard = first.path[0].node_id
        await asyncio.sleep(60.0)
        rig.builder.suspect(first.path, 1)
        down = rig.guards.is_reachable(guard, rig.sky.now())
        await rig.open()
        rig.builder.suspect(first.path, 1)
        up = rig.guards.is_reachable(guard, rig.sky.now())
        return down, up

    assert simulate(main) == (True, False)


class Hops:
    """A circuit whose hops answer pings, but for one."""

    build_time = Seconds(0.2)

    def __init__(self, circuit: Circuit, silent: int, *, ends: bool = False) -> None:
        self.path = circuit.path
        self.is_open = True
        self._silent = silent
        self._ends = ends

    async def ping(self, hop: int, within: Seconds) -> Seconds | None:
        await asyncio.sleep(within)
        self.is_open = not self._ends
        return None if hop >= self._silent else Seconds(0.1)


@pytest.mark.parametrize("silent", [2, 3])
def test_of_a_silent_circuit_the_first_silent_hop_is_suspect(silent):
    async def main(rig: Rig):
        circuit = await rig.open()
        await rig.builder.blame_silence(cast("Circuit", Hops(circuit, silent)))
        paths = [await rig.open() for _ in range(30)]
        return circuit.path[1].node_id, paths

    middle, paths = simulate(main)

    is_suspect = all(path.path[1].node_id != middle for path in paths)
    assert is_suspect == (silent == 2)


def test_a_circuit_that_ends_while_it_is_pinged_blames_nobody():
    async def main(rig: Rig):
        circuit = await rig.open()
        guard = circuit.path[0].node_id
        await rig.builder.blame_silence(cast("Circuit", Hops(circuit, 1, ends=True)))
        return rig.guards.is_reachable(guard, rig.sky.now())

    assert simulate(main) is True


def test_suspects_fill_no_memory():
    async def main(rig: Rig):
        nodes = list(rig.registry.nodes().values())
        for _ in range(MAX_SUSPECTS):
            for hop in range(2, len(nodes)):
                rig.builder.suspect(nodes, hop)
        return await rig.open()

    assert simulate(main).is_open


def test_an_unknown_last_hop_is_no_path():
    async def main(rig: Rig):
        with pytest.raises(NoPathError):
            await rig.builder.open(Purpose.LOOKUP, last=NodeId(b"x" * 32))
        return rig.sky.opened

    assert simulate(main) == []


def test_a_rendezvous_is_drawn_without_building_to_it():
    async def main(rig: Rig):
        avoid = list(rig.registry.nodes())[:5]
        drawn = {rig.builder.rendezvous(avoid).node_id for _ in range(20)}
        return drawn & set(avoid), rig.sky.opened

    assert simulate(main) == (set(), [])


def nodes_of(circuit: Circuit) -> set[NodeId]:
    return {node.node_id for node in circuit.path}


def test_only_circuits_of_calls_ask_for_bandwidth():
    async def main(rig: Rig):
        call = await rig.open_call()
        answer = await rig.open_call(Purpose.RENDEZVOUS_CALLEE, last=rig.last)
        plain = await rig.open()
        return rig.sky.asked, [each.granted for each in (call, answer, plain)]

    # Nobody could stand in for a last hop that is given: it is asked for what it has.
    last = Bandwidth(0, 3000)
    assert simulate(main) == (
        [[CALL] * 3, [CALL, CALL, CALL, last], [NO_BANDWIDTH] * 3],
        [3000, 3000, 0],
    )


def test_a_call_goes_around_full_relays_for_a_minute_and_others_do_not():
    async def main(rig: Rig):
        first = await rig.open_call()
        full = first.path[1].node_id
        rig.sky.full.add(full)
        calls = [await rig.open_call() for _ in range(40)]
        refused = sum(full in nodes_of(each) for each in rig.sky.opened[1:])
        others = [await rig.open() for _ in range(40)]
        rig.sky.full.clear()
        await asyncio.sleep(61.0)
        later = [await rig.open_call() for _ in range(60)]
        return full, calls, refused, others, later

    full, calls, refused, others, later = simulate(main)

    assert all(full not in nodes_of(circuit) for circuit in calls)
    assert refused == 1, "it was asked once, and then left alone"
    assert any(full in nodes_of(circuit) for circuit in others)
    assert any(full in nodes_of(circuit) for circuit in later)


def test_a_full_guard_is_gone_around_and_stays_a_good_guard():
    async def main(rig: Rig):
        guard = (await rig.open_call()).path[0].node_id
        rig.sky.full.add(guard)
        call = await rig.open_call()
        other = await rig.open()
        is_well = rig.guards.is_reachable(guard, rig.sky.now())
        return guard, call, other, is_well, rig.guards.primary()

    guard, call, other, is_well, primary = simulate(main)

    assert call.path[0].node_id in set(primary) - {guard}
    assert other.path[0].node_id == guard
    assert is_well


def test_want_of_bandwidth_drives_nobody_off_the_primary_guards():
    async def main(rig: Rig):
        primary = set(rig.guards.primary())
        rig.sky.full |= primary
        for _ in range(3):
            with pytest.raises(BandwidthError):
                await rig.open_call()
        return primary, {circuit.path[0].node_id for circuit in rig.sky.opened}

    primary, used = simulate(main)

    assert used == primary


def test_when_every_relay_is_full_the_error_says_what_was_needed():
    async def main(rig: Rig):
        rig.sky.full |= set(rig.registry.nodes())
        with pytest.raises(BandwidthError, match=r"no relay .* grants 480 kbit/s") as e:
            await rig.open_call()
        return e.value.reason, len(rig.sky.opened)

    assert simulate(main) == (Reason.BANDWIDTH, BuilderConfig().attempts)


def test_full_relays_are_asked_again_where_there_are_no_others():
    async def main(rig: Rig):
        rig.sky.full |= set(rig.registry.nodes())
        with pytest.raises(BandwidthError):
            await rig.open_call()
        rig.sky.full.clear()
        for node in rig.registry.nodes().values():
            rig.builder._shun(rig.builder._full, node.node_id, rig.sky.now())
        return await rig.open_call()

    assert simulate(main).granted == 3000


def test_a_last_hop_that_is_given_and_full_is_used_all_the_same():
    async def main(rig: Rig):
        rig.sky.full.add(rig.last)
        return await rig.open_call(Purpose.RENDEZVOUS_CALLEE, last=rig.last)

    assert simulate(main).is_open


def counted(rig: Rig, circuit: Circuit) -> tuple[int, int]:
    guard = rig.guards.guard(circuit.path[0].node_id)
    assert guard is not None
    return guard.attempts, guard.built


class Standing:
    """Has one circuit ready, for whoever takes it."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit

    def take(self, _kind, fits):
        self.fitted = fits(self.circuit)
        return None if self.fitted is None else (self.circuit, self.fitted)


def test_one_that_stands_ready_counts_for_its_guard_once_it_has_its_last_hop():
    async def main(rig: Rig):
        kind = Kind(Purpose.INTRODUCTION, 3)
        counts = []
        for dead in (set(), {rig.last}):
            rig.sky.dead = dead
            ready = await rig.builder.open_ready(kind)
            counts.append(counted(rig, ready))
            rig.builder.ready = cast("ReadyCircuits", Standing(ready))
            rig.builder.config = BuilderConfig(attempts=0)
            with suppress(CircuitError):
                await rig.builder.open(kind.purpose, last=rig.last)
            counts.append(counted(rig, ready))
            rig.builder.config = BuilderConfig()
        return counts

    assert simulate(main) == [(0, 0), (1, 1), (1, 1), (2, 1)]


def test_one_that_stands_ready_over_a_revoked_relay_is_not_used(monkeypatch):
    async def main(rig: Rig):
        ready = await rig.builder.open_ready(Kind(Purpose.INTRODUCTION, 3))
        revoked, node = ready.path[1].node_id, rig.registry.node
        monkeypatch.setattr(
            rig.registry, "node", lambda each: None if each == revoked else node(each)
        )
        standing = Standing(ready)
        rig.builder.ready = cast("ReadyCircuits", standing)
        await rig.builder.open(Purpose.INTRODUCTION, last=rig.last)
        return standing.fitted

    assert simulate(main) is None


@pytest.mark.parametrize(("every", "failures"), [(1, 11), (2, 5), (5, 0)])
def test_only_a_guard_that_ends_many_that_stand_ready_is_held_to_it(every, failures):
    async def main(rig: Rig):
        ready = await rig.builder.open_ready(Kind(Purpose.INTRODUCTION, 3))
        for number in range(30):
            circuit = Circuit(cast("CircuitOwner", rig.sky), 0, ready.path)
            if number % every == 0:
                circuit.receive(CircuitClosed(Reason.REQUESTED, None, is_remote=True))
            rig.builder.retire_ready(circuit)
        return counted(rig, ready)

    assert simulate(main) == (failures, 0)


def test_circuits_that_our_own_link_took_with_it_are_held_against_nobody():
    async def main(rig: Rig):
        ready = await rig.builder.open_ready(Kind(Purpose.INTRODUCTION, 3))
        ready.receive(CircuitClosed(Reason.LINK_CLOSED, None, is_remote=False))
        for _ in range(100):
            rig.builder.retire_ready(ready)
        return counted(rig, ready)

    assert simulate(main) == (0, 0)
