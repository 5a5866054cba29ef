"""psp user, on the chain: register, rotate, revoke, sponsor, show."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cli.chain_work.chain import open_chain
from cli.chain_work.nodes import NotRegisteredError, number_in, utc
from cli.chain_work.paying import Facts
from cli.chain_work.permission import NO_IDENTITY, Permission, read_permission
from cli.chain_work.standing import check_free, standing
from cli.chain_work.users import NamedUser, figures_of, own_number, verdict_on
from cli.commands.chain_options import (
    Anyway,
    ChainOptions,
    OutputOptions,
    PayOptions,
    bundled,
)
from cli.commands.chain_running import Work, run_paying
from cli.commands.passphrases import passphrase_of
from cli.exit_codes import ExitCode
from cli.output import note, out, print_error, print_facts, print_json
from discovery.transactions.call import Call
from discovery.transactions.wallet import address_text
from psp.client.identities.identity import ClientIdentity
from psp.client.identities.identity_file import load_identity
from psp.directory.chain.users import UserList, user_signing_input
from psp.directory.chain.view import ChainView
from psp.errors import ConfigError, DecodeError
from psp.ids import UserId

app = typer.Typer()
_PANEL = "On the chain"
_DAY = 86_400

KeyFile = Annotated[
    Path, typer.Argument(metavar="KEY-FILE", help="The identity's (psp user create).")
]
User = Annotated[
    str,
    typer.Argument(metavar="USER", help="Its number, its id, or its identity's file."),
]


@dataclass(frozen=True, slots=True)
class SponsorOptions:
    """Whether somebody else pays."""

    is_sponsored: Annotated[
        bool,
        typer.Option(
            "--sponsored",
            help="Send nothing: write a permission for whoever pays (psp user sponsor). "
            "The wallet's account owns the record and needs no money.",
        ),
    ] = False
    days: Annotated[
        int, typer.Option(min=1, max=365, help="How long the permission holds.")
    ] = 7
    permission_file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Where the permission goes; standard output, if left out.",
        ),
    ] = None


@app.command(rich_help_panel=_PANEL)
@bundled
def register(
    key_file: KeyFile,
    chain: ChainOptions,
    pay: PayOptions,
    sponsor: SponsorOptions,
    output: OutputOptions,
    *,
    anyway: Anyway = False,
) -> None:
    """Enter an identity, so that it can be looked up and called.

    The chain shows the identity beside the account that pays: have somebody else pay
    (--sponsored) if that account is known to be yours.
    """
    identity = _load(key_file)

    async def work(has: Work) -> None:
        users = await _users(has)
        check_free(
            standing(users, identity.user_id),
            has.account,
            kind="user",
            is_forced=anyway,
        )
        await _set(has, sponsor, output, 0, identity)

    run_paying(chain, pay, output, work)


@app.command(rich_help_panel=_PANEL)
@bundled
def rotate(
    user: User,
    new_key_file: Annotated[
        Path, typer.Argument(metavar="NEW-KEY-FILE", help="The new identity's.")
    ],
    chain: ChainOptions,
    pay: PayOptions,
    sponsor: SponsorOptions,
    output: OutputOptions,
) -> None:
    """Put a new identity in the place of the old one. Contacts need a new card."""
    wanted, identity = named_user(user), _load(new_key_file)

    async def work(has: Work) -> None:
        users = await _users(has)
        number = own_number(users, wanted, has.account)
        check_free(standing(users, identity.user_id), b"", kind="user")
        await _set(has, sponsor, output, number, identity)

    run_paying(chain, pay, output, work)


@app.command(rich_help_panel=_PANEL)
@bundled
def revoke(
    user: User,
    chain: ChainOptions,
    pay: PayOptions,
    sponsor: SponsorOptions,
    output: OutputOptions,
) -> None:
    """Declare an identity lost or stolen: it is dead for ever."""
    wanted = named_user(user)

    async def work(has: Work) -> None:
        number = own_number(await _users(has), wanted, has.account)
        await _set(has, sponsor, output, number, None)

    run_paying(chain, pay, output, work)


@app.command("sponsor", rich_help_panel=_PANEL)
@bundled
def sponsor_command(
    permission_file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="What psp user register --sponsored wrote."
        ),
    ],
    chain: ChainOptions,
    pay: PayOptions,
    output: OutputOptions,
    *,
    anyway: Anyway = False,
) -> None:
    """Pay for a user's change; the user has signed a permission for it."""
    try:
        permission = read_permission(permission_file)
    except (OSError, DecodeError) as error:
        print_error(f"{permission_file} is no permission that can be used: {error}")
        raise typer.Exit(ExitCode.INPUT) from None

    async def work(has: Work) -> None:
        _check_permission(has, permission)
        head = await has.chain.endpoints.head()
        if head.timestamp > permission.deadline:
            print_error(
                f"the permission ran out at {utc(permission.deadline)}; the user has to "
                "sign another"
            )
            raise typer.Exit(ExitCode.INPUT)
        if not permission.is_revocation:
            stands = standing(await _users(has), permission.identity)
            check_free(stands, permission.owner, kind="user", is_forced=anyway)
        facts = [
            ("owner", address_text(permission.owner)),
            ("identity", permission.identity.hex()),
            ("holds until", utc(permission.deadline)),
        ]
        await _pay(has, output, permission.call(), permission.title, facts)

    run_paying(chain, pay, output, work)


@app.command(rich_help_panel=_PANEL)
@bundled
def show(user: User, chain: ChainOptions, output: OutputOptions) -> None:
    """Show how an identity stands on the chain.

    Exit code 0 means that it counts, 1 that it does not.
    """
    wanted, target = named_user(user), chain.target()

    async def look() -> ChainView:
        async with open_chain(target) as asked:
            return (await asked.read()).view

    view = asyncio.run(look())
    assert view.users is not None  # noqa: S101 - it was read with them
    users = view.users
    records = [record for record in users.listed if wanted.fits(record)]
    if not records:
        raise NotRegisteredError(f"there is no such user, as of block {view.height}")
    verdicts = {record.number: verdict_on(users, record) for record in records}
    if output.json_output:
        figures = [figures_of(each, verdicts[each.number]) for each in records]
        print_json({"block": view.height, "records": figures})
    else:
        for record in records:
            rows = [
                ["identity", record.identity.hex()],
                ["owner", address_text(record.owner)],
                ["version", f"{record.version}, of {utc(record.changed)}"],
                ["counts", _answer(verdicts[record.number])],
            ]
            print_facts(f"User {record.number}", rows)
    counts = any(not verdict for verdict in verdicts.values())
    raise typer.Exit(ExitCode.OK if counts else ExitCode.FAILED)


def _answer(reason: str) -> str:
    return f"no: {reason}" if reason else "yes"


# ---- changes


async def _users(has: Work) -> UserList:
    users = (await has.view(reads_users=True)).users
    assert users is not None  # noqa: S101 - they were asked for
    return users


async def _set(
    has: Work,
    sponsor: SponsorOptions,
    output: OutputOptions,
    number: int,
    identity: ClientIdentity | None,
) -> None:
    """Register (number 0), rotate or revoke (no identity), or allow somebody to."""
    network, key, signature = has.chain.network, NO_IDENTITY, bytes(64)
    if identity is not None:
        key = identity.user_id
        signature = identity.key.sign(user_signing_input(network, has.account, key))
    if sponsor.is_sponsored:
        await _allow(has, sponsor, number, key, signature)
        return
    facts = [("identity", key.hex())]
    if identity is None:
        call, title = has.users.revoke(number), f"Revoke user {number}"
        facts = [("mind", "this cannot be undone; the identity never counts again")]
    elif number:
        call, title = has.users.rotate(number, key, signature), f"Rotate user {number}"
    else:
        call, title = has.users.register(key, signature), "Register a user"
    await _pay(has, output, call, title, facts)


async def _allow(
    has: Work, sponsor: SponsorOptions, number: int, key: UserId, signature: bytes
) -> None:
    endpoints, users = has.chain.endpoints, has.users.address
    nonce = await endpoints.read("Users", users, "nonces", has.account)
    # The chain's clock, which is the one that the deadline is held against.
    deadline = (await endpoints.head()).timestamp + sponsor.days * _DAY
    permission = Permission.sign(
        has.chain.network,
        users,
        has.payer.wallet,
        number=number,
        identity=key,
        signature=signature,
        nonce=nonce,
        deadline=deadline,
    )
    data = permission.encode()
    if sponsor.permission_file is None:
        out.out(data.decode().rstrip(), highlight=False)
    else:
        _write(sponsor.permission_file, data)
    note(
        "nothing was sent; hand the permission to whoever pays (psp user sponsor FILE): "
        f"it is good once, until {utc(deadline)}"
    )


async def _pay(
    has: Work, output: OutputOptions, call: Call, title: str, facts: Facts
) -> None:
    paid = await has.payer.pay(call, title, facts)
    number = None
    if paid.outcome is not None:
        number = number_in(paid.outcome, "Users", "UserSet")
    sentence = paid.sentence
    if number is not None:
        sentence = f"User {number}. {paid.sentence}"
    output.report(sentence, {**paid.figures, "number": number})


def _check_permission(has: Work, permission: Permission) -> None:
    if permission.network != has.chain.network:
        raise ConfigError("the permission is for another network; nothing was sent")
    if permission.users != has.users.address:
        raise ConfigError("the permission names another contract; nothing was sent")


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror})") from None


def _load(path: Path) -> ClientIdentity:
    return asyncio.run(load_identity(path, passphrase=passphrase_of(path)))


def named_user(text: str) -> NamedUser:
    """Return the user of a number, an id or an identity's file.

    Raises:
        ConfigError: If the text names none, or the file cannot be opened.
    """
    path = Path(text)
    if len(text) != 64 and (path.suffix or "/" in text or path.exists()):
        return NamedUser(identity=_load(path).user_id)
    return NamedUser.parse(text)
