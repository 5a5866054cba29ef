"""Sees one transaction after another through, and never pays twice for one.

::

    lock the account -> finish what an earlier process left -> estimate, check the limits
      -> choose the nonce -> sign -> write the journal -> send to every endpoint
      -> wait for the receipt; send again, or replace with higher fees
      -> mined and confirmed -> write the journal -> unlock

A process that dies at any point leaves a journal from which the next one goes on: what
was signed is sent again, byte for byte, and its outcome is waited for before another
nonce is given away. Whoever asks for the action that is under way gets its outcome
instead of a second one.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from discovery.transactions.call import Call
from discovery.transactions.client import Endpoints, finish
from discovery.transactions.config import SenderConfig
from discovery.transactions.costs import Cost, DryRun, Outcome, gas_limit
from discovery.transactions.errors import (
    AccountBusyError,
    ForgottenError,
    NonceTakenError,
    RevertedError,
    TransactionRefusedError,
)
from discovery.transactions.fees import FeeLimits, check_cost, offer
from discovery.transactions.following import Following
from discovery.transactions.journal import Journal, Pending
from discovery.transactions.wallet import Wallet
from psp.errors import ConfigError, DecodeError
from psp.runtime.locks import try_lock
from psp.runtime.statefile import StateFile
from psp.units import Seconds

_MAX_JOURNAL_BYTES = 4 << 20
"""Sixteen attempts and eight mined ones of 20 kB each in base64, and room."""
_LOCK_POLL = Seconds(0.05)


class Sender:
    """Sends from one account.

    Processes that send from the same account must give the same ``files``; it is the
    path of the key file, so that they do. Two accounts may send at the same time.
    """

    def __init__(
        self,
        wallet: Wallet,
        endpoints: Endpoints,
        files: Path,
        *,
        limits: FeeLimits | None = None,
        config: SenderConfig | None = None,
    ) -> None:
        """Nothing is read or sent yet.

        Args:
            wallet: Signs and pays.
            endpoints: The chain.
            files: Journal and lock lie beside this path, under its name with endings.
            limits: On fees.
            config: Times and depths.
        """
        self.address = wallet.address
        self._wallet = wallet
        self._endpoints = endpoints
        self._files = files
        self._limits = limits or FeeLimits()
        self._config = config or SenderConfig()

    # ---- before sending

    async def estimate(self, call: Call) -> Cost:
        """Return what a call would cost now; nothing is sent.

        Raises:
            RevertedError: If the contract would refuse.
            InsufficientFundsError: If the account cannot pay for it.
            FeeLimitError: If a limit forbids it.
            ChainUnreachableError: If no endpoint answers.
            WrongChainError: If they serve another chain.
        """
        return await self._cost(call, None, spent=0)

    async def dry_run(self, call: Call) -> DryRun:
        """Return what a call would cost and return now; nothing is sent.

        Raises:
            ChainError: As `estimate`.
        """
        result = await self._endpoints.try_call(call, self.address)
        return DryRun(await self.estimate(call), result)

    async def pending(self) -> Pending | None:
        """Return the action under way; None between actions.

        Raises:
            ChainUnreachableError: If no endpoint answers.
            ConfigError: If the journal is damaged.
        """
        return _load(await self._file()).pending

    # ---- sending

    async def send(
        self,
        call: Call,
        *,
        gas: int | None = None,
        spare_gas: int = 0,
        period: int | None = None,
        on_signed: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        """Have a call mined and confirmed.

        Args:
            call: What to do.
            gas: Its gas limit, if the caller knows better than an estimate can.
            spare_gas: Units on top of what an estimate says.
            period: Whose budget pays; None for no period's.
            on_signed: Told the hash of the first transaction that is sent for it.

        Returns:
            Its outcome, of success.

        Raises:
            RevertedError: If the contract refuses; with a hash if that cost fees.
            InsufficientFundsError, FeeLimitError: Nothing was sent, unless a
                transaction is under way already (`pending`).
            StillPendingError: Not mined in time; it stays under way.
            TransactionRefusedError: No endpoint takes it; it stays under way.
            NonceTakenError: Another program was faster; nothing was done.
            AccountBusyError: Another process is sending.
            ForgottenError: The chain was set back.
            ChainUnreachableError: If no endpoint answers; see `pending`.
            WrongChainError: If they serve another chain.
            ConfigError: If the journal is damaged.
        """
        async with self._locked() as following:
            earlier = await self._finish_earlier(following)
            if earlier is not None and earlier.call.is_same_action(call):
                return await self._checked(earlier)
            journal = following.journal
            spent = journal.spent_in(period)
            cost = await self._cost(call, gas, spent=spent, spare=spare_gas)
            nonce = await self._choose_nonce(following)
            transaction = await following.begin(nonce, call, cost, period)
            if on_signed is not None:
                on_signed(transaction)
            return await self._checked(await following.see_through())

    async def resume(self) -> Outcome | None:
        """See through what an earlier process left; None if there is nothing.

        Raises:
            ChainError: As `send`.
        """
        async with self._locked() as following:
            return await self._finish_earlier(following)

    async def cancel(self) -> Outcome | None:
        """Have nothing mined in place of the action under way; None if there is none.

        The action may still win: see the outcome.

        Raises:
            ChainError: As `send`.
        """
        async with self._locked() as following:
            if following.journal.pending is None:
                return None
            await following.begin_cancel()
            return await self._finish_earlier(following)

    # ---- steps

    async def _finish_earlier(self, following: Following) -> Outcome | None:
        if following.journal.pending is None:
            return None
        try:
            return await following.see_through(is_resumed=True)
        except NonceTakenError:
            # It never happened and never will: whoever wants it asks again.
            return None

    async def _cost(
        self, call: Call, gas: int | None, *, spent: int, spare: int = 0
    ) -> Cost:
        head = await self._endpoints.head()
        fees = offer(head.base_fee, await self._endpoints.tip(), self._limits)
        balance = await self._endpoints.balance(self.address)
        if call.value > balance:
            # An estimate would fail without saying so in a form all share.
            Cost(0, 0, head.base_fee, fees, call.value, balance).check_funds()
        limit = gas
        if gas is None:
            gas = await self._endpoints.estimate(call, self.address)
            limit = min(gas_limit(gas, head.gas_limit) + spare, head.gas_limit)
        if gas > head.gas_limit:
            # Signed, it would keep its nonce from everything else.
            raise TransactionRefusedError(
                f"{gas} units of gas are more than a block has"
            )
        cost = Cost(
            gas,
            limit or gas,
            head.base_fee,
            fees,
            call.value,
            balance,
            height=head.number,
        )
        check_cost(cost.gas_limit, fees, self._limits, spent=spent)
        cost.check_funds()
        return cost

    async def _choose_nonce(self, following: Following) -> int:
        """Return a nonce that neither the journal nor the chain has given away."""
        journal, deadline = (
            following.journal,
            self._endpoints.now() + self._config.catch_up,
        )
        while True:
            known = await self._endpoints.known_nonce(self.address)
            if known >= journal.next_nonce:
                return known
            # Behind our journal: an endpoint lags, or a reorganisation dropped some.
            await following.send_settled(from_nonce=known)
            if self._endpoints.now() >= deadline:
                path = str((await self._file()).path)
                raise ForgottenError(path, journal.next_nonce, known)
            await self._endpoints.pause(self._config.poll_every)

    async def _checked(self, outcome: Outcome) -> Outcome:
        if not outcome.receipt.is_success:
            outcome.check(await self._reason(outcome))
        return outcome

    async def _reason(self, outcome: Outcome) -> str:
        """Return why the contract refused, by calling it again around its block.

        What is refused on the block before was so from the start; what is refused only
        behind its block came after somebody else in it.
        """
        block = outcome.receipt.block
        for height in (block - 1, block):
            try:
                await self._endpoints.try_call(outcome.call, self.address, block=height)
            except RevertedError as error:
                return error.reason
        return "no reason given; perhaps the gas ran out"

    # ---- files

    async def _file(self) -> StateFile:
        """Return the journal of this chain: a chain set up anew has another one."""
        genesis = await self._endpoints.genesis()
        chain = f"{self._endpoints.chain_id}-{genesis[:4].hex()}"
        return StateFile(
            self._files.with_name(f"{self._files.name}.{chain}.nonces"),
            form="psp-nonces",
            version=1,
            max_bytes=_MAX_JOURNAL_BYTES,
        )

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[Following]:
        """Have the account for oneself, and its journal as it is on the disk."""
        file = await self._file()
        lock = self._files.with_name(f"{self._files.name}.lock")
        deadline = self._endpoints.now() + self._config.lock_wait
        while True:
            with try_lock(lock) as is_ours:
                if is_ours:
                    yield Following(
                        _load(file),
                        lambda state: finish(lambda: file.save(state)),
                        wallet=self._wallet,
                        endpoints=self._endpoints,
                        limits=self._limits,
                        config=self._config,
                    )
                    return
            if self._endpoints.now() >= deadline:
                raise AccountBusyError
            await self._endpoints.pause(_LOCK_POLL)


def _load(file: StateFile) -> Journal:
    state = file.load()
    try:
        return Journal() if state is None else Journal.from_state(state)
    except DecodeError as error:
        raise ConfigError(f"{file.path}: {error}; restore it from a copy") from None
