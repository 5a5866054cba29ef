"""What commands that change something on the chain have in common."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from cli.chain_work.chain import Chain, Founded, check_contract, open_chain
from cli.chain_work.nodes import (
    Holding,
    NodeKeys,
    find_number,
    load_keys,
    parse_id,
    parse_number,
    read_holding,
)
from cli.chain_work.paying import Payer
from cli.commands.chain_options import (
    ChainOptions,
    OutputOptions,
    PayOptions,
)
from cli.commands.passphrases import passphrase_of
from cli.node_config import NodeConfig
from cli.output import print_warning
from discovery.transactions.calls import Relays, Users
from psp.directory.chain.alarms import AlarmKind
from psp.directory.chain.view import ChainView
from psp.errors import ConfigError
from psp.ids import NodeId
from psp.runtime import keyfiles, settings
from psp.runtime.chain_reader import Reading

_CLOCKS = {AlarmKind.STALE, AlarmKind.FUTURE}


@dataclass(frozen=True, slots=True)
class OwnRelayOptions:
    """Which relay is meant."""

    number: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Its number; found by its key, if left out."
        ),
    ] = None

    def keys(self, chain: ChainOptions) -> NodeKeys | None:
        """Open the relay's keys, unless its number says which one it is.

        Raises:
            ConfigError: If they are needed and cannot be opened.
        """
        return None if self.number else open_keys(relay_settings(chain))


@dataclass(frozen=True, slots=True)
class Work:
    """What such a command has at hand.

    Attributes:
        chain: The chain.
        founded: The registry on it.
        payer: Who pays.
    """

    chain: Chain
    founded: Founded
    payer: Payer

    @property
    def account(self) -> bytes:
        """Who pays, 20 bytes."""
        return self.payer.wallet.address

    @property
    def relays(self) -> Relays:
        """Calls of the registry."""
        return Relays(self.chain.network.registry)

    @property
    def users(self) -> Users:
        """Calls of the contract of users."""
        return Users(self.founded.state.users)

    async def view(self, *, reads_users: bool = False) -> ChainView:
        """Return the whole registry, with warnings about whatever is odd."""
        return (await self.read(reads_users=reads_users)).view

    async def read(self, *, reads_users: bool = False) -> Reading:
        """Return the same, and who agreed on its block."""
        reading = await self.chain.read(reads_users=reads_users)
        view = reading.view
        for alarm in self.chain.alarms(view, is_full=reading.agreed.is_full):
            if alarm.kind not in _CLOCKS:  # said at the beginning
                print_warning(alarm.sentence)
        return reading

    async def own_number(self, own: OwnRelayOptions, keys: NodeKeys | None) -> int:
        """Return the number of the relay that is meant.

        Raises:
            NotRegisteredError: If it has none.
        """
        if own.number is not None:
            return own.number
        if keys is None:
            raise ConfigError("which relay? give its --number or its --settings")
        return find_number(await self.view(), keys.node_id, self.account)

    async def own_node(self, own: OwnRelayOptions, keys: NodeKeys | None) -> Holding:
        """Return the relay that is meant; it belongs to who pays.

        Raises:
            NotRegisteredError: If there is none.
            ConfigError: If it is another's, or was ended.
        """
        holding = await self.node(await self.own_number(own, keys))
        holding.check_owner(self.account)
        return holding

    async def named_node(self, text: str) -> Holding:
        """Return the node of a number or an id.

        Raises:
            NotRegisteredError: If there is none.
            ConfigError: If the text names none.
        """
        number = parse_number(text)
        if number is None:
            identity = NodeId(parse_id(text))
            number = find_number(await self.view(), identity, b"")
        return await self.node(number)

    async def node(self, number: int) -> Holding:
        """Return a node with the stake that who pays has in it."""
        return await read_holding(self.chain, self.founded.state, number, self.account)


def run_paying(
    chain: ChainOptions,
    pay: PayOptions,
    output: OutputOptions,
    work: Callable[[Work], Awaitable[None]],
    *,
    sends_stake: bool = False,
) -> None:
    """Open account and chain, and do some work with them.

    Args:
        chain: Which chain.
        pay: Which account.
        output: How the result is printed.
        work: The work.
        sends_stake: Whether money is left with the contract, which must then be ours.

    Raises:
        PspError: If anything fails.
    """
    target = chain.target()
    terms, wallet = pay.terms(output), pay.open()

    async def run() -> None:
        async with open_chain(target) as asked:
            founded = await asked.founded()
            warning = asked.clock_warning(founded.header.timestamp)
            if warning:
                print_warning(warning)
            if sends_stake:
                check_contract(founded)
            payer = Payer(asked, wallet, pay.wallet_file, terms)
            await work(Work(asked, founded, payer))

    asyncio.run(run())


def relay_settings(chain: ChainOptions) -> NodeConfig:
    """Return the settings of the relay that is meant.

    Raises:
        ConfigError: If none are named, or they are none of a relay's.
    """
    if chain.settings_file is None:
        raise ConfigError("which relay? name its settings with --settings FILE")
    return settings.load(NodeConfig, chain.settings_file, os.environ)


def open_keys(config: NodeConfig) -> NodeKeys:
    """Open a relay's keys; asks for their passphrase if no file has it.

    Raises:
        ConfigError: If one is missing, damaged or under another passphrase.
    """
    keys = config.keys
    if keys.passphrase_file is not None:
        return load_keys(keys, keyfiles.read_passphrase(keys.passphrase_file))
    return load_keys(keys, passphrase_of(keys.identity))
