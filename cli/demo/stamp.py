"""A code drawn into every frame, which survives lossy compression.

Two rows of 24 blocks along the top, black or white, hold 48 bits, first bit on the left::

    row 0   counter 16 | clock, high 8
    row 1   clock, low 8 | CRC 16 of the four bytes before

From the code in a decoded frame follow its latency, whether any frame is missing, and
whether the picture is damaged where it is drawn.
"""

import binascii
import time
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt

ROWS = 2
COLUMNS = 24
BLOCK_HEIGHT = 24
"""Lines, at least a macroblock and a half: blocks keep a clean middle at 250 kbit/s."""

BAND_HEIGHT = ROWS * BLOCK_HEIGHT

_BLACK, _GREY, _WHITE = 16, 126, 235
_NEUTRAL = 128
"""A chroma sample without colour."""

Plane = npt.NDArray[np.uint8]


class Stamp(NamedTuple):
    """What a frame carries.

    Attributes:
        counter: Of frames sent, 16 bits.
        clock_ms: When it was sent, 16 bits of a monotonic clock all processes share.
    """

    counter: int
    clock_ms: int


def clock_ms() -> int:
    """Return 16 bits of the monotonic clock, in milliseconds."""
    return int(time.monotonic() * 1000) & 0xFFFF


def latency_ms(stamp: Stamp, now_ms: int) -> int:
    """Return milliseconds from the stamp to ``now_ms``; wraps at 65 seconds."""
    return (now_ms - stamp.clock_ms) & 0xFFFF


def draw_stamp(frame: av.VideoFrame, stamp: Stamp) -> None:
    """Draw the code into a yuv420p frame that belongs to the caller alone."""
    bits = np.unpackbits(np.frombuffer(_pack(stamp).to_bytes(6, "big"), np.uint8))
    luma = plane_of(frame, 0)
    width = frame.width // COLUMNS
    levels = np.where(bits == 1, _WHITE, _BLACK).astype(np.uint8)
    for row, line in enumerate(levels.reshape(ROWS, COLUMNS)):
        top = row * BLOCK_HEIGHT
        luma[top : top + BLOCK_HEIGHT, : width * COLUMNS] = np.repeat(line, width)
    for chroma in (1, 2):
        plane_of(frame, chroma)[: BAND_HEIGHT // 2, :] = _NEUTRAL


def read_stamp(frame: av.VideoFrame) -> Stamp | None:
    """Return the code of a decoded frame, or None if it is damaged or absent."""
    if frame.width < COLUMNS * 8 or frame.height < BAND_HEIGHT:
        return None
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        frame = frame.reformat(format="yuv420p")
    luma = plane_of(frame, 0)
    width = frame.width // COLUMNS
    edge = width // 4
    band = luma[:BAND_HEIGHT, : width * COLUMNS]
    blocks = band.reshape(ROWS, BLOCK_HEIGHT, COLUMNS, width)
    middles = blocks[:, 6:-6, :, edge : width - edge].mean(axis=(1, 3))
    code = int.from_bytes(np.packbits(middles.ravel() > _GREY).tobytes(), "big")
    stamp = Stamp(code >> 32, (code >> 16) & 0xFFFF)
    return stamp if _pack(stamp) == code else None


def plane_of(frame: av.VideoFrame, index: int) -> Plane:
    """Return one plane of a planar 8-bit frame as an array over its memory."""
    plane = frame.planes[index]
    lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    return lines[: plane.height, : plane.width]  # type: ignore[no-any-return]


def _pack(stamp: Stamp) -> int:
    payload = stamp.counter << 16 | stamp.clock_ms
    # Not all zeros for an all-black band, nor all ones: the initial value sees to it.
    checksum = binascii.crc_hqx(payload.to_bytes(4, "big"), 0xFFFF)
    return payload << 16 | checksum
