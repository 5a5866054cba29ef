"""psp trusted: what a trusted partner does."""

import time
from pathlib import Path
from typing import Annotated

import typer

from cli.output import err, out
from psp.crypto.keys import SigningKey
from psp.directory.registry import RANDOM_PERIOD, period_of
from psp.errors import ConfigError, DecodeError, LocalProtocolError
from psp.ids import NodeId, UserId
from psp.netdoc import trusted_file
from psp.netdoc.node_entry import SignedNode
from psp.netdoc.trusted_file import TrustedFile
from psp.runtime import keyfiles
from psp.runtime.entropy import SystemEntropy
from psp.units import UnixTime
from psp.wire.network import Network

app = typer.Typer(help="Sign the list of relays and users.", no_args_is_help=True)

MAX_CHAIN_ID = (1 << 64) - 1
MAX_SEQUENCE = (1 << 63) - 1
_DAY = 86_400


@app.command()
def keygen(
    key_file: Annotated[Path, typer.Argument(help="The new key file.")],
) -> None:
    """Make a partner's key and print its public half, for everybody's settings."""
    entropy = SystemEntropy()
    key = SigningKey.generate(entropy)
    keyfiles.create(key_file, key.seed, entropy=entropy)
    out.out(key.public.hex())


@app.command()
def sign(
    key_file: Annotated[Path, typer.Argument(help="The partner's key file.")],
    output: Annotated[Path, typer.Argument(help="The file to write.")],
    node: Annotated[
        list[Path], typer.Option(help="A relay's entry (psp relay init), once each.")
    ],
    chain_id: Annotated[
        int, typer.Option(min=0, max=MAX_CHAIN_ID, help="The network's chain id.")
    ],
    registry: Annotated[str, typer.Option(help="The registry's address, 40 hex.")],
    sequence: Annotated[
        int,
        typer.Option(min=1, max=MAX_SEQUENCE, help="Higher than the last file's."),
    ],
    discovery: Annotated[
        list[str] | None, typer.Option(help="Id of a discovery node, once each.")
    ] = None,
    user: Annotated[
        list[str] | None, typer.Option(help="Id of a registered user, once each.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=31, help="Valid for so long.")] = 7,
) -> None:
    """Write the signed registry file."""
    network = Network(chain_id, _hex(registry, 20))
    now = int(time.time())
    nodes = [_read_node(path, network) for path in node]
    entropy = SystemEntropy()
    first = period_of(now) - 1
    periods = range(first, first + days * _DAY // RANDOM_PERIOD + 3)
    document = TrustedFile(
        network=network,
        sequence=sequence,
        issued=UnixTime(now),
        expires=UnixTime(now + days * _DAY),
        nodes={entry.record.node_id: entry for entry in nodes},
        discovery_nodes=tuple(sorted(NodeId(_hex(i, 32)) for i in discovery or ())),
        users=frozenset(UserId(_hex(i, 32)) for i in user or ()),
        random_values={period: entropy.token(32) for period in periods},
    )
    key = SigningKey.from_seed(keyfiles.load_seed(key_file))
    try:
        data = trusted_file.encode(document, [key])
    except LocalProtocolError as error:
        raise ConfigError(f"nothing was signed: {error}") from None
    _replace(output, data)
    err.print(f"{len(nodes)} relays, {len(document.users)} users; valid {days} days")


def _read_node(path: Path, network: Network) -> SignedNode:
    try:
        return SignedNode.decode(path.read_bytes().strip(), network)
    except (OSError, DecodeError) as error:
        raise ConfigError(f"{path} is not a relay's entry: {error}") from None


def _replace(path: Path, data: bytes) -> None:
    """Write the file whole or not at all: relays may read it at any time."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror})") from None


def _hex(text: str, size: int) -> bytes:
    try:
        data = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        data = b""
    if len(data) != size:
        raise ConfigError(f"{text!r}: {2 * size} hex digits are needed")
    return data
