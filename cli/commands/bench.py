"""psp bench: measure, as ratios of one run."""

import math
import signal
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import typer

from cli.bench.page import shown
from cli.commands.bench_all import run_all
from cli.commands.bench_call import call
from cli.commands.bench_checkout import run_from_checkout
from cli.output import err, print_json, print_table
from psp.errors import PspError

app = typer.Typer(
    help="Measure on this machine. Compare ratios, not figures of different days.",
    no_args_is_help=True,
)

app.command("all")(run_all)
app.command()(call)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def relay(*, json_output: Json = False) -> None:
    """CPU per forwarded cell of a real relay, beside this machine's own floor."""
    from cli.bench.relay import run  # noqa: PLC0415 - starts processes

    _print("psp bench relay", run(), json_output=json_output)


@app.command()
def workers(*, json_output: Json = False) -> None:
    """What a second worker adds to a relay: by the clock, and on cores of their own."""
    from cli.bench.workers import run  # noqa: PLC0415 - starts processes

    _print("psp bench workers", run(), json_output=json_output)


@app.command()
def circuit(*, json_output: Json = False) -> None:
    """Time to build three hops on loopback."""
    from cli.bench.circuit import run  # noqa: PLC0415 - starts processes

    _print("psp bench circuit", run(), json_output=json_output)


@app.command()
def freshness(
    *,
    seconds: Annotated[
        float, typer.Option(min=1.0, help="Of voice, without and with a flood.")
    ] = 10.0,
    flooders: Annotated[
        int, typer.Option(min=1, help="Processes that flood, a circuit each.")
    ] = 2,
    json_output: Json = False,
) -> None:
    """A voice flow through a relay that others flood: delay, loss, who is cut."""
    from cli.bench.freshness import run  # noqa: PLC0415 - starts processes

    figures = run(seconds=seconds, flooders=flooders)
    _print("psp bench freshness", figures, json_output=json_output)


@app.command()
def path(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer of everything: a minute.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Three relays between two clients: throughput, cost, voice beside bulk, memory."""
    from cli.bench.path import FULL, QUICK, run  # noqa: PLC0415 - starts processes

    def say(what: str) -> None:
        err.print(what, highlight=False)

    figures: dict[str, float] = {}
    title = "psp bench path"
    try:
        run(QUICK if quick else FULL, say=say, figures=figures)
    except (KeyboardInterrupt, PspError):
        if figures:
            say("stopped half-way; this is what was measured until then:")
            partial = {**figures, "is_complete": False}
            _print(f"{title}, incomplete", partial, json_output=json_output)
        raise
    _print(title, {**figures, "is_complete": True}, json_output=json_output)


@app.command()
def peers(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer of everything: two minutes.")
    ] = False,
    wan: Annotated[
        bool,
        typer.Option("--wan", help="With 40 ms and 1 % loss on links; needs root."),
    ] = False,
    json_output: Json = False,
) -> None:
    """PSP beside tor and py-ipv8, where installed: ratios of one run."""
    run_from_checkout(
        "tests.bench.peers",
        {"--quick": quick, "--wan": wan, "--json": json_output},
        what="psp bench peers",
    )


@app.command()
def directory(
    *,
    nodes: Annotated[
        int | None,
        typer.Option(min=40, max=65_536, help="Nodes; 10,000, without anvil 400."),
    ] = None,
    json_output: Json = False,
) -> None:
    """Seconds, bytes and gas of a directory on a chain: on anvil, if there is one."""
    from cli.bench.directory import run  # noqa: PLC0415 - starts processes
    from discovery.devchain.anvil import VARIABLE, find_anvil  # noqa: PLC0415
    from discovery.devchain.process import ChainError  # noqa: PLC0415

    def say(what: str) -> None:
        err.print(what, highlight=False)

    anvil = find_anvil()
    if anvil is None:
        say(f"no anvil ({VARIABLE}, PATH): the embedded chain is measured instead")
    # As Ctrl-C does: the chain's process must not outlive this one.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        figures = run(nodes, anvil=anvil, say=say)
    except ChainError as error:
        raise PspError(f"the chain failed: {error}") from error
    finally:
        signal.signal(signal.SIGTERM, before)
    _print("psp bench directory", figures, json_output=json_output)


@app.command()
def presence(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer of everything: a minute.")
    ] = False,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Look-ups with dead and with malicious nodes, each."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Which nodes die or turn bad.")
    ] = None,
    json_output: Json = False,
) -> None:
    """How fast and how surely users are found among 32 discovery nodes."""
    from cli.bench.presence import FULL, GOALS, QUICK, run  # noqa: PLC0415 - starts processes

    amount = QUICK if quick else FULL
    if trials is not None:
        amount = replace(amount, trials=trials)
    figures = run(amount, say=lambda what: err.print(what, highlight=False), seed=seed)
    if json_output:
        print_json({**figures, "goals": GOALS})
        return
    rows = [
        [name, _text(value), GOALS.get(name, "")] for name, value in figures.items()
    ]
    print_table("psp bench presence", ["figure", "value", "goal"], rows)


def _print(title: str, figures: Mapping[str, object], *, json_output: bool) -> None:
    if json_output:
        print_json({name: _json(value) for name, value in figures.items()})
    else:
        rows = [
            [name, _text(value)]
            for name, value in figures.items()
            if name != "is_complete"  # the title says it
        ]
        print_table(title, ["figure", "value"], rows)


def _json(value: object) -> object:
    """Return a figure as JSON has it, which knows no NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _text(value: object) -> str:
    if isinstance(value, float):
        return shown(None if math.isnan(value) else value)
    return str(value)
