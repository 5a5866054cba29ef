"""psp user delegate: keys made ahead for a host without the identity key."""

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from cli.commands.client_options import JsonOutput
from cli.commands.passphrases import new_passphrase, passphrase_of
from cli.output import print_facts, print_json
from psp.client.config import ClientConfig
from psp.client.contacts.contact_file import ContactFile
from psp.client.contacts.contacts import ContactBook
from psp.client.identities.delegation import MAX_DAYS, DelegatedIdentity
from psp.client.identities.identity import Identity
from psp.client.identities.identity_file import create_delegation, load_identity
from psp.runtime import settings
from psp.runtime.entropy import SystemEntropy
from psp.wire.network import Network


def delegate(
    key_file: Annotated[
        Path, typer.Argument(metavar="KEY-FILE", help="The identity's.")
    ],
    settings_file: Annotated[
        Path,
        typer.Option(
            "--settings",
            help="Client settings, TOML: of the network, and of the contact book that "
            "holds your discovery secret if you ever revoked a contact.",
        ),
    ],
    *,
    out_file: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The new key file.")
    ],
    days: Annotated[
        int, typer.Option(min=1, max=MAX_DAYS, help="How long the keys hold.")
    ] = 7,
    name: Annotated[str, typer.Option(help="What contacts see.")] = "",
    public: Annotated[
        bool,
        typer.Option(
            "--public",
            help="Let that host announce you to everybody, too: anybody can find you, "
            "and anybody can list when you are on line.",
        ),
    ] = False,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Protect the new file by one.")
    ] = False,
    json_output: JsonOutput = False,
) -> None:
    """Make keys for a host that shall act as you, without your identity key.

    Take FILE there and give it instead of the identity. Until the keys end, whoever has
    it announces you, takes your calls and calls in your name, and nobody can take it
    back: make it for as few days as you can renew it in.
    """
    config = settings.load(ClientConfig, settings_file, os.environ)
    network = config.membership.anchor().network
    entropy, now = SystemEntropy(), time.time()
    identity = asyncio.run(
        load_identity(key_file, display_name=name, passphrase=passphrase_of(key_file))
    )
    take_secret_of_book(config, identity, network)
    made = DelegatedIdentity.make(
        identity, network, now, days, entropy, with_public=public
    )
    secret = new_passphrase() if passphrase else None
    asyncio.run(create_delegation(out_file, made, entropy=entropy, passphrase=secret))
    until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(made.ends))
    if json_output:
        print_json({"file": str(out_file), "ends": made.ends, "public": public})
    else:
        print_facts("keys made ahead", [["file", str(out_file)], ["end", until]])


def take_secret_of_book(
    config: ClientConfig, identity: Identity, network: Network
) -> None:
    """Let a contact book beside the settings say the discovery secret in use now."""
    entropy = SystemEntropy()
    ContactBook(
        ContactFile.in_folder(config.state_dir, identity, network, entropy),
        network,
        identity,
        entropy=entropy,
        unix_time=time.time,
    )
