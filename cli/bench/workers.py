"""What a second worker brings: one node run by the psp program, on two cores.

::

    Source 0 --link--> worker 0 --link-->
                                           sink, this process
    Source 1 --link--> worker 1 --link-->

The sources' packets are sealed before the clock starts, and what arrives is counted by
the packet: this process must leave the cores to the workers. In a first round the sink
opens everything. One worker and both are measured by turns.

Two figures, as this process needs a part of a core, too: what came through by the clock,
and what came through per second that the workers were running - the throughput on cores
that they have to themselves, less what they take from one another.
"""

import json
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from operator import truediv
from pathlib import Path
from threading import Timer

from cli.bench.neighbours import Party, Source, pump
from cli.bench.relay import CONFIG, BenchError
from cli.demo.plan import (
    DEMO_NETWORK,
    HOST,
    NetworkPlan,
    PlannedRelay,
    free_ports,
    make_plan,
)
from cli.node_parts import KeptLinks, load_keys
from cli.settings_file import to_toml
from psp.circuit.origin import HopSpec, OriginCircuit
from psp.errors import ConfigError
from psp.runtime.entropy import SystemEntropy
from psp.runtime.udp import UdpSocket
from psp.sansio import MAX_TRAIN, Address, Train
from psp.units import Monotonic
from psp.wire.cell import CELL_SIZE
from psp.wire.onion import BLOCK_SIZE
from psp.wire.packet import PACKET_SIZE
from relay.machine import RelayMachine
from relay.stats import RelayStats

WORKERS = 2
_CELLS = 60_000
_ROUNDS = 7
_CHECKED = 2_000
_WINDOW = 8 * MAX_TRAIN
"""Packets under way to one worker: few enough for its socket buffer."""
_STARTS_WITHIN = 60.0
_MOVES_WITHIN = 5.0
_SLOWEST = 30.0
"""Seconds that a round may take for each worker on a busy machine."""
_SETTLES_WITHIN = 0.3


@dataclass(slots=True)
class _Lane:
    """One worker's traffic.

    Attributes:
        source: Sends to it.
        circuit: Leads over it to the sink.
        process: The worker's process id.
        trains: Sealed and not sent, the newest first.
        sent: Packets.
        arrived: Packets.
    """

    source: Source
    circuit: OriginCircuit
    process: int
    trains: list[Train] = field(default_factory=list)
    sent: int = 0
    arrived: int = 0

    def prepare(self, cells: int) -> None:
        """Seal packets with a block each."""
        self.sent = self.arrived = 0
        block = bytes(BLOCK_SIZE)
        for _ in range(cells // MAX_TRAIN):
            blocks = [block] * MAX_TRAIN
            self.source.prepare(self.circuit.send_blocks(blocks))
            for train in self.source.trains_to_send(_clock()):
                joined = b"".join(train.parts)
                self.trains.append(Train(train.destination, [joined], train.packets))
        self.trains.reverse()

    def send(self) -> None:
        """Send what the worker's buffer has room for."""
        while self.trains and self.sent - self.arrived < _WINDOW:
            train = self.trains.pop()
            self.sent += self.source.udp.send(train)


class _Sink:
    """The other relay: where the circuits end."""

    def __init__(self, plan: NetworkPlan) -> None:
        own = plan.relays[1]
        entropy = SystemEntropy()
        identity, onions = load_keys(own.config.keys)
        port = own.config.listen.port
        links = KeptLinks(
            own.config,
            network=DEMO_NETWORK,
            identity=identity,
            port=port,
            entropy=entropy,
            unix_time=time.time,
        )
        records = {relay.node_id: relay.signed.record for relay in plan.relays}
        links.know(records)
        self.udp = UdpSocket((HOST, port))
        self.machine = RelayMachine(
            links.machine,
            node_id=own.node_id,
            onion_privates=onions,
            node=records.get,
            entropy=entropy,
            config=CONFIG,
        )
        self.receive = self.machine.receive
        self.trains_to_send = self.machine.trains_to_send
        self.next_timeout = self.machine.next_timeout

    def handle_timeout(self, now: Monotonic) -> None:
        """Act on deadlines; nobody reads the events."""
        self.machine.handle_timeout(now)
        while self.machine.next_event() is not None:
            pass


def run(*, cells: int = _CELLS, rounds: int = _ROUNDS) -> dict[str, float]:
    """Measure a node with one worker at work and with two; return figures by name.

    Keys: ``one_mb_s`` and ``two_mb_s`` of 1,200-byte cells by the clock,
    ``clock_ratio`` of the two; ``one_us_per_cell`` and ``two_us_per_cell`` of a worker's
    running time, ``core_ratio`` of what they forward per second of it;
    ``generator_cores`` that this process took while both worked. Medians; the ratios
    are medians of the rounds' own.

    Raises:
        BenchError: If cells were lost, or workers do not start.
    """
    with _node() as (plan, processes):
        sink = _Sink(plan)
        lanes = [
            _open(plan, number, process, sink)
            for number, process in enumerate(processes)
        ]
        try:
            for lane in lanes:
                _check(lane, sink)
            results = [
                (_measure(lanes[:1], sink, cells), _measure(lanes, sink, cells))
                for _ in range(rounds)
            ]
        finally:
            sink.udp.close()
            for lane in lanes:
                lane.source.udp.close()
    ones, twos = ([pair[number] for pair in results] for number in range(2))

    def ratio(of: Callable[[_Round], float]) -> float:
        return statistics.median(of(two) / of(one) for one, two in results)

    return {
        "one_mb_s": statistics.median(each.by_clock for each in ones) * CELL_SIZE / 1e6,
        "two_mb_s": statistics.median(each.by_clock for each in twos) * CELL_SIZE / 1e6,
        "clock_ratio": ratio(lambda each: each.by_clock),
        "one_us_per_cell": statistics.median(each.cost for each in ones),
        "two_us_per_cell": statistics.median(each.cost for each in twos),
        "core_ratio": ratio(lambda each: each.on_own_cores),
        "generator_cores": statistics.median(each.generator for each in twos),
        "cells": float(cells * rounds * (1 + WORKERS)),
    }


@dataclass(frozen=True, slots=True)
class _Round:
    """What came through.

    Attributes:
        by_clock: Cells a second.
        on_own_cores: Cells per second that the workers ran, summed over workers.
        cost: Microseconds that a worker ran for a cell.
        generator: Cores that this process took.
    """

    by_clock: float
    on_own_cores: float
    cost: float
    generator: float


def _measure(lanes: Sequence[_Lane], sink: _Sink, cells: int) -> _Round:
    _settle(lanes, sink)
    for lane in lanes:
        lane.prepare(cells)
    ran = [_run_seconds(lane.process) for lane in lanes]
    own, started = time.process_time(), time.monotonic()
    _stream(lanes, sink)
    took, own = time.monotonic() - started, time.process_time() - own
    seconds = [
        _run_seconds(lane.process) - before
        for lane, before in zip(lanes, ran, strict=True)
    ]
    arrived = [lane.arrived for lane in lanes]
    return _Round(
        by_clock=sum(arrived) / took,
        on_own_cores=sum(map(truediv, arrived, seconds)),
        cost=sum(seconds) / sum(arrived) * 1e6,
        generator=own / took,
    )


def _stream(lanes: Sequence[_Lane], sink: _Sink) -> None:
    """Send everything; what arrives is counted by the packet, and lets more go."""
    lane_at = {_address(lane): lane for lane in lanes}
    poll = select.poll()
    poll.register(sink.udp.fileno(), select.POLLIN)
    give_up = time.monotonic() + _MOVES_WITHIN + _SLOWEST * len(lanes)
    while any(lane.trains or lane.arrived < lane.sent for lane in lanes):
        for lane in lanes:
            lane.send()
        if not poll.poll(_MOVES_WITHIN * 1000) or time.monotonic() > give_up:
            lost = sum(lane.sent - lane.arrived for lane in lanes)
            raise BenchError(
                f"{lost} cells were lost on their way over the workers; on a machine that "
                "is busy with other things relays drop some: try again when less runs"
            )
        while (batch := sink.udp.receive_batch()) is not None:
            sender = lane_at.get(batch[2])
            if sender is not None:
                sender.arrived += len(batch[0]) // PACKET_SIZE


def _address(lane: _Lane) -> Address:
    address = lane.source.links.endpoint_of(lane.source.link)
    if address is None:
        raise BenchError("a worker has closed its link")
    return address


def _open(plan: NetworkPlan, number: int, process: int, sink: _Sink) -> _Lane:
    node, last = (relay.signed.record for relay in plan.relays)
    source = Source(network=DEMO_NETWORK)
    circuit = source.open(
        [
            HopSpec(node.node_id, node.onion_key, (node.endpoints[number],)),
            HopSpec(last.node_id, last.onion_key, last.endpoints[:1]),
        ]
    )
    if not pump((source, sink), lambda: not source.is_building, _MOVES_WITHIN):
        raise BenchError(f"no circuit over worker {number}")
    if source.failures:
        raise BenchError(f"no circuit over worker {number}")
    return _Lane(source, circuit, process)


def _check(lane: _Lane, sink: _Sink) -> None:
    """Send blocks that the sink opens: the worker forwards what it should."""
    stats = sink.machine.stats
    arrived = stats.blocks_unjoined
    for _ in range(_CHECKED // MAX_TRAIN):
        arrived += MAX_TRAIN
        blocks = [bytes(BLOCK_SIZE)] * MAX_TRAIN
        lane.source.send(lane.circuit.send_blocks(blocks))
        if not pump(
            (lane.source, sink),
            partial(_has, stats, arrived),
            _MOVES_WITHIN,
        ):
            raise BenchError("cells do not arrive, or not as they were sent")


def _has(stats: RelayStats, blocks: int) -> bool:
    return stats.blocks_unjoined >= blocks


def _settle(lanes: Sequence[_Lane], sink: _Sink) -> None:
    """Let the links answer what they were asked while nobody read."""
    parties: list[Party] = [*(lane.source for lane in lanes), sink]
    pump(parties, lambda: False, _SETTLES_WITHIN)


@contextmanager
def _node() -> Iterator[tuple[NetworkPlan, list[int]]]:
    """Run a node of two workers; yields the plan and the workers' process ids."""
    folder = Path(tempfile.mkdtemp(prefix="psp-bench-"))
    try:
        ports = [_free_ports(WORKERS) for _ in range(2)]
        plan = make_plan(
            folder / "network",
            ports,
            [],
            discovery=1,
            entropy=SystemEntropy(),
            unix_now=time.time(),
            workers=WORKERS,
        )
        with _running(plan.relays[0]) as processes:
            yield plan, processes
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(relay: PlannedRelay) -> Iterator[list[int]]:
    settings = relay.config.state_dir / "relay.toml"
    settings.write_text(to_toml(replace(relay.config, relay=CONFIG)))
    command = [sys.executable, "-m", "cli.main", "relay", "run", "--log-json"]
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*command, "--end-with-parent", str(settings)],
        stdout=subprocess.PIPE,
        text=True,
    )
    too_long = Timer(_STARTS_WITHIN, process.terminate)
    too_long.start()
    with process:
        try:
            for line in process.stdout or ():
                if json.loads(line)["event"] == "all_workers_serve":
                    break
            else:
                raise BenchError("the workers did not start; see above")
            too_long.cancel()
            yield _workers_of(process.pid)
        finally:
            too_long.cancel()
            process.terminate()
            # After Ctrl-C, `with` waits a quarter of a second only.
            process.communicate()


def _free_ports(count: int) -> int:
    """Return a port that is free now, as are the ones after it."""
    while True:
        (port,) = free_ports(1)
        try:
            free_ports(count, port)
        except ConfigError:
            continue
        return port


def _workers_of(parent: int) -> list[int]:
    """Return the workers' process ids, in the order of their numbers."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii")
    lines = {
        child: Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        for child in map(int, children.split())
    }
    return sorted(lines, key=lambda child: lines[child])


def _run_seconds(process: int) -> float:
    """Return how long a process was running so far, to the microsecond."""
    words = Path(f"/proc/{process}/schedstat").read_text("ascii").split()
    return int(words[0]) / 1e9


def _clock() -> Monotonic:
    return Monotonic(time.monotonic())
