"""psp client: a client that runs in the background and serves programs on this host."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer
from structlog.typing import FilteringBoundLogger

from cli.commands.client_options import Desk, IdentityFile, OwnName, SettingsFile
from cli.commands.daemon import EndWithParent, LogJson, LogLevel, begin
from cli.output import note, out, print_warning
from psp.client.config import ClientConfig
from psp.gateway.announcing import PUBLIC_WARNING
from psp.gateway.bodies import Announce
from psp.gateway.operations import Asked
from psp.gateway.token_file import FILE_NAME, load_token
from psp.runtime import settings
from psp.runtime.entropy import SystemEntropy
from psp.runtime.supervisor import Supervisor
from psp.runtime.system import new_event_loop

if TYPE_CHECKING:
    from psp.gateway.service import Gateway

app = typer.Typer(
    help="A client in the background, for programs on this host.",
    no_args_is_help=True,
)


@app.command()
def run(
    settings_file: SettingsFile,
    identity: IdentityFile = None,
    name: OwnName = "",
    log_level: LogLevel = "info",
    *,
    announce: Annotated[
        bool, typer.Option("--announce", help="Be reachable from the start on.")
    ] = False,
    public: Annotated[
        bool,
        typer.Option(
            "--public",
            help="With --announce: anybody can find you, and anybody can list when you "
            "are on line.",
        ),
    ] = False,
    status: Annotated[
        str, typer.Option(help="With --announce: what contacts read.")
    ] = "",
    log_json: LogJson = False,
    with_parent: EndWithParent = False,
) -> None:
    """Run a client until Ctrl-C or SIGTERM, and serve it over HTTP on 127.0.0.1.

    Programs need the token in the file that is named at the start. What they can do is
    told by /v1/openapi.json; settings are in the table gateway.
    """
    log = begin("gateway", log_level, is_json=log_json, with_parent=with_parent)
    desk = Desk.open(settings_file, identity, name)
    wanted = (public, status) if announce or public else None
    if wanted is not None and desk.own_identity.is_public | public:
        print_warning(PUBLIC_WARNING)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(desk, wanted, log))


@app.command("sample-settings")
def sample_settings() -> None:
    """Print a documented settings file."""
    out.out(settings.sample(ClientConfig))


async def _serve(
    desk: Desk, wanted: tuple[bool, str] | None, log: FilteringBoundLogger
) -> None:
    from psp.gateway.service import Gateway  # noqa: PLC0415 - keeps --help quick

    config, entropy = desk.config.gateway, SystemEntropy()
    path = config.token_file or desk.config.state_dir / FILE_NAME
    async with desk.connect() as client:
        token = load_token(path, entropy)
        gateway = Gateway(client, config, token, entropy=entropy, log=log)
        supervisor = Supervisor(log, entropy)
        await gateway.start()
        supervisor.on_close("gateway", gateway.close)
        log.info("gateway_started", port=int(gateway.url.rpartition(":")[2]))
        note(f"listening on {gateway.url}; the token is in {path}")
        if wanted is not None:
            supervisor.add("announcement", _announcing(gateway, *wanted))
        await supervisor.run(owns_process=True)
    log.info("gateway_stopped", requests=gateway.stats.requests.total())


def _announcing(
    gateway: "Gateway", is_public: object, status: str
) -> Callable[[], Awaitable[None]]:
    body = Announce(visibility="public" if is_public else None, status=status)

    async def announce() -> None:
        await gateway.announcing.announce(Asked(body=body))

    return announce
