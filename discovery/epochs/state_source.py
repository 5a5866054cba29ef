"""Reads what the driver must know, from several endpoints, without proofs.

All of it is read at one block, the median of the newest ones, and each value is what most
endpoints say. Endpoints that lie together can cost a few fees or make this relay miss a
nomination; they cannot elect anybody, and nothing read here reaches a circuit.
"""

from dataclasses import replace
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

    async def observe(self, number: int | None) -> Observation:
        """Return the chain as it is now.

        Args:
            number: Of this relay's node; None if it is not registered.

        Raises:
            ChainError: If no endpoint answers, or there is no registry.
        """
        parameters = await self.parameters()
        head = await self._endpoints.head()
        epoch = parameters.epoch(head.timestamp)
        target, seed = await self._read("seed_of", epoch + 1, block=head.number)
        bare = Observation(
            height=head.number,
            timestamp=head.timestamp,
            parameters=parameters,
            node=None,
            nodes=0,
            stake=0,
            target=target,
            seed=seed if any(seed) else None,
            keys=(),
            balance=0,
            cost=None,
        )
        if number is None:
            return bare
        return await self._with_node(bare, number, head)

    async def _with_node(
        self, bare: Observation, number: int, head: Head
    ) -> Observation:
        block = head.number
        book = await self._find_book()
        return replace(
            bare,
            node=await self._read_node(book, number, block),
            nodes=await self._endpoints.read(
                "NodeBook", book, "node_count", block=block
            ),
            stake=await self._endpoints.balance(self._relays),
            keys=await self._read("elected", bare.epoch + 1, block=block),
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
