"""psp bench call: calls between two users of a whole network."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.bench.page import shown
from cli.commands.bench_checkout import run_from_checkout
from cli.output import err, print_json, print_table
from psp.errors import PspError

if TYPE_CHECKING:  # else it would load aiortc, which is an extra
    from cli.bench.call import Figures
    from cli.bench.call_network import CallPlaces


def call(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer and shorter calls: a minute.")
    ] = False,
    wan: Annotated[
        bool,
        typer.Option("--wan", help="With 40 ms and 1 % loss on links; needs root."),
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time from a call to session and video, and freezes of a minute of video."""
    if wan:
        run_from_checkout(
            "tests.bench.wan_call",
            {"--quick": quick, "--json": json_output},
            what="psp bench call --wan",
        )
    measure(None, quick=quick, json_output=json_output)


def measure(places: "CallPlaces | None", *, quick: bool, json_output: bool) -> None:
    """Measure calls, and print what there is whatever ends it.

    Args:
        places: Where everybody is; None for loopback.
        quick: Whether to make fewer and shorter ones.
        json_output: Print JSON, not a table.

    Raises:
        PspError: As `cli.bench.call.run` does.
    """
    from cli.bench.call import FULL, QUICK, run  # noqa: PLC0415 - loads aiortc

    figures: Figures = {}
    is_complete = False
    try:
        run(
            QUICK if quick else FULL,
            places=places,
            say=lambda what: err.print(what, highlight=False),
            figures=figures,
        )
        is_complete = True
    except (KeyboardInterrupt, PspError):
        if "calls" not in figures:
            raise
        err.print("stopped half-way; this is what was measured until then:")
        raise
    finally:
        if "calls" in figures:
            _show(figures, is_complete=is_complete, json_output=json_output)


def _show(figures: "Figures", *, is_complete: bool, json_output: bool) -> None:
    from cli.bench.call import GOALS  # noqa: PLC0415 - loads aiortc

    if json_output:
        print_json({**figures, "is_complete": is_complete, "goals": GOALS})
        return
    rows = [
        [name, shown(value), GOALS.get(name, "")] for name, value in figures.items()
    ]
    title = "psp bench call" if is_complete else "psp bench call, incomplete"
    print_table(title, ["figure", "value", "goal"], rows)
