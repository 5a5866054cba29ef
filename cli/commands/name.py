"""psp name: names for users, on the chain."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

import typer

from cli.chain_work.amounts import ether
from cli.chain_work.chain import COMPLETENESS, open_chain
from cli.chain_work.names import (
    NamesLook,
    check_free,
    check_name,
    check_release,
    find_contract,
    own_name,
    read_names,
    state_of,
    user_for_name,
)
from cli.chain_work.nodes import number_in, utc
from cli.chain_work.paying import Facts
from cli.commands.chain_options import (
    ChainOptions,
    OutputOptions,
    PayOptions,
    bundled,
)
from cli.commands.chain_running import Work, run_paying
from cli.commands.user_chain import named_user
from cli.exit_codes import ExitCode
from cli.output import print_error, print_facts, print_json, print_table
from discovery.transactions.call import Call
from discovery.transactions.calls import Names
from discovery.transactions.wallet import address_text
from psp.directory.chain.names import HOLD, LIFETIME, ListedName
from psp.errors import DecodeError
from psp.runtime.chain_reader import Completeness

app = typer.Typer(
    help="Names for users: one for each, for a year, against a deposit.",
    no_args_is_help=True,
)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="3 to 31 characters of a-z, 0-9 and single hyphens inside.",
    ),
]


@dataclass(frozen=True, slots=True)
class NamesOptions:
    """Which contract of names."""

    names: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="The network's contract of names; instead of the settings'.",
            rich_help_panel="Which chain",
        ),
    ] = None

    def address(self, chain: ChainOptions) -> bytes:
        """Return the contract's address.

        Raises:
            ConfigError: If nobody names it.
        """
        return find_contract(chain.settings_file, self.names)


@app.command()
@bundled
def register(
    name: Name,
    chain: ChainOptions,
    contract: NamesOptions,
    pay: PayOptions,
    output: OutputOptions,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="USER",
            help="Its number, its id, or its identity's file; the only user of the "
            "account, if left out.",
        ),
    ] = None,
) -> None:
    """Take a name for a user of the account that pays.

    Everybody can see for ever that the identity, the account and the name belong together.
    """
    name, address = _checked(name), contract.address(chain)
    wanted = None if user is None else named_user(user)

    async def work(has: Work) -> None:
        look, now = await _look(has, address)
        number = user_for_name(look, wanted, has.account)
        check_free(look, name, number, has.account, now)
        call = Names(address).register(name, number, deposit=look.deposit)
        facts = [
            ("user", f"{number}, {look.users.numbers[number].hex()}"),
            ("until", utc(now + LIFETIME)),
            ("deposit", f"{ether(look.deposit)}, comes back when it is given up, from"),
            ("", f"{utc(now + HOLD)} on (psp name release {name})"),
        ]
        await _pay(has, output, call, f"Register the name {name}", facts, name)

    run_paying(chain, pay, output, work, sends_stake=True)


@app.command()
@bundled
def renew(
    name: Name,
    chain: ChainOptions,
    contract: NamesOptions,
    pay: PayOptions,
    output: OutputOptions,
) -> None:
    """Keep a name for a year from now; also up to 30 days after it expired."""
    name, address = _checked(name), contract.address(chain)

    async def work(has: Work) -> None:
        look, now = await _look(has, address)
        record = own_name(look, name, has.account)
        facts = [("until", f"{utc(now + LIFETIME)}, not {utc(record.expires)}")]
        call = Names(address).renew(record.number)
        title = f"Renew the name {name}"
        await _pay(has, output, call, title, facts, name, record.number)

    run_paying(chain, pay, output, work)


@app.command()
@bundled
def release(
    name: Name,
    chain: ChainOptions,
    contract: NamesOptions,
    pay: PayOptions,
    output: OutputOptions,
) -> None:
    """Give a name up and take its deposit back; anybody can have it then."""
    name, address = _checked(name), contract.address(chain)

    async def work(has: Work) -> None:
        look, now = await _look(has, address)
        record = own_name(look, name, has.account)
        check_release(record, now)
        facts = [("deposit", f"{ether(look.deposit)} comes back")]
        call = Names(address).release(record.number)
        title = f"Give up the name {name}"
        await _pay(has, output, call, title, facts, name, record.number)

    run_paying(chain, pay, output, work)


@app.command()
@bundled
def show(
    name: Name, chain: ChainOptions, contract: NamesOptions, output: OutputOptions
) -> None:
    """Show whose a name is, proven; nobody is asked for this name alone.

    Exit code 0 means that it counts, 1 that it does not.
    """
    name = _checked(name)
    look = _read(chain, contract)
    record, state = look.names.newest(name), state_of(look, name)
    if output.json_output:
        figures = {} if record is None else look.figures(record)
        print_json({**_where(look), "name": name, "state": state, **figures})
    else:
        rows = [["state", state]]
        if record is not None:
            rows += _rows(look, record)
        print_facts(f"The name {name}", [*rows, *_proof(look)])
    raise typer.Exit(ExitCode.OK if name in look.names.users else ExitCode.FAILED)


@app.command("list")
@bundled
def list_command(
    chain: ChainOptions,
    contract: NamesOptions,
    output: OutputOptions,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that do not count, with why.")
    ] = False,
) -> None:
    """List the names that count, proven to be all."""
    look = _read(chain, contract)
    records = [
        record for record in look.names.listed if everything or not look.answer(record)
    ]
    if output.json_output:
        figures = [look.figures(record) for record in records]
        print_json({**_where(look), "names": figures})
        return
    columns = ["name", "user", "identity", "until"]
    rows = [_line(look, record) for record in records]
    if everything:
        columns.append("counts")
        for row, record in zip(rows, records, strict=True):
            row.append(look.answer(record) or "yes")
    print_table(f"Names, as of block {_where(look)['block']}", columns, rows)


# ---- reading


def _checked(name: str) -> str:
    """Return a name normalised, or end the command: it is bad input."""
    try:
        return check_name(name)
    except DecodeError as error:
        print_error(str(error))
        raise typer.Exit(ExitCode.INPUT) from None


def _read(chain: ChainOptions, contract: NamesOptions) -> NamesLook:
    target, address = chain.target(), contract.address(chain)

    async def look() -> NamesLook:
        async with open_chain(target) as asked:
            return await read_names(asked, address)

    return asyncio.run(look())


async def _look(has: Work, address: bytes) -> tuple[NamesLook, int]:
    """Return all names at the newest final block, and the time of the newest block."""
    reading = await has.read(reads_users=True)
    look = await read_names(has.chain, address, reading)
    return look, (await has.chain.endpoints.head()).timestamp


def _where(look: NamesLook) -> dict[str, object]:
    return {
        "block": look.reading.view.height,
        "completeness": Completeness.PROVEN.value,
        "deposit_wei": look.deposit,
    }


def _proof(look: NamesLook) -> list[list[str]]:
    return [
        ["block", f"{look.reading.view.height:,}"],
        ["list", COMPLETENESS[Completeness.PROVEN]],
    ]


def _rows(look: NamesLook, record: ListedName) -> list[list[str]]:
    identity = look.users.numbers.get(record.user)
    return [
        ["number", str(record.number)],
        ["user", str(record.user)],
        ["identity", "none that counts" if identity is None else identity.hex()],
        ["owner", address_text(record.owner)],
        ["until", utc(record.expires)],
    ]


def _line(look: NamesLook, record: ListedName) -> list[str]:
    identity = look.users.numbers.get(record.user)
    short = "" if identity is None else f"{identity.hex()[:16]}…"
    return [record.name, str(record.user), short, utc(record.expires)]


# ---- changes


async def _pay(
    has: Work,
    output: OutputOptions,
    call: Call,
    title: str,
    facts: Facts,
    name: str,
    number: int | None = None,
) -> None:
    paid = await has.payer.pay(call, title, facts)
    if paid.outcome is not None and number is None:
        number = number_in(paid.outcome, "Names", "NameSet")
    figures = {**paid.figures, "name": name, "number": number}
    output.report(f"{title}: {paid.sentence}", figures)
