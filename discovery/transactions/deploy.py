"""Puts the contracts on a chain: Users, NodeBook, Relays, binds the book, then Names.

What was deployed is written to a JSON file after each step, and a step that is in the
file is not done again, so that whoever was interrupted runs the same command once more::

    {"chain_id": 1337, "users": "0x…", "book": "0x…", "relays": "0x…", "names": "0x…"}

Networks that were founded before there were names have no such contract; it can be added
at any time, as no other contract knows of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from discovery.transactions.call import Call
from discovery.transactions.calls import NodeBook, deployment
from discovery.transactions.client import Endpoints
from discovery.transactions.errors import ChainUnreachableError, WrongChainError
from discovery.transactions.sender import Sender
from discovery.transactions.wallet import address_text, parse_address
from psp.errors import ConfigError

DEPLOYMENT_GAS = 5_600_000
"""Of the first four transactions, measured and rounded up; an estimate cannot be had
before the contracts exist that the next one names."""
NAMES_GAS = 1_400_000
"""Of the contract of names."""

_MAX_BYTES = 4_096
_STAKE = 0
"""The only strategy."""


@dataclass(frozen=True, slots=True)
class RelaysParameters:
    """What the registry is founded with; it cannot be changed afterwards.

    Attributes:
        epoch_length: Seconds, at least 16.
        unbonding: Seconds, at least two epochs.
        min_stake: Wei.
        seats: Of a list, 1 … 256.
        seed_delay: Blocks between request and seed.
        sortition: A draw in proportion to weight; False: the largest weights.
        self_only: A node is nominated by its owner or operator only.
    """

    epoch_length: int = 86_400
    unbonding: int = 7 * 86_400
    min_stake: int = 10**17
    seats: int = 32
    seed_delay: int = 3
    sortition: bool = True
    self_only: bool = True


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the contracts of one network are.

    Attributes:
        chain_id: Of the chain.
        relays: Address of Relays, 20 bytes; it names the network.
        book: Of NodeBook.
        users: Of Users.
        names: Of Names; None in a network without names.
    """

    chain_id: int
    relays: bytes
    book: bytes
    users: bytes
    names: bytes | None = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the record of a finished deployment.

        Raises:
            ConfigError: If it is missing, damaged or not finished.
        """
        steps = _load(path)
        if steps is None or steps.keys() - {_NAMES} != {"chain_id", *_CONTRACTS}:
            raise ConfigError(f"{path} names no deployment; deploy the contracts first")
        return cls(
            chain_id=int(steps["chain_id"]),
            relays=parse_address(steps["relays"]),
            book=parse_address(steps["book"]),
            users=parse_address(steps["users"]),
            names=parse_address(steps[_NAMES]) if _NAMES in steps else None,
        )


@dataclass(frozen=True, slots=True)
class Deployed:
    """What `deploy` did.

    Attributes:
        contracts: Where they are.
        gas: Units by step, of the steps done now.
        cost: Wei of fees paid for them.
    """

    contracts: Deployment
    gas: Mapping[str, int]
    cost: int


_CONTRACTS = ("users", "book", "relays")
_NAMES = "names"


async def deploy(
    sender: Sender,
    endpoints: Endpoints,
    parameters: RelaysParameters,
    record: Path,
    *,
    name_deposit: int = 0,
) -> Deployed:
    """Deploy what the record does not hold yet, and bind the book.

    Args:
        sender: Pays.
        endpoints: Of the chain.
        parameters: What the registry is founded with.
        record: File of the steps done.
        name_deposit: What a name costs as long as it is kept, in wei; 0 leaves the
            contract of names out.

    Raises:
        ConfigError: If the record is damaged or cannot be written.
        WrongChainError: If it is of another chain.
        ChainError: As `Sender.send`; run it again to go on.
    """
    work = _Work(sender, endpoints, record)
    users = await work.contract("users", deployment("Users"))
    book = await work.contract("book", deployment("NodeBook"))
    relays = await work.contract(
        "relays",
        deployment(
            "Relays",
            book,
            users,
            parameters.epoch_length,
            parameters.unbonding,
            parameters.min_stake,
            parameters.seats,
            parameters.seed_delay,
            parameters.sortition,
            parameters.self_only,
            _STAKE,
        ),
    )
    if await endpoints.read("NodeBook", book, "keeper") != relays:
        await work.do("bind", NodeBook(book).bind(relays))
    names = work.known(_NAMES)
    if name_deposit:
        names = await work.contract(_NAMES, deployment("Names", users, name_deposit))
    contracts = Deployment(endpoints.chain_id, relays, book, users, names)
    return Deployed(contracts, work.gas, work.cost)


class _Work:
    """The steps, and the record of them."""

    def __init__(self, sender: Sender, endpoints: Endpoints, record: Path) -> None:
        self.gas: dict[str, int] = {}
        self.cost = 0
        self._sender = sender
        self._record = record
        self._steps = _load(record) or {"chain_id": str(endpoints.chain_id)}
        found = int(self._steps["chain_id"])
        if found != endpoints.chain_id:
            raise WrongChainError(found, endpoints.chain_id)

    def known(self, name: str) -> bytes | None:
        """Return the address of a contract in the record; None if it is not there."""
        return parse_address(self._steps[name]) if name in self._steps else None

    async def contract(self, name: str, call: Call) -> bytes:
        """Return the address of a contract, deployed now if it is not in the record."""
        known = self.known(name)
        if known is not None:
            return known
        address = await self.do(name, call)
        if address is None:
            raise ChainUnreachableError("a receipt names no contract; try again")
        self._steps[name] = address_text(address)
        _save(self._record, self._steps)
        return address

    async def do(self, name: str, call: Call) -> bytes | None:
        receipt = (await self._sender.send(call)).receipt
        self.gas[name] = receipt.gas_used
        self.cost += receipt.cost
        return receipt.contract


def _load(path: Path) -> dict[str, str] | None:
    """Return the steps done, values as text; None if there is no record."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        steps = json.loads(data)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        raise _damaged(path) from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; check its path") from None
    if not isinstance(steps, dict) or not isinstance(steps.get("chain_id"), int):
        raise _damaged(path)
    return {name: str(value) for name, value in steps.items()}


def _save(path: Path, steps: Mapping[str, str]) -> None:
    document = {**steps, "chain_id": int(steps["chain_id"])}
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; check the disk") from error


def _damaged(path: Path) -> ConfigError:
    return ConfigError(f"{path} is damaged; restore a copy, or move it away")
