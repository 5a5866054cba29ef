"""psp user: identities, contact cards, look-ups."""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from cli.commands.client_options import JsonOutput, Public, SettingsFile
from cli.commands.passphrases import new_passphrase, passphrase_of
from cli.commands.user_delegate import delegate, take_secret_of_book
from cli.exit_codes import ExitCode
from cli.output import note, out, print_error, print_json, print_table
from psp.client.api import connect
from psp.client.config import ClientConfig
from psp.client.identities.identity_file import create_identity, open_identity
from psp.client.lookups.lookup import LookupResult, PresenceState
from psp.errors import DecodeError
from psp.netdoc.contact_card import ContactCard
from psp.runtime import settings
from psp.runtime.chain_membership import Reader, open_membership
from psp.runtime.entropy import SystemEntropy
from psp.runtime.logs import logger

app = typer.Typer(help="Identities, contact cards and look-ups.", no_args_is_help=True)

app.command()(delegate)


@app.command()
def create(
    key_file: Annotated[Path, typer.Argument(help="The new key file.")],
    *,
    public: Public = False,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Ask for a passphrase.")
    ] = False,
) -> None:
    """Make an identity and print its id, to be registered."""
    secret = new_passphrase() if passphrase else None
    identity = asyncio.run(
        create_identity(
            key_file, entropy=SystemEntropy(), is_public=public, passphrase=secret
        )
    )
    out.out(identity.user_id.hex())


@app.command()
def card(
    key_file: Annotated[Path, typer.Argument(help="Your key file.")],
    settings_file: SettingsFile,
    name: Annotated[str, typer.Option(help="What contacts see.")] = "",
) -> None:
    """Print your contact card. Who holds it can find you: give it to contacts only."""
    config = settings.load(ClientConfig, settings_file, os.environ)
    secret = passphrase_of(key_file)
    identity = asyncio.run(
        open_identity(key_file, display_name=name, passphrase=secret)
    )
    network = config.membership.anchor().network
    take_secret_of_book(config, identity, network)
    out.out(identity.contact_card(network).encode())


@app.command()
def lookup(
    settings_file: SettingsFile,
    *,
    json_output: JsonOutput = False,
) -> None:
    """Look a contact up; the card is read from standard input.

    Exit code 0 means on line, 1 off line or unknown, 4 that there was no card.
    """
    config = settings.load(ClientConfig, settings_file, os.environ)
    contact = _read_card()

    async def find() -> LookupResult:
        async with connect(config) as client:
            return await client.lookup(contact)

    found = asyncio.run(find())
    figures = {
        "state": found.state.value,
        "presence_points": len(found.points),
        "answers": found.answers,
    }
    if json_output:
        print_json(figures)
    else:
        rows = [[key, str(value)] for key, value in figures.items()]
        print_table("presence", ["", ""], rows)
    is_online = found.state is PresenceState.ONLINE
    raise typer.Exit(ExitCode.OK if is_online else ExitCode.FAILED)


def _read_card() -> ContactCard:
    if sys.stdin.isatty():
        note("paste the contact card and press Enter")
    try:
        return ContactCard.decode(sys.stdin.readline().strip())
    except (DecodeError, UnicodeDecodeError):
        print_error("standard input has no contact card on its first line")
        raise typer.Exit(ExitCode.INPUT) from None


@app.command()
def status(
    settings_file: SettingsFile,
    *,
    json_output: JsonOutput = False,
) -> None:
    """Show which registry a client would use, and how it stands."""
    config = settings.load(ClientConfig, settings_file, os.environ)
    figures = asyncio.run(_registry_figures(config))
    if json_output:
        print_json(figures)
    else:
        rows = [[key, str(value)] for key, value in figures.items()]
        print_table("registry", ["", ""], rows)


async def _registry_figures(config: ClientConfig) -> dict[str, object]:
    """Read the registry as a client does, but leave the client's own cache alone."""
    entropy = SystemEntropy()
    with tempfile.TemporaryDirectory() as folder:
        membership = await open_membership(
            config.membership,
            Reader(Path(folder), entropy.token(32), reads_users=False),
            unix_time=time.time,
            entropy=entropy,
            log=logger("user"),
        )
        registry = membership.registry
        figures: dict[str, object] = {
            "source": registry.source.value,
            "registry": membership.explanation,
            "sequence": registry.sequence,
            "expires_in_s": registry.expires - int(time.time()),
            "relays": len(registry.nodes()),
            "discovery_nodes": len(registry.discovery_nodes()),
            "trusted_nodes": len(registry.trusted_nodes()),
        }
        await membership.close()
    return figures
