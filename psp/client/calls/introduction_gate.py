"""The gate: which introductions ring, before the app is asked (R-PATH-5).

Pure. Contacts pass at once. Strangers do while few come; then each has to prove work,
the more the busier it is::

    quiet: 0 bits --5 strangers in a minute--> first_effort .. last_effort bits
      ^                                          |  one more for each refused in vain
      +------- fewer than 5 in a minute ---------+  one less every quiet minute

A thousand introductions without work are a thousand answers of two bytes: they take no
place, wake nobody, and keep no contact out.
"""

import enum
from collections import OrderedDict, deque
from dataclasses import dataclass

from psp.units import Monotonic, Seconds

_MINUTE = Seconds(60.0)


@dataclass(frozen=True, slots=True)
class GateConfig:
    """Limits on incoming calls.

    Attributes:
        per_contact: Rings a minute of one contact.
        strangers: Rings a minute of all strangers together.
        in_all: Rings a minute.
        calm: Strangers a minute that ring without work.
        first_effort: Bits of work for the next: 256 tries, 0.1 s of one core.
        last_effort: The most ever asked for: 16,384 tries, 6 s of one core.
        raise_every: Least seconds between two steps up.
        proofs_per_minute: Proofs verified, at 0.4 ms each; more callers are told that
            it is busy.
        max_contacts: Whose rates are remembered; the longest silent is forgotten.
    """

    per_contact: int = 10
    strangers: int = 10
    in_all: int = 30
    calm: int = 5
    first_effort: int = 8
    last_effort: int = 14
    raise_every: Seconds = Seconds(2.0)
    proofs_per_minute: int = 600
    max_contacts: int = 1_024


class Verdict(enum.Enum):
    """What the gate says."""

    RING = enum.auto()
    REPLACE = enum.auto()
    """Ring in the place of the one with less work, which has been counted."""

    WORK_NEEDED = enum.auto()
    BUSY = enum.auto()


class IntroductionGate:
    """Judges introductions by who brings them, and how many came lately."""

    def __init__(self, config: GateConfig | None = None) -> None:
        self._config = config or GateConfig()
        self._all = _Window(self._config.in_all)
        self._strangers = _Window(self._config.strangers)
        self._proofs = _Window(self._config.proofs_per_minute)
        self._contacts: OrderedDict[str, _Window] = OrderedDict()
        self._effort = self._config.first_effort
        self._changed = Monotonic(0.0)

    def effort(self, now: Monotonic) -> int:
        """Return the bits of work that a stranger has to prove now."""
        if self._strangers.count(now) < self._config.calm:
            return 0
        self._calm_down(now)
        return self._effort

    def judge_contact(self, name: str, now: Monotonic) -> Verdict:
        """Judge an introduction of a contact, and count it if it rings.

        Args:
            name: Whose ticket came with it, verified.
            now: For rates.
        """
        window = self._contacts.pop(name, None) or _Window(self._config.per_contact)
        self._contacts[name] = window
        while len(self._contacts) > self._config.max_contacts:
            self._contacts.popitem(last=False)
        if window.is_full(now) or self._all.is_full(now):
            return Verdict.BUSY
        window.add(now)
        self._all.add(now)
        return Verdict.RING

    def judge_stranger(
        self, effort: int, now: Monotonic, *, can_replace: bool = False
    ) -> Verdict:
        """Judge an introduction of a stranger, and count it if it rings.

        Args:
            effort: Bits of work proven; 0 for none.
            now: For rates.
            can_replace: Whether a stranger with less work still waits whose place this
                one can have.
        """
        if effort < self.effort(now):
            return Verdict.WORK_NEEDED
        if self._strangers.is_full(now) and can_replace:
            return Verdict.REPLACE
        if self._strangers.is_full(now) or self._all.is_full(now):
            self._step_up(now)
            return Verdict.BUSY
        self._strangers.add(now)
        self._all.add(now)
        return Verdict.RING

    def may_verify(self, now: Monotonic) -> bool:
        """Tell whether there is time to verify one more proof, and count it."""
        if self._proofs.is_full(now):
            return False
        self._proofs.add(now)
        return True

    def _step_up(self, now: Monotonic) -> None:
        if now - self._changed >= self._config.raise_every:
            self._effort = min(self._effort + 1, self._config.last_effort)
            self._changed = now

    def _calm_down(self, now: Monotonic) -> None:
        minutes = int((now - self._changed) // _MINUTE)
        if minutes > 0:
            self._effort = max(self._effort - minutes, self._config.first_effort)
            self._changed = now


class _Window:
    """Events of the last minute, at most ``limit`` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times: deque[Monotonic] = deque()

    def count(self, now: Monotonic) -> int:
        """Return how many there were."""
        while self._times and self._times[0] <= now - _MINUTE:
            self._times.popleft()
        return len(self._times)

    def is_full(self, now: Monotonic) -> bool:
        """Tell whether one more would be too many."""
        return self.count(now) >= self._limit

    def add(self, now: Monotonic) -> None:
        """Count one; the caller asked `is_full`."""
        self._times.append(now)
