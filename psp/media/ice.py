"""What stands in for ICE: an object with aioice's interface that only knows the pipe.

aiortc's ``RTCIceTransport`` talks to nothing but ``gatherer._connection``. Here that is
a `PipeConnection`, so no code that could open a socket or resolve a name exists in the
connection at all.
"""

import asyncio
import collections
import secrets
from typing import cast

import aioice
from aiortc.rtcicetransport import RTCIceGatherer
from pyee.asyncio import AsyncIOEventEmitter

from psp.media.config import MediaConfig
from psp.media.gate import Gate
from psp.media.pipe import DatagramPipe, is_dtls
from psp.media.stats import PipeStats
from psp.units import Monotonic, Seconds
from psp.wire.onion import Kind

PSEUDO_HOST = "0.0.0.0"  # noqa: S104 - never bound, see below
"""aiortc does not connect without a local candidate, so it gets the address that says
nothing, with the discard port of RFC 863."""

PSEUDO_PORT = 9

RECEIVE_QUEUE = 512
"""Datagrams waiting for DTLS; when full the oldest goes. Half a second at 8 Mbit/s."""

YIELD_EVERY = 32
"""Datagrams taken in a row before other tasks get their turn."""


class PipeConnection:
    """The part of ``aioice.Connection`` that aiortc uses, over a pipe.

    Invariant: once closed, `send` and `recv` raise ConnectionError for ever, which is
    how aiortc learns that its path is gone.
    """

    def __init__(self, pipe: DatagramPipe, config: MediaConfig) -> None:
        self.ice_controlling = False
        self.local_username = secrets.token_hex(4)
        self.local_password = secrets.token_hex(16)
        self.remote_is_lite = False
        self.remote_username: str | None = None
        self.remote_password: str | None = None
        self.remote_candidates: list[aioice.Candidate] = []
        self.stats = PipeStats()
        self.gate = Gate(self.stats, config.pipe_mtu)
        self.received_at = Monotonic(0.0)
        self.sent_at = Monotonic(0.0)
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._pipe = pipe
        self._queue: collections.deque[bytes] = collections.deque(maxlen=RECEIVE_QUEUE)
        self._arrived = asyncio.Event()
        self._closed = asyncio.Event()
        self._taken = 0
        self._held: list[bytes] | None = []
        pipe.on_datagram(self._take)
        pipe.on_close(self.fail)

    # -- what the gatherer asks

    @property
    def local_candidates(self) -> list[aioice.Candidate]:
        """The one pseudo-candidate."""
        return [
            aioice.Candidate(
                foundation="0",
                component=1,
                transport="udp",
                priority=1,
                host=PSEUDO_HOST,
                port=PSEUDO_PORT,
                type="host",
            )
        ]

    async def gather_candidates(self) -> None:
        """Do nothing: there is nothing to gather."""

    async def add_remote_candidate(self, candidate: aioice.Candidate | None) -> None:
        """Do nothing: no candidate is ever used."""

    # -- what the transport asks

    async def connect(self) -> None:
        """Start counting the peer's silence; the pipe is connected from the start."""
        if self._closed.is_set():
            raise ConnectionError("the pipe is closed")
        self.received_at = self.sent_at = Monotonic(self._loop.time())

    async def close(self) -> None:
        """Wait until what was sent last has left, then close the pipe."""
        if not self._closed.is_set():
            self._stop()
            await asyncio.sleep(self._config.linger)
        self._pipe.close()

    async def get_event(self) -> aioice.ConnectionClosed:
        """Wait for the end of the connection."""
        await self._closed.wait()
        return aioice.ConnectionClosed()

    async def send(self, data: bytes) -> None:
        """Send one datagram without flags."""
        self.send_flagged(data, Kind.PASS)

    def send_flagged(self, data: bytes, flags: Kind) -> None:
        """Send one datagram; too long a one is dropped and counted."""
        if self._closed.is_set():
            raise ConnectionError("the pipe is closed")
        if len(data) > self._config.pipe_mtu:
            self.stats.oversize += 1
            return
        self.stats.sent += 1
        self.sent_at = Monotonic(self._loop.time())
        self._pipe.send(data, flags)

    async def recv(self) -> bytes:
        """Return the next datagram that passed the gate."""
        self._taken += 1
        if self._taken % YIELD_EVERY == 0:
            await asyncio.sleep(0)
        while not self._queue:
            if self._closed.is_set():
                raise ConnectionError("the pipe is closed")
            self._arrived.clear()
            await self._arrived.wait()
        return self._queue.popleft()

    # -- what happens to the pipe

    def round_trip(self) -> Seconds:
        """Return the pipe's round trip in seconds, 0 while nobody knows."""
        return Seconds(self._pipe.round_trip)

    def release_media(self) -> None:
        """Let media in, from now on and what came before.

        The far end may send it on the heels of its handshake, which a lossy path lets
        come in any order; and nobody takes it before the handshake's end.
        """
        held, self._held = self._held or [], None
        for data in held:
            self._put(data)

    @property
    def is_closed(self) -> bool:
        """Whether the connection is over."""
        return self._closed.is_set()

    def fail(self) -> None:
        """End the connection: the pipe closed, or the peer fell silent."""
        self._stop()
        self._queue.clear()

    def _stop(self) -> None:
        self._closed.set()
        self._arrived.set()

    def _take(self, data: bytes) -> None:
        now = Monotonic(self._loop.time())
        if self._closed.is_set() or not self.gate.admits(data, now):
            return
        self.received_at = now
        self.stats.received += 1
        if self._held is None or is_dtls(data[0]):
            self._put(data)
        elif len(self._held) < RECEIVE_QUEUE:
            self._held.append(data)
        else:
            self.stats.overflow += 1

    def _put(self, data: bytes) -> None:
        if len(self._queue) == RECEIVE_QUEUE:
            self.stats.overflow += 1
        self._queue.append(data)
        self._arrived.set()


class PipeGatherer(RTCIceGatherer):
    """A gatherer that owns a `PipeConnection` and no aioice agent."""

    def __init__(self, connection: PipeConnection) -> None:
        # Not RTCIceGatherer.__init__, which makes an agent with a STUN server.
        AsyncIOEventEmitter.__init__(self)
        self._connection = cast("aioice.Connection", connection)
        self._remote_candidates_end = False
        self._RTCIceGatherer__state = "new"
