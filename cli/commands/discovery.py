"""psp discovery: the lists of discovery nodes, and how they were drawn."""

import asyncio
from typing import Annotated

import typer

from cli.chain_work.amounts import ether
from cli.chain_work.chain import Chain, is_grave, open_chain
from cli.chain_work.lists import (
    Seat,
    draw_figures,
    draw_rows,
    draw_sentence,
    read_list,
    verify,
)
from cli.commands.chain_options import ChainOptions, OutputOptions, bundled
from cli.exit_codes import ExitCode
from cli.output import (
    note,
    out,
    print_facts,
    print_json,
    print_table,
    print_warning,
    progress,
)
from discovery.replay.client import replay
from psp.runtime.chain_reader import Reading

app = typer.Typer(
    help="The lists of discovery nodes, and how they were drawn.", no_args_is_help=True
)


@app.command("list")
@bundled
def list_nodes(
    chain: ChainOptions,
    output: OutputOptions,
    epoch: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Of this epoch; the list in force, if left out. Four are held.",
        ),
    ] = None,
    *,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Recompute the draw, and say what is proven of the list."
        ),
    ] = False,
) -> None:
    """List the discovery nodes of an epoch."""
    target = chain.target()

    async def work() -> bool:
        async with open_chain(target) as asked:
            return await _list(asked, output, epoch, is_verified=verify)

    is_good = asyncio.run(work())
    raise typer.Exit(ExitCode.OK if is_good else ExitCode.FAILED)


async def _list(
    chain: Chain, output: OutputOptions, epoch: int | None, *, is_verified: bool
) -> bool:
    shown = await read_list(chain, epoch)
    is_good = _warn(chain, shown.reading)
    figures: dict[str, object] = {
        "epoch": shown.epoch,
        "in_force": shown.is_in_force,
        "block": shown.reading.view.height,
        "seats": shown.reading.view.state.seats,
        "nodes": [seat.figures for seat in shown.seats],
    }
    rows: list[list[str]] = []
    if is_verified:
        verified = await verify(chain, shown)
        rows = verified.rows
        figures["verified"] = verified.figures
        is_good = is_good and verified.is_good
    if output.json_output:
        print_json(figures)
        return is_good
    state = "in force" if shown.is_in_force else "not in force"
    print_table(
        f"Discovery nodes of epoch {shown.epoch}, {state}",
        ["node", "id", "stake now", "endpoints"],
        list(map(_row, shown.seats)),
        texts=["id", "endpoints"],
    )
    if rows:
        out.print()
        print_facts("Verified", rows)
    return is_good


def _row(seat: Seat) -> list[str]:
    name = seat.identity if out.width >= 120 else f"{seat.identity[:16]}…"
    places = ", ".join(seat.places)
    return [
        str(seat.number),
        name if seat.record is not None else f"({seat.reason})",
        ether(seat.weight),
        places,
    ]


@app.command()
@bundled
def elect(
    chain: ChainOptions,
    output: OutputOptions,
    replay_epoch: Annotated[
        int | None,
        typer.Option(
            "--replay",
            min=0,
            metavar="N",
            help="The list of this epoch; the one in force, if left out.",
        ),
    ] = None,
) -> None:
    """Hold an election again, from what anybody can read on the chain.

    The seed follows from the header of the block that drew it, weights from all votes,
    nominations from their events. Exit code 0 means that it matches the contract's list,
    1 that it does not.
    """
    target = chain.target()

    async def work() -> bool:
        async with open_chain(target) as asked:
            return await _replay(asked, output, replay_epoch)

    matches = asyncio.run(work())
    raise typer.Exit(ExitCode.OK if matches else ExitCode.FAILED)


async def _replay(chain: Chain, output: OutputOptions, epoch: int | None) -> bool:
    reading = await chain.read(reads_users=False)
    view = reading.view
    wanted = view.state.list_epoch or view.state.epoch if epoch is None else epoch
    with progress("reading the chain", is_quiet=output.json_output) as say:
        done = await replay(
            chain.rpcs,
            chain.network,
            wanted,
            quorum=chain.target.quorum,
            on_progress=say,
        )
    if output.json_output:
        print_json(draw_figures(done, view.nodes))
        return done.matches
    rows = draw_rows(done, view.nodes)
    if rows:
        title = f"The draw of epoch {done.epoch}"
        print_table(title, ["node", "id", "stake", ""], rows, texts=["id", ""])
    if done.seed:
        seed = f"seed 0x{done.seed.hex()}, drawn in block {done.seed_height:,}"
        out.print(seed, highlight=False, soft_wrap=True)
    if not done.is_final:
        note("nominations are still open: this is how it stands")
    verdict = draw_sentence(done)
    colour = "green" if done.matches else "red"
    out.print(f"[{colour}]{verdict}[/]", highlight=False, soft_wrap=True)
    return done.matches


def _warn(chain: Chain, reading: Reading) -> bool:
    """Say what is odd about a view; tell whether a reader would still use it."""
    alarms = chain.alarms(reading.view, is_full=reading.agreed.is_full)
    for alarm in alarms:
        print_warning(alarm.sentence)
    return not any(map(is_grave, alarms))
