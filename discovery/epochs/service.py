"""Drives this relay's part in elections, for as long as the relay runs.

It looks at the chain, asks the driver what to do, sends it, and says when an epoch
begins. Without an account it only follows. Whatever fails is tried again later: no
election is worth a relay.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from structlog.typing import FilteringBoundLogger

from discovery.epochs.config import EpochConfig
from discovery.epochs.driver import Action, EpochDriver, Kind, Reason
from discovery.epochs.observation import Observation
from discovery.epochs.state_source import BUSY_GAS, StateSource
from discovery.epochs.stats import EpochStats
from discovery.transactions.call import Call
from discovery.transactions.calls import NOBODY, Relays
from discovery.transactions.client import Endpoints
from discovery.transactions.config import SenderConfig
from discovery.transactions.errors import ChainError, NonceTakenError, RevertedError
from discovery.transactions.fees import GWEI, FeeLimits
from discovery.transactions.sender import Sender
from discovery.transactions.wallet import Wallet
from psp.entropy import Entropy
from psp.errors import ConfigError
from psp.runtime import keyfiles
from psp.units import Seconds

_COUNTED = (RevertedError, NonceTakenError)
"""What uses up a try: the chain was reached and something came of it."""

_SETTLED = {Reason.NOMINATED, Reason.OUTBID, Reason.TRIES_SPENT, Reason.TOO_LATE}
"""What nothing in this epoch can change any more."""

_SPARE_GAS = 80_000
"""For a nomination: others move the heap before our turn, eight levels at most."""


class EpochService:
    """Follows epochs, and nominates one node.

    Attributes:
        stats: What happened since the start.
        epoch: The present one; None before the chain was first read.
        last: What the driver last said; None before.
    """

    def __init__(
        self,
        config: EpochConfig,
        *,
        endpoints: Endpoints,
        relays: bytes,
        number: Callable[[], int | None],
        entropy: Entropy,
        log: FilteringBoundLogger,
        sender: Sender | None = None,
        on_epoch: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Wire the parts; nothing runs before `start`.

        Args:
            config: Costs and times.
            endpoints: The chain.
            relays: Address of the registry.
            number: Returns the number of this relay's node; None while it has none.
            entropy: Dice, so that not all relays act in one block.
            log: Gets a line for each epoch and each transaction.
            sender: Of `open_sender`; None only follows.
            on_epoch: Told each epoch that begins, and the present one at the start.
        """
        self.stats = EpochStats()
        self.epoch: int | None = None
        self.last: Action | None = None
        self._config = config
        self._calls = Relays(relays)
        self._number = number
        self._log = log
        self._sender = sender
        self._on_epoch = on_epoch
        account = NOBODY if sender is None else sender.address
        self._source = StateSource(endpoints, relays, account, fee_limits(config))
        self._driver = EpochDriver(config, entropy)
        self._task: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._told: set[Reason] = set()

    @property
    def is_nominating(self) -> bool:
        """Whether this relay has an account and nothing keeps its node from standing."""
        if self._sender is None or self.last is None:
            return False
        return self.last.reason in {None, Reason.NOMINATED, Reason.OUTBID}

    def start(self) -> None:
        """Begin; call once, inside the loop."""
        self._log.info("epochs_followed", nominates=self._sender is not None)
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop; what was sent is taken up again by the next process."""
        for task in (self._task, self._sending):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def idle(self) -> None:
        """Wait until no transaction is under way."""
        if self._sending is not None:
            await asyncio.wait([self._sending])

    # ---- the loop

    async def _run(self) -> None:
        while True:
            try:
                pause = await self.step()
            except ChainError as error:
                self.stats.unreachable += 1
                self._log.warning("chain_not_read", kind=type(error).__name__)
                pause = Seconds(self._config.longest_poll / 10)
            await asyncio.sleep(pause)

    async def step(self) -> Seconds:
        """Look once, begin what is to be done, and return how long to wait.

        Raises:
            ChainError: If the chain cannot be read.
        """
        if self._sender is None or self._is_sending:
            # Epochs begin whatever becomes of a transaction.
            parameters = await self._source.parameters()
            self._turn_to(await self._source.epoch())
            return self._pause(0, parameters.epoch_length)
        seen = await self._source.observe(self._number())
        self._turn_to(seen.epoch)
        action = self._driver.next(seen)
        if action.kind is not Kind.WAIT and action.reason not in _SETTLED:
            # Somebody may have been faster, or filled the account.
            seen = await self._source.observe(self._number(), is_fresh=True)
            action = self._driver.next(seen)
        self._note(action)
        call = self._call(action, seen)
        if call is not None:
            sending = self._send(self._sender, action.kind, call, seen)
            self._sending = asyncio.create_task(sending)
        left = action.until - seen.timestamp
        return self._pause(left, seen.parameters.epoch_length)

    @property
    def _is_sending(self) -> bool:
        return self._sending is not None and not self._sending.done()

    def _call(self, action: Action, seen: Observation) -> Call | None:
        match action.kind:
            case Kind.REQUEST_SEED:
                return self._calls.request_seed()
            case Kind.REVEAL_SEED:
                return self._calls.reveal_seed()
            case Kind.NOMINATE if seen.node is not None:
                return self._calls.nominate(seen.node.number)
            case _:
                return None

    async def _send(
        self, sender: Sender, kind: Kind, call: Call, seen: Observation
    ) -> None:
        self._source.forget()
        try:
            # An estimate runs on the newest block, where the seed is not due yet.
            gas = BUSY_GAS if kind is Kind.REVEAL_SEED else None
            outcome = await sender.send(
                call, gas=gas, spare_gas=_SPARE_GAS, period=seen.epoch
            )
        except (ChainError, ConfigError) as error:
            if isinstance(error, _COUNTED):
                self._driver.tried(kind, seen)
            else:
                self._driver.postponed(kind, seen)
            self.stats.failed[type(error).__name__] += 1
            self._log.warning("epoch_action_failed", kind=kind, error=str(error))
            return
        self._driver.tried(kind, seen)
        receipt = outcome.receipt
        self.stats.sent[kind] += 1
        self.stats.fees_gwei += receipt.cost // GWEI
        self._log.info(
            "epoch_action",
            kind=kind,
            epoch=seen.epoch,
            gas=receipt.gas_used,
            cost_gwei=receipt.cost // GWEI,
            resumed=outcome.is_resumed,
        )

    def _pause(self, left: int, epoch_length: int) -> Seconds:
        """Return how long to wait for something ``left`` seconds away.

        Chains may be set forward, and clocks run apart: never the whole wait at once.
        """
        config = self._config
        longest = min(config.longest_poll, epoch_length / config.polls_per_epoch)
        longest = max(longest, config.shortest_poll)
        is_idle = self._sender is None
        wait = longest if is_idle else min(float(left), longest)
        return Seconds(max(wait, config.shortest_poll))

    # ---- telling

    def _turn_to(self, epoch: int) -> None:
        if epoch == self.epoch:
            return
        if self.last is not None:
            # One line for each epoch, with how it ended for this node.
            self._log.info(
                "epoch_ended",
                epoch=self.epoch,
                state=self.last.reason or self.last.kind,
            )
        self.epoch = epoch
        self.stats.epochs += 1
        self.last = None
        self._told.clear()
        self._on_epoch(epoch)

    def _note(self, action: Action) -> None:
        self.last = action
        reason = action.reason
        if reason is None or reason in self._told:
            return
        self._told.add(reason)
        self.stats.idle[reason] += 1
        if reason in {Reason.NO_MONEY, Reason.TOO_DEAR, Reason.TRIES_SPENT}:
            self._log.warning("not_nominated", kind=reason)


def fee_limits(config: EpochConfig) -> FeeLimits:
    """Return the limits on fees that the settings describe."""
    per_epoch = round(config.max_cost_per_epoch_gwei * GWEI)
    return FeeLimits(
        max_fee_per_gas=round(config.max_fee_gwei * GWEI),
        max_tip_per_gas=round(config.max_tip_gwei * GWEI),
        max_cost=per_epoch,
        max_cost_per_period=per_epoch,
    )


def open_sender(
    config: EpochConfig, endpoints: Endpoints, *, sending: SenderConfig | None = None
) -> Sender | None:
    """Open the operator's account; None without one. Blocks for half a second.

    Raises:
        ConfigError: If its key file or passphrase is missing or wrong.
    """
    path = config.operator_key
    if path is None:
        return None
    secret = config.operator_passphrase_file
    passphrase = None if secret is None else keyfiles.read_passphrase(secret)
    wallet = Wallet.open(path, passphrase=passphrase)
    return Sender(wallet, endpoints, path, limits=fee_limits(config), config=sending)
