"""psp bench: measure, as ratios of one run."""

from collections.abc import Mapping
from typing import Annotated

import typer

from cli.output import print_json, print_table

app = typer.Typer(
    help="Measure on this machine. Compare ratios, not figures of different days.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def relay(*, json_output: Json = False) -> None:
    """CPU per forwarded cell of a real relay, beside this machine's own floor."""
    from cli.bench.relay import run  # noqa: PLC0415 - starts processes

    _print("psp bench relay", run(), json_output=json_output)


@app.command()
def circuit(*, json_output: Json = False) -> None:
    """Time to build three hops on loopback."""
    from cli.bench.circuit import run  # noqa: PLC0415 - starts processes

    _print("psp bench circuit", run(), json_output=json_output)


def _print(title: str, figures: Mapping[str, object], *, json_output: bool) -> None:
    if json_output:
        print_json(figures)
    else:
        rows = [[name, _text(value)] for name, value in figures.items()]
        print_table(title, ["figure", "value"], rows)


def _text(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
