"""Status records: how a user is, in a few words, for those who can find the user.

They lie beside the records of where the user is, look the same from outside, and differ
by their slot. The inner part, 192 bytes as any::

    version 1 | capabilities 4 | text length 1 | text <= 180 | zeros

Nobody can be sent anywhere by a status, so no presence point consents in it. A status
lives at most 30 minutes, and says nothing about a user who is away.
"""

import struct
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from psp.crypto.blinding import Credential
from psp.entropy import Entropy
from psp.errors import LocalProtocolError
from psp.netdoc.presence_inner import newest_of_user, open_inner, seal_inner
from psp.netdoc.presence_keys import DayKey
from psp.netdoc.presence_record import (
    INNER_SIZE,
    STATUS_SLOT,
    OuterRecord,
    RandomValue,
    RecordRefusedError,
    Refusal,
)
from psp.wire.network import Network

STATUS_VERSION = 1
MAX_TEXT_BYTES = 180
CAPABILITIES = ("audio", "video", "data", "broadcast", *(f"app{n}" for n in range(28)))
"""Names of the bits, the lowest first; an app gives those from ``app0`` their meaning."""

_HEAD = struct.Struct("!BIB")
_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
"""Unicode's controls, line and paragraph separators."""
_TURNS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Turn the direction of text, that of others behind it too: U+202A … E, U+2066 … 9."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a user says to those who can find them.

    Attributes:
        text: At most 180 bytes of UTF-8 without control characters; show it as text.
        capabilities: Some of `CAPABILITIES`.
        sequence: Of the record; keep the highest seen and refuse lower ones.
    """

    text: str = ""
    capabilities: frozenset[str] = frozenset()
    sequence: int = 0

    @classmethod
    def of(cls, text: str, capabilities: Iterable[str] = ()) -> "Status":
        """Return a status to be said.

        Raises:
            LocalProtocolError: If it cannot be said: too long, a control character, or
                a capability that has no name.
        """
        status = cls(text, frozenset(capabilities))
        status.encode()
        return status

    def encode(self) -> bytes:
        """Return the inner part, 192 bytes.

        Raises:
            LocalProtocolError: As `of` does.
        """
        try:
            text = self.text.encode()
        except UnicodeEncodeError:
            raise LocalProtocolError("the status is not Unicode text") from None
        if len(text) > MAX_TEXT_BYTES or _has_controls(self.text):
            raise LocalProtocolError(
                f"a status has at most {MAX_TEXT_BYTES} bytes, all of one line, and no "
                "control characters"
            )
        unknown = self.capabilities.difference(CAPABILITIES)
        if unknown:
            raise LocalProtocolError(
                f"unknown capabilities: {', '.join(sorted(unknown))}; there are "
                "audio, video, data, broadcast and app-0 to app-27"
            )
        bits = sum(
            1 << bit for bit, n in enumerate(CAPABILITIES) if n in self.capabilities
        )
        head = _HEAD.pack(STATUS_VERSION, bits, len(text))
        return (head + text).ljust(INNER_SIZE, b"\0")

    @classmethod
    def decode(cls, inner: bytes, sequence: int = 0) -> "Status":
        """Read an inner part.

        Raises:
            RecordRefusedError: For INNER.
        """
        if len(inner) != INNER_SIZE:
            raise RecordRefusedError(Refusal.INNER)
        version, bits, size = _HEAD.unpack_from(inner)
        raw, zeros = inner[_HEAD.size :][:size], inner[_HEAD.size + size :]
        if version != STATUS_VERSION or size > MAX_TEXT_BYTES or any(zeros):
            raise RecordRefusedError(Refusal.INNER)
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise RecordRefusedError(Refusal.INNER) from None
        if _has_controls(text):
            raise RecordRefusedError(Refusal.INNER)
        names = (name for bit, name in enumerate(CAPABILITIES) if bits >> bit & 1)
        return cls(text, frozenset(names), sequence)


def seal_status(
    head: bytes,
    status: Status,
    *,
    day: DayKey,
    credential: Credential,
    network: Network,
    entropy: Entropy,
) -> bytes:
    """Make a record of 450 bytes.

    Args:
        head: The 154 bytes that the presence point agreed to; its slot is the status'.
        status: What to say.
        day: Key of the head's period.
        credential: Of the user; readers need the same.
        network: Which network.
        entropy: For the nonce.

    Raises:
        LocalProtocolError: As `Status.of` does.
    """
    return seal_inner(
        head,
        status.encode(),
        day=day,
        credential=credential,
        network=network,
        entropy=entropy,
    )


def open_status(outer: OuterRecord, credential: Credential) -> Status:
    """Read a parsed record as its user's contact.

    Raises:
        RecordRefusedError: And nothing else.
    """
    if outer.head.slot != STATUS_SLOT:
        raise RecordRefusedError(Refusal.FORM)
    return Status.decode(open_inner(outer, credential), outer.head.sequence)


def read_status(
    raws: Iterable[bytes],
    *,
    credential: Credential,
    network: Network,
    random_value: RandomValue,
    unix_now: float,
    floor: int = 0,
) -> Status | None:
    """Return the newest status among many answers, or None.

    Args:
        raws: Records as any number of gateways gave them; nothing is trusted.
        credential: Of the user looked for.
        network: Which network.
        random_value: Of a period.
        unix_now: Seconds.
        floor: The highest sequence of a status seen before; older ones are refused.
    """
    for outer in newest_of_user(
        raws,
        credential=credential,
        network=network,
        random_value=random_value,
        unix_now=unix_now,
        floors={STATUS_SLOT: floor},
    ):
        if outer.head.slot == STATUS_SLOT:
            try:
                return open_status(outer, credential)
            except RecordRefusedError:
                return None
    return None


def _has_controls(text: str) -> bool:
    """Tell whether a text could act on what shows it, or on the text around it there."""
    return any(
        unicodedata.category(character) in _CONTROLS
        or unicodedata.bidirectional(character) in _TURNS
        for character in text
    )
