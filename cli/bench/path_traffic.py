"""What the two ends of a measured path say to each other over their session.

::

    voice   50 packets of 160 bytes a second; the other end sends each back
    bulk    full datagrams as fast as the session takes them, one way; counted there

A voice packet's round trip begins when the packet is *due*, so that an end too busy to
send it in time is not forgiven.
"""

import asyncio
import struct
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from psp.client.calls.session import ClientSession, SessionClosedError
from psp.endpoint.session_events import SendingView
from psp.wire.onion import Kind
from psp.wire.session_block import PIPE_MTU

VOICE_PER_SECOND = 50
_VOICE_SIZE = 160

LATEST = 1.0
"""Seconds after the last voice packet that its echo may still come."""

_HEAD = struct.Struct("!cBI")
"""What it is, the phase of bulk, the number of voice."""
_VOICE, _ECHO, _BULK = b"V", b"E", b"B"


@dataclass(frozen=True, slots=True)
class Counts:
    """Bulk at one end so far.

    Attributes:
        time: When this was counted, seconds of the machine's monotonic clock.
        sent: Datagrams by phase.
        received: Datagrams by the sender's phase; a session delivers none twice.
        size: Bytes of each.
    """

    time: float
    sent: Counter[int]
    received: Counter[int]
    size: int = PIPE_MTU

    @property
    def received_bytes(self) -> int:
        """Application payload that came."""
        return self.received.total() * self.size


class Traffic:
    """One end's traffic over one session.

    Attributes:
        phase: What bulk is sent in, 0 … 255; its receiver counts by it.
        sent: Datagrams of bulk by phase.
        received: Datagrams of bulk by the sender's phase.
    """

    def __init__(self, session: ClientSession) -> None:
        self._session = session
        self._trips: list[float | None] = []
        self._first_due = 0.0
        self._missing = 0
        self._all_back = asyncio.Event()
        self.phase = 0
        self.sent: Counter[int] = Counter()
        self.received: Counter[int] = Counter()
        self._bulk: asyncio.Task[None] | None = None
        session.on_datagram(self._receive)

    @property
    def sending(self) -> SendingView:
        """How the session sends now."""
        return self._session.sending

    async def voice(self, seconds: float) -> list[float | None]:
        """Send voice for so long; return the round trip of each packet in seconds.

        None: its echo had not come `LATEST` after the last was sent, or the session was
        over before.
        """
        loop = asyncio.get_running_loop()
        self._trips = [None] * round(seconds * VOICE_PER_SECOND)
        self._missing = len(self._trips)
        self._all_back.clear()
        self._first_due = loop.time() + 0.1
        for number in range(len(self._trips)):
            due = self._first_due + number / VOICE_PER_SECOND
            await asyncio.sleep(due - loop.time())
            voice = _HEAD.pack(_VOICE, 0, number).ljust(_VOICE_SIZE, b"\0")
            with suppress(ConnectionError):
                self._session.send(voice, Kind.AUDIO)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_back.wait(), LATEST)
        return self._trips

    def start_bulk(self, phase: int) -> None:
        """Begin to send, until told to stop or the session ends."""
        self.phase = phase
        self._bulk = asyncio.create_task(self._send_bulk())

    def stop_bulk(self) -> None:
        """Send no more."""
        if self._bulk is not None:
            self._bulk.cancel()
            self._bulk = None

    async def _send_bulk(self) -> None:
        send = self._session.send
        filling = bytes(PIPE_MTU - _HEAD.size)
        with suppress(SessionClosedError):
            while True:
                phase = self.phase
                room = await self._session.ready()
                datagram = _HEAD.pack(_BULK, phase, 0) + filling
                for _ in range(room):
                    send(datagram)
                self.sent[phase] += room
                # With room left `ready` does not wait; the socket must get its turn.
                await asyncio.sleep(0)

    def _receive(self, datagram: bytes) -> None:
        what, phase, number = _HEAD.unpack_from(datagram)
        if what == _BULK:
            self.received[phase] += 1
        elif what == _VOICE:
            self._session.send(_ECHO + datagram[1:], Kind.AUDIO)
        elif what == _ECHO and self._trips[number] is None:
            due = self._first_due + number / VOICE_PER_SECOND
            self._trips[number] = time.monotonic() - due
            self._missing -= 1
            if not self._missing:
                self._all_back.set()
