"""Watching messages: what watchers leave with presence points, and what comes back.

::

    Bob ---HOLD---> W      these cookies are mine, as long as this circuit lasts
    Bob ---WATCH--> C      when this tag changes, tell cookie at W, sealed with key
    C ---SERVICE 3--> W    cookie and sealed change, once
    W ---CHANGED--> Bob    the same, over the circuit that holds the cookie

The data of each (SPEC.md section 6.5) without the part byte, which the circuit's exchange
adds and strips. Integers are big-endian. What is sealed is in `psp.netdoc.watch_handle`.
"""

import enum
from dataclasses import dataclass, field

from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NODE_ID_SIZE, NodeId
from psp.units import Seconds
from psp.wire.buffer import Reader
from psp.wire.mailboxes import TAG_SIZE

SERVICE_NUMBER = 3
"""Of changes among the services that relays ask of each other."""
COOKIE_SIZE = 20
KEY_SIZE = 32
SEALED_CHANGE_SIZE = 32
MAX_COOKIES = 50
"""In one HOLD: 1,001 bytes."""
MAX_LIFETIME = 3_600
"""Seconds that a handle may lie at a presence point."""


class Change(enum.IntEnum):
    """What happened to a tag at its presence point."""

    GONE = 1
    """Its circuit, or its registration, or its time as a mailbox has ended."""

    ABSENT = 2
    """The point has agreed to a signed absence: the tag is a mailbox now."""

    BACK = 3
    """The owner has collected what lay in the mailbox."""

    STATUS = 4
    """The point has agreed to a newer status record."""

    MOVED = 5
    """The tag is served over another circuit now."""

    SILENT = 6
    """Nothing has come over its circuit for several times as long as usual."""

    HEARD = 7
    """Something has come over it again."""


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """``count 1 | n x cookie 20``: HOLD.

    Attributes:
        cookies: 1 … 50 of them, 20 random bytes each.
    """

    cookies: tuple[bytes, ...] = field(repr=False)

    def encode(self) -> bytes:
        """Return 21 … 1,001 bytes.

        Raises:
            LocalProtocolError: If there are none or too many, or one has a wrong length.
        """
        count = len(self.cookies)
        if not 1 <= count <= MAX_COOKIES:
            raise LocalProtocolError(f"{count} cookies, not 1 to {MAX_COOKIES}")
        if any(len(cookie) != COOKIE_SIZE for cookie in self.cookies):
            raise LocalProtocolError(f"a cookie has not {COOKIE_SIZE} bytes")
        return bytes([count]) + b"".join(self.cookies)

    @classmethod
    def decode(cls, data: bytes) -> "HoldRequest":
        """Read HOLD.

        Raises:
            DecodeError: If ``data`` is not its one encoding.
        """
        reader = Reader(data)
        count = reader.u8()
        if not 1 <= count <= MAX_COOKIES:
            raise DecodeError(f"{count} cookies, not 1 to {MAX_COOKIES}")
        cookies = tuple(reader.take(COOKIE_SIZE) for _ in range(count))
        reader.finish()
        return cls(cookies)


@dataclass(frozen=True, slots=True)
class Held:
    """``held 2``: how many cookies the watch point holds for this circuit now.

    Attributes:
        held: Those of earlier HOLDs included.
    """

    held: int

    def encode(self) -> bytes:
        """Return the two bytes; more than 65,535 count as that."""
        return min(self.held, 0xFFFF).to_bytes(2)

    @classmethod
    def decode(cls, data: bytes) -> "Held":
        """Read the answer to HOLD.

        Raises:
            DecodeError: If ``data`` has not two bytes.
        """
        reader = Reader(data)
        held = reader.u16()
        reader.finish()
        return cls(held)


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """``tag 16 | lifetime 4 | watch point 32 | cookie 20 | key 32``: WATCH.

    Attributes:
        tag: Whom it is about, as the record says.
        lifetime: 1 … 3,600 seconds from now.
        watch_point: The relay that knows where the cookie leads.
        cookie: Held there.
        key: AES-256 key for one message.
    """

    tag: bytes = field(repr=False)
    lifetime: Seconds
    watch_point: NodeId
    cookie: bytes = field(repr=False)
    key: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return the 104 bytes.

        Raises:
            LocalProtocolError: If a field has the wrong length or range.
        """
        sizes = tuple(map(len, (self.tag, self.watch_point, self.cookie, self.key)))
        if sizes != (TAG_SIZE, NODE_ID_SIZE, COOKIE_SIZE, KEY_SIZE):
            raise LocalProtocolError(f"fields of {sizes} bytes, not 16, 32, 20, 32")
        lifetime = int(self.lifetime)
        if not 1 <= lifetime <= MAX_LIFETIME:
            raise LocalProtocolError(f"lifetime of {lifetime} s")
        where = self.watch_point + self.cookie + self.key
        return self.tag + lifetime.to_bytes(4) + where

    @classmethod
    def decode(cls, data: bytes) -> "WatchRequest":
        """Read WATCH.

        Raises:
            DecodeError: If ``data`` has not 104 bytes or the lifetime is out of range.
        """
        reader = Reader(data)
        tag, lifetime = reader.take(TAG_SIZE), reader.u32()
        watch_point = NodeId(reader.take(NODE_ID_SIZE))
        cookie, key = reader.take(COOKIE_SIZE), reader.take(KEY_SIZE)
        reader.finish()
        if not 1 <= lifetime <= MAX_LIFETIME:
            raise DecodeError(f"lifetime of {lifetime} s")
        return cls(tag, Seconds(lifetime), watch_point, cookie, key)


class WatchStatus(enum.IntEnum):
    """What a presence point says of a tag that somebody wants to watch."""

    NO_SUCH_TAG = 0
    """It serves no such tag: nothing was left."""

    HERE = 1
    """The owner has a circuit here."""

    AWAY = 2
    """The owner is away, and this is one of its mailboxes."""

    BUSY = 3
    """Too many handles lie here: nothing was left."""

    SILENT = 4
    """The owner has a circuit here, but nothing has come over it for long."""


@dataclass(frozen=True, slots=True)
class Watched:
    """``status 1 | sequence 8``: the answer to WATCH.

    Attributes:
        status: Whether a handle lies there now, and how the tag stands.
        sequence: Of the last change of the tag that the point remembers, or 0: whoever
            knows only older records has missed it.
    """

    status: WatchStatus
    sequence: int = 0

    @property
    def is_left(self) -> bool:
        """Whether the handle lies there now."""
        return self.status not in {WatchStatus.NO_SUCH_TAG, WatchStatus.BUSY}

    def encode(self) -> bytes:
        """Return the nine bytes."""
        return bytes([self.status]) + self.sequence.to_bytes(8)

    @classmethod
    def decode(cls, data: bytes) -> "Watched":
        """Read the answer to WATCH.

        Raises:
            DecodeError: If ``data`` is not nine bytes with a known status.
        """
        reader = Reader(data)
        number, sequence = reader.u8(), int.from_bytes(reader.take(8))
        reader.finish()
        try:
            return cls(WatchStatus(number), sequence)
        except ValueError:
            raise DecodeError(f"unknown status {number}") from None


@dataclass(frozen=True, slots=True)
class ChangeMessage:
    """``cookie 20 | sealed 32``: the request of service 3, and the data of CHANGED.

    Attributes:
        cookie: Which handle it answers.
        sealed: The change, for whoever left the handle.
    """

    cookie: bytes = field(repr=False)
    sealed: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return the 52 bytes.

        Raises:
            LocalProtocolError: If a field has the wrong length.
        """
        sizes = len(self.cookie), len(self.sealed)
        if sizes != (COOKIE_SIZE, SEALED_CHANGE_SIZE):
            raise LocalProtocolError(f"fields of {sizes} bytes, not 20, 32")
        return self.cookie + self.sealed

    @classmethod
    def decode(cls, data: bytes) -> "ChangeMessage":
        """Read the request, or CHANGED.

        Raises:
            DecodeError: If ``data`` has not 52 bytes.
        """
        reader = Reader(data)
        cookie, sealed = reader.take(COOKIE_SIZE), reader.take(SEALED_CHANGE_SIZE)
        reader.finish()
        return cls(cookie, sealed)


class Passed(enum.IntEnum):
    """The whole answer of service 3."""

    UNKNOWN = 0
    """No circuit holds this cookie; it may have had its message already."""

    PASSED = 1
    """The watcher has been told, or is being told."""

    def encode(self) -> bytes:
        """Return the one byte."""
        return bytes([self])

    @classmethod
    def decode(cls, data: bytes) -> "Passed":
        """Read the answer.

        Raises:
            DecodeError: If ``data`` is not one byte of a known meaning.
        """
        reader = Reader(data)
        number = reader.u8()
        reader.finish()
        try:
            return cls(number)
        except ValueError:
            raise DecodeError(f"unknown answer {number}") from None
