"""The table of what the gateway does: one row for each method and path.

The server, the OpenAPI document and the tests are made from it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec import Struct

from psp.gateway import bodies
from psp.gateway.problems import Kind

Body = TypeVar("Body", bound=Struct)

_LOOKS = (
    Kind.UNKNOWN_CONTACT,
    Kind.CONTACT_REVOKED,
    Kind.USER_REVOKED,
    Kind.WRONG_NETWORK,
    Kind.DAMAGED_CARD,
    Kind.NOT_POSSIBLE,
    Kind.CLOCK,
)
"""What can be wrong with somebody we look for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, parsed.

    Attributes:
        path: Values of the path's parameters.
        query: Values of the query's.
        body: The decoded body; None where there is none.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Struct | None = None

    def body_as(self, kind: type[Body]) -> Body:
        """Return the body, which the table says is of this kind."""
        if not isinstance(self.body, kind):
            raise TypeError(f"the table gives {type(self.body)}, not {kind}")
        return self.body


Handler = Callable[[Asked], Awaitable[Struct | None]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that the gateway does.

    Attributes:
        name: Of the handler, and the operationId.
        method: In capitals.
        path: With parameters in braces.
        summary: In a sentence.
        answer: Kind of the body that is given; None gives none.
        body: Kind of the body that is taken; None takes none.
        status: Of an answer.
        problems: Kinds that are its own, beside those that any request can have.
        events: For a stream, kinds of data by event.
        is_open: Whether it needs no token.
    """

    name: str
    method: str
    path: str
    summary: str
    answer: type[Struct] | None = None
    body: type[Struct] | None = None
    status: int = 200
    problems: tuple[Kind, ...] = ()
    events: Mapping[str, type[Struct]] = field(default_factory=dict)
    is_open: bool = False


PRESENCE_EVENTS: Mapping[str, type[Struct]] = {
    "presence": bodies.PresenceChanged,
    "watch-ended": bodies.WatchEnded,
}
CALL_EVENTS: Mapping[str, type[Struct]] = {
    "call": bodies.CallRings,
    "call-ended": bodies.CallEnded,
}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "look_up",
        "GET",
        "/v1/presence/{id}",
        "Look up one contact, by name or identity.",
        bodies.Presence,
        problems=(*_LOOKS, Kind.CARD_IN_ADDRESS),
    ),
    Operation(
        "look_up_many",
        "POST",
        "/v1/presence",
        "Look up many users at once; cards may be given, too.",
        bodies.LookedUpAll,
        bodies.LookUp,
    ),
    Operation(
        "watches",
        "GET",
        "/v1/watches",
        "List the watches that are open.",
        bodies.WatchList,
    ),
    Operation(
        "open_watch",
        "POST",
        "/v1/watches",
        "Watch users; what happens is told on GET /v1/events.",
        bodies.Watch,
        bodies.OpenWatch,
        201,
        (*_LOOKS, Kind.TOO_MANY_WATCHES),
    ),
    Operation(
        "close_watch",
        "DELETE",
        "/v1/watches/{id}",
        "End a watch.",
        status=204,
        problems=(Kind.UNKNOWN_WATCH,),
    ),
    Operation(
        "events",
        "GET",
        "/v1/events",
        "Stream what happens to watched users: first the state of each, then changes.",
        problems=(Kind.TOO_MANY_STREAMS, Kind.UNKNOWN_WATCH),
        events=PRESENCE_EVENTS,
    ),
    Operation(
        "announcement",
        "GET",
        "/v1/announcement",
        "Tell whether this user is reachable, and how.",
        bodies.Announcement,
    ),
    Operation(
        "announce",
        "PUT",
        "/v1/announcement",
        "Become reachable, or change how; returns when that can be found. Beyond about "
        "six changes in half a minute they wait, and only the last one is published.",
        bodies.Announcement,
        bodies.Announce,
        problems=(Kind.NOT_POSSIBLE, Kind.KEYS_ENDED, Kind.CLOCK),
    ),
    Operation(
        "withdraw",
        "DELETE",
        "/v1/announcement",
        "Be off line, and say so to contacts.",
        status=204,
    ),
    Operation(
        "contacts",
        "GET",
        "/v1/contacts",
        "List the contact book.",
        bodies.ContactList,
    ),
    Operation(
        "add_contact",
        "POST",
        "/v1/contacts",
        "Put a contact card into the book.",
        bodies.ContactEntry,
        bodies.AddContact,
        201,
        (
            Kind.DAMAGED_CARD,
            Kind.BAD_NAME,
            Kind.WRONG_NETWORK,
            Kind.CHANGED_IDENTITY,
            Kind.NOT_POSSIBLE,
        ),
    ),
    Operation(
        "invite",
        "POST",
        "/v1/invitations",
        "Make a card for one contact alone; their calls pass at once.",
        bodies.Invitation,
        bodies.Invite,
        201,
        (Kind.BAD_NAME, Kind.NOT_POSSIBLE),
    ),
    Operation(
        "contact",
        "GET",
        "/v1/contacts/{id}",
        "Show one contact.",
        bodies.ContactEntry,
        problems=(Kind.UNKNOWN_CONTACT, Kind.CARD_IN_ADDRESS),
    ),
    Operation(
        "rename_contact",
        "PATCH",
        "/v1/contacts/{id}",
        "Give a contact another name.",
        bodies.ContactEntry,
        bodies.Rename,
        problems=(
            Kind.UNKNOWN_CONTACT,
            Kind.CARD_IN_ADDRESS,
            Kind.BAD_NAME,
            Kind.CHANGED_IDENTITY,
            Kind.NOT_POSSIBLE,
        ),
    ),
    Operation(
        "words",
        "GET",
        "/v1/contacts/{id}/words",
        "Show the words to compare with a contact.",
        bodies.Words,
        problems=(Kind.UNKNOWN_CONTACT, Kind.CARD_IN_ADDRESS, Kind.NOT_POSSIBLE),
    ),
    Operation(
        "verify",
        "POST",
        "/v1/contacts/{id}/verify",
        "Say that the words were compared and are the same.",
        bodies.ContactEntry,
        bodies.Verify,
        problems=(
            Kind.UNKNOWN_CONTACT,
            Kind.CARD_IN_ADDRESS,
            Kind.WORDS_DIFFER,
            Kind.NOT_POSSIBLE,
        ),
    ),
    Operation(
        "revoke",
        "POST",
        "/v1/contacts/{id}/revoke",
        "Remove a contact, so that it can neither find nor call the user any longer.",
        bodies.Revoked,
        bodies.Revoke,
        problems=(Kind.UNKNOWN_CONTACT, Kind.CARD_IN_ADDRESS, Kind.NOT_POSSIBLE),
    ),
    Operation(
        "missed_calls",
        "GET",
        "/v1/calls/missed",
        "List the calls that nobody answered.",
        bodies.MissedCalls,
    ),
    Operation(
        "incoming_calls",
        "GET",
        "/v1/calls/incoming",
        "Stream the calls that ring, and their ends.",
        problems=(Kind.TOO_MANY_STREAMS,),
        events=CALL_EVENTS,
    ),
    Operation(
        "refuse_call",
        "POST",
        "/v1/calls/incoming/{id}/refuse",
        "Refuse a call that rings; the caller learns nothing more than no answer.",
        status=204,
        problems=(Kind.UNKNOWN_CALL,),
    ),
    Operation(
        "status",
        "GET",
        "/v1/status",
        "Show what the client is doing.",
        bodies.ClientState,
    ),
    Operation(
        "health",
        "GET",
        "/healthz",
        "Tell that the gateway answers.",
        bodies.Health,
        is_open=True,
    ),
)
"""Beside these there are GET /v1/openapi.json and GET /metrics, which are not JSON of
ours."""
