"""Answering LOOKUP: a search for each reader's nonce, and the voices with what it found."""

from collections.abc import Callable

from presence.config import GatewayConfig
from presence.dht.findings import LookupResult
from presence.dht.search import Search
from presence.dht.server import PresenceDht
from presence.gateway import GatewaySearches, SearchKey, choose_voices
from presence.stats import PresenceStats
from psp.errors import DecodeError
from psp.netdoc.presence_record import OuterRecord
from psp.runtime.ports import CircuitPeer, CircuitPort, RefusedError
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.lookup import Found, FoundState, LookupRequest
from psp.wire.relay_message import RelayCommand

_HEARD_WITHIN = Seconds(2.0)
_FETCHED_WITHIN = Seconds(0.8)
"""An asker gives up after 3.3 s (SPEC.md §3); the search goes on behind the answer."""


class GatewayService:
    """Looks up for circuits."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        dht: PresenceDht,
        circuits: CircuitPort,
        stats: PresenceStats,
        unix_time: Callable[[], float],
    ) -> None:
        """Wire the parts; nothing is served before `start`."""
        self._config = config
        self._dht = dht
        self._circuits = circuits
        self._stats = stats
        self._unix_time = unix_time
        self._searches: GatewaySearches[Search] = GatewaySearches(config)
        self._running = 0

    def start(self) -> None:
        """Serve."""
        self._circuits.serve(RelayCommand.LOOKUP, self._on_lookup)
        self._circuits.on_circuit_closed(self._searches.circuit_closed)

    async def _on_lookup(self, peer: CircuitPeer, data: bytes) -> bytes:
        try:
            request = LookupRequest.decode(data)
        except DecodeError:
            self._stats.requests_bad += 1
            raise RefusedError(Reason.PROTOCOL) from None
        if not self._searches.admit(peer.key):
            self._stats.lookups["too_often"] += 1
            raise RefusedError(Reason.RESOURCE_LIMIT)
        search = self._search(SearchKey.of(peer.key, request))
        result = await search.heard(_HEARD_WITHIN)
        record = await search.record(request.slot, _FETCHED_WITHIN)
        found = self._conclude(request, record, result)
        self._stats.lookups[found.state.name.lower()] += 1
        return found.encode()

    def _search(self, key: SearchKey) -> Search:
        search = self._searches.get(key)
        if search is not None:
            return search
        if self._running >= self._config.max_lookups:
            self._stats.lookups["full"] += 1
            raise RefusedError(Reason.RESOURCE_LIMIT)
        search = self._dht.search(key.location, key.nonce)
        self._searches.keep(key, search)
        self._running += 1
        search.on_end(self._ended)
        return search

    def _ended(self) -> None:
        self._running -= 1

    def _conclude(
        self, request: LookupRequest, record: OuterRecord | None, result: LookupResult
    ) -> Found:
        voices = choose_voices(
            result,
            holders=self._dht.holders(request.location),
            turn=request.nonce[0],
            must_retiring_speak=self._dht.must_retiring_speak,
        )
        # A search that is asked again may outlive what it found.
        if record is not None and record.head.expires > self._unix_time():
            return Found(FoundState.RECORD, record.raw, voices)
        is_heard = self._dht.is_heard(result)
        state = FoundState.NO_RECORD if is_heard else FoundState.COULD_NOT_ASK
        return Found(state, voices=voices)
