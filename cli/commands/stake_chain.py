"""psp relay stake and vote: money behind relays."""

from typing import Annotated

import typer

from cli.chain_work.amounts import ether, parse_ether
from cli.chain_work.nodes import Holding, read_unbonding, utc
from cli.commands.chain_options import (
    ChainOptions,
    OutputOptions,
    PayOptions,
    bundled,
)
from cli.commands.chain_running import OwnRelayOptions, Work, run_paying
from cli.commands.relay_chain import PANEL
from cli.output import print_facts, print_json
from psp.errors import ConfigError, PspError

app = typer.Typer()


class NothingDueError(PspError):
    """Nothing can be withdrawn now."""


@app.command(rich_help_panel=PANEL)
@bundled
def stake(
    own: OwnRelayOptions,
    chain: ChainOptions,
    pay: PayOptions,
    output: OutputOptions,
    add: Annotated[
        str | None, typer.Option(metavar="ETHER", help="Add so much.")
    ] = None,
    remove: Annotated[
        str | None, typer.Option(metavar="ETHER", help="Take so much back.")
    ] = None,
    *,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Have paid what has unbonded.")
    ] = False,
) -> None:
    """Show your stake in a relay; add to your own, take it back, withdraw it."""
    if [add is not None, remove is not None, withdraw].count(True) > 1:
        raise ConfigError("--add, --remove and --withdraw go one at a time")
    more = None if add is None else parse_ether(add, "--add")
    less = None if remove is None else parse_ether(remove, "--remove")
    keys = None if withdraw else own.keys(chain)

    async def work(has: Work) -> None:
        if withdraw:
            await _withdraw(has, output)
            return
        if more is None and less is None:
            number = await has.own_number(own, keys)
            await _show(has, output, await has.node(number))
            return
        node = await has.own_node(own, keys)
        if more is not None:
            await _add(has, output, node, more)
        elif less is not None:
            await _take(has, output, node, less)

    run_paying(chain, pay, output, work, sends_stake=more is not None)


@app.command(rich_help_panel=PANEL)
@bundled
def vote(
    node: Annotated[str, typer.Argument(metavar="NODE", help="Its number, or its id.")],
    amount: Annotated[str, typer.Argument(metavar="ETHER", help="Such as 1.5.")],
    chain: ChainOptions,
    pay: PayOptions,
    output: OutputOptions,
    move: Annotated[
        str | None,
        typer.Option(metavar="NODE", help="Move so much of your votes to this one."),
    ] = None,
    *,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take so much of your votes back.")
    ] = False,
) -> None:
    """Stand with money behind a relay; it counts from the next epoch on."""
    if remove and move is not None:
        raise ConfigError("--remove and --move go one at a time")
    wei = parse_ether(amount, "ETHER")

    async def work(has: Work) -> None:
        target = await has.named_node(node)
        if remove:
            await _take(has, output, target, wei)
        elif move is not None:
            await _move(has, output, target, await has.named_node(move), wei)
        else:
            await _add(has, output, target, wei)

    run_paying(chain, pay, output, work, sends_stake=not remove)


async def _show(has: Work, output: OutputOptions, node: Holding) -> None:
    unbonding = await read_unbonding(has.chain, has.account)
    weight = await has.chain.endpoints.read(
        "Relays", has.relays.address, "weight_of", node.number
    )
    figures = {
        "number": node.number,
        "stake_wei": node.stake,
        "weight_wei": weight,
        "unbonding_wei": unbonding.amount,
        "release": unbonding.release,
        "is_due": unbonding.is_due,
    }
    if output.json_output:
        print_json(figures)
        return
    rows = [
        ["your stake", ether(node.stake)],
        ["counts now", f"{ether(weight)}, votes of others included"],
        ["unbonding", unbonding.sentence],
    ]
    print_facts(f"Node {node.number}", rows)


async def _add(has: Work, output: OutputOptions, node: Holding, wei: int) -> None:
    _check_active(node)
    call = has.relays.vote(node.number, value=wei)
    facts = [
        ("stake", f"{ether(node.stake)}, then {ether(node.stake + wei)}"),
        ("counts", f"from epoch {has.founded.state.epoch + 1} on"),
    ]
    paid = await has.payer.pay(
        call, f"Put {ether(wei)} behind node {node.number}", facts
    )
    output.report(paid.sentence, {**paid.figures, "number": node.number})


async def _take(has: Work, output: OutputOptions, node: Holding, wei: int) -> None:
    state = has.founded.state
    node.check_left(wei, state.min_stake, has.account)
    before = await read_unbonding(has.chain, has.account)
    release = before.now + state.unbonding
    facts = [
        ("stake", f"{ether(node.stake)}, then {ether(node.stake - wei)}"),
        ("yours again", f"from {utc(release)} on"),
    ]
    if before.amount:
        facts.append(("mind", f"that holds for {ether(before.amount)} before it, too"))
    call = has.relays.unvote(node.number, wei)
    title = f"Take {ether(wei)} back from node {node.number}"
    paid = await has.payer.pay(call, title, facts)
    figures = {**paid.figures, "number": node.number, "release": release}
    output.report(paid.sentence, figures)


async def _move(
    has: Work, output: OutputOptions, source: Holding, target: Holding, wei: int
) -> None:
    _check_active(target)
    source.check_left(wei, has.founded.state.min_stake, has.account)
    call = has.relays.move_vote(source.number, target.number, wei)
    title = f"Move {ether(wei)} from node {source.number} to node {target.number}"
    counts = f"there from epoch {has.founded.state.epoch + 1} on"
    paid = await has.payer.pay(call, title, [("counts", counts)])
    figures = {**paid.figures, "number": source.number, "to": target.number}
    output.report(paid.sentence, figures)


async def _withdraw(has: Work, output: OutputOptions) -> None:
    unbonding = await read_unbonding(has.chain, has.account)
    if not unbonding.is_due:
        state = unbonding.sentence if unbonding.amount else "nothing is unbonding"
        raise NothingDueError(f"nothing was sent: {state}")
    title = f"Withdraw {ether(unbonding.amount)}"
    paid = await has.payer.pay(has.relays.withdraw(), title)
    figures = {**paid.figures, "withdrawn_wei": unbonding.amount}
    output.report(paid.sentence, figures)


def _check_active(node: Holding) -> None:
    if not node.is_active:
        raise ConfigError(
            f"node {node.number} was {node.status_name}; votes for it count for nothing"
        )
