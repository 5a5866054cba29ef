"""16-bit sequence numbers and 32-bit timestamps of RTP, made to grow for ever."""


class Unwrapper:
    """Turns a counter that wraps into one that does not.

    The result is the value nearest the highest one seen (RFC 3550 appendix A.1).
    """

    def __init__(self, bits: int) -> None:
        self._size = 1 << bits
        self._highest: int | None = None

    def unwrap(self, value: int) -> int:
        """Return the full value of ``value``; the first one gets a lap to spare."""
        if self._highest is None:
            self._highest = value + self._size
            return self._highest
        distance = (value - self._highest) % self._size
        if distance >= self._size // 2:
            return self._highest + distance - self._size
        self._highest += distance
        return self._highest
