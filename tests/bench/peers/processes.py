"""Programs of other people, run at a place and ended with us."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.bench.place import Place
from tests.bench.peers.figures import PeerError

_ENDS_WITHIN = 5.0
_LAST_WORDS = 400
"""Characters of a program's own words that an error quotes."""


class Program:
    """A process; use as a context manager."""

    def __init__(
        self,
        place: Place,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it at ``place``; what it says goes to ``log``, its input is ours."""
        prefix = ["nsenter", f"--net=/run/netns/{place.netns}"] if place.netns else []
        self.log = log
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                [*prefix, *command],
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Ctrl-C is ours; we end it in order
            )
        self.pid = self._process.pid

    def wait_for(self, is_ready: Callable[[str], bool], within: float) -> None:
        """Wait until its log satisfies ``is_ready``.

        Raises:
            PeerError: If it ends first, or takes too long; with its last words.
        """
        deadline = time.monotonic() + within
        while True:
            said = self.log.read_text("utf-8", errors="replace")
            if is_ready(said):
                return
            if self._process.poll() is not None:
                raise PeerError(f"{self.log.stem} ended: {said[-_LAST_WORDS:].strip()}")
            if time.monotonic() > deadline:
                words = said[-_LAST_WORDS:].strip()
                raise PeerError(f"{self.log.stem} not up in {within:.0f} s: {words}")
            time.sleep(0.05)

    def cpu_seconds(self) -> float:
        """Return what it used so far, user and system, all of its threads."""
        return cpu_seconds(self.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def cpu_seconds(pid: int) -> float:
    """Return what any process used so far: its CPU clock, as clock_getcpuclockid(3).

    Raises:
        PeerError: If it is gone.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        raise PeerError(f"process {pid} is gone") from None


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    """Return ports that nobody uses now on loopback, all different."""
    held = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
