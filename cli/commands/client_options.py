"""What the commands of a client share: its identity, its book, its folder, its end."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.commands.passphrases import passphrase_of
from cli.exit_codes import ExitCode
from cli.output import note, print_error
from psp.client.config import ClientConfig
from psp.client.connecting import connect
from psp.client.contacts.contact_file import ContactFile
from psp.client.contacts.contacts import ContactBook
from psp.client.identities.identity import Identity
from psp.client.identities.identity_file import open_identity
from psp.client.state_folder import alone_in
from psp.errors import ConfigError
from psp.gateway.ports import PresenceClient
from psp.netdoc.contact_card import is_card
from psp.runtime import settings
from psp.runtime.entropy import SystemEntropy

SettingsFile = Annotated[
    Path, typer.Option("--settings", metavar="FILE", help="Client settings, TOML.")
]
IdentityFile = Annotated[
    Path | None,
    typer.Option(
        "--identity",
        metavar="KEY",
        help="Your key file, or keys made ahead (psp user delegate).",
    ),
]
OwnName = Annotated[str, typer.Option("--name", help="What your cards call you.")]
Public = Annotated[
    bool,
    typer.Option(
        "--public",
        help="Anybody can find you, and anybody can list when you are on line.",
    ),
]
JsonOutput = Annotated[bool, typer.Option("--json", help="Print JSON.")]

MAX_CARDS = 100
"""Read from standard input; as many as one look-up of many takes."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Who sits at it: settings, and an identity if there is one."""

    config: ClientConfig
    identity: Identity | None

    @classmethod
    def open(
        cls, settings_file: Path, identity_file: Path | None, name: str = ""
    ) -> "Desk":
        """Read both files; ask for a passphrase if there is one.

        Raises:
            ConfigError: If one of them cannot be used.
        """
        config = settings.load(ClientConfig, settings_file, os.environ)
        if identity_file is None:
            return cls(config, None)
        secret = passphrase_of(identity_file)
        opened = open_identity(identity_file, display_name=name, passphrase=secret)
        return cls(config, asyncio.run(opened))

    @property
    def own_identity(self) -> Identity:
        """The identity, for what needs one.

        Raises:
            ConfigError: If there is none.
        """
        if self.identity is None:
            raise ConfigError("this needs your key file; give it with --identity")
        return self.identity

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[PresenceClient]:
        """Run a client."""
        async with connect(self.config, identity=self.identity) as client:
            yield client

    @contextlib.contextmanager
    def contacts(self) -> Iterator[ContactBook]:
        """Open the contact book without going to the network.

        Raises:
            ConfigError: If it is damaged or another program has it.
        """
        identity, entropy = self.identity, SystemEntropy()
        network = self.config.membership.anchor().network
        with alone_in(self.config.state_dir):
            yield ContactBook(
                ContactFile.in_folder(
                    self.config.state_dir, identity, network, entropy
                ),
                network,
                identity,
                entropy=entropy,
                unix_time=time.time,
            )


def read_cards() -> list[str]:
    """Return the contact cards on standard input, one a line, unread."""
    if sys.stdin.isatty():
        note("paste contact cards, one a line; Ctrl-D on a line of its own ends them")
    try:
        lines = [line.strip() for line in sys.stdin.readlines(MAX_CARDS * 2_048)]
    except UnicodeDecodeError:
        lines = []
    cards = [line for line in lines if line]
    if not cards or not all(map(is_card, cards)):
        print_error("standard input has no contact card on each of its lines")
        raise typer.Exit(ExitCode.INPUT)
    if len(cards) > MAX_CARDS:
        print_error(f"standard input has more than {MAX_CARDS} contact cards")
        raise typer.Exit(ExitCode.INPUT)
    return cards


def refuse_cards(names: list[str]) -> None:
    """Refuse contact cards among the arguments: other users see a command's arguments."""
    if any(map(is_card, names)):
        print_error(
            "a contact card is a secret, and others on this host see a command's "
            "arguments: give it on standard input"
        )
        raise typer.Exit(ExitCode.USAGE)


def run_until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run until the work is done or Ctrl-C or SIGTERM ends it, in good order.

    A second signal does not wait for that.
    """

    async def run() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def end(number: signal.Signals) -> None:
            loop.remove_signal_handler(number)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end, number)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())
