"""What media needs of a session: a channel of small datagrams that may get lost.

Limits of a datagram, both ways (R-SEC-4): 1 … 1,080 bytes, and a first byte of a DTLS
record (20..63) or of SRTP/SRTCP (128..191), as RFC 7983 section 7 tells them apart.
"""

from collections.abc import Callable
from typing import Protocol

from psp.units import Seconds
from psp.wire.onion import Kind

PIPE_MTU = 1080
"""Bytes of the largest datagram: a session block less its counter, type, length and
tag (SPEC.md section 7), rounded down."""

DatagramListener = Callable[[bytes], None]
CloseListener = Callable[[], None]
RoundTrip = Callable[[], Seconds]
"""Tells seconds there and back; 0 while nobody knows."""


class DatagramPipe(Protocol):
    """One end of an unreliable, authenticated channel to one peer."""

    def send(self, data: bytes, flags: Kind = Kind.PASS) -> None:
        """Send one datagram of 1 … `PIPE_MTU` bytes, or drop it; never wait.

        ``flags`` may hold ``Kind.AUDIO`` and ``Kind.KEY_FRAME``: what a full queue on
        the way should drop last.

        Raises:
            ConnectionError: The pipe is closed.
        """

    def on_datagram(self, listener: DatagramListener) -> None:
        """Call ``listener`` with each datagram that arrives; replaces the last one."""

    def on_close(self, listener: CloseListener) -> None:
        """Call ``listener`` once, when either end or the path between ends."""

    @property
    def round_trip(self) -> float:
        """Seconds there and back, 0 while nobody knows: what timers are fitted to."""
        ...

    def close(self) -> None:
        """End the pipe. Closing twice does nothing."""


def is_rtp_or_rtcp(first_byte: int) -> bool:
    """Tell whether a datagram with this first byte is SRTP or SRTCP."""
    return 128 <= first_byte <= 191


def is_dtls(first_byte: int) -> bool:
    """Tell whether a datagram with this first byte is a DTLS record."""
    return 20 <= first_byte <= 63


def is_rtcp(data: bytes) -> bool:
    """Tell SRTCP from SRTP by the packet type (RFC 5761 section 4)."""
    return len(data) >= 2 and is_rtp_or_rtcp(data[0]) and 192 <= data[1] <= 223
