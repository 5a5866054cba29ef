"""psp chain: a development chain, a network's contracts, how both stand."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.chain_work.amounts import fee, parse_ether
from cli.chain_work.chain import Chain, open_chain
from cli.chain_work.founding import (
    Founding,
    check_record,
    expected_cost,
    found,
    membership_lines,
)
from cli.chain_work.names import configured_names, names_status
from cli.chain_work.status import ask_endpoints, endpoint_rows, look
from cli.commands.chain_options import (
    ChainOptions,
    OutputOptions,
    PayOptions,
    bundled,
)
from cli.exit_codes import ExitCode
from cli.output import err, note, out, print_facts, print_json
from discovery.transactions.calls import Relays
from discovery.transactions.deploy import Deployment, RelaysParameters
from discovery.transactions.wallet import Wallet, address_text
from psp.errors import ConfigError
from psp.runtime.quorum import ChainReadError
from psp.units import Seconds, UnixTime

app = typer.Typer(
    help="A development chain, a network's contracts, and how both stand.",
    no_args_is_help=True,
)

_DEFAULT = RelaysParameters()
_UNBONDING_EPOCHS = 7


@app.command()
def dev(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="Where it is kept; in memory, if left out."
        ),
    ] = None,
    port: Annotated[
        list[int] | None,
        typer.Option(
            min=1, max=65535, metavar="PORT", help="TCP port, once for each endpoint."
        ),
    ] = None,
    endpoints: Annotated[
        int | None,
        typer.Option(min=1, max=16, metavar="N", help="How many endpoints serve it."),
    ] = None,
    block_time: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Between blocks; 0 makes one of every transaction.",
        ),
    ] = 0.0,
    genesis_time: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="UNIX-TIME", help="Of its first block; now, if left out."
        ),
    ] = None,
    finality: Annotated[
        int,
        typer.Option(
            min=0, metavar="BLOCKS", help="By how many the final block lags behind."
        ),
    ] = 0,
    *,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Say what it serves in a line of JSON.")
    ] = False,
) -> None:
    """Serve a development chain until Ctrl-C. Its money is worth nothing."""
    try:
        from cli.chain_work.dev_chain import serve  # noqa: PLC0415 - optional, slow
        from discovery.devchain.config import DevChainConfig  # noqa: PLC0415
        from discovery.devchain.service import (  # noqa: PLC0415
            DevChain,
            run_until_signal,
        )
    except ImportError as error:
        raise ConfigError(
            f"{error.name} is missing, of which the development chain is made; pip "
            "install 'psp[devchain]'"
        ) from None
    ports = tuple(port or ())
    if ports and endpoints not in {None, len(ports)}:
        raise ConfigError(f"{len(ports)} ports are no {endpoints} endpoints")
    config = DevChainConfig(
        path=path,
        block_time=Seconds(block_time),
        genesis_time=None if genesis_time is None else UnixTime(genesis_time),
        finality=finality,
        ports=ports,
        endpoints=endpoints or len(ports) or 1,
    )

    def say(chain: DevChain) -> None:
        if not chain.is_owner:
            note("another process serves it; this one takes over should that one end")
        accounts = zip(chain.config.accounts, chain.accounts, strict=True)
        rows = [
            *(["endpoint", url] for url in chain.urls),
            ["chain id", str(chain.chain_id)],
            ["kept in", "memory" if path is None else str(path)],
            *([name, address] for name, address in accounts),
        ]
        print_facts("A development chain; its money is worth nothing", rows)
        note("psp testnet faucet fills any account; Ctrl-C ends the chain")

    asyncio.run(run_until_signal(config) if log_json else serve(config, say))


@app.command()
@bundled
def deploy(
    record: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Where the addresses are written; started again, it goes on from there.",
        ),
    ],
    chain: ChainOptions,
    pay: PayOptions,
    output: OutputOptions,
    epoch_length: Annotated[
        int, typer.Option(metavar="SECONDS", help="How long a list is in force.")
    ] = _DEFAULT.epoch_length,
    seats: Annotated[
        int, typer.Option(metavar="N", help="Discovery nodes on a list, up to 256.")
    ] = _DEFAULT.seats,
    min_stake: Annotated[
        str, typer.Option(metavar="ETHER", help="Smallest stake of a relay.")
    ] = "0.1",
    unbonding: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS",
            help="From taking stake back to its payment; seven epochs, if left out.",
        ),
    ] = None,
    seed_delay: Annotated[
        int,
        typer.Option(metavar="BLOCKS", help="From asking for a seed to drawing it."),
    ] = _DEFAULT.seed_delay,
    name_deposit: Annotated[
        str,
        typer.Option(
            metavar="ETHER",
            help="What a registered name costs as long as it is kept; 0: no names.",
        ),
    ] = "0.01",
    *,
    no_sortition: Annotated[
        bool,
        typer.Option("--no-sortition", help="The largest stakes win; no draw."),
    ] = False,
    open_nominations: Annotated[
        bool,
        typer.Option("--open-nominations", help="Anybody may nominate any relay."),
    ] = False,
) -> None:
    """Found a network: put its contracts on a chain.

    Prints the settings that name it. What is chosen here cannot be changed afterwards. To
    a network without names, of which the record says so, it adds them.
    """
    if unbonding is None:
        unbonding = _UNBONDING_EPOCHS * epoch_length
    founding = Founding(
        RelaysParameters(
            epoch_length=epoch_length,
            unbonding=unbonding,
            min_stake=parse_ether(min_stake, "--min-stake"),
            seats=seats,
            seed_delay=seed_delay,
            sortition=not no_sortition,
            self_only=not open_nominations,
        ),
        record,
        parse_ether(name_deposit, "--name-deposit"),
    )
    founding.check()
    target, wallet = chain.target(), pay.open()

    async def work() -> None:
        async with open_chain(target) as asked:
            await _deploy(asked, wallet, pay, output, founding)

    asyncio.run(work())


async def _deploy(
    chain: Chain,
    wallet: Wallet,
    pay: PayOptions,
    output: OutputOptions,
    founding: Founding,
) -> None:
    payer, terms = pay.payer(chain, wallet, output), pay.terms(output)
    figures: dict[str, object] = {}
    await check_record(chain, founding)
    if not founding.is_done:
        cost = await expected_cost(chain, payer, terms.limits, founding.gas)
        await payer.show(founding.title, founding.facts, cost)
        figures["fee_expected_wei"] = cost.expected
        if payer.is_dry:
            output.report(
                "Nothing was sent: this was a dry run.", {"sent": False, **figures}
            )
            return
        payer.confirm()
    with payer.waiting():
        deployed = await found(chain, payer, founding)
    contracts = deployed.contracts
    if not output.json_output:
        done = f"{len(deployed.gas)} transactions, {fee(deployed.cost)}"
        note(f"{done}; addresses are in {founding.record}")
        out.out(membership_lines(chain, contracts), highlight=False)
        return
    print_json(
        {
            "sent": bool(deployed.gas),
            **figures,
            "fee_wei": deployed.cost,
            "gas": dict(deployed.gas),
            **_addresses(contracts),
            "record": str(founding.record),
        }
    )


def _addresses(contracts: Deployment) -> dict[str, object]:
    return {
        "chain_id": contracts.chain_id,
        "relays": address_text(contracts.relays),
        "book": address_text(contracts.book),
        "users": address_text(contracts.users),
        "names": None if contracts.names is None else address_text(contracts.names),
    }


@app.command()
@bundled
def trusted(
    numbers: Annotated[
        list[int],
        typer.Argument(min=1, metavar="NUMBER...", help="Their relays, up to 16."),
    ],
    chain: ChainOptions,
    pay: PayOptions,
    output: OutputOptions,
) -> None:
    """Name the trusted partners' relays, asked while no list is in force. Admin only."""
    target, wallet = chain.target(), pay.open()

    async def work() -> None:
        async with open_chain(target) as asked:
            payer = pay.payer(asked, wallet, output)
            call = Relays(asked.network.registry).set_trusted(numbers)
            named = ", ".join(map(str, numbers))
            facts = [("instead of", "those named before")]
            paid = await payer.pay(call, f"Name the trusted nodes {named}", facts)
            output.report(paid.sentence, {**paid.figures, "trusted": numbers})

    asyncio.run(work())


@app.command()
@bundled
def status(chain: ChainOptions, output: OutputOptions) -> None:
    """Show how a chain and the network on it stand, everything proven.

    Exit code 0 means in order, 1 that something is out of the ordinary, 5 that the
    chain cannot be read.
    """
    target, names = chain.target(), configured_names(chain.settings_file)

    async def work() -> bool:
        async with open_chain(target) as asked:
            return await _status(asked, output, names)

    is_in_order = asyncio.run(work())
    raise typer.Exit(ExitCode.OK if is_in_order else ExitCode.FAILED)


async def _status(chain: Chain, output: OutputOptions, address: bytes | None) -> bool:
    reports = await ask_endpoints(chain)
    network = chain.network
    try:
        report = await look(chain)
    except ChainReadError:
        if not output.json_output:
            print_facts("Endpoints", endpoint_rows(reports), err)
        raise
    troubles = [each.name for each in reports if each.trouble]
    count, names = await names_status(chain, address, report.reading)
    if address is not None and count is None:
        troubles.append(names)
    if output.json_output:
        states = {each.name: each.trouble or "ok" for each in reports}
        name = address_text(network.registry)
        print_json(
            {
                "chain_id": network.chain_id,
                "registry": name,
                "endpoints": states,
                **report.figures,
                "names": count,
                "names_state": names,
            }
        )
    else:
        print_facts("Endpoints", endpoint_rows(reports))
        title = f"Network {address_text(network.registry)} on chain {network.chain_id}"
        print_facts(title, [*report.rows, ["names", names]])
    return not report.alarms and not troubles
