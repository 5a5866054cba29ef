"""Guards: the few relays a client enters by, for months (R-PATH-4).

Whoever controls a client's first hop sees its address. A client that draws a new one
for each circuit meets a bad one for certain; a client with fixed guards has met it from
the start or never. So guards are drawn once, kept in order, and left only when they
cannot be used. The shape is Tor's (guard-spec), smaller::

    sample (<= 60, drawn by weight) > primary (the first 3 usable) > in use (2)
    order: confirmed ones by date of the first success, then sampled ones by age

The first usable guard carries everything; the second only hot spares. A guard that
fails is tried again on a schedule and never dropped for it: a blocked network must not
be able to turn the list over. It leaves when its life is over (120 days since sampling
and, if confirmed, 60 since that) or when the registry has lacked it for 20 days.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from psp.entropy import Entropy
from psp.ids import NodeId
from psp.netdoc.node_record import NodeRecord
from psp.path.guard_state import MAX_SAMPLE, Guard, decode_guards, encode_guards
from psp.path.weights import Wheel
from psp.units import Monotonic, Seconds, UnixTime

PRIMARY = 3
USABLE = 20
"""Listed guards wanted in the sample (Tor's MIN_FILTERED_SAMPLE)."""
DAY = 86_400
SAMPLED_LIFE = 120 * DAY
CONFIRMED_LIFE = 60 * DAY
UNLISTED_LIFE = 20 * DAY
SILENCE = Seconds(600)
"""Without any success for so long the local network was probably down."""

_HOUR = 3600
_PRIMARY_RETRIES = ((6 * _HOUR, 600), (4 * DAY, 5400), (7 * DAY, 4 * _HOUR))
_OTHER_RETRIES = ((6 * _HOUR, _HOUR), (4 * DAY, 4 * _HOUR), (7 * DAY, 18 * _HOUR))
_LAST_RETRY = {True: 9 * _HOUR, False: 36 * _HOUR}
"""(Failing for less than, try again after), all from Tor's guard-spec."""

BIAS_ATTEMPTS = 20
BIAS_FAILING = 0.30
"""R-TAG-6: more than 30 % of circuits through one guard failing. The 20 is our guess
at where chance ends: at 5 % honest failures, seven of 20 fail once in 3,000."""
BIAS_SCALE = 200
"""Counts are halved here, so that old circuits weigh less."""


@dataclass(slots=True)
class _Trouble:
    """Why a guard is not tried now: kept in memory only."""

    since: Monotonic
    retry: Monotonic


class GuardSet:
    """A client's guards. `refresh` when the registry changes and once an hour.

    Attributes:
        is_changed: Whether there is something to write to disk since `encode`.
    """

    def __init__(self, guards: Sequence[Guard] = ()) -> None:
        self._guards = {guard.node_id: guard for guard in guards[:MAX_SAMPLE]}
        self._trouble: dict[NodeId, _Trouble] = {}
        self._last_success: Monotonic | None = None
        self.is_changed = False

    def __len__(self) -> int:
        return len(self._guards)

    def guard(self, node_id: NodeId) -> Guard | None:
        """Return what is known of a guard; None if it is not in the sample."""
        return self._guards.get(node_id)

    def refresh(
        self,
        nodes: Mapping[NodeId, NodeRecord],
        weights: Mapping[NodeId, int],
        unix_now: UnixTime,
        entropy: Entropy,
        *,
        avoid: Collection[NodeId] = (),
    ) -> None:
        """Follow the registry: retire old guards and fill up the sample.

        Args:
            nodes: Every listed node.
            weights: From `psp.path.weights.node_weights`.
            unix_now: For lifetimes; a clock that was set back counts from anew.
            entropy: For the choice of new ones.
            avoid: Nodes that must not become guards, such as this host's own.
        """
        before = list(self._guards.values())
        kept = (_listed(guard, nodes, unix_now) for guard in before)
        self._guards = {g.node_id: g for g in kept if not _is_over(g, unix_now)}
        wheel = Wheel(nodes.values(), weights)
        taken = {*self._guards, *avoid}
        usable = sum(guard.unlisted is None for guard in self._guards.values())
        while usable < USABLE and len(self._guards) < MAX_SAMPLE:
            chosen = wheel.draw(entropy, lambda node: node.node_id not in taken)
            if chosen is None:
                break
            taken.add(chosen.node_id)
            sampled = _blurred(unix_now, SAMPLED_LIFE, entropy)
            self._guards[chosen.node_id] = Guard(chosen.node_id, sampled)
            usable += 1
        for node_id in self._trouble.keys() - self._guards.keys():
            del self._trouble[node_id]
        self.is_changed |= before != list(self._guards.values())

    def primary(self) -> tuple[NodeId, ...]:
        """Return the three guards that matter, best first."""
        return tuple(self._ordered()[:PRIMARY])

    def candidates(self, now: Monotonic) -> list[NodeId]:
        """Return all listed guards, the one to use first.

        Those that may be tried come before those that must wait, and these are in the
        order of their next try: a client that has no better one still tries.
        """
        order = self._ordered()
        primary = order[:PRIMARY]
        # A guard through which circuits keep failing comes after its equals only.
        order = sorted(primary, key=self.is_suspect) + order[PRIMARY:]
        ready = [node_id for node_id in order if self._retry_time(node_id) <= now]
        waiting = [node_id for node_id in order if self._retry_time(node_id) > now]
        return ready + sorted(waiting, key=self._retry_time)

    def in_use(self, now: Monotonic) -> tuple[NodeId, ...]:
        """Return the guard for circuits and the one for hot spares, if there are."""
        return tuple(self.candidates(now)[:2])

    def is_reachable(self, node_id: NodeId, now: Monotonic) -> bool:
        """Tell whether a guard may be tried now."""
        return node_id in self._guards and self._retry_time(node_id) <= now

    def next_retry(self) -> Monotonic | None:
        """Return when the next failed guard may be tried; None if none has failed."""
        return min((t.retry for t in self._trouble.values()), default=None)

    def record_success(
        self, node_id: NodeId, now: Monotonic, unix_now: UnixTime, entropy: Entropy
    ) -> None:
        """Note that a first hop through this guard worked; it is confirmed then.

        After a long silence the other failures say nothing about those guards: the
        network was down. They may be tried at once, the better ones first.
        """
        last, self._last_success = self._last_success, now
        if last is None or now - last >= SILENCE:
            self._trouble.clear()
        self._trouble.pop(node_id, None)
        guard = self._guards.get(node_id)
        if guard is not None and guard.confirmed is None:
            confirmed = _blurred(unix_now, CONFIRMED_LIFE, entropy)
            # To the end of the order: sorting is by the turn of confirmation.
            del self._guards[node_id]
            self._guards[node_id] = replace(guard, confirmed=confirmed)
            self.is_changed = True

    def record_failure(
        self, node_id: NodeId, now: Monotonic, *, is_network_up: bool
    ) -> None:
        """Note that a first hop failed; it is tried again on the schedule.

        Args:
            node_id: The guard.
            now: The time.
            is_network_up: Whether anything else shows that this host's network works.
                If not, the network explains the failure and nothing is held against
                the guard.
        """
        if not is_network_up or node_id not in self._guards:
            return
        trouble = self._trouble.setdefault(node_id, _Trouble(now, now))
        is_primary = node_id in self.primary()
        wait = _retry_after(now - trouble.since, is_primary=is_primary)
        trouble.retry = Monotonic(now + wait)

    def record_attempt(self, node_id: NodeId) -> None:
        """Count a circuit that goes on beyond this guard, which has answered."""
        self._count(node_id, attempts=1)

    def record_built(self, node_id: NodeId) -> None:
        """Count the completion of a circuit counted by `record_attempt`."""
        self._count(node_id, built=1)

    def is_suspect(self, node_id: NodeId) -> bool:
        """Tell whether too many circuits fail beyond this guard (path bias)."""
        guard = self._guards.get(node_id)
        if guard is None or guard.attempts < BIAS_ATTEMPTS:
            return False
        return guard.built < (1 - BIAS_FAILING) * guard.attempts

    def encode(self) -> bytes:
        """Return the state for the disk, to be kept secret."""
        self.is_changed = False
        return encode_guards(list(self._guards.values()))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a state.

        Raises:
            DecodeError: If ``data`` is anything else.
        """
        return cls(decode_guards(data))

    def _ordered(self) -> list[NodeId]:
        listed = [guard for guard in self._guards.values() if guard.unlisted is None]
        # The dict holds confirmed ones in the order of their first success.
        listed.sort(key=lambda guard: guard.confirmed is None)
        return [guard.node_id for guard in listed]

    def _retry_time(self, node_id: NodeId) -> float:
        trouble = self._trouble.get(node_id)
        return float("-inf") if trouble is None else trouble.retry

    def _count(self, node_id: NodeId, *, attempts: int = 0, built: int = 0) -> None:
        guard = self._guards.get(node_id)
        if guard is None:
            return
        begun = guard.attempts + attempts
        done = min(guard.built + built, begun)
        if begun >= BIAS_SCALE:
            begun, done = begun // 2, done // 2
        self._guards[node_id] = replace(guard, attempts=begun, built=done)
        self.is_changed = True


def _retry_after(failing: float, *, is_primary: bool) -> int:
    for limit, wait in _PRIMARY_RETRIES if is_primary else _OTHER_RETRIES:
        if failing < limit:
            return wait
    return _LAST_RETRY[is_primary]


def _listed(
    guard: Guard, nodes: Mapping[NodeId, NodeRecord], unix_now: UnixTime
) -> Guard:
    """Note whether a guard is listed, and pull times from the future back to now."""
    unlisted = None
    if guard.node_id not in nodes:
        since = unix_now if guard.unlisted is None else guard.unlisted
        unlisted = min(since, unix_now)
    confirmed = guard.confirmed
    return replace(
        guard,
        sampled=min(guard.sampled, unix_now),
        confirmed=None if confirmed is None else min(confirmed, unix_now),
        unlisted=unlisted,
    )


def _is_over(guard: Guard, unix_now: UnixTime) -> bool:
    if guard.unlisted is not None and unix_now - guard.unlisted >= UNLISTED_LIFE:
        return True
    if unix_now - guard.sampled < SAMPLED_LIFE:
        return False
    return guard.confirmed is None or unix_now - guard.confirmed >= CONFIRMED_LIFE


def _blurred(unix_now: UnixTime, life: int, entropy: Entropy) -> UnixTime:
    return UnixTime(max(0, unix_now - entropy.below(life // 10)))
