"""The psp program: commands grouped by who uses them."""

import sys

import typer

import cli.commands.bench
import cli.commands.chain
import cli.commands.client
import cli.commands.demo
import cli.commands.discovery
import cli.commands.name
import cli.commands.presence
import cli.commands.relay
import cli.commands.relay_chain
import cli.commands.stake_chain
import cli.commands.testnet
import cli.commands.trusted
import cli.commands.user
import cli.commands.user_chain
import cli.commands.wallet
import psp
from cli.exit_codes import ExitCode, exit_code
from cli.explain import explain
from cli.output import out, print_error
from psp.errors import PspError

app = typer.Typer(
    name="psp",
    help="Live calls over onion-routed circuits: nobody in between knows who talks to whom.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command(rich_help_panel="Try it")(cli.commands.demo.demo)
app.command("demo-peer", hidden=True)(cli.commands.demo.demo_peer)
cli.commands.user.app.add_typer(cli.commands.user_chain.app)
app.add_typer(cli.commands.user.app, name="user", rich_help_panel="Users")
app.add_typer(cli.commands.name.app, name="name", rich_help_panel="Users")
for name, group in (
    ("presence", cli.commands.presence.app),
    ("client", cli.commands.client.app),
):
    app.add_typer(group, name=name, rich_help_panel="Users")
for more in (cli.commands.relay_chain.app, cli.commands.stake_chain.app):
    cli.commands.relay.app.add_typer(more)
app.add_typer(cli.commands.relay.app, name="relay", rich_help_panel="Relay operators")
for name, group in (
    ("chain", cli.commands.chain.app),
    ("discovery", cli.commands.discovery.app),
    ("wallet", cli.commands.wallet.app),
    ("testnet", cli.commands.testnet.app),
):
    app.add_typer(group, name=name, rich_help_panel="Chain")
app.add_typer(
    cli.commands.trusted.app, name="trusted", rich_help_panel="Trusted partners"
)
app.add_typer(cli.commands.bench.app, name="bench", rich_help_panel="Measure")


@app.command(rich_help_panel="Try it")
def version() -> None:
    """Print the version."""
    out.print(f"psp {psp.__version__}", highlight=False)


def main() -> None:
    """Run the program; turn expected errors into one sentence and an exit code."""
    try:
        app()
    except PspError as error:
        print_error(explain(error))
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    main()
