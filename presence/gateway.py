"""What a relay decides about the look-ups it makes for circuits. Pure.

The gateway sees a location that means nothing without the credential, and never who
asks. Nothing found is kept for others: the voices are signed for one reader's nonce, and
each reader draws its own. All requests of one circuit under one nonce belong to one
search, which is kept until the circuit closes.
"""

from collections import OrderedDict
from collections.abc import Container
from dataclasses import dataclass
from typing import Generic, TypeVar

from presence.config import GatewayConfig
from presence.dht.findings import LookupResult, Testimony
from psp.netdoc.voice import VOICE_SLOTS
from psp.wire.lookup import MAX_VOICES, LookupRequest

SearchT = TypeVar("SearchT")


@dataclass(frozen=True, slots=True)
class SearchKey:
    """Which search a request belongs to.

    Attributes:
        circuit: Over which it came.
        location: Where is looked.
        nonce: The reader's.
    """

    circuit: int
    location: bytes
    nonce: bytes

    @classmethod
    def of(cls, circuit: int, request: LookupRequest) -> "SearchKey":
        """Return the search of a request."""
        return cls(circuit, request.location, request.nonce)


class GatewaySearches(Generic[SearchT]):
    """Searches by circuit and nonce, and how often each circuit asked.

    Circuits are counted until they close; there are no more of them than the relay
    carries. A circuit has at most as many searches as it may ask; when there are too
    many in all, the oldest is forgotten, and whoever asks again begins anew.
    """

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._searches: OrderedDict[SearchKey, SearchT] = OrderedDict()
        self._asked: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._searches)

    def admit(self, circuit: int) -> bool:
        """Count a request of a circuit, or tell that it is one too many."""
        asked = self._asked.get(circuit, 0)
        if asked >= self._config.lookups_per_circuit:
            return False
        self._asked[circuit] = asked + 1
        return True

    def circuit_closed(self, circuit: int) -> None:
        """Forget a circuit; any key is fine."""
        if self._asked.pop(circuit, None) is not None:
            for key in [key for key in self._searches if key.circuit == circuit]:
                del self._searches[key]

    def get(self, key: SearchKey) -> SearchT | None:
        """Return the search a request belongs to."""
        return self._searches.get(key)

    def keep(self, key: SearchKey, search: SearchT) -> None:
        """Remember a search."""
        self._searches[key] = search
        if len(self._searches) > self._config.kept_searches:
            self._searches.popitem(last=False)


def choose_voices(
    result: LookupResult,
    *,
    holders: Container[bytes],
    turn: int,
    must_retiring_speak: bool,
) -> tuple[bytes, ...]:
    """Return the voices that help the reader most, at most six, encoded.

    First those of members that are to hold what was looked for, unless they are doubted
    or claim what nobody else knows of. Which of these are left out, if there are more
    than fit, is another one each turn: several gateways bring more voices than one.

    Args:
        result: Who said what.
        holders: Who is to hold it, by DHT id.
        turn: Any number of the reader's.
        must_retiring_speak: Whether either kind of members is given half of the room,
            as far as it needs that; otherwise the elected have it all.
    """
    credible = _credible(result)
    kinds: dict[bool, list[Testimony]] = {}
    for is_retiring in (False, True):
        good: list[Testimony] = []
        rest: list[Testimony] = []
        for each in result.testimonies:
            if each.is_retiring is is_retiring:
                is_good = each.member in holders and not each.is_doubted
                is_good = is_good and not _is_outlier(each, credible)
                (good if is_good else rest).append(each)
        rest.sort(key=lambda each: _is_outlier(each, credible))
        start = turn % len(good) if good else 0
        kinds[is_retiring] = good[start:] + good[:start] + rest
    reserved = MAX_VOICES // 2 if must_retiring_speak else 0
    chosen = kinds[False][: MAX_VOICES - min(reserved, len(kinds[True]))]
    chosen += kinds[True][: MAX_VOICES - len(chosen)]
    return tuple(each.voice.encode() for each in chosen)


def _credible(result: LookupResult) -> list[int]:
    """Return by slot the newest sequence that a second one knows of or that was given."""
    credible = []
    for slot in range(VOICE_SLOTS):
        claims = sorted(each.voice.holds(slot) for each in result.testimonies)
        second = claims[-2] if len(claims) > 1 else 0
        credible.append(max(second, result.sequence(slot)))
    return credible


def _is_outlier(testimony: Testimony, credible: list[int]) -> bool:
    return any(
        claim > most
        for claim, most in zip(testimony.voice.sequences, credible, strict=True)
    )
