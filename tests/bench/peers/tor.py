"""Tor measured: a fixed path guard - middle - exit, applications at both ends."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import stem

from cli.bench.place import Place
from tests.bench.peers.figures import Builds, Bulk, PeerError, Voice
from tests.bench.peers.tor_config import TorSetting
from tests.bench.peers.tor_network import TorNetwork, tor_network
from tests.bench.peers.traffic import Behind, Downloads, connect, talk

_BUILDS_WITHIN = 60
_STREAMS_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class RunningTor:
    """Tor as `figures.Running`.

    Attributes:
        network: That is measured.
        source: Where bytes come from, behind the exit.
        echo: Where voice comes back from.
        ramp: Seconds that a stream gets to reach its speed.
    """

    network: TorNetwork
    source: tuple[str, int]
    echo: tuple[str, int]
    ramp: float

    def wait_for_stream(self) -> None:
        """Wait until a stream opens: an exit refuses all before it has a consensus.

        Raises:
            PeerError: With tor's reason, if none does.
        """
        give_up = time.monotonic() + _STREAMS_WITHIN
        while True:
            circuit = self._circuit()
            try:
                connect(self.network.client.socks, circuit, *self.echo).close()
            except PeerError as error:
                if time.monotonic() > give_up:
                    why = ", ".join(set(self.network.refusals))
                    raise PeerError(f"{error} ({why or 'no answer'})") from error
                time.sleep(1.0)
            else:
                return
            finally:
                self._close([circuit])

    def build(self, count: int) -> Builds:
        """See `figures.Running`."""
        times, circuits = [], []
        failures = 0
        for _ in range(count):
            started = time.perf_counter()
            try:
                circuits.append(self._circuit())
            except PeerError:
                failures += 1
            else:
                times.append(time.perf_counter() - started)
        # Not before: tor sets no TCP_NODELAY, so what is sent right after a close waits
        # for an acknowledgement that is 40 ms late.
        self._close(circuits)
        return Builds(tuple(times), failures)

    def bulk(self, streams: int, seconds: float) -> Bulk:
        """See `figures.Running`."""
        circuits = [self._circuit() for _ in range(streams)]
        middle = self.network.relays["middle"]
        with Downloads(self.network.client.socks, circuits, self.source) as downloads:
            time.sleep(self.ramp)
            cpu, received = middle.cpu_seconds(), downloads.received()
            started = time.perf_counter()
            time.sleep(seconds)
            cpu = middle.cpu_seconds() - cpu
            received = downloads.received() - received
            measured = time.perf_counter() - started
        self._close(circuits)
        return Bulk(received, measured, cpu)

    def voice(self, seconds: float, beside: str | None) -> Voice:
        """See `figures.Running`."""
        circuits = [self._circuit()]
        bulk_circuit = self._circuit() if beside == "other" else circuits[0]
        circuits.append(bulk_circuit)
        socks = self.network.client.socks
        mb_s = None
        with contextlib.ExitStack() as stack:
            downloads = None
            if beside:
                downloads = stack.enter_context(
                    Downloads(socks, [bulk_circuit], self.source)
                )
                time.sleep(self.ramp)
                before = downloads.received()
            stream = stack.enter_context(connect(socks, circuits[0], *self.echo))
            sent, round_trips = talk(stream, seconds)
            if downloads:
                mb_s = (downloads.received() - before) / seconds / 1e6
        self._close(circuits)
        return Voice(sent, tuple(round_trips), mb_s)

    def _circuit(self) -> str:
        try:
            circuit: str = self.network.controller.new_circuit(
                list(self.network.path), await_build=True, timeout=_BUILDS_WITHIN
            )
        except (stem.ControllerError, stem.CircuitExtensionFailed) as error:
            raise PeerError(f"tor built no circuit: {error}") from error
        return circuit

    def _close(self, circuits: list[str]) -> None:
        for circuit in set(circuits):
            with contextlib.suppress(stem.ControllerError):
                self.network.controller.close_circuit(circuit)


@contextlib.contextmanager
def running_tor(
    setting: TorSetting,
    places: Mapping[str, Place],
    folder: Path,
    *,
    ramp: float,
) -> Iterator[RunningTor]:
    """Start a network and what is behind its exit.

    Raises:
        PeerError: With the reason why it does not run.
    """
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(tor_network(setting, places, folder))
        behind = stack.enter_context(Behind(places["exit"]))
        running = RunningTor(network, behind.source, behind.echo, ramp)
        running.wait_for_stream()
        yield running
