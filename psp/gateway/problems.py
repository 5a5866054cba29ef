"""What can go wrong, as a program in any language sees it: problem+json (RFC 9457).

Each kind has a name that never changes; ``type`` is ``urn:psp:problem:`` and that name.
Every error class of `psp.client.errors` has a kind of its own.
"""

import enum

import msgspec

from psp.client import errors
from psp.client.watching.watcher import WatchLimitError
from psp.errors import ConfigError, DecodeError, PspError

CONTENT_TYPE = "application/problem+json"
PREFIX = "urn:psp:problem:"


class Kind(enum.Enum):
    """A kind of problem: its name, its HTTP status and what it says in general."""

    BAD_REQUEST = ("bad-request", 400, "The request makes no sense")
    CARD_IN_ADDRESS = (
        "card-in-address",
        400,
        "A contact card is a secret and does not belong in an address",
    )
    UNAUTHORIZED = ("unauthorized", 401, "The token is missing or wrong")
    FOREIGN_ORIGIN = (
        "foreign-origin",
        403,
        "This web page is not among the origins in the settings",
    )
    NOT_FOUND = ("not-found", 404, "There is nothing at this address")
    UNKNOWN_CONTACT = ("unknown-contact", 404, "There is no such contact")
    UNKNOWN_WATCH = ("unknown-watch", 404, "There is no such watch")
    UNKNOWN_CALL = ("unknown-call", 404, "There is no such call, or it is over")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "Not with this method")
    CHANGED_IDENTITY = (
        "changed-identity",
        409,
        "A known name came with another identity",
    )
    WORDS_DIFFER = ("words-differ", 409, "The words are not the same")
    NOT_POSSIBLE = ("not-possible", 409, "A setting of the client forbids it")
    KEYS_ENDED = ("keys-ended", 409, "The keys on this host have ended")
    CONTACT_REVOKED = ("contact-revoked", 410, "The contact was removed")
    USER_REVOKED = ("user-revoked", 410, "This identity is lost or stolen")
    TOO_LARGE = ("too-large", 413, "The body is too large")
    UNSUPPORTED_MEDIA_TYPE = (
        "unsupported-media-type",
        415,
        "The body is not application/json",
    )
    FOREIGN_HOST = ("foreign-host", 421, "The request was meant for another host")
    BAD_NAME = ("bad-name", 422, "The contact book does not take this name")
    DAMAGED_CARD = ("damaged-card", 422, "This contact card cannot be read")
    WRONG_NETWORK = ("wrong-network", 422, "This is of another network")
    TOO_MANY_STREAMS = ("too-many-streams", 429, "Too many event streams are open")
    TOO_MANY_WATCHES = ("too-many-watches", 429, "Too much is being watched")
    USER_OFFLINE = ("user-offline", 409, "The user is off line")
    CALL_REFUSED = ("call-refused", 409, "The callee refused")
    BUSY = ("busy", 429, "The callee is being called too often")
    INTERNAL = ("internal", 500, "A fault in the gateway")
    FAILED = ("failed", 502, "The network did not give an answer")
    PRESENCE = ("presence", 502, "Presence cannot be told")
    CALL_FAILED = ("call-failed", 502, "The call did not come about")
    UNREACHABLE = ("unreachable", 503, "No way led to the user")
    CLOCK = ("clock", 503, "The clock of this host is wrong")
    NO_ANSWER = ("no-answer", 504, "Nobody took the call")
    TIMEOUT = ("timeout", 504, "It took too long")

    def __init__(self, label: str, status: int, title: str) -> None:
        self.label = label
        self.status = status
        self.title = title

    @property
    def urn(self) -> str:
        """The ``type`` of RFC 9457."""
        return PREFIX + self.label


class Problem(msgspec.Struct, frozen=True):
    """Why a request was not done (RFC 9457).

    Attributes:
        type: A name that never changes, ``urn:psp:problem:…``.
        title: What such a problem is, in general.
        status: The HTTP status.
        detail: What it is this time, in a sentence for people; no secrets.
    """

    type: str
    title: str
    status: int
    detail: str


class ProblemError(PspError):
    """The gateway itself refuses a request."""

    def __init__(self, kind: Kind, detail: str = "") -> None:
        super().__init__(detail or kind.title)
        self.kind = kind


_KINDS: tuple[tuple[type[Exception], Kind], ...] = (
    (errors.UnknownContactError, Kind.UNKNOWN_CONTACT),
    (errors.ContactRevokedError, Kind.CONTACT_REVOKED),
    (errors.UserRevokedError, Kind.USER_REVOKED),
    (errors.ChangedIdentityError, Kind.CHANGED_IDENTITY),
    (errors.WordsDifferError, Kind.WORDS_DIFFER),
    (errors.WrongNetworkError, Kind.WRONG_NETWORK),
    (errors.ClockError, Kind.CLOCK),
    (errors.UserOfflineError, Kind.USER_OFFLINE),
    (errors.UnreachableError, Kind.UNREACHABLE),
    (errors.CallRefusedError, Kind.CALL_REFUSED),
    (errors.BusyError, Kind.BUSY),
    (errors.NoAnswerError, Kind.NO_ANSWER),
    (errors.CallError, Kind.CALL_FAILED),
    (errors.PresenceError, Kind.PRESENCE),
    (errors.KeysEndedError, Kind.KEYS_ENDED),
    (WatchLimitError, Kind.TOO_MANY_WATCHES),
    (DecodeError, Kind.DAMAGED_CARD),
    (ConfigError, Kind.NOT_POSSIBLE),
    (PspError, Kind.FAILED),
)
"""The first that fits."""


def kind_of(error: Exception) -> Kind:
    """Return the kind of problem that an error is."""
    if isinstance(error, ProblemError):
        return error.kind
    if isinstance(error, TimeoutError):
        return Kind.TIMEOUT
    return next(
        (kind for base, kind in _KINDS if isinstance(error, base)), Kind.INTERNAL
    )


def problem_of(error: Exception) -> Problem:
    """Return what to tell of an error; of one that is our own fault nothing more."""
    kind = kind_of(error)
    detail = str(error) if isinstance(error, PspError) else ""
    return Problem(kind.urn, kind.title, kind.status, detail or kind.title)
