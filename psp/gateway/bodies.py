"""Every body that the gateway takes or gives; the OpenAPI document is made from these.

What comes in is strict: unknown fields, wrong types and lengths are refused. Times are
in whole Unix seconds, identities are 64 hex digits in lower case.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from psp.gateway.problems import Problem

MAX_BATCH = 100
MAX_WATCHED = 1_000
"""Users in one watch, as `psp.client.watching.watcher` allows in all."""

_MAX_WHO = 1_024
"""Characters; as many as a contact card may have."""
_MAX_WORDS = 512

Who = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=_MAX_WHO,
        description=(
            "The name of a contact, the identity of a contact (64 hex digits), a "
            "contact card (psp://…), or @ and a registered name."
        ),
        examples=["alice"],
    ),
]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description=(
            "A name in the contact book: printable, at most 64 bytes of UTF-8, and not "
            "like a card or a registered name."
        ),
        examples=["alice"],
    ),
]
Identity = Annotated[
    str, Meta(pattern="^[0-9a-f]{64}$", description="An identity, 64 hex digits.")
]
State = Annotated[
    Literal["online", "offline", "unknown"],
    Meta(
        description=(
            "unknown: too few nodes answered to tell; that is not the same as offline."
        )
    ),
]
Card = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=_MAX_WHO,
        description=(
            "A contact card (psp://…). It is a secret: who holds it can find the user."
        ),
    ),
]
Unix = Annotated[int, Meta(ge=0, description="Unix seconds.")]
Visibility = Annotated[
    Literal["contacts", "public"],
    Meta(
        description=(
            "contacts: only who holds the card can find the user. public: anybody can "
            "find the user, and anybody can list when the user is on line."
        )
    ),
]
Capability = Annotated[str, Meta(min_length=1, max_length=32)]
_Texts = Annotated[
    str,
    Meta(max_length=180, description="At most 180 bytes of UTF-8, sealed to contacts."),
]


class Presence(Struct, frozen=True):
    """Whether a user can be reached."""

    who: str
    user: Identity
    state: State
    points: Annotated[
        int, Meta(ge=0, description="Presence points where the user can be called.")
    ]
    answers: Annotated[int, Meta(ge=0, description="Nodes that answered.")]
    issued: Annotated[
        Unix | None, Meta(description="When the newest record was made; null for none.")
    ]
    is_confirmed: Annotated[
        bool,
        Meta(description="Enough independent nodes say that nothing newer exists."),
    ]
    status: Annotated[str, Meta(description="What the user says to contacts.")]
    capabilities: list[str]


class LookUp(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to look up."""

    who: Annotated[list[Who], Meta(min_length=1, max_length=MAX_BATCH)]


class LookedUp(Struct, frozen=True):
    """One answer of a batch: a presence, or the problem with it."""

    presence: Presence | None = None
    problem: Problem | None = None


class LookedUpAll(Struct, frozen=True):
    """The answers of a batch, in the order of the questions."""

    results: list[LookedUp]


class OpenWatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to watch."""

    who: Annotated[list[Who], Meta(min_length=1, max_length=MAX_WATCHED)]


class Watch(Struct, frozen=True):
    """A watch: its events are on GET /v1/events."""

    id: str
    users: list[Identity]


class WatchList(Struct, frozen=True):
    """The watches that are open."""

    watches: list[Watch]


class PresenceChanged(Struct, frozen=True):
    """Data of an event "presence": what is now known of a watched user."""

    watch: str
    user: Identity
    name: str
    state: State
    status: str
    capabilities: list[str]
    at: Unix
    reason: Annotated[str, Meta(description="Why it is told, such as first or gone.")]


class WatchEnded(Struct, frozen=True):
    """Data of an event "watch-ended": nothing more comes of this watch."""

    watch: str
    problem: Problem | None = None


class CallRings(Struct, frozen=True):
    """Data of an event "call": somebody rings."""

    call: str
    contact: Annotated[
        str | None, Meta(description="Who it is, for a known contact with a ticket.")
    ]
    effort: Annotated[int, Meta(ge=0, description="Bits of work that were proven.")]
    expires: Unix


class CallEnded(Struct, frozen=True):
    """Data of an event "call-ended": it rings no longer."""

    call: str


class PastCall(Struct, frozen=True):
    """Somebody called while nobody answered."""

    at: Unix
    caller: Identity | None
    contact: str | None
    text: str


class MissedCalls(Struct, frozen=True):
    """Calls missed, the newest last."""

    calls: list[PastCall]


class Announce(Struct, frozen=True, forbid_unknown_fields=True):
    """How to be reachable."""

    visibility: Annotated[
        Visibility | None, Meta(description="null: as the identity was made.")
    ] = None
    status: _Texts = ""
    capabilities: Annotated[list[Capability], Meta(max_length=32)] = field(
        default_factory=list
    )


class Announcement(Struct, frozen=True):
    """Whether the client is reachable, and how."""

    is_announced: bool
    points: Annotated[int, Meta(ge=0, description="Presence points in use, at most 3.")]
    visibility: Visibility
    status: str
    capabilities: list[str]
    warning: Annotated[str, Meta(description="What to tell the user; may be empty.")]


class ContactEntry(Struct, frozen=True):
    """One entry of the contact book; no secrets."""

    name: str
    user: Annotated[
        Identity | None, Meta(description="null while the contact's card is not had.")
    ]
    card_name: Annotated[str, Meta(description="What the contact calls itself.")]
    is_public: bool
    is_verified: bool
    is_invited: bool
    added: Unix


class ContactList(Struct, frozen=True):
    """The contact book, by name."""

    contacts: list[ContactEntry]


class AddContact(Struct, frozen=True, forbid_unknown_fields=True):
    """A card to put into the book."""

    card: Card
    name: Annotated[
        Name | None, Meta(description="null takes the name on the card.")
    ] = None


class Rename(Struct, frozen=True, forbid_unknown_fields=True):
    """A new name for a contact."""

    name: Name


class Invite(Struct, frozen=True, forbid_unknown_fields=True):
    """For whom to make a card."""

    name: Name


class Invitation(Struct, frozen=True):
    """A card for one contact alone: hand it over on a private way."""

    name: str
    card: Card


class Words(Struct, frozen=True):
    """Words to compare with the contact, best by voice; both sides see the same."""

    words: list[str]


class Verify(Struct, frozen=True, forbid_unknown_fields=True):
    """That the words are the same."""

    words: Annotated[
        Annotated[str, Meta(max_length=_MAX_WORDS)] | None,
        Meta(
            description="What the contact read out, to be compared; null when the "
            "user has compared them."
        ),
    ] = None


class Revoke(Struct, frozen=True, forbid_unknown_fields=True):
    """How to remove a contact."""

    rotate: Annotated[
        bool,
        Meta(
            description="Change the discovery secret, so that the contact can find the "
            "user no longer. All others need the fresh cards of the answer."
        ),
    ] = True


class Revoked(Struct, frozen=True):
    """Fresh cards, one for each of the other contacts."""

    cards: list[Invitation]


class ClientState(Struct, frozen=True):
    """What the client is doing, without secrets."""

    version: str
    user: Identity | None
    source: Annotated[str, Meta(description="Where the registry comes from.")]
    registry: str
    directory: str
    relays: Annotated[int, Meta(ge=0)]
    points: Annotated[int, Meta(ge=0)]
    watches: Annotated[int, Meta(ge=0)]
    streams: Annotated[int, Meta(ge=0)]


class Health(Struct, frozen=True):
    """That the gateway answers; it says nothing about the user."""

    status: Literal["ok"]
