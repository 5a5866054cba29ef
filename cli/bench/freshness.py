"""How a relay treats a voice flow while others send far more than it can take.

::

    caller  --link--> relay process --link--> meeting point <--link-- callee
    flooder --link--> relay process --link--> far relay process

Caller, callee and their meeting point are in this process. A flooder sends blocks as
fast as it can seal them, and obeys nothing: no mark, no report, no loss. Each layer of
what it sends is good.

What a relay can do depends on the machine and on who else uses it. With a *handicap*,
time that it wastes for each packet it sends, one flooder is too much for it anywhere.
"""

import contextlib
import math
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import cast

from cli.bench.child import Child, run_child
from cli.bench.neighbours import Party, Sink, Source, clock, drain, flush, pump
from cli.bench.processes import HOST, Node, RelayProcess, serve
from cli.bench.relay import CONFIG, BenchError
from psp.circuit.events import BlocksReceived, ReportReceived
from psp.circuit.origin import HopSpec, OriginCircuit
from psp.runtime.udp import UdpSocket
from psp.sansio import MAX_TRAIN, Address, Train
from psp.units import Monotonic
from psp.wire.onion import BLOCK_SIZE, Kind
from psp.wire.relay_message import RelayCommand

PER_SECOND = 50
"""Packets of a voice flow."""

_COOKIE = bytes(range(20))
_NUMBER = struct.Struct("!I")
_BUILD_WITHIN = 20.0
_LATEST = 1.0
"""Seconds after the last packet that one may still come."""

_HELD_UP = 0.1

_SETTLE = 0.5
"""Seconds of flood before the voice flow begins."""


@dataclass(frozen=True, slots=True)
class Flooded:
    """What a flooder did so far.

    Attributes:
        sent: Cells.
        opened: Cells that came back to it.
        marked: Of these, with a mark.
    """

    sent: int
    opened: int
    marked: int


def run(
    *, seconds: float = 10.0, flooders: int = 1, handicap: float = 0.0
) -> dict[str, float]:
    """Measure a voice flow alone, and beside floods; return figures by name.

    Keys, beginning with ``idle_`` or ``flood_``: ``p50_ms``, ``p99_ms`` (one way, of
    packets that came), ``loss``, ``not_sent`` (share of packets that were not sent, as
    this process was held up). And ``flood_voice_dropped``, voice packets that the relay
    says it dropped; ``flood_cells_per_s`` of all flooders together, ``flood_dropped``
    (share of these that the relay dropped unopened), ``flood_kernel_lost`` (share that
    it never saw), ``flood_marked`` cells; ``relay_cpu`` of one core, meanwhile.

    Args:
        seconds: Of voice, each time.
        flooders: Processes that flood, a circuit each.
        handicap: Seconds that the relay wastes for each packet it sends.

    Raises:
        BenchError: If nothing moves.
    """
    with (
        _SlowRelay(handicap) as relay,
        RelayProcess(CONFIG, name="the far relay") as far,
        contextlib.closing(_Call(relay, far)) as call,
    ):
        figures = {f"idle_{key}": v for key, v in call.voice(seconds).items()}
        path = [relay.node, far.node]
        with contextlib.ExitStack() as stack:
            children = [stack.enter_context(Flooder(path)) for _ in range(flooders)]
            figures |= _beside_flood(relay, call, seconds, children)
    return figures


def _beside_flood(
    relay: RelayProcess, call: "_Call", seconds: float, children: Sequence["Flooder"]
) -> dict[str, float]:
    before = relay.usage()
    began = time.monotonic()
    for child in children:
        child.send("flood")
    call.rest(_SETTLE)
    figures = {f"flood_{key}": v for key, v in call.voice(seconds).items()}
    flooded = [child.stop() for child in children]
    took = time.monotonic() - began
    call.rest(_SETTLE)
    after = relay.usage()
    dropped, passed = (
        after.counters[name] - before.counters[name]
        for name in ("cells_policed", "cells_forward")
    )
    sent = sum(child.sent for child in flooded)
    return figures | {
        "flood_voice_dropped": float(call.dropped),
        "flood_cells_per_s": sent / took,
        "relay_cpu": (after.cpu - before.cpu) / took,
        "flood_dropped": dropped / sent,
        "flood_kernel_lost": 1.0 - (dropped + passed) / sent,
        "flood_marked": float(sum(child.marked for child in flooded)),
    }


class _Call:
    """A voice flow through the measured relay, both ends in this process.

    Attributes:
        dropped: Packets of it that relays say they dropped.
    """

    def __init__(self, relay: RelayProcess, far: RelayProcess) -> None:
        self._sink = Sink(CONFIG)
        self._caller, self._callee = Source(), Source()
        known = [relay.node, self._sink.node, far.node]
        self._sink.introduce(known)
        relay.introduce(known)
        far.introduce(known)
        specs = [node.spec for node in known[:2]]
        self._near = self._built(self._caller, specs)
        self._far = self._built(self._callee, specs[1:])
        self._ask(self._caller, self._near, RelayCommand.ESTABLISH)
        self._ask(self._callee, self._far, RelayCommand.JOIN)
        self._due: list[Monotonic] = []
        self._delays: dict[int, float] = {}
        self.dropped = 0

    @property
    def _parties(self) -> Sequence[Party]:
        return (self._caller, self._callee, self._sink)

    def voice(self, seconds: float) -> dict[str, float]:
        """Send voice for so long; return p50, p99 and loss.

        A packet that this process was held up to send for too long is none: sent with
        others at once it would be a burst that no voice flow is.
        """
        first = clock() + 0.1
        count = round(seconds * PER_SECOND)
        self._due = [Monotonic(first + n / PER_SECOND) for n in range(count)]
        self._delays.clear()
        sent = 0
        for number, due in enumerate(self._due):
            pump(self._parties, self._collect, due - clock())
            if clock() > due + _HELD_UP:
                continue
            sent += 1
            block = _NUMBER.pack(number).ljust(BLOCK_SIZE, b"\0")
            self._caller.send(self._near.send_blocks([block], Kind.AUDIO))
        pump(
            self._parties, lambda: self._collect() or len(self._delays) == sent, _LATEST
        )
        delays = sorted(self._delays.values())
        if not delays:
            raise BenchError("not one packet of the voice flow came")
        return {
            "p50_ms": delays[len(delays) // 2] * 1e3,
            "p99_ms": delays[math.ceil(len(delays) * 0.99) - 1] * 1e3,
            "loss": 1.0 - len(delays) / sent,
            "not_sent": 1.0 - sent / count,
        }

    def rest(self, seconds: float) -> None:
        """Let links live for so long."""
        pump(self._parties, self._collect, seconds)

    def close(self) -> None:
        """Close the sockets."""
        for party in self._parties:
            party.udp.close()

    def _collect(self) -> bool:
        """Note what came; return False, for whoever waits for something else."""
        while (event := self._far.next_event()) is not None:
            if isinstance(event, BlocksReceived):
                now = clock()
                for block in event.blocks:
                    (number,) = _NUMBER.unpack_from(block)
                    self._delays.setdefault(number, now - self._due[number])
        while (event := self._near.next_event()) is not None:
            if isinstance(event, ReportReceived):
                self.dropped = max(self.dropped, event.report.forward.dropped)
        return False

    def _built(self, source: Source, path: Sequence[HopSpec]) -> OriginCircuit:
        circuit = source.open(path)
        if not pump(self._parties, lambda: not source.is_building, _BUILD_WITHIN):
            raise BenchError("a circuit of the voice flow was not built")
        return circuit

    def _ask(
        self, source: Source, circuit: OriginCircuit, command: RelayCommand
    ) -> None:
        circuit.request(command, _COOKIE, clock())
        source.send(circuit.cells_to_send(clock()))
        if not pump(
            self._parties, lambda: circuit.next_event() is not None, _BUILD_WITHIN
        ):
            raise BenchError(f"{command.name} was not answered")


class Flooder(Child):
    """A process that floods the first relay of a path; use as a context manager."""

    def __init__(self, path: Sequence[Node]) -> None:
        """Start it and let it build its circuit."""
        super().__init__(_run_flooder, path, name="a flooder")
        self.receive()

    def stop(self) -> Flooded:
        """Let it send no more; return what it did."""
        return cast("Flooded", self.ask("stop"))


class _SlowRelay(RelayProcess):
    """A relay with a handicap."""

    def __init__(self, handicap: float) -> None:
        Child.__init__(self, _run_relay, handicap, name="the relay")
        self.node = cast("Node", self.receive())


# ---- inside the children


class _SlowSocket(UdpSocket):
    """Wastes time before it sends."""

    def __init__(self, address: Address, handicap: float) -> None:
        super().__init__(address)
        self._handicap = handicap

    def send(self, train: Train) -> int:
        until = time.perf_counter() + self._handicap * train.packets
        while time.perf_counter() < until:
            pass
        return super().send(train)


def _run_relay(pipe: Connection, handicap: float) -> None:
    run_child(pipe, lambda: serve(pipe, CONFIG, _SlowSocket((HOST, 0), handicap)))


def _run_flooder(pipe: Connection, path: Sequence[Node]) -> None:
    run_child(pipe, lambda: _flood(pipe, path))


async def _flood(pipe: Connection, path: Sequence[Node]) -> None:
    source = Source()
    circuit = source.open([node.spec for node in path])
    if not pump((source,), lambda: not source.is_building, _BUILD_WITHIN):
        raise BenchError("the flooder's circuit was not built")
    pipe.send("ready")
    blocks = [bytes(BLOCK_SIZE)] * MAX_TRAIN
    sent = opened = marked = 0
    while not pipe.poll(0.02):
        drain(source)
    pipe.recv()
    while not pipe.poll():
        source.prepare(circuit.send_blocks(blocks))
        flush(source)
        drain(source)
        sent += MAX_TRAIN
        cells, marks = circuit.take_marks()
        opened, marked = opened + cells, marked + marks
    pipe.recv()
    pipe.send(Flooded(sent, opened, marked))
    source.udp.close()
