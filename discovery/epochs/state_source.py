"""Reads what the driver must know, from several endpoints, without proofs.

All of it is read at one block, the median of the newest ones, and each value is what most
endpoints say. Endpoints that lie together can cost a few fees or make this relay miss a
nomination; they cannot elect anybody, and nothing read here reaches a circuit.
"""

from dataclasses import dataclass
from typing import Any

from discovery.epochs.observation import Node, Observation, Parameters
from discovery.transactions.answers import Head
from discovery.transactions.client import Endpoints
from discovery.transactions.errors import ChainUnreachableError, FeeLimitError
from discovery.transactions.fees import FeeLimits, offer

BUSY_GAS = 250_000
"""The most that one step of an election takes: a nomination that draws the seed and
sinks through a heap of 256 took less than this."""

_ACTIVE = 1
_OWNER = (1 << 160) - 1
_STATUS = 0xF


@dataclass(frozen=True, slots=True)
class _Slow:
    """What hardly changes within an epoch; see `Observation`."""

    epoch: int
    number: int | None
    node: Node | None = None
    nodes: int = 0
    stake: int = 0
    balance: int = 0
    cost: int | None = None


class StateSource:
    """One registry, read for one account."""

    def __init__(
        self, endpoints: Endpoints, relays: bytes, account: bytes, limits: FeeLimits
    ) -> None:
        """Nothing is read yet.

        Args:
            endpoints: The chain.
            relays: Address of the registry.
            account: The one that pays.
            limits: On its fees.
        """
        self._endpoints = endpoints
        self._relays = relays
        self._account = account
        self._limits = limits
        self._book: bytes | None = None
        self._parameters: Parameters | None = None
        self._slow: _Slow | None = None

    async def epoch(self) -> int:
        """Return the present epoch.

        Raises:
            ChainError: If no endpoint answers, or there is no registry.
        """
        parameters = await self.parameters()
        return parameters.epoch((await self._endpoints.head()).timestamp)

    async def parameters(self) -> Parameters:
        """Return what the registry was founded with; read once.

        Raises:
            ChainError: If no endpoint answers, or there is no registry.
        """
        if self._parameters is None:
            self._parameters = await self._read_parameters()
        return self._parameters

    async def observe(
        self, number: int | None, *, is_fresh: bool = False
    ) -> Observation:
        """Return the chain as it is now.

        What hardly changes within an epoch - node, counts, money - is read at its first
        look and then only when asked to: relays that wait for a block look often.

        Args:
            number: Of this relay's node; None if it is not registered.
            is_fresh: Read everything anew.

        Raises:
            ChainError: If no endpoint answers, or there is no registry.
        """
        parameters = await self.parameters()
        head = await self._endpoints.head()
        epoch = parameters.epoch(head.timestamp)
        slow = self._slow
        if is_fresh or slow is None or (slow.epoch, slow.number) != (epoch, number):
            slow = await self._read_slow(epoch, number, head)
            self._slow = slow
        block = head.number
        target, seed = await self._read("seed_of", epoch + 1, block=block)
        is_open = any(seed) or not parameters.is_drawn
        return Observation(
            height=block,
            timestamp=head.timestamp,
            parameters=parameters,
            node=slow.node,
            nodes=slow.nodes,
            stake=slow.stake,
            target=target,
            seed=seed if any(seed) else None,
            keys=await self._read("elected", epoch + 1, block=block) if is_open else (),
            balance=slow.balance,
            cost=slow.cost,
        )

    def forget(self) -> None:
        """Read everything anew at the next look: we are changing it ourselves."""
        self._slow = None

    async def _read_slow(self, epoch: int, number: int | None, head: Head) -> _Slow:
        if number is None:
            return _Slow(epoch, None)
        book = await self._find_book()
        block = head.number
        return _Slow(
            epoch,
            number,
            node=await self._read_node(book, number, block),
            nodes=await self._endpoints.read(
                "NodeBook", book, "node_count", block=block
            ),
            stake=await self._endpoints.balance(self._relays),
            balance=await self._endpoints.balance(self._account),
            cost=await self._cost(head),
        )

    async def _read_node(self, book: bytes, number: int, block: int) -> Node | None:
        words = await self._read("weights", number, 1, block=block)
        if not words:
            return None
        record = await self._endpoints.read(
            "NodeBook", book, "head", number, block=block
        )
        operator = await self._read("operators", number, block=block)
        owner = (record & _OWNER).to_bytes(20)
        return Node(
            number,
            is_active=(record >> 160) & _STATUS == _ACTIVE,
            is_ours=self._account in {owner, operator},
            weight_word=words[0],
        )

    async def _cost(self, head: Head) -> int | None:
        tip = await self._endpoints.tip()
        try:
            return BUSY_GAS * offer(head.base_fee, tip, self._limits).max_fee
        except FeeLimitError:
            return None

    async def _find_book(self) -> bytes:
        if self._book is None:
            self._book = await self._read("book")
        return self._book

    async def _read_parameters(self) -> Parameters:
        values = await self._read("parameters")
        genesis, length, _, min_stake, seats, _, is_drawn, is_self_only, _ = values
        if not (genesis and length and min_stake and seats):
            raise ChainUnreachableError("the endpoints give impossible parameters")
        return Parameters(genesis, length, min_stake, seats, is_drawn, is_self_only)

    async def _read(
        self, function: str, *args: object, block: int | None = None
    ) -> Any:  # noqa: ANN401 - the contract's interface says what
        return await self._endpoints.read(
            "Relays", self._relays, function, *args, block=block
        )
