"""DHT ids in order: who of them is nearest to a location."""

import heapq
from bisect import bisect_left
from collections.abc import Iterable

from psp.netdoc.presence_record import LOCATION_SIZE

_BITS = 8 * LOCATION_SIZE


class Circle:
    """A fixed set of ids."""

    def __init__(self, ids: Iterable[bytes] = ()) -> None:
        self._numbers = sorted(int.from_bytes(each) for each in ids)

    def __len__(self) -> int:
        return len(self._numbers)

    def nearest(self, location: bytes, count: int) -> list[bytes]:
        """Return the ``count`` ids nearest to a location, nearest first.

        Ids that share their first bits with the location are nearer than all others,
        and stand together when sorted: widen that range until it holds enough.
        """
        key = int.from_bytes(location)
        low, high = 0, _BITS
        while low < high:
            bits = (low + high) // 2
            start, end = self._range(key, bits)
            if end - start >= count:
                high = bits
            else:
                low = bits + 1
        start, end = self._range(key, low)
        nearby = self._numbers[start:end]
        nearest = heapq.nsmallest(count, nearby, key=lambda number: number ^ key)
        return [number.to_bytes(LOCATION_SIZE) for number in nearest]

    def _range(self, key: int, bits: int) -> tuple[int, int]:
        first = key >> bits << bits
        start = bisect_left(self._numbers, first)
        return start, bisect_left(self._numbers, first + (1 << bits), start)
