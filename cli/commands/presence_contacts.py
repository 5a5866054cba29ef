"""psp presence contacts: the contact book. Nothing here goes to the network."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, TypeVar

import msgspec
import typer

from cli.commands.client_options import (
    Desk,
    IdentityFile,
    JsonOutput,
    OwnName,
    SettingsFile,
    read_cards,
    refuse_cards,
)
from cli.exit_codes import ExitCode
from cli.output import (
    err,
    note,
    out,
    print_error,
    print_facts,
    print_json,
    print_table,
    print_warning,
)
from psp.client.contacts.contact import Contact
from psp.client.errors import PresenceError, WordsDifferError
from psp.errors import DecodeError
from psp.gateway.contact_desk import contact_entry

T = TypeVar("T")

app = typer.Typer(
    help="Your contact book: add, invite, compare words, revoke.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The contact's name in your book.")]


@app.command()
def add(
    settings_file: SettingsFile,
    name: Annotated[
        str | None, typer.Argument(help="What to call them; else as on the card.")
    ] = None,
    identity: IdentityFile = None,
    *,
    json_output: JsonOutput = False,
) -> None:
    """Put somebody into the book; their card is read from standard input."""
    refuse_cards([name or ""])
    desk = Desk.open(settings_file, identity)
    cards = read_cards()
    if len(cards) > 1 and name is not None:
        print_error("one name is for one card; standard input has more")
        raise typer.Exit(ExitCode.INPUT)
    with desk.contacts() as book:
        for card in cards:
            contact = _tried(partial(book.add, card, name))
            _show(contact, "added", json_output=json_output)


@app.command("list")
def list_all(
    settings_file: SettingsFile,
    identity: IdentityFile = None,
    *,
    json_output: JsonOutput = False,
) -> None:
    """List the book. With --json one object a line."""
    with Desk.open(settings_file, identity).contacts() as book:
        contacts = book.list()
    if json_output:
        for contact in contacts:
            print_json(_plain(contact))
        return
    rows = [
        [
            contact.name,
            "yes" if contact.is_verified else "no",
            "yes" if contact.is_invited else "no",
            _kind(contact),
            time.strftime("%Y-%m-%d", time.localtime(contact.added)),
        ]
        for contact in contacts
    ]
    columns = ["name", "verified", "invited", "card", "added"]
    print_table("contacts", columns, rows, texts=columns)


@app.command()
def show(
    settings_file: SettingsFile,
    name: Name,
    identity: IdentityFile = None,
    *,
    json_output: JsonOutput = False,
) -> None:
    """Show one contact; no secrets."""
    refuse_cards([name])
    with Desk.open(settings_file, identity).contacts() as book:
        contact = _tried(lambda: book.get(name))
    _show(contact, "contact", json_output=json_output)


@app.command()
def words(
    settings_file: SettingsFile,
    name: Name,
    identity: IdentityFile = None,
    *,
    json_output: JsonOutput = False,
) -> None:
    """Show the words to compare with a contact, best by voice."""
    refuse_cards([name])
    desk = Desk.open(settings_file, identity)
    _ = desk.own_identity
    with desk.contacts() as book:
        found = _tried(lambda: book.words(name))
    if json_output:
        print_json({"name": name, "words": list(found)})
        return
    out.out(" ".join(found), highlight=False)
    note(
        "read these to each other, best in a call where you know the voice; both must "
        "have the same. Then: psp presence contacts verify"
    )


@app.command()
def verify(
    settings_file: SettingsFile,
    name: Name,
    identity: IdentityFile = None,
    heard: Annotated[
        str | None,
        typer.Option("--words", help="What the contact read out, to be compared."),
    ] = None,
    *,
    json_output: JsonOutput = False,
) -> None:
    """Note that you and a contact have the same words.

    Without --words they are shown, and you are asked. Exit code 1 means that they are
    not the same.
    """
    refuse_cards([name])
    desk = Desk.open(settings_file, identity)
    _ = desk.own_identity
    with desk.contacts() as book:
        if heard is None:
            err.print(" ".join(_tried(lambda: book.words(name))), highlight=False)
            if not typer.confirm(f"Does {name} read the same words?", err=True):
                print_error(
                    "then somebody may sit between you: do not trust this contact"
                )
                raise typer.Exit(ExitCode.FAILED)
        contact = _tried(lambda: book.verify(name, heard))
    _show(contact, "verified", json_output=json_output)


@app.command()
def invite(
    settings_file: SettingsFile,
    name: Annotated[str, typer.Argument(help="For whom: in your book, or new in it.")],
    identity: IdentityFile = None,
    own_name: OwnName = "",
    *,
    json_output: JsonOutput = False,
) -> None:
    """Print a card for one contact alone: whose calls pass at once.

    Hand it over on a private way. It is the only card that can be revoked alone.
    """
    refuse_cards([name])
    desk = Desk.open(settings_file, identity, own_name)
    _ = desk.own_identity
    with desk.contacts() as book:
        card = _tried(lambda: book.invite(name))
    if json_output:
        print_json({"name": name, "card": card})
        return
    out.out(card, highlight=False)
    note(f"for {name} alone; who holds it can find you and call you")


@app.command()
def revoke(
    settings_file: SettingsFile,
    name: Name,
    identity: IdentityFile = None,
    own_name: OwnName = "",
    *,
    keep_secret: Annotated[
        bool,
        typer.Option(
            "--keep-secret",
            help="Only stop their calls; they can go on finding you with their card.",
        ),
    ] = False,
    json_output: JsonOutput = False,
) -> None:
    """Remove a contact, so that it can neither find nor call you any longer.

    All others need a fresh card then: each is printed behind its contact's name, with
    --json as one object a line.
    """
    refuse_cards([name])
    desk = Desk.open(settings_file, identity, own_name)
    with desk.contacts() as book:
        fresh = _tried(lambda: asyncio.run(book.revoke(name, rotate=not keep_secret)))
    for other, card in sorted(fresh.items()):
        if json_output:
            print_json({"name": other, "card": card})
        else:
            out.out(f"{other}  {card}", highlight=False)
    if fresh:
        note(f"{name} is removed; send each of the others the card above")
    else:
        note(f"{name} is removed")
    if keep_secret:
        print_warning(f"{name} can still see when you are on line")


@app.command()
def rename(
    settings_file: SettingsFile,
    name: Name,
    new_name: Annotated[str, typer.Argument(help="What to call them from now on.")],
    identity: IdentityFile = None,
    *,
    json_output: JsonOutput = False,
) -> None:
    """Call a contact something else."""
    refuse_cards([name, new_name])
    with Desk.open(settings_file, identity).contacts() as book:
        contact = _tried(lambda: book.rename(name, new_name))
    _show(contact, "renamed", json_output=json_output)


def _tried(change: Callable[[], T]) -> T:
    """Do it, or end with a sentence: a name or card that does not fit is bad input."""
    try:
        return change()
    except WordsDifferError as error:
        print_error(str(error))
        raise typer.Exit(ExitCode.FAILED) from None
    except (DecodeError, PresenceError) as error:
        print_error(str(error))
        raise typer.Exit(ExitCode.INPUT) from None


def _show(contact: Contact, title: str, *, json_output: bool) -> None:
    if json_output:
        print_json(_plain(contact))
        return
    identity = "" if contact.identity is None else contact.identity.hex()
    rows = [
        ["name", contact.name],
        ["identity", identity or "not known: no card yet"],
        ["card", _kind(contact)],
        ["verified", "yes" if contact.is_verified else "no: compare the words"],
        ["invited", "yes" if contact.is_invited else "no"],
        ["added", time.strftime("%Y-%m-%d %H:%M", time.localtime(contact.added))],
    ]
    print_facts(title, rows)


def _kind(contact: Contact) -> str:
    """Say what is held of a contact."""
    if contact.card is None:
        return "none yet"
    if contact.card.is_personal:
        return "personal"
    return "public" if contact.card.is_public else "contacts"


def _plain(contact: Contact) -> dict[str, object]:
    """Return an entry as the gateway shows it."""
    plain: dict[str, object] = msgspec.to_builtins(contact_entry(contact))
    return plain
