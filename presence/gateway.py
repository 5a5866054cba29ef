"""What a relay remembers for the look-ups it makes for circuits. Pure.

The gateway sees a location that means nothing without the credential, and never who
asks. It caches what was found for 20 s, so that a popular location is not counted by
the nodes that hold it; absence is never cached, as the user may come any moment.
"""

from collections import OrderedDict
from dataclasses import dataclass

from presence.config import GatewayConfig
from psp.netdoc.presence_record import OuterRecord
from psp.units import Monotonic
from psp.wire.presence import LookupRequest


@dataclass(frozen=True, slots=True)
class _Cached:
    record: OuterRecord
    until: Monotonic


class GatewayCache:
    """Records found lately, and how often each circuit asked.

    When full, the oldest record goes first. Circuits are counted until they close;
    there are no more of them than the relay carries.
    """

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._found: OrderedDict[LookupRequest, _Cached] = OrderedDict()
        self._asked: dict[int, int] = {}

    def admit(self, circuit: int) -> bool:
        """Count a look-up of a circuit, or tell that it is one too many."""
        asked = self._asked.get(circuit, 0)
        if asked >= self._config.lookups_per_circuit:
            return False
        self._asked[circuit] = asked + 1
        return True

    def circuit_closed(self, circuit: int) -> None:
        """Forget a circuit; any key is fine."""
        self._asked.pop(circuit, None)

    def find(
        self, request: LookupRequest, now: Monotonic, unix_now: float
    ) -> OuterRecord | None:
        """Return a record found at most 20 s ago that has not ended since."""
        cached = self._found.get(request)
        if cached is None:
            return None
        if cached.until <= now or cached.record.head.expires <= unix_now:
            del self._found[request]
            return None
        return cached.record

    def keep(self, request: LookupRequest, record: OuterRecord, now: Monotonic) -> None:
        """Remember a record, unless a newer one is held."""
        held = self._found.pop(request, None)
        if held is not None and held.record.head.sequence > record.head.sequence:
            record = held.record
        until = Monotonic(now + self._config.cache_time)
        self._found[request] = _Cached(record, until)
        while len(self._found) > self._config.cache_size:
            self._found.popitem(last=False)
