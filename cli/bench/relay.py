"""What a relay costs per cell and per circuit: a real process between two neighbours.

::

    Source (client) --link--> relay process --link--> Sink (relay)
         this process          measured               this process

Every cell is sealed twice by the source, opened and resealed by the measured relay, and
opened by the sink, which counts only whole, fresh, unchanged blocks. The figure is the
relay process's own CPU time, by its own accounting, over cells that arrived. The floor
(`cli.bench.floor`) is measured just before and after each round.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle

from cli.bench import floor
from cli.bench.neighbours import Sink, Source, drain, flush, pump
from cli.bench.processes import RelayProcess, Usage
from psp.circuit.origin import OriginCircuit
from psp.errors import PspError
from psp.sansio import MAX_TRAIN
from psp.wire.cell import CELL_SIZE
from psp.wire.onion import BLOCK_SIZE
from relay.config import RelayConfig

CONFIG = RelayConfig(
    client_circuits=32_768,
    relay_circuits=32_768,
    creates_per_s=1e6,
    create_burst=100_000,
    neighbours=0,
)
"""No limits on strangers: the stranger is the benchmark."""

_WINDOW = 8
"""Trains sent at a time: few enough for every socket buffer."""

_UNBATCHED_WINDOW = 4
"""The same if each packet travels alone. Its cells take three times as long, and twice
the room: a relay that finds 8 trains of them waiting may call itself behind."""

_PATIENCE = 15e-6
"""Seconds per cell to wait before looking at what arrived: more than it takes."""

_FEW = 10

_ROUNDS = 5
"""Times that relay and floor are measured by turns; medians count."""

_TAMPERED = 20
"""Cells changed on their way; below the 32 that close a circuit."""

SETTLE = 32.0
"""Seconds after which a circuit has forgotten how it was built (SPEC.md section 3)."""

_BUILD_WITHIN = 120.0

_MAX_POLICED = 0.05
"""Share of cells that may be dropped on a busy machine: they cost about half of the others,
and a figure 2 % too low is within its noise."""


class BenchError(PspError):
    """The measured relay did not do its work: no figure would mean anything."""


@dataclass(frozen=True, slots=True)
class _Rig:
    relay: RelayProcess
    source: Source
    sink: Sink
    floors: list[dict[str, float]]
    batched: bool

    def build(self, count: int, hops: int = 2) -> list[OriginCircuit]:
        """Open circuits, a few at a time, and wait for them."""
        path = [self.relay.node.spec, self.sink.node.spec][:hops]
        circuits: list[OriginCircuit] = []
        source = self.source
        while len(circuits) < count:
            batch = [source.open(path) for _ in range(min(32, count - len(circuits)))]
            self.wait(lambda: not source.is_building, _BUILD_WITHIN)
            circuits += batch
        if source.failures:
            raise BenchError(f"{source.failures} circuits failed")
        return circuits

    def wait(self, is_done: Callable[[], bool], within: float) -> None:
        """Move packets until something is true."""
        if not self.moves(is_done, within):
            raise BenchError(f"nothing moves any more after {within} s")

    def moves(self, is_done: Callable[[], bool], within: float) -> bool:
        """Move packets until something is true or time is up; return whether it is."""
        return pump((self.source, self.sink), is_done, within)


def run(
    *, cells: int = 100_000, circuits: int = 10_000, settle: float = SETTLE
) -> dict[str, float]:
    """Measure one relay; return figures by name. Takes two minutes.

    Keys: ``us_per_cell`` (batched, 1 circuit), ``us_per_cell_unbatched`` (no GSO or GRO
    anywhere), the floors, ``batched_ratio`` and ``unbatched_ratio`` (cost over floor),
    ``batched_ratio_few`` and ``batched_ratio_many`` (each cell of another circuit than
    the one before, of 10 and of ``circuits``), ``flat_cost`` (many over few),
    ``cpu_s_per_gb`` (of 1,200-byte cells), ``bytes_per_idle_circuit``, ``circuits``,
    ``cells`` sent and ``tampered`` cells, none of which got through. Without
    ``circuits`` what needs many is left out.

    Raises:
        BenchError: If cells were lost, more than a busy machine explains, or tampered
            ones were not.
    """
    batched = _measure(cells, circuits, settle, batched=True)
    unbatched = _measure(cells // 4, 0, 0.0, batched=False)
    figures = {
        **batched.floors,
        "us_per_cell": batched.one.cost,
        "us_per_cell_unbatched": unbatched.one.cost,
        "batched_ratio": batched.one.ratio,
        "unbatched_ratio": unbatched.one.ratio,
        "cpu_s_per_gb": batched.one.cost * 1e9 / CELL_SIZE / 1e6,
        "cells": sum(
            cost.cells
            for cost in (batched.one, batched.few, batched.many, unbatched.one)
        ),
        "tampered": 2.0 * _TAMPERED,
    }
    if circuits:
        figures |= {
            "batched_ratio_few": batched.few.ratio,
            "batched_ratio_many": batched.many.ratio,
            "flat_cost": batched.many.ratio / batched.few.ratio,
            "bytes_per_idle_circuit": batched.idle_cost,
            "circuits": float(circuits),
        }
    return figures


@dataclass(frozen=True, slots=True)
class _Figures:
    one: "_Cost"
    few: "_Cost"
    many: "_Cost"
    idle_cost: float
    floors: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Cost:
    """Microseconds per cell, the same over the floor, and how many cells."""

    cost: float = 0.0
    ratio: float = 0.0
    cells: float = 0.0


def _measure(cells: int, circuits: int, settle: float, *, batched: bool) -> _Figures:
    with RelayProcess(CONFIG, batched=batched) as relay:
        source, sink = Source(batched=batched), Sink(CONFIG)
        known = [relay.node, sink.node]
        sink.introduce(known)
        relay.introduce(known)
        rig = _Rig(relay, source, sink, floors=[], batched=batched)
        try:
            return _figures(rig, cells, circuits, settle)
        finally:
            source.udp.close()
            sink.udp.close()


def _figures(rig: _Rig, cells: int, many: int, settle: float) -> _Figures:
    circuits = rig.build(1)
    one = _cost(rig, circuits, cells)
    _tamper(rig, circuits[0])
    few_cost, many_cost, idle_cost = _Cost(), _Cost(), 0.0
    if many:
        circuits += rig.build(max(_FEW, many // 2) - 1)
        few_cost = _cost(rig, circuits[:_FEW], cells)
        idle_cost = _idle_cost(rig, many - len(circuits), settle)
        circuits = rig.source.circuits
        many_cost = _cost(rig, circuits, cells)
    floors = {
        key: statistics.median(floors[key] for floors in rig.floors)
        for key in rig.floors[0]
    }
    return _Figures(one, few_cost, many_cost, idle_cost, floors)


def _cost(rig: _Rig, circuits: list[OriginCircuit], cells: int) -> _Cost:
    """Measure cost and floor by turns, so that both meet the same mood."""
    _stream(rig, circuits, cells // 10)
    name = "floor_us_per_cell" if rig.batched else "unbatched_floor_us_per_cell"
    costs, ratios = [], []
    for _ in range(_ROUNDS):
        before = floor.run(rounds=1)
        costs.append(_stream(rig, circuits, cells // _ROUNDS))
        after = floor.run(rounds=1)
        rig.floors.extend((before, after))
        ratios.append(2 * costs[-1] / (before[name] + after[name]))
    return _Cost(statistics.median(costs), statistics.median(ratios), float(cells))


def _idle_cost(rig: _Rig, circuits: int, settle: float) -> float:
    """Return bytes per circuit, what is only kept for a while left out.

    As many circuits as will be measured exist already and have come to rest: what they
    needed while they were built goes to the new ones. Growth is what lasts.
    """
    pump((rig.source, rig.sink), lambda: False, settle)
    before = rig.relay.usage().resident
    rig.build(circuits)
    pump((rig.source, rig.sink), lambda: False, settle)
    return (rig.relay.usage().resident - before) / circuits


def _stream(rig: _Rig, circuits: list[OriginCircuit], cells: int) -> float:
    """Send blocks, round-robin over circuits; return the relay's microseconds each."""
    block = bytes(BLOCK_SIZE)
    sink, source = rig.sink, rig.source
    window = _WINDOW if rig.batched else _UNBATCHED_WINDOW
    started = rig.relay.usage()
    arrived = sink.blocks
    sent = policed = 0
    turns = cycle(circuits)
    while sent < cells:
        for _ in range(window):
            source.prepare(
                [
                    cell
                    for _ in range(MAX_TRAIN)
                    for cell in next(turns).send_blocks([block])
                ]
            )
        flush(source)
        sent += window * MAX_TRAIN
        # Let the relay work alone: two busy cores of one machine slow each other, and
        # the floor is measured alone, too.
        time.sleep(window * MAX_TRAIN * _PATIENCE)
        drain(source)
        drain(sink)
        target = arrived + sent - policed
        if sink.blocks < target and not rig.moves(partial(_has, sink, target), 0.5):
            policed = _await_all_but_policed(rig, arrived + sent, started)
    if sink.blocks != arrived + sent - policed or sink.bad:
        raise BenchError(f"{sent} cells in, {sink.blocks - arrived} out")
    if policed > sent * _MAX_POLICED:
        raise BenchError(
            f"the relay fell behind and dropped {policed} of {sent} cells: this machine "
            "is too busy to say what a cell costs; try again when less runs on it"
        )
    return (rig.relay.usage().cpu - started.cpu) / sent * 1e6


def _await_all_but_policed(rig: _Rig, blocks: int, started: Usage) -> int:
    """Wait for all blocks but those the relay dropped for being behind; return these.

    It does where others take its core from it.
    """

    def policed() -> int:
        now, before = rig.relay.usage().counters, started.counters
        return now["cells_policed"] - before["cells_policed"]

    rig.wait(lambda: rig.sink.blocks >= blocks - policed(), 5.0)
    return policed()


def _has(sink: Sink, blocks: int) -> bool:
    return sink.blocks >= blocks


def _tamper(rig: _Rig, circuit: OriginCircuit) -> None:
    """Change cells on their way in: they must die at the relay, and only they."""
    arrived = rig.sink.blocks
    block = bytes(BLOCK_SIZE)
    for number in range(_TAMPERED):
        cell = bytearray(circuit.send_blocks([block])[0])
        cell[40 + number * 55] ^= 1
        rig.source.send([bytes(cell)])
    rig.source.send(circuit.send_blocks([block]))
    rig.wait(lambda: rig.sink.blocks > arrived, 5.0)
    bad = rig.relay.usage().counters["bad_tag"]
    if rig.sink.blocks != arrived + 1 or bad != _TAMPERED or rig.sink.bad:
        raise BenchError(f"of {_TAMPERED} tampered cells {bad} died at the relay")
