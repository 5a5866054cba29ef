"""psp bench all: every benchmark, kept and compared."""

from pathlib import Path
from typing import Annotated

import typer

from cli.bench.history import Run, usual
from cli.bench.page import shown
from cli.bench.parts import PARTS
from cli.bench.suite import chosen_parts, run_suite
from cli.output import err, out, print_json, print_table
from psp.errors import ConfigError, PspError


def run_all(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer of everything: five minutes.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="PART",
            help=f"Only this part ({', '.join(part.name for part in PARTS)}); may be "
            "repeated.",
        ),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--out", help="Where results are kept and compared.")
    ] = Path("bench-out"),
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Every benchmark in one run, beside earlier runs: JSON and a page with plots."""
    try:
        parts = chosen_parts(only or [])
    except ConfigError as error:
        raise typer.BadParameter(str(error), param_hint="--only") from None
    try:
        outcome = run_suite(
            parts,
            folder,
            is_quick=quick,
            say=lambda what: err.print(what, highlight=False),
        )
    except KeyboardInterrupt:
        err.print(f"stopped half-way; what was measured until then is in {folder}")
        raise
    run = outcome.run
    if json_output:
        print_json(
            {
                "result": str(outcome.result),
                "page": str(outcome.page),
                "is_complete": run.is_complete,
                "parts": {
                    name: {"figures": part.figures, "error": part.error}
                    for name, part in run.parts.items()
                },
            }
        )
    else:
        print_table(
            "psp bench all" if run.is_complete else "psp bench all, incomplete",
            ["part", "figure", "this run", "goal", "usually"],
            _rows(outcome.run, outcome.earlier),
        )
        out.print(f"page: {outcome.page}\nJSON: {outcome.result}", highlight=False)
    failed = [name for name, part in run.parts.items() if part.error]
    if failed:
        raise PspError(f"ended early: {', '.join(failed)}; see {outcome.page}")


def _rows(run: Run, earlier: list[Run]) -> list[list[str]]:
    """Return the table: only what was measured."""
    rows = []
    for part in PARTS:
        for figure in part.figures:
            value = run.figure(part.name, figure.key)
            if value is None:
                continue
            met = figure.meets(value)
            sign = "≤" if figure.is_better_low else "≥"
            goal = "" if figure.goal is None else f"{sign} {shown(figure.goal)}"
            mark = {True: " ok", False: " missed", None: ""}[met]
            before = usual(earlier, part.name, figure.key)
            unit = f" {figure.unit}" if figure.unit else ""
            rows.append(
                [
                    part.name,
                    figure.title,
                    shown(value) + unit,
                    goal + mark,
                    shown(before),
                ]
            )
    return rows
