"""Starts and stops the processes of the demo, and reads what they say."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psp.errors import PspError

STOP_WITHIN = 5.0
"""Seconds a process has to leave after SIGTERM; then it is killed."""
_LINE_LIMIT = 8 << 20

Event = Mapping[str, Any]


class ProcessError(PspError):
    """A process of the demo ended, or failed, before its time."""


@dataclass(slots=True)
class Process:
    """One process: JSON lines on its output, commands on its input.

    Attributes:
        name: For messages.
        events: Everything it has said.
        log: Where its standard error goes.
    """

    name: str
    log: Path
    child: asyncio.subprocess.Process
    events: list[Event] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        name: str,
        arguments: Sequence[str],
        log: Path,
        *,
        module: str = "cli.main",
    ) -> "Process":
        """Start ``psp``, or another module, in a process group of its own."""
        with log.open("wb") as stream:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stream,
                start_new_session=True,
                limit=_LINE_LIMIT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        process = cls(name, log, child)
        process._reader = asyncio.create_task(process._read())
        return process

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.child.returncode is None

    def tell(self, line: str) -> None:
        """Send one command line."""
        if self.child.stdin is not None and self.is_running:
            self.child.stdin.write(line.encode() + b"\n")

    async def wait_for(self, name: str, within: float) -> Event:
        """Return the first event of this name.

        Raises:
            ProcessError: If the process ends or fails first, or takes too long.
        """
        try:
            async with asyncio.timeout(within):
                while True:
                    self._changed.clear()
                    for event in self.events:
                        if event["event"] == name:
                            return event
                    self._raise_if_failed(name)
                    await self._changed.wait()
        except TimeoutError:
            raise ProcessError(
                f"{self.name}: no {name.replace('_', ' ')!r} within {within:.0f} s"
            ) from None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._signal(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to leave; kill it if it does not."""
        if self.is_running:
            self._signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.child.wait(), STOP_WITHIN)
            except TimeoutError:
                self.kill()
        await self.child.wait()
        if self._reader is not None:
            await self._reader

    def _signal(self, number: signal.Signals) -> None:
        # It may have ended without the loop knowing yet.
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, number)

    def _raise_if_failed(self, awaited: str) -> None:
        for event in self.events:
            if event["event"] == "failed":
                raise ProcessError(f"{self.name}: {event['error']}")
        if self._reader is not None and self._reader.done():
            raise ProcessError(
                f"{self.name} ended before {awaited.replace('_', ' ')!r}"
            )

    async def _read(self) -> None:
        stream = self.child.stdout
        while stream is not None and (line := await stream.readline()):
            try:
                event = json.loads(line)
            except ValueError:
                continue  # not ours
            if isinstance(event, dict) and "event" in event:
                self.events.append(event)
                self._changed.set()
        await self.child.wait()
        self._changed.set()


def keep_events(process: Process, path: Path) -> None:
    """Write everything a process has said to a file, a line each."""
    path.write_text("".join(json.dumps(event) + "\n" for event in process.events))


async def stop_all(processes: Sequence[Process]) -> None:
    """Stop everything at the same time."""
    await asyncio.gather(*(process.stop() for process in processes))
