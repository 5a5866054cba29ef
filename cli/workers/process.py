"""One process of a worker, as its parent sees it."""

import asyncio
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from cli.workers.channel import Message, read_message
from psp.units import Seconds


class WorkerProcess:
    """A process that was started, and the parent's end of the channel to it.

    Attributes:
        pid: Its process id.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.pid = process.pid
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, command: Sequence[str]) -> Self:
        """Start a command with the channel as its standard input."""
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=theirs.fileno(),
                # Ctrl-C is the parent's to act on: it ends the workers in good order.
                start_new_session=True,
            )
        return cls(process, *await asyncio.open_unix_connection(sock=ours))

    async def next_message(self) -> Message | None:
        """Return what it says next; None when it has closed the channel.

        Raises:
            DecodeError: If that is no message.
        """
        return await read_message(self._reader)

    def tell(self, data: bytes) -> None:
        """Send a frame; to one that has ended it is lost."""
        if not self._writer.is_closing():
            self._writer.write(data)

    async def end(self, within: Seconds) -> int:
        """Let it end, kill it if it does not; return its exit code, -N for signal N."""
        self._writer.close()
        try:
            return await asyncio.wait_for(self._process.wait(), within)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            return await self._process.wait()


def how_it_ended(code: int) -> str:
    """Return an exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
