"""Packet sizes of what aiortc emits, derived from the pipe's.

The sizes are module globals that aiortc reads whenever it packs something, so one
setting holds for the whole process.

    RTP    12 header + 12 extensions (mid, send time) + 2 retransmission + 16 tag = 42
    SCTP   12 header + 16 DATA header; DTLS 1.2 GCM record 13 + 8 + 16 = 65 in all
"""

import aiortc.codecs.h264
import aiortc.codecs.vpx
import aiortc.rtcrtpsender
import aiortc.rtcsctptransport

from psp.errors import ConfigError

RTP_RESERVE = 50
"""Bytes of a datagram that video payload leaves free: 42 of headers, 8 spare."""

SCTP_RESERVE = 65
DTLS_OVERHEAD = 37

RTP_HISTORY = 1024
"""Sent packets kept for retransmission, a power of two. aiortc's 128 are less than
half a second of a 3 Mbit/s stream."""

MIN_MTU = 400
"""Below, OpenSSL no longer fits a handshake fragment of use."""


def configure_mtu(mtu: int) -> None:
    """Make everything aiortc sends in this process fit datagrams of ``mtu`` bytes.

    Raises:
        ConfigError: ``mtu`` is too small to carry a handshake.
    """
    if mtu < MIN_MTU:
        raise ConfigError(f"pipe_mtu is {mtu}, needs at least {MIN_MTU}")
    aiortc.codecs.vpx.PACKET_MAX = mtu - RTP_RESERVE
    aiortc.codecs.h264.PACKET_MAX = mtu - RTP_RESERVE
    aiortc.rtcsctptransport.SCTP_MAX_PACKET_LENGTH = mtu - DTLS_OVERHEAD
    aiortc.rtcsctptransport.USERDATA_MAX_LENGTH = (mtu - SCTP_RESERVE) // 4 * 4
    # A name that rtcrtpsender imported, hence its own copy.
    vars(aiortc.rtcrtpsender)["RTP_HISTORY_SIZE"] = RTP_HISTORY
