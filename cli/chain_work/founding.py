"""Founds a network: its contracts, and the settings that name it."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cli.chain_work.amounts import ether
from cli.chain_work.chain import Chain
from cli.chain_work.paying import Facts, Payer
from discovery.transactions.costs import Cost
from discovery.transactions.deploy import (
    DEPLOYMENT_GAS,
    NAMES_GAS,
    Deployed,
    Deployment,
    RelaysParameters,
    deploy,
)
from discovery.transactions.fees import FeeLimits, check_cost, offer
from psp.errors import ConfigError
from psp.runtime.rpc import RpcError, RpcUnavailableError

MIN_EPOCH = 16
MAX_SECONDS = (1 << 32) - 1
MAX_SEATS = 256
MAX_DELAY = (1 << 16) - 1
MAX_DEPOSIT = (1 << 96) - 1
NAME_DEPOSIT = 10**16
"""Wei. A guess at what nobody minds to leave for a name and a squatter of thousands does."""

_STEPS = ("users", "book", "relays", "names")
_NO_CODE = "0x"


@dataclass(frozen=True, slots=True)
class Founding:
    """What there is to do.

    Attributes:
        parameters: Of the registry.
        record: File that says which contracts are there.
        name_deposit: What a name costs as long as it is kept, in wei; 0 leaves the
            contract of names out.
    """

    parameters: RelaysParameters
    record: Path
    name_deposit: int = NAME_DEPOSIT

    def check(self) -> None:
        """Refuse what the contract would refuse, before anything is paid for.

        Raises:
            ConfigError: With what to change.
        """
        p = self.parameters
        _within("--epoch-length", p.epoch_length, MIN_EPOCH, MAX_SECONDS)
        _within("--unbonding", p.unbonding, 2 * p.epoch_length, MAX_SECONDS)
        _within("--seats", p.seats, 1, MAX_SEATS)
        _within("--seed-delay", p.seed_delay, 1, MAX_DELAY)
        _within("--name-deposit, in wei,", self.name_deposit, 0, MAX_DEPOSIT)
        if not p.min_stake:
            raise ConfigError("--min-stake is 0; a stake of nothing buys every seat")

    @property
    def is_done(self) -> bool:
        """Whether the record names all contracts already."""
        return not self.gas

    @property
    def is_founded(self) -> bool:
        """Whether the record names a network already, with names or without."""
        return self._contracts() is not None

    @property
    def gas(self) -> int:
        """Units that what is missing takes, as measured."""
        contracts = self._contracts()
        has_names = contracts is not None and contracts.names is not None
        names = NAMES_GAS if self.name_deposit and not has_names else 0
        return names + (DEPLOYMENT_GAS if contracts is None else 0)

    def _contracts(self) -> Deployment | None:
        try:
            return Deployment.load(self.record)
        except ConfigError:
            return None

    @property
    def title(self) -> str:
        """What is done, for people."""
        return "Add names to a network" if self.is_founded else "Found a network"

    @property
    def facts(self) -> Facts:
        """What cannot be changed afterwards, for people."""
        p = self.parameters
        names = ether(self.name_deposit) + " for each, as long as it is kept"
        if not self.name_deposit:
            names = "none; they can be added later"
        if self.is_founded:
            return [("names", names), ("record", str(self.record))]
        draw = "drawn in proportion to stake" if p.sortition else "the largest stakes"
        who = "by their own operators" if p.self_only else "by anybody"
        return [
            ("epochs", f"{p.epoch_length:,} s"),
            ("seats", f"{p.seats}, {draw}, nominated {who}"),
            ("smallest stake", ether(p.min_stake)),
            ("unbonding", f"{p.unbonding:,} s"),
            ("seed", f"{p.seed_delay} blocks after it is asked for"),
            ("names", names),
            ("record", str(self.record)),
        ]


async def expected_cost(
    chain: Chain, payer: Payer, limits: FeeLimits, gas: int
) -> Cost:
    """Return what all transactions cost together, from what they were measured at.

    They cannot be estimated before the contracts exist that the later ones name.

    Raises:
        ChainError: If no endpoint answers, a limit forbids it, or the money is missing.
    """
    head = await chain.endpoints.head()
    fees = offer(head.base_fee, await chain.endpoints.tip(), limits)
    balance = await chain.endpoints.balance(payer.wallet.address)
    cost = Cost(gas, gas, head.base_fee, fees, 0, balance)
    check_cost(cost.gas_limit, fees, limits)
    cost.check_funds()
    return cost


async def check_record(chain: Chain, founding: Founding) -> None:
    """Make sure that the contracts of the record are on this chain.

    Raises:
        ConfigError: If they are not: the record is of a chain that is no more.
    """
    for address in _recorded(founding.record):
        codes: list[object] = []
        for rpc in chain.rpcs:
            with suppress(RpcError, RpcUnavailableError):
                codes.append(await rpc.call("eth_getCode", address, "latest"))
        if codes and all(code == _NO_CODE for code in codes):
            raise ConfigError(
                f"{founding.record} names a contract at {address}, which is not on this "
                "chain; if the chain was set up anew, move the file away"
            )


async def found(chain: Chain, payer: Payer, founding: Founding) -> Deployed:
    """Deploy what the record does not name yet.

    Raises:
        ChainError: If that fails; the same command goes on from there.
    """
    return await deploy(
        payer.sender,
        chain.endpoints,
        founding.parameters,
        founding.record,
        name_deposit=founding.name_deposit,
    )


def membership_lines(chain: Chain, contracts: Deployment) -> str:
    """Return the table of settings that names the network, as TOML."""
    target = chain.target
    lines = [
        "[membership]",
        f"chain_id = {contracts.chain_id}",
        f'registry = "{contracts.relays.hex()}"',
    ]
    if contracts.names is not None:
        lines.append(f'names = "{contracts.names.hex()}"')
    else:
        lines.append("# names = nothing: this network has no contract of names")
    if all(map(_is_plain, target.rpc)):
        urls = ", ".join(f'"{url}"' for url in target.rpc)
        lines.append(f"rpc = [{urls}]")
    else:
        # What may be an account's secret is not printed.
        lines.append("# rpc = the endpoints, three or more of different owners")
    lines.append(f"quorum = {target.quorum}")
    return "\n".join(lines)


def _recorded(record: Path) -> list[str]:
    """Return the addresses in a record; a damaged one is found when it is used."""
    try:
        steps = json.loads(record.read_text("utf-8"))
    except (OSError, ValueError):
        return []
    if not isinstance(steps, dict):
        return []
    return [str(steps[name]) for name in _STEPS if name in steps]


def _is_plain(url: str) -> bool:
    """Tell whether a URL is host and port alone, so that it holds no secret."""
    parts = urlsplit(url)
    return parts.path in {"", "/"} and not (parts.query or parts.username)


def _within(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{option} is {value}; it goes from {low:,} to {high:,}")
