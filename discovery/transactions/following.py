"""One account while it is locked: begins an action and follows it to its end."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from discovery.transactions.answers import Receipt, SendAnswer
from discovery.transactions.call import Call
from discovery.transactions.client import Endpoints
from discovery.transactions.config import SenderConfig
from discovery.transactions.costs import TRANSFER_GAS, Cost, Outcome
from discovery.transactions.errors import (
    ChainError,
    ChainUnreachableError,
    FeeLimitError,
    InsufficientFundsError,
    NonceTakenError,
    StillPendingError,
    TransactionRefusedError,
)
from discovery.transactions.fees import FeeLimits, Fees, bump, check_cost
from discovery.transactions.journal import Attempt, Journal, Pending
from discovery.transactions.wallet import Transaction, Wallet
from psp.runtime.statefile import JsonValue
from psp.units import Monotonic, Seconds


class Following:
    """What may be done with the account while nobody else does anything.

    Attributes:
        journal: As it is on the disk.
    """

    def __init__(
        self,
        journal: Journal,
        save: Callable[[Mapping[str, JsonValue]], Awaitable[None]],
        *,
        wallet: Wallet,
        endpoints: Endpoints,
        limits: FeeLimits,
        config: SenderConfig,
    ) -> None:
        """Take over a locked account; ``save`` returns when the disk has the state."""
        self.journal = journal
        self._save = save
        self._wallet = wallet
        self._endpoints = endpoints
        self._limits = limits
        self._config = config
        self._was_taken = False
        self._gone_since: Monotonic | None = None

    async def begin(
        self, nonce: int, call: Call, cost: Cost, period: int | None
    ) -> bytes:
        """Sign an action and write it down; return the hash of the transaction."""
        attempt = self._sign(nonce, call, cost.gas_limit, cost.fees, cost.height)
        self.journal.begin(nonce, call, attempt, period=period)
        await self._save(self.journal.to_state())
        return attempt.hash

    async def begin_cancel(self) -> None:
        """Sign a payment of nothing to oneself for the same nonce, and write it down.

        Raises:
            FeeLimitError: If the fees of a replacement are above the limits.
            TransactionRefusedError: If it was replaced too often already.
        """
        if self._pending.attempts[-1].is_cancel:
            return
        if not self.journal.has_room(is_cancel=True):
            raise TransactionRefusedError("it was replaced too often")
        await self._replace(is_cancel=True)

    async def see_through(self, *, is_resumed: bool = False) -> Outcome:
        """Send what is under way until it is mined and confirmed.

        Raises:
            StillPendingError: If that takes too long.
            NonceTakenError: If another transaction has its nonce.
            TransactionRefusedError: If no endpoint takes it.
            FeeLimitError: If none takes it for what may be offered.
            InsufficientFundsError: If none takes it for want of money.
            ChainUnreachableError: If no endpoint answers in time.
        """
        start = again = self._endpoints.now()
        pause = self._config.first_poll
        trouble: ChainError = StillPendingError(
            self._pending.call.what, self._pending.nonce
        )
        while True:
            now = self._endpoints.now()
            refusal: ChainError | None = None
            try:
                if now >= again:
                    again = Monotonic(now + self._config.send_again_after)
                    refusal = await self._send()
                receipt = await self._look()
                if receipt is not None:
                    return await self._settle(receipt, is_resumed=is_resumed)
                if now - start >= self._config.replace_after:
                    again = now if await self._replace_if_stuck() else again
            except ChainUnreachableError as error:
                trouble = error
            if refusal is not None and not self._was_taken:
                raise refusal
            if now - start >= self._config.give_up_after:
                raise trouble
            await self._endpoints.pause(pause)
            pause = Seconds(min(2 * pause, self._config.poll_every))

    async def send_settled(self, *, from_nonce: int) -> None:
        """Send mined transactions again that a reorganisation may have dropped."""
        for nonce, raw in self.journal.settled:
            if nonce >= from_nonce:
                await self._endpoints.send(raw)

    # ---- steps

    @property
    def _pending(self) -> Pending:
        pending = self.journal.pending
        assert pending is not None  # noqa: S101 - callers have begun an action
        return pending

    async def _send(self) -> ChainError | None:
        """Send the newest attempt to all; return why nobody takes it."""
        pending = self._pending
        if self._was_taken:
            mined = await self._endpoints.mined_nonce(self._wallet.address)
            if mined < pending.nonce:
                await self.send_settled(from_nonce=mined)
        newest = pending.attempts[-1]
        made = await self._endpoints.send(newest.raw)
        if made.keys() & {SendAnswer.TAKEN, SendAnswer.NONCE_USED}:
            self._was_taken = True
            return None
        if SendAnswer.UNDERPRICED in made:
            return await self._outbid(made[SendAnswer.UNDERPRICED])
        if SendAnswer.NO_FUNDS in made:
            needed = pending.call.value + newest.gas * newest.fees.max_fee
            available = await self._endpoints.balance(self._wallet.address)
            if needed > available:
                return InsufficientFundsError(needed, available)
        return TransactionRefusedError("; ".join(made.values()))

    async def _outbid(self, text: str) -> ChainError | None:
        is_cancel = self._pending.attempts[-1].is_cancel
        if not self.journal.has_room(is_cancel=is_cancel):
            return TransactionRefusedError(text)
        try:
            await self._replace(is_cancel=is_cancel)
        except FeeLimitError as error:
            return error
        return await self._send()

    async def _look(self) -> Receipt | None:
        """Return the receipt of whichever attempt is mined and confirmed."""
        pending = self._pending
        hashes = [attempt.hash for attempt in reversed(pending.attempts)]
        receipt = await self._endpoints.receipt(hashes)
        if receipt is None:
            mined = await self._endpoints.mined_nonce(self._wallet.address)
            if not self._is_gone(is_used=mined > pending.nonce):
                return None
            self.journal.lose()
            await self._save(self.journal.to_state())
            raise NonceTakenError(pending.nonce)
        self._gone_since = None
        if self._config.confirmations > 1:
            height = (await self._endpoints.head()).number
            if height - receipt.block + 1 < self._config.confirmations:
                return None
        return receipt

    def _is_gone(self, *, is_used: bool) -> bool:
        """Tell whether the nonce has been used for long without a receipt of ours."""
        now = self._endpoints.now()
        if not is_used:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = now
        since = self._gone_since
        return since is not None and now - since >= self._config.taken_after

    async def _settle(self, receipt: Receipt, *, is_resumed: bool) -> Outcome:
        pending = self._pending
        attempt = pending.attempt(receipt.hash)
        self.journal.settle(receipt.hash, receipt.cost)
        await self._save(self.journal.to_state())
        return Outcome(
            pending.call,
            receipt,
            is_cancelled=attempt.is_cancel,
            is_resumed=is_resumed,
        )

    async def _replace_if_stuck(self) -> bool:
        """Offer more if blocks went by without it; tell whether that was done."""
        newest = self._pending.attempts[-1]
        passed = (await self._endpoints.head()).number - newest.sent_at
        has_room = self.journal.has_room(is_cancel=newest.is_cancel)
        if not has_room or passed < self._config.replace_after_blocks:
            return False
        try:
            await self._replace(is_cancel=newest.is_cancel)
        except FeeLimitError:
            # It waits for lower fees, as it is.
            return False
        return True

    async def _replace(self, *, is_cancel: bool) -> None:
        """Sign and write down one more attempt, which does the same or nothing."""
        pending = self._pending
        newest = pending.attempts[-1]
        head = await self._endpoints.head()
        tip = await self._endpoints.tip()
        fees = bump(newest.fees, head.base_fee, tip, self._limits)
        spent = self.journal.spent_in(pending.period)
        gas = TRANSFER_GAS if is_cancel else newest.gas
        check_cost(gas, fees, self._limits, spent=spent)
        call = Call(self._wallet.address) if is_cancel else pending.call
        attempt = self._sign(pending.nonce, call, gas, fees, head.number)
        self.journal.add(replace(attempt, is_cancel=is_cancel))
        await self._save(self.journal.to_state())

    def _sign(
        self, nonce: int, call: Call, gas: int, fees: Fees, height: int
    ) -> Attempt:
        chain_id = self._endpoints.chain_id
        signed = self._wallet.sign(Transaction(chain_id, nonce, call, gas, fees))
        return Attempt(signed.hash, signed.raw, gas, fees, sent_at=height)
