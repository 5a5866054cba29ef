"""psp presence: look contacts up, watch them, be reachable."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Annotated, Any

import msgspec
import typer

from cli.commands import presence_contacts
from cli.commands.client_options import (
    Desk,
    IdentityFile,
    JsonOutput,
    OwnName,
    Public,
    SettingsFile,
    read_cards,
    refuse_cards,
    run_until_stopped,
)
from cli.exit_codes import ExitCode
from cli.output import (
    note,
    out,
    print_error,
    print_json,
    print_table,
    print_warning,
    progress,
)
from psp.client.errors import PresenceError
from psp.client.watching.presence_event import PresenceEvent, WatchReason
from psp.errors import DecodeError
from psp.gateway import bodies
from psp.gateway.announcing import PUBLIC_WARNING
from psp.gateway.looking import LookingDesk
from psp.gateway.operations import Asked
from psp.gateway.ports import PresenceClient
from psp.gateway.problems import Kind
from psp.gateway.whom import Whom, find_whom
from psp.netdoc.contact_card import is_card

app = typer.Typer(
    help="Who can be reached: look up, watch, announce, contacts.",
    no_args_is_help=True,
)
app.add_typer(presence_contacts.app, name="contacts")

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="Names in your contact book, or @ and a registered name. Without any, "
        "contact cards are read from standard input, one a line.",
    ),
]
_LONG = 10.0
"""Seconds without a presence point after which that is worth a word."""
_LOOK_EVERY = 0.5
"""Seconds between two looks at how many presence points are in use."""
_REASONS = {
    WatchReason.GONE: "connection lost",
    WatchReason.REMOVED: "no longer a contact",
    WatchReason.REVOKED: "identity lost or stolen: do not trust it",
    WatchReason.CLOCK: "the clock of this host is wrong",
}
"""Why a state is told, where that is worth a word."""
_ABOUT_INPUT = {
    Kind.UNKNOWN_CONTACT.urn,
    Kind.DAMAGED_CARD.urn,
    Kind.WRONG_NETWORK.urn,
    Kind.CONTACT_REVOKED.urn,
}
"""Problems with what was given to the command."""


@app.command()
def lookup(
    settings_file: SettingsFile,
    names: Names = None,
    identity: IdentityFile = None,
    *,
    json_output: JsonOutput = False,
) -> None:
    """Look contacts up, each once.

    Exit code 0 means that all are on line, 1 that one is off line or unknown, 4 that a
    name or card cannot be used. With --json there is one object a line, as the
    operation look_up_many of psp client run gives them.
    """
    who = _who(names)
    desk = Desk.open(settings_file, identity)

    async def look() -> bodies.LookedUpAll:
        async with desk.connect() as client:
            asked = Asked(body=bodies.LookUp(who))
            return await LookingDesk(client).look_up_many(asked)

    with progress("looking up", is_quiet=json_output):
        results = asyncio.run(look()).results
    if json_output:
        for result in results:
            print_json(_plain(result))
    else:
        _print_found(names or [f"card {n + 1}" for n in range(len(who))], results)
    raise typer.Exit(_found_code(results))


@app.command()
def watch(
    settings_file: SettingsFile,
    names: Names = None,
    identity: IdentityFile = None,
    *,
    json_output: JsonOutput = False,
) -> None:
    """Print a line whenever something happens to a contact, until Ctrl-C.

    Nobody is polled: presence points tell of changes. Exit code 0 means that it was
    ended, 4 that a name or card cannot be used.
    """
    who = _who(names)
    desk = Desk.open(settings_file, identity)

    async def follow() -> None:
        async with desk.connect() as client:
            whoms = await _find_all(client, who)
            shown = {whom.user: whom.shown for whom in whoms}
            async with client.watch([whom.who for whom in whoms]) as events:
                note(f"watching {len(whoms)}; Ctrl-C ends it")
                async for event in events:
                    name = event.name or shown.get(event.card.identity, "")
                    if json_output:
                        print_json(_event(event, name))
                    else:
                        _print_event(event, name)

    run_until_stopped(follow())


@app.command()
def announce(
    settings_file: SettingsFile,
    identity: IdentityFile = None,
    name: OwnName = "",
    status: Annotated[
        str, typer.Option(help="What contacts read, at most 180 bytes.")
    ] = "",
    can: Annotated[
        list[str] | None,
        typer.Option(help="What your app can do, such as audio; once for each."),
    ] = None,
    *,
    public: Public = False,
    json_output: JsonOutput = False,
) -> None:
    """Be reachable until Ctrl-C, and show at how many presence points.

    Calls are shown and not answered: that takes an app. Exit code 0 means that it was
    ended, 1 that it did not come about, or was ended before.
    """
    desk = Desk.open(settings_file, identity, name)
    if public or desk.own_identity.is_public:
        print_warning(PUBLIC_WARNING)

    async def stay() -> None:
        async with desk.connect() as client:
            with progress("looking for presence points", is_quiet=json_output):
                announcing = client.announce(
                    visibility="public" if public else None,
                    status=status,
                    capabilities=can or [],
                )
                await _until_announced(client, announcing)
            note("you can be reached; Ctrl-C ends it")
            points = asyncio.create_task(_show_points(client, json_output=json_output))
            try:
                await asyncio.sleep(0)  # points are shown before the first call
                await _show_calls(client, json_output=json_output)
            finally:
                points.cancel()
                await asyncio.gather(points, return_exceptions=True)

    run_until_stopped(stay())


async def _until_announced(
    client: PresenceClient, announcing: Coroutine[Any, Any, None]
) -> None:
    """Wait for the first presence point; say what keeps it, if that takes long."""
    task = asyncio.create_task(announcing)
    try:
        if not (await asyncio.wait([task], timeout=_LONG))[0]:
            note(
                "no presence point yet, going on; are the relays within reach? "
                f"Directory: {client.status().directory}"
            )
        await task
    except asyncio.CancelledError:
        print_warning("ended before anybody could reach you")
        raise typer.Exit(ExitCode.FAILED) from None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _show_points(client: PresenceClient, *, json_output: bool) -> None:
    """Print how many presence points there are whenever that changes."""
    shown = -1
    while True:
        points = client.status().presence_points
        if points != shown:
            shown = points
            if json_output:
                print_json(
                    {"event": "points", "at": int(time.time()), "points": points}
                )
            else:
                words = (
                    "1 presence point" if points == 1 else f"{points} presence points"
                )
                _print_line([_clock(time.time()), words])
        await asyncio.sleep(_LOOK_EVERY)


async def _show_calls(client: PresenceClient, *, json_output: bool) -> None:
    async for call in client.incoming():
        if json_output:
            print_json(
                {"event": "call", "at": int(time.time()), "contact": call.contact}
            )
        else:
            who = call.contact or "somebody"
            _print_line([_clock(time.time()), f"{who} is calling"])


def _who(names: list[str] | None) -> list[str]:
    if not names:
        return read_cards()
    refuse_cards(names)
    return names


async def _find_all(client: PresenceClient, who: list[str]) -> list[Whom]:
    """Return who is meant, or end the command at the first that is nobody."""
    found = []
    for number, text in enumerate(who, 1):
        try:
            found.append(await find_whom(client, text))
        except (DecodeError, PresenceError) as error:
            place = f"card {number}" if is_card(text) else text
            print_error(f"{place}: {error}")
            raise typer.Exit(ExitCode.INPUT) from None
    return found


def _print_found(names: list[str], results: list[bodies.LookedUp]) -> None:
    rows = []
    for name, result in zip(names, results, strict=True):
        found = result.presence
        if found is None:
            rows.append([name, "-", "", "", "", ""])
            continue
        issued = "" if found.issued is None else _clock(found.issued)
        rows.append(
            [
                name,
                found.state,
                str(found.points) if found.points else "",
                found.status,
                ", ".join(found.capabilities),
                issued,
            ]
        )
    columns = ["who", "state", "points", "status", "can", "as of"]
    print_table("presence", columns, rows, texts=("state", "status", "can", "as of"))
    for name, result in zip(names, results, strict=True):
        if result.problem is not None:
            print_error(f"{name}: {result.problem.detail}")
        elif result.presence is not None and result.presence.state == "unknown":
            note(f"{name}: too few nodes answered to tell; that is not off line")


def _found_code(results: list[bodies.LookedUp]) -> ExitCode:
    kinds = {result.problem.type for result in results if result.problem is not None}
    if kinds & _ABOUT_INPUT:
        return ExitCode.INPUT
    are_on_line = all(
        result.presence is not None and result.presence.state == "online"
        for result in results
    )
    return ExitCode.OK if are_on_line else ExitCode.FAILED


def _print_event(event: PresenceEvent, name: str) -> None:
    parts = [_clock(event.at), name, event.state.value]
    if event.status:
        parts.append(event.status)
    if event.capabilities:
        parts.append(f"[{', '.join(sorted(event.capabilities))}]")
    if event.reason in _REASONS:
        parts.append(f"({_REASONS[event.reason]})")
    _print_line(parts)


def _event(event: PresenceEvent, name: str) -> dict[str, object]:
    return {
        "user": event.card.identity.hex(),
        "name": name,
        "state": event.state.value,
        "status": event.status,
        "capabilities": sorted(event.capabilities),
        "at": int(event.at),
        "reason": str(event.reason),
    }


def _print_line(parts: list[str]) -> None:
    # Not through a table: a line must come out as it happens, into a pipe as well.
    out.print("  ".join(parts), highlight=False, markup=False, soft_wrap=True)
    out.file.flush()


def _clock(unix: float) -> str:
    """Return a time of the day here; with the date if it is another day."""
    then, now = time.localtime(unix), time.localtime()
    is_today = then[:3] == now[:3]
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M", then)


def _plain(result: bodies.LookedUp) -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(result)
    return plain
