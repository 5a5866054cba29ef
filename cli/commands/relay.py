"""psp relay: set up and run a relay."""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.daemon import EndWithParent, LogJson, LogLevel, begin
from cli.output import err, out
from cli.worker_shares import check_endpoints, endpoints_for
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.errors import ConfigError, LocalProtocolError
from psp.ids import NodeId
from psp.netdoc.node_entry import SignedNode
from psp.netdoc.node_record import MAX_ENDPOINTS, NodeRecord
from psp.runtime import keyfiles, settings
from psp.runtime.entropy import SystemEntropy
from psp.runtime.system import new_event_loop
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network

if TYPE_CHECKING:
    from collections.abc import Coroutine

app = typer.Typer(help="Set up and run a relay.", no_args_is_help=True)

MAX_CHAIN_ID = (1 << 64) - 1


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A new folder for the relay's keys.")],
    endpoint: Annotated[
        list[str], typer.Option(help="Public address:port, once per endpoint.")
    ],
    operator: Annotated[str, typer.Option(help="Your account, 40 hex digits.")],
    chain_id: Annotated[
        int, typer.Option(min=0, max=MAX_CHAIN_ID, help="The network's chain id.")
    ],
    registry: Annotated[str, typer.Option(help="The registry's address, 40 hex.")],
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            max=MAX_ENDPOINTS,
            help="Processes it will have: the port of --endpoint and the ones after it.",
        ),
    ] = 1,
) -> None:
    """Make a relay's keys and print its signed entry."""
    given = tuple(map(_endpoint, endpoint))
    if workers > 1:
        given = endpoints_for(given, workers, named="--workers")
    check_endpoints(given)
    entropy = SystemEntropy()
    identity, onion = SigningKey.generate(entropy), x25519_generate(entropy)
    record = NodeRecord(
        node_id=NodeId(identity.public),
        onion_key=x25519_public(onion),
        endpoints=given,
        operator=_bytes(operator, "--operator"),
    )
    network = Network(chain_id, _bytes(registry, "--registry"))
    keyfiles.create(folder / "identity.key", identity.seed, entropy=entropy)
    keyfiles.create(folder / "onion.key", onion, entropy=entropy)
    err.print(
        f"keys written to {folder}; next is psp relay register, or, in a network "
        "without a chain, this entry for the trusted partners:"
    )
    out.out(SignedNode.sign(network, record, identity).encode().decode())


@app.command()
def run(
    settings_file: Annotated[Path, typer.Argument(help="The relay's settings, TOML.")],
    log_level: LogLevel = "info",
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes, one UDP port each; the settings' workers, if left out."
        ),
    ] = None,
    worker: Annotated[
        int | None, typer.Option(hidden=True, help="Which of them this is.")
    ] = None,
    *,
    log_json: LogJson = False,
    with_parent: EndWithParent = False,
) -> None:
    """Run a relay until Ctrl-C or SIGTERM.

    With several workers this process starts them, starts again one that died,
    and serves the metrics of all.
    """
    from cli.node_config import NodeConfig  # noqa: PLC0415 - keeps --help quick

    log = begin(
        "relay", log_level, is_json=log_json, with_parent=with_parent, worker=worker
    )
    config = settings.load(NodeConfig, settings_file, os.environ)
    if worker is None:
        for name in settings.unknown_variables(NodeConfig, os.environ):
            log.warning("variable_ignored", name=name, why="no setting has this name")
    if workers is not None:
        config = replace(config, workers=workers)
    serving: Coroutine[None, None, int]
    if worker is None and config.workers > 1:
        from cli.workers.supervisor import run_workers  # noqa: PLC0415

        # -P: of modules in the directory that we happen to be in, none is run.
        command = [sys.executable, "-P", "-m", "cli.main", "relay", "run"]
        command += [str(settings_file), "--log-level", log_level]
        command += ["--workers", str(config.workers)]
        command += ["--log-json"] if log_json else []
        serving = run_workers(config, command, log)
    else:
        from cli.workers.running import run_alone, run_worker  # noqa: PLC0415

        if worker is None:
            serving = run_alone(config, log)
        else:
            serving = run_worker(config, worker, log)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        code = runner.run(serving)
    if code:
        raise typer.Exit(code)


@app.command("sample-settings")
def sample_settings() -> None:
    """Print a documented settings file."""
    from cli.node_config import NodeConfig  # noqa: PLC0415

    out.out(settings.sample(NodeConfig))


def _endpoint(text: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    try:
        endpoint = Endpoint(host.strip("[]"), int(port))
        endpoint.encode()
    except (ValueError, LocalProtocolError):
        raise ConfigError(
            f"--endpoint {text!r}: write numeric address:port, such as 192.0.2.1:443 "
            "or [2001:db8::1]:443"
        ) from None
    return endpoint


def _bytes(text: str, option: str) -> bytes:
    try:
        data = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        data = b""
    if len(data) != 20:
        raise ConfigError(f"{option} {text!r}: 40 hex digits are needed")
    return data
