"""The nonce journal of one account: which nonce was promised to which action.

::

    begin(nonce, call, attempt) -> pending --add(attempt)--> pending --settle(hash)--> idle
                                      └────────────lose()────────────────────────────> idle

Pure; `discovery.transactions.sender` writes it to the disk *before* each step takes
effect outside. What makes a double payment impossible:

* a nonce is given to one action only, and every attempt for it does the same (or, when
  it was cancelled, nothing), so that at most one of them is ever mined;
* no nonce below ``next_nonce`` is given again, whatever the endpoints say;
* an attempt that may have left this process is never forgotten before one of its nonce
  is mined.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import msgspec

from discovery.transactions.call import Call
from discovery.transactions.fees import Fees
from psp.errors import DecodeError, LocalProtocolError
from psp.runtime.statefile import JsonValue

MAX_ATTEMPTS = 16
"""For one nonce; an eighth more each time is six times the first offer."""

_FOR_CANCELLING = 4
"""Of these, the ones kept for cancelling."""

KEPT = 8
"""Mined transactions that are kept to be sent again if a reorganisation drops them."""

PERIODS = 4
"""Periods whose spending is remembered."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed transaction.

    Attributes:
        hash: Its hash, 32 bytes.
        raw: Its bytes; sent again as they are.
        gas: Its gas limit.
        fees: What it offers.
        sent_at: Height of the newest block when it was signed: the chain's clock, not
            ours.
        is_cancel: Whether it does nothing but use up the nonce.
    """

    hash: bytes
    raw: bytes
    gas: int
    fees: Fees
    sent_at: int
    is_cancel: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """The action under way.

    Attributes:
        nonce: Its nonce.
        call: What it does.
        period: Whose budget pays for it, None for nobody's.
        attempts: Oldest first, at least one.
    """

    nonce: int
    call: Call
    period: int | None
    attempts: tuple[Attempt, ...]

    @property
    def cost(self) -> int:
        """The most it can cost in fees, wei: only one attempt can be mined."""
        return max(a.gas * a.fees.max_fee for a in self.attempts)

    def attempt(self, transaction: bytes) -> Attempt:
        """Return the attempt with this hash."""
        for attempt in self.attempts:
            if attempt.hash == transaction:
                return attempt
        raise LocalProtocolError("not an attempt of this nonce")


@dataclass(slots=True)
class Journal:
    """What is known of one account on one chain.

    Attributes:
        next_nonce: The lowest nonce that was given to nothing yet.
        pending: The action under way; None between actions.
        settled: Nonce and bytes of what was mined lately, oldest first.
        spent: Wei of fees by period, the last few periods.
    """

    next_nonce: int = 0
    pending: Pending | None = None
    settled: tuple[tuple[int, bytes], ...] = ()
    spent: dict[int, int] = field(default_factory=dict)

    def begin(
        self, nonce: int, call: Call, attempt: Attempt, *, period: int | None = None
    ) -> None:
        """Give a nonce to an action."""
        if self.pending is not None:
            raise LocalProtocolError("an action is under way")
        if nonce < self.next_nonce:
            raise LocalProtocolError(
                f"nonce {nonce} may be taken, {self.next_nonce} is the next"
            )
        self.pending = Pending(nonce, call, period, (attempt,))
        self.next_nonce = nonce + 1

    def has_room(self, *, is_cancel: bool) -> bool:
        """Tell whether the action under way may have one more attempt."""
        room = MAX_ATTEMPTS if is_cancel else MAX_ATTEMPTS - _FOR_CANCELLING
        return len(self._under_way().attempts) < room

    def add(self, attempt: Attempt) -> None:
        """Note one more attempt for the same nonce and action."""
        pending = self._under_way()
        if not self.has_room(is_cancel=attempt.is_cancel):
            raise LocalProtocolError(f"at most {MAX_ATTEMPTS} attempts")
        self.pending = replace(pending, attempts=(*pending.attempts, attempt))

    def settle(self, transaction: bytes, cost: int) -> None:
        """Note that one attempt was mined, at a cost in fees."""
        pending = self._under_way()
        raw = pending.attempt(transaction).raw
        self.settled = (*self.settled, (pending.nonce, raw))[-KEPT:]
        self.pending = None
        if pending.period is not None:
            total = self.spent.get(pending.period, 0) + cost
            self.spent[pending.period] = total
            self._forget_periods()

    def lose(self) -> None:
        """Note that another transaction was mined with the nonce: ours never will be."""
        self._under_way()
        self.pending = None

    def spent_in(self, period: int | None) -> int:
        """Return the wei of fees spent in a period."""
        return 0 if period is None else self.spent.get(period, 0)

    def to_state(self) -> dict[str, JsonValue]:
        """Return it as JSON can hold it."""
        state: dict[str, JsonValue] = msgspec.to_builtins(self, str_keys=True)
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, object]) -> Self:
        """Return the journal that `to_state` described.

        Raises:
            DecodeError: If it is not one; the file's hash has caught damage before.
        """
        try:
            journal = msgspec.convert(state, cls, str_keys=True)
        except (msgspec.ValidationError, LocalProtocolError) as error:
            raise DecodeError(f"not a nonce journal: {error!s:.80}") from None
        pending = journal.pending
        if pending is not None and (
            not pending.attempts or pending.nonce >= journal.next_nonce
        ):
            raise DecodeError("not a nonce journal: an action without its nonce")
        return journal

    def _under_way(self) -> Pending:
        if self.pending is None:
            raise LocalProtocolError("no action is under way")
        return self.pending

    def _forget_periods(self) -> None:
        for period in sorted(self.spent)[:-PERIODS]:
            del self.spent[period]
