"""What may come in from the far end, decided before any parser or cipher sees it.

The far end is a stranger (R-SEC-4). Without these checks an empty datagram crashes
aiortc's receive loop, and every new SSRC costs memory in libsrtp and in aiortc for as
long as the call lasts.
"""

from psp.media.pipe import PIPE_MTU, is_dtls, is_rtcp, is_rtp_or_rtcp
from psp.media.rate_limit import RateLimit
from psp.media.stats import PipeStats
from psp.units import Monotonic

RTCP_RATE = 200.0
"""RTCP packets a second; a call with three tracks at 5 % loss needs about 30."""

RTCP_BURST = 100.0

MAX_UNNAMED_RTCP_SOURCES = 8
"""A peer that only receives reports from an SSRC of its own; more is a flood."""

_MIN_RTP = 12
_MIN_RTCP = 8


class Gate:
    """Admits datagrams of one peer connection, and counts the rest by reason."""

    def __init__(self, stats: PipeStats, mtu: int = PIPE_MTU) -> None:
        self._stats = stats
        self._mtu = mtu
        self._named: set[int] = set()
        self._unnamed: set[int] = set()
        self._rtcp = RateLimit(RTCP_RATE, RTCP_BURST)

    def name_sources(self, ssrcs: set[int]) -> None:
        """Let in RTP of these SSRCs from now on; they stand in the peer's SDP."""
        self._named |= ssrcs

    def admits(self, data: bytes, now: Monotonic) -> bool:
        """Tell whether a datagram may go on to DTLS or SRTP."""
        if not 0 < len(data) <= self._mtu:
            self._stats.bad_length += 1
            return False
        if is_dtls(data[0]):
            return True
        if not is_rtp_or_rtcp(data[0]):
            self._stats.bad_first_byte += 1
            return False
        if is_rtcp(data):
            return self._admits_rtcp(data, now)
        return self._admits_rtp(data)

    def _admits_rtp(self, data: bytes) -> bool:
        if len(data) < _MIN_RTP:
            self._stats.bad_length += 1
            return False
        if int.from_bytes(data[8:12], "big") not in self._named:
            self._stats.unknown_source += 1
            return False
        return True

    def _admits_rtcp(self, data: bytes, now: Monotonic) -> bool:
        if len(data) < _MIN_RTCP:
            self._stats.bad_length += 1
            return False
        if not self._rtcp.allows(now):
            self._stats.rtcp_flood += 1
            return False
        ssrc = int.from_bytes(data[4:8], "big")
        if ssrc in self._named or ssrc in self._unnamed:
            return True
        if len(self._unnamed) >= MAX_UNNAMED_RTCP_SOURCES:
            self._stats.rtcp_source_flood += 1
            return False
        self._unnamed.add(ssrc)
        return True
