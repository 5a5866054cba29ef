"""The cookies that a watch point holds for circuits of watchers. Pure.

A cookie leads to one circuit, once. The watch point knows neither what a message says nor
whom it is about, and the circuit's other end is a stranger to it.
"""

from presence.config import WatchConfig

_ASKED_FOR_ROOM = 4
"""Circuits that give cookies up for one request; each takes a look at all circuits."""


class HeldCookies:
    """Which circuit a cookie leads to; limits in `WatchConfig`.

    A circuit at its limit gives up its oldest cookie. When all is full, the circuit that
    holds most gives up its oldest, but for nobody who would hold as many: a hundred
    circuits that hold all they may keep nobody out who needs a few.
    """

    def __init__(self, config: WatchConfig) -> None:
        self._config = config
        self._circuit_of: dict[bytes, int] = {}
        self._of_circuit: dict[int, dict[bytes, None]] = {}

    def __len__(self) -> int:
        return len(self._circuit_of)

    def hold(self, circuit: int, cookies: tuple[bytes, ...]) -> int | None:
        """Hold cookies for a circuit; return how many it has now, None if full.

        A cookie that is held already stays where it is: it is repeated, or stolen.
        """
        new = [cookie for cookie in cookies if cookie not in self._circuit_of]
        missing = len(self._circuit_of) + len(new) - self._config.max_cookies
        if missing > 0 and not self._make_room(circuit, len(new), missing):
            return None
        held = self._of_circuit.setdefault(circuit, {})
        for cookie in new:
            held[cookie] = None
            self._circuit_of[cookie] = circuit
        while len(held) > self._config.cookies_per_circuit:
            oldest = next(iter(held))
            del held[oldest], self._circuit_of[oldest]
        return len(held)

    def _make_room(self, circuit: int, wanted: int, missing: int) -> bool:
        """Let circuits that hold more than this one will give some up."""
        own = len(self._of_circuit.get(circuit, ())) + wanted
        for _ in range(_ASKED_FOR_ROOM):
            richest = max(self._of_circuit.values(), key=len, default={})
            spare = min(len(richest) - own, missing)
            if spare <= 0:
                return False
            for oldest in list(richest)[:spare]:
                del richest[oldest], self._circuit_of[oldest]
            missing -= spare
            if not missing:
                return True
        return False

    def use(self, cookie: bytes) -> int | None:
        """Return the circuit of a cookie and forget the cookie; None if nobody holds it."""
        circuit = self._circuit_of.pop(cookie, None)
        if circuit is not None:
            del self._of_circuit[circuit][cookie]
        return circuit

    def circuit_closed(self, circuit: int) -> None:
        """Forget a circuit and its cookies; any key is fine."""
        for cookie in self._of_circuit.pop(circuit, ()):
            del self._circuit_of[cookie]
