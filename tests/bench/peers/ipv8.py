"""py-ipv8 and ipv8-rust-tunnels measured: client - guard - middle - exit."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from cli.bench.child import Child
from cli.bench.place import Place
from tests.bench.peers.figures import MB, Builds, Bulk, Voice
from tests.bench.peers.ipv8_node import KnownPeer, run_behind, run_node
from tests.bench.peers.processes import cpu_seconds

NAMES = ("client", "guard", "middle", "exit")
_PER_BUILD = 12.0
"""Seconds that an answer is waited for, per circuit."""


@dataclass(frozen=True, slots=True)
class RunningIpv8:
    """A network of py-ipv8, as `figures.Running`.

    Attributes:
        client: Its process.
        middle: Process id of the relay that is measured.
        behind: Address of source and echo.
        ramp: Seconds that a stream gets to reach its speed.
    """

    client: Child
    middle: int
    behind: tuple[str, int]
    ramp: float

    def build(self, count: int) -> Builds:
        """See `figures.Running`."""
        asked = ("build", (count,))
        times, failures = cast(
            "tuple[list[float], int]", self.client.ask(asked, count * _PER_BUILD)
        )
        return Builds(tuple(times), failures)

    def bulk(self, streams: int, seconds: float) -> Bulk:
        """See `figures.Running`."""
        self._stream(streams)
        cpu, received = cpu_seconds(self.middle), self._received()
        started = time.perf_counter()
        time.sleep(seconds)
        cpu = cpu_seconds(self.middle) - cpu
        received = self._received() - received
        measured = time.perf_counter() - started
        self.client.ask(("stop", ()))
        return Bulk(received, measured, cpu)

    def voice(self, seconds: float, beside: str | None) -> Voice:
        """See `figures.Running`."""
        circuit = self._stream(1)[0] if beside else None
        before, started = self._received(), time.perf_counter()
        asked = ("talk", (self.behind, seconds, circuit if beside == "same" else None))
        sent, round_trips = cast(
            "tuple[int, list[float]]", self.client.ask(asked, seconds + 30)
        )
        mb_s = (self._received() - before) / (time.perf_counter() - started) / MB
        if beside:
            self.client.ask(("stop", ()))
        return Voice(sent, tuple(round_trips), mb_s if beside else None)

    def _stream(self, streams: int) -> list[int]:
        asked = ("stream", (streams, self.behind))
        circuits = cast("list[int]", self.client.ask(asked, streams * _PER_BUILD))
        time.sleep(self.ramp)
        return circuits

    def _received(self) -> int:
        return cast("int", self.client.ask(("received", ())))


@contextlib.contextmanager
def running_ipv8(
    places: Mapping[str, Place], *, is_rust: bool, ramp: float
) -> Iterator[RunningIpv8]:
    """Start a network.

    Raises:
        PspError: With the reason why it does not run.
    """
    with contextlib.ExitStack() as stack:
        nodes = {
            name: stack.enter_context(
                Child(run_node, places[name], is_rust, name, name=f"ipv8's {name}")
            )
            for name in NAMES
        }
        behind = stack.enter_context(
            Child(run_behind, places["exit"], name="what is behind ipv8's exit")
        )
        address = cast("tuple[str, int]", behind.receive())
        known = {name: cast("KnownPeer", nodes[name].receive()) for name in NAMES}
        nodes["client"].ask(("meet", ([known["guard"], known["exit"]],)))
        nodes["guard"].ask(("meet", ([known["middle"]],)))
        nodes["middle"].ask(("meet", ([known["exit"]],)))
        middle = nodes["middle"].pid
        assert middle is not None
        yield RunningIpv8(nodes["client"], middle, address, ramp)
