"""One chain while a command runs: its endpoints, asked in the two ways there are.

What is shown and relied upon is proven under the quorum (`ChainReader`). What a transaction
needs (fees, nonces, the newest state) is what most endpoints say (`Endpoints`): it is
newer than the final block, and the contract has the last word.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cli.chain_work.shipped import foreign_contracts, is_shipped_registry
from cli.chain_work.target import ChainTarget
from discovery.transactions.client import Endpoints
from psp.directory.chain.alarms import Alarm, AlarmConfig, Severity, judge
from psp.directory.chain.header import BlockHeader
from psp.directory.chain.proof import ProvenAccount
from psp.directory.chain.state import ElectionState
from psp.directory.chain.view import ChainView
from psp.errors import PspError
from psp.runtime.chain_reader import (
    ChainReader,
    Completeness,
    Reading,
    checked_state,
)
from psp.runtime.entropy import SystemEntropy
from psp.runtime.quorum import Agreed, QuorumRpc
from psp.runtime.rpc import RpcEndpoint, RpcLimits, new_session
from psp.units import Seconds
from psp.wire.network import Network

_LIMITS = RpcLimits(timeout=Seconds(5.0), retries=1)
"""A person waits: an endpoint that fails twice is left out."""

MAX_HEAD_LEAD = AlarmConfig().max_head_lead
"""Seconds by which a block may be ahead of this host's clock."""

COMPLETENESS = {
    Completeness.PROVEN: "proven: the records make the storage root",
    Completeness.QUORUM: "believed: a quorum of endpoints gives the same list",
}


class ForeignContractError(PspError):
    """The contract at the registry's address is not the one that this program ships."""


@dataclass(frozen=True, slots=True)
class Founded:
    """The registry at one block, without its records.

    Attributes:
        agreed: The block, and how many endpoints agree on it.
        proven: Words of Relays.
        state: What they say.
    """

    agreed: Agreed
    proven: ProvenAccount = field(repr=False)
    state: ElectionState

    @property
    def header(self) -> BlockHeader:
        """The block."""
        return self.agreed.header

    @property
    def is_shipped(self) -> bool:
        """Whether Relays is the contract that this program ships."""
        return is_shipped_registry(self.state, self.proven.account.code_hash)


class Chain:
    """A chain that is being asked.

    Attributes:
        target: What was named.
        rpcs: Its endpoints.
        endpoints: The same, for what is written.
        quorum: The same, for what is proven.
    """

    def __init__(self, target: ChainTarget, rpcs: tuple[RpcEndpoint, ...]) -> None:
        """Ask nothing yet."""
        self.target = target
        self.rpcs = rpcs
        self.endpoints = Endpoints(rpcs, target.chain_id)
        self.quorum = QuorumRpc(
            rpcs,
            chain_id=target.chain_id,
            quorum=target.quorum,
            entropy=SystemEntropy(),
        )

    @property
    def network(self) -> Network:
        """The network; ConfigError if none was named."""
        return self.target.network

    def reader(self, *, reads_users: bool = True) -> ChainReader:
        """Return a reader of the network's contracts."""
        return ChainReader(self.quorum, self.network, reads_users=reads_users)

    async def read(self, *, reads_users: bool = True) -> Reading:
        """Return the whole registry, proven.

        Raises:
            ChainReadError: If it cannot be read now.
        """
        return await self.reader(reads_users=reads_users).read()

    async def founded(self) -> Founded:
        """Return the registry without its records, proven.

        Raises:
            ChainReadError: If it cannot be read now.
        """
        agreed = await self.quorum.newest()
        proven = await self.reader().prove_relays(agreed.header)
        return Founded(agreed, proven, checked_state(proven, agreed.header))

    def clock_warning(self, timestamp: int) -> str:
        """Return what is wrong between a block's clock and this host's; mostly empty."""
        age = unix_now() - timestamp
        if age > self.target.max_head_age:
            return (
                f"the newest final block is {age} s old: the chain stands still, its "
                "endpoints lag behind, or this host's clock is ahead"
            )
        if -age > MAX_HEAD_LEAD:
            return (
                f"the newest final block is {-age} s ahead of this host's clock; check "
                "the clock"
            )
        return ""

    def alarms(self, view: ChainView, *, is_full: bool) -> list[Alarm]:
        """Return what is out of the ordinary about a view."""
        config = AlarmConfig(max_head_age=int(self.target.max_head_age))
        return [
            *judge(None, view, unix_now(), config, is_full_quorum=is_full),
            *foreign_contracts(view),
        ]


def unix_now() -> int:
    """Return this host's clock."""
    return int(time.time())


@asynccontextmanager
async def open_chain(target: ChainTarget) -> AsyncIterator[Chain]:
    """Have a chain's endpoints at hand for as long as the block lasts."""
    async with new_session(len(target.rpc)) as session:
        yield Chain(
            target,
            tuple(
                RpcEndpoint(url, session, name=f"endpoint {number}", limits=_LIMITS)
                for number, url in enumerate(target.rpc, 1)
            ),
        )


def check_contract(founded: Founded) -> None:
    """Make sure that stake goes to the contract that this program knows.

    Raises:
        ForeignContractError: If the code is another.
    """
    if not founded.is_shipped:
        raise ForeignContractError(
            "the contract at the registry's address is not the one that this program "
            "ships: it may keep what it is sent; nothing was sent. Check the address "
            "with the trusted partners"
        )


def is_grave(alarm: Alarm) -> bool:
    """Tell whether a reader would not take a view for this."""
    return alarm.severity is not Severity.WARNING
