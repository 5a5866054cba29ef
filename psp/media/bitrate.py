"""How fast video may be encoded: by what the session bears and the far end can take.

aiortc makes its encoder anew, with a key frame, when its target moves by a tenth. So the
target falls in steps and not for little, and rises only to what has been there for a
while.
"""

import math
from typing import Protocol, runtime_checkable

from psp.units import Monotonic

BLOCK_BITS = 8640
"""What a datagram of any length takes of a session's bitrate."""

AUDIO_SHARE = 50 * BLOCK_BITS
"""Bits a second that one audio track takes: a datagram each 20 ms."""

FRAME_SHARE = 15 * BLOCK_BITS
"""Half a datagram in each of 30 frames a second is empty."""

VIDEO_SHARE = 0.8
"""Of the rest: 5 % are headers, 5 % retransmissions, 10 % what an encoder is over its
target at times."""

MIN_FALL = 0.1
MIN_RISE = 0.1
FALL_PAUSE = 0.5
"""Seconds between two falls, but for one by half: the first one takes that long to show
in the path's queue."""

DEEP_FALL = 0.5
RISE_PAUSE = 1.0
"""Seconds that more must have been there for; the far end's estimates come as often."""


class Sending(Protocol):
    """What a pipe has done to what it was given."""

    @property
    def dropped(self) -> int:
        """Datagrams that waited for too long, since the beginning."""
        ...


@runtime_checkable
class PacedPipe(Protocol):
    """A pipe that knows what its path bears, and sends no more."""

    @property
    def sending(self) -> Sending:
        """How sending goes."""
        ...

    @property
    def bitrate(self) -> int:
        """Bits a second, in datagrams of full length."""
        ...


def video_bitrate(bitrate: float, audio: int, video: int) -> float:
    """Return what each of ``video`` tracks may have beside ``audio`` tracks."""
    free = bitrate - audio * AUDIO_SHARE - video * FRAME_SHARE
    return max(0.0, VIDEO_SHARE * free / max(1, video))


class Follower:
    """Chooses an encoder's target from what changes all the time."""

    def __init__(self, now: Monotonic) -> None:
        self._fell_at = Monotonic(now - FALL_PAUSE)
        self._since = Monotonic(now - RISE_PAUSE)
        self._least = math.inf

    def choose(self, present: float, wanted: float, now: Monotonic) -> float:
        """Return the new target in bits a second; the present one for no change."""
        self._least = min(self._least, wanted)
        if wanted < present * (1 - MIN_FALL):
            is_deep = wanted < present * DEEP_FALL
            if is_deep or now - self._fell_at >= FALL_PAUSE:
                self._fell_at = self._since = now
                self._least = math.inf
                return wanted
        elif now - self._since >= RISE_PAUSE:
            least, self._least = self._least, math.inf
            self._since = now
            if least > present * (1 + MIN_RISE):
                return least
        return present
