"""DTLS flights sent again until the far end goes on.

OpenSSL repeats a flight after one second, then two, whatever the path; pyOpenSSL has no
way to say otherwise. Copies of the same datagrams cost little and need no timer of the
far end: whichever comes first counts, and DTLS drops the others as replays. What was
received and answered, but whose answer was lost, is OpenSSL's to repeat.
"""

import asyncio
from collections.abc import Callable, Sequence

from psp.media.pipe import RoundTrip
from psp.units import Seconds

COPY_AFTER = Seconds(0.05)
"""The first copy does not wait for anything: so much later, one loss rarely takes both."""

REPEATS = 4
PAUSE_OF_ROUND_TRIP = 1.25
MIN_PAUSE = Seconds(0.2)


class Flights:
    """Repeats the latest flight."""

    def __init__(self, send: Callable[[bytes], None], round_trip: RoundTrip) -> None:
        """Repeat nothing yet.

        Args:
            send: Sends one datagram; must not raise.
            round_trip: Of the path, asked for each flight.
        """
        self._send = send
        self._round_trip = round_trip
        self._timer: asyncio.TimerHandle | None = None

    def launch(self, datagrams: Sequence[bytes]) -> None:
        """Repeat these, which were just sent, and none before them."""
        self.end()
        self._set_timer(COPY_AFTER, datagrams, REPEATS)

    def end(self) -> None:
        """Repeat nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _repeat(self, datagrams: Sequence[bytes], left: int) -> None:
        for datagram in datagrams:
            self._send(datagram)
        self._timer = None
        if left:
            pause = max(MIN_PAUSE, self._round_trip() * PAUSE_OF_ROUND_TRIP)
            self._set_timer(Seconds(pause), datagrams, left)

    def _set_timer(self, pause: Seconds, datagrams: Sequence[bytes], left: int) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(pause, self._repeat, datagrams, left - 1)
