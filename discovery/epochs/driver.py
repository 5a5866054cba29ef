"""What a relay does for the next election, and when: pure, one question at a time.

::

    epoch e   |------------------|--request--|..|reveal|--nominations, best first--|margin|
              start             half                                                end

In the second half of each epoch somebody has to request the seed, everybody draws it as
soon as its block is past, and each node that has a chance is put up by its own relay.
Relays do not talk to each other about it: who waits how long is drawn so that one
request, a few draws of the seed and little more nominations than seats are sent, however
many relays there are.

Only the chain's time counts. What an endpoint lies about costs at most a fee or a
nomination missed; the contract decides.
"""

import enum
import math
from collections import Counter
from dataclasses import dataclass

from discovery.election import (
    FRACTION_BITS,
    NUMBER_BITS,
    WEIGHT_BITS,
    draw_key,
    effective_weight,
)
from discovery.epochs.config import EpochConfig
from discovery.epochs.observation import Node, Observation
from psp.entropy import Entropy

_RETRY_SHARE = 0.02
"""Of an epoch: the wait before another try."""

_LONGEST_REVEAL = 4
"""Blocks that even the last of many relays waits before it draws the seed."""

_NOMINATED_SHIFT = 2 * WEIGHT_BITS + NUMBER_BITS
"""In the word of weight, above it is the epoch of the last nomination."""


class Kind(enum.StrEnum):
    """What to do."""

    WAIT = "wait"
    REQUEST_SEED = "request_seed"
    REVEAL_SEED = "reveal_seed"
    NOMINATE = "nominate"
    NOTHING = "nothing"


class Reason(enum.StrEnum):
    """Why there is nothing to do in this epoch, or nothing yet."""

    NOT_REGISTERED = "not_registered"
    ENDED = "ended"
    NOT_OURS = "not_ours"
    TOO_LITTLE_STAKE = "too_little_stake"
    NOMINATED = "nominated"
    OUTBID = "outbid"
    NO_MONEY = "no_money"
    TOO_DEAR = "too_dear"
    TRIES_SPENT = "tries_spent"
    TOO_LATE = "too_late"


@dataclass(frozen=True, slots=True)
class Action:
    """The answer.

    Attributes:
        kind: What to do now.
        until: For WAIT and NOTHING, the chain's time at which to ask again.
        reason: For NOTHING.
    """

    kind: Kind
    until: int = 0
    reason: Reason | None = None


class EpochDriver:
    """Remembers one epoch's dice and tries; told everything else.

    Ask `next`, do what it says, report with `tried` or `postponed`, ask again.
    """

    def __init__(self, config: EpochConfig, entropy: Entropy) -> None:
        self._config = config
        self._entropy = entropy
        self._epoch = -1
        self._dice = (0.0, 0.0, 0.0)
        self._tries: Counter[Kind] = Counter()
        self._not_before: dict[Kind, int] = {}
        self._seed_seen: int | None = None

    def next(self, seen: Observation) -> Action:
        """Return what to do now."""
        self._turn_to(seen.epoch)
        end = seen.parameters.start(seen.epoch + 1)
        node = seen.node
        reason = _obstacle(node, seen)
        if reason is not None or node is None:
            return Action(Kind.NOTHING, end, reason or Reason.NOT_REGISTERED)
        action = self._step(node, seen)
        if action.kind in {Kind.WAIT, Kind.NOTHING}:
            return action
        return self._allowed(action, seen, end)

    def tried(self, kind: Kind, seen: Observation) -> None:
        """Note that a transaction was sent, whatever became of it."""
        self._tries[kind] += 1
        self._wait(kind, seen, 2 ** (self._tries[kind] - 1))

    def postponed(self, kind: Kind, seen: Observation) -> None:
        """Note that none could be sent just now."""
        self._wait(kind, seen, 1)

    # ---- the steps of an election

    def _step(self, node: Node, seen: Observation) -> Action:
        if seen.parameters.is_drawn and seen.seed is None:
            return self._have_seed(seen)
        if self._seed_seen is None:
            self._seed_seen = seen.timestamp
        weight = effective_weight(node.weight_word, seen.epoch)
        is_drawn = seen.parameters.is_drawn
        key = draw_key(seen.seed or b"", node.number, weight, sortition=is_drawn)
        if len(seen.keys) >= seen.parameters.seats and key >= max(seen.keys):
            end = seen.parameters.start(seen.epoch + 1)
            return Action(Kind.NOTHING, end, Reason.OUTBID)
        return self._from(Kind.NOMINATE, self._nomination_time(key, seen), seen)

    def _have_seed(self, seen: Observation) -> Action:
        if not seen.target:
            return self._from(Kind.REQUEST_SEED, self._request_time(seen), seen)
        if seen.height < seen.target + self._reveal_delay(seen):
            return Action(Kind.WAIT, seen.timestamp)
        return Action(Kind.REVEAL_SEED)

    def _request_time(self, seen: Observation) -> int:
        """Return when to request the seed, unless somebody has.

        Truncated exponential: of n relays few are early, so that about one of them is
        first by more than a block. A uniform spread would need a window n blocks long.
        """
        steepness = math.log(max(seen.nodes, 1)) + 1
        late = math.log1p(self._dice[0] * math.expm1(steepness)) / steepness
        spread = self._config.request_spread * seen.parameters.epoch_length
        return _half(seen) + round(late * spread)

    def _reveal_delay(self, seen: Observation) -> int:
        """Return the blocks to leave to others: none for a few of all relays."""
        turn = int(self._dice[1] * seen.nodes / self._config.revealers)
        return min(turn, _LONGEST_REVEAL)

    def _nomination_time(self, key: int, seen: Observation) -> int:
        """Return when to nominate: the better the draw, the sooner."""
        first = max(_half(seen), self._seed_seen or 0)
        left = self._last(seen) - first
        share = self._dice[2]
        if seen.parameters.is_drawn:
            rank = expected_rank(key, seen.stake) / seen.parameters.seats
            share = rank / (1 + rank)
        return first + max(0, round(share * self._config.nomination_spread * left))

    # ---- time, money and patience

    def _from(self, kind: Kind, time: int, seen: Observation) -> Action:
        if seen.timestamp < time:
            return Action(Kind.WAIT, time)
        return Action(kind)

    def _allowed(self, action: Action, seen: Observation, end: int) -> Action:
        kind = action.kind
        if seen.timestamp >= self._last(seen):
            return Action(Kind.NOTHING, end, Reason.TOO_LATE)
        if self._tries[kind] >= self._config.max_tries:
            return Action(Kind.NOTHING, end, Reason.TRIES_SPENT)
        if seen.timestamp < self._not_before.get(kind, 0):
            return Action(Kind.WAIT, self._not_before[kind])
        soon = min(end, seen.timestamp + self._pause(seen))
        if seen.cost is None:
            return Action(Kind.NOTHING, soon, Reason.TOO_DEAR)
        if seen.balance < seen.cost:
            return Action(Kind.NOTHING, soon, Reason.NO_MONEY)
        return action

    def _last(self, seen: Observation) -> int:
        """Return the time from which on nothing is begun in this epoch."""
        length = seen.parameters.epoch_length
        margin = min(self._config.margin, self._config.margin_share * length)
        return seen.parameters.start(seen.epoch + 1) - math.ceil(margin)

    def _wait(self, kind: Kind, seen: Observation, times: int) -> None:
        self._not_before[kind] = seen.timestamp + times * self._pause(seen)

    def _pause(self, seen: Observation) -> int:
        return max(1, round(_RETRY_SHARE * seen.parameters.epoch_length))

    def _turn_to(self, epoch: int) -> None:
        if epoch == self._epoch:
            return
        self._epoch = epoch
        uniform = self._entropy.uniform
        self._dice = (uniform(), uniform(), uniform())
        self._tries.clear()
        self._not_before.clear()
        self._seed_seen = None


def expected_rank(key: int, stake: int) -> float:
    """Return how many of all draws are expected to be better than this one.

    Draws are exponential clocks, -log2(u) / weight: with all of them together ringing at
    the speed of the whole stake, a time on one clock is a number of rings.
    """
    clock = math.ldexp(key >> NUMBER_BITS, -(FRACTION_BITS + WEIGHT_BITS))
    return clock * math.log(2) * stake


def _obstacle(node: Node | None, seen: Observation) -> Reason | None:
    """Return why this node cannot stand in this epoch, whatever the draw."""
    if node is None:
        return Reason.NOT_REGISTERED
    if not node.is_active:
        return Reason.ENDED
    if seen.parameters.is_self_only and not node.is_ours:
        return Reason.NOT_OURS
    if node.weight_word >> _NOMINATED_SHIFT == seen.epoch + 1:
        return Reason.NOMINATED
    if effective_weight(node.weight_word, seen.epoch) < seen.parameters.min_stake:
        return Reason.TOO_LITTLE_STAKE
    return None


def _half(seen: Observation) -> int:
    """Return when the second half of the epoch begins, as the contract counts."""
    return seen.parameters.start(seen.epoch) + seen.parameters.epoch_length // 2
