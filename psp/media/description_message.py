"""A session description as a message: offers and answers for the other end.

::

    type 1 (1 offer, 2 answer) | deflated SDP

An SDP of two tracks takes three session blocks, deflated one: there is less to lose on
the way, and the far end waits for it.
"""

import zlib

from aiortc import RTCSessionDescription

from psp.errors import RemoteProtocolError
from psp.media.remote_sdp import MAX_SDP_BYTES

_TYPES = {1: "offer", 2: "answer"}
_NUMBERS = {name: number for number, name in _TYPES.items()}


def packed(description: RTCSessionDescription) -> bytes:
    """Return an offer or an answer as a message."""
    number = _NUMBERS[description.type]
    return bytes([number]) + zlib.compress(description.sdp.encode(), 9)


def unpacked(message: bytes) -> RTCSessionDescription:
    """Return the description that the far end has sent.

    Raises:
        RemoteProtocolError: It is none, or one of more than 32 KiB.
    """
    inflater = zlib.decompressobj()
    try:
        sdp = inflater.decompress(message[1:], MAX_SDP_BYTES)
        if not inflater.eof:
            raise RemoteProtocolError("session description is cut short or too long")
        return RTCSessionDescription(sdp=sdp.decode(), type=_TYPES[message[0]])
    except (zlib.error, UnicodeDecodeError, KeyError, IndexError) as error:
        raise RemoteProtocolError("message is no session description") from error
