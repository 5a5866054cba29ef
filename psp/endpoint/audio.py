"""Audio in a session: every small datagram in up to four blocks, delivered once.

Bounds: the sender remembers three datagrams, the receiver the last `WINDOW` numbers.
"""

from collections import deque

from psp.wire.audio_bundle import MAX_BUNDLED, pack_bundle, unpack_bundle

WINDOW = 256
"""Numbers a datagram may be late by: 5 s at 50 a second, far above what repair, a second
leg or a player wait."""

_MODULUS = 1 << 16
_HALF = _MODULUS // 2
_SEEN = (1 << WINDOW) - 1


class AudioSender:
    """Numbers audio datagrams and packs them with those before."""

    def __init__(self) -> None:
        self._number = _MODULUS - 1
        self._latest: deque[bytes] = deque(maxlen=MAX_BUNDLED)

    def bundle(self, datagram: bytes) -> bytes:
        """Return the content of the AUDIO block for the next datagram.

        Args:
            datagram: 1 … `psp.wire.audio_bundle.MAX_AUDIO` bytes.
        """
        self._number = (self._number + 1) % _MODULUS
        self._latest.appendleft(datagram)
        return pack_bundle(self._number, self._latest)


class AudioReceiver:
    """Gives each numbered datagram once, whichever block brings it first.

    Attributes:
        recovered: Datagrams that a later block brought, as their own was lost or late.
    """

    def __init__(self) -> None:
        self.recovered = 0
        self._highest: int | None = None
        self._seen = 0

    def receive(self, content: bytes) -> list[bytes]:
        """Take in the content of an AUDIO block; return what is new, oldest first.

        Raises:
            DecodeError: If the content is not an audio bundle; nothing has changed.
        """
        bundled = unpack_bundle(content)
        newest, *before = bundled
        fresh = [
            datagram for number, datagram in reversed(before) if self._accept(number)
        ]
        self.recovered += len(fresh)
        if self._accept(newest[0]):
            fresh.append(newest[1])
        return fresh

    def _accept(self, number: int) -> bool:
        """Note a number; tell whether it is new. What is too old counts as seen."""
        if self._highest is None:
            self._highest, self._seen = number, 1
            return True
        ahead = (number - self._highest) % _MODULUS
        if 0 < ahead < _HALF:
            self._highest = number
            self._seen = (self._seen << min(ahead, WINDOW) | 1) & _SEEN
            return True
        behind = -ahead % _MODULUS
        if behind >= WINDOW or self._seen >> behind & 1:
            return False
        self._seen |= 1 << behind
        return True
