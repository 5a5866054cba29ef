"""Keys made ahead where the identity key lives, for a host that never sees it.

Two kinds, both short-lived and bound to one network:

* A **day key** D signs presence records for one period. A' (`psp.crypto.blinding`)
  certifies it::

      "pres-day-key-v1" | network 28 | period 4 | A' 32 | D 32

* A **presence key** P signs registrations for at most a day. The identity key
  certifies it::

      "pres-grant-v1" | network 28 | P 32 | not before 8 | not after 8

A stolen host can act for the user until the keys it holds have ended, and can neither
make more nor learn the identity key. Integers are big-endian.
"""

import struct
from dataclasses import dataclass, field

from psp.crypto.blinding import BlindSecret, Credential
from psp.crypto.kdf import Label
from psp.crypto.keys import SigningKey, verify
from psp.entropy import Entropy
from psp.errors import DecodeError
from psp.ids import UserId
from psp.units import UnixTime
from psp.wire.network import Network

MAX_KEY_LIFE = 86_400
"""Seconds a presence key may live (R-PRE-2)."""
CLOCK_SKEW = 120
"""Seconds by which two honest clocks may differ (R-TIM-1)."""

_DAY = struct.Struct("!I32s32s64s")
_GRANT = struct.Struct("!32sQQ64s")
GRANT_SIZE = _GRANT.size
DAY_KEY_SIZE = _DAY.size
PRESENCE_KEY_SIZE = GRANT_SIZE + 32


@dataclass(frozen=True, slots=True)
class DayKey:
    """What signs a user's records during one period.

    Attributes:
        period: Days since 1970.
        blinded: A', 32 bytes.
        certificate: By A' over D, 64 bytes.
        key: D.
    """

    period: int
    blinded: bytes
    certificate: bytes
    key: SigningKey = field(repr=False)

    @classmethod
    def make(
        cls,
        identity: SigningKey,
        credential: Credential,
        network: Network,
        period: int,
        entropy: Entropy,
    ) -> "DayKey":
        """Make the key of one period; only this step needs the identity key."""
        secret = BlindSecret.derive(identity, credential, period)
        key = SigningKey.generate(entropy)
        text = day_key_text(network, period, secret.public, key.public)
        return cls(period, secret.public, secret.sign(text), key)

    def encode(self) -> bytes:
        """Return ``period 4 | A' 32 | seed of D 32 | certificate 64``: keep it secret."""
        return _DAY.pack(self.period, self.blinded, self.key.seed, self.certificate)

    @classmethod
    def decode(cls, data: bytes) -> "DayKey":
        """Read a key made ahead.

        Raises:
            DecodeError: If ``data`` is not 132 bytes.
        """
        if len(data) != DAY_KEY_SIZE:
            raise DecodeError(f"a day key of {len(data)} bytes")
        period, blinded, seed, certificate = _DAY.unpack(data)
        return cls(period, blinded, certificate, SigningKey.from_seed(seed))


def day_key_text(
    network: Network, period: int, blinded: bytes, day_key: bytes
) -> bytes:
    """Return what A' signs to certify a day key."""
    return (
        Label.PRESENCE_DAY_KEY
        + network.encode()
        + period.to_bytes(4)
        + blinded
        + day_key
    )


@dataclass(frozen=True, slots=True)
class Grant:
    """The public half of a presence key: who may register for a user, and until when.

    Attributes:
        public: P, 32 bytes.
        not_before: First second of its life.
        not_after: Last second; at most a day later.
        certificate: By the identity key, 64 bytes.
    """

    public: bytes
    not_before: UnixTime
    not_after: UnixTime
    certificate: bytes

    def encode(self) -> bytes:
        """Return ``P 32 | not before 8 | not after 8 | certificate 64``."""
        times = (self.not_before, self.not_after)
        return _GRANT.pack(self.public, *times, self.certificate)

    @classmethod
    def decode(cls, data: bytes) -> "Grant":
        """Read a grant.

        Raises:
            DecodeError: If ``data`` is not 112 bytes.
        """
        if len(data) != GRANT_SIZE:
            raise DecodeError(f"a grant of {len(data)} bytes")
        public, not_before, not_after, certificate = _GRANT.unpack(data)
        return cls(public, UnixTime(not_before), UnixTime(not_after), certificate)

    def is_in_force(self, unix_now: float) -> bool:
        """Tell whether the life is at most a day and has begun and not ended."""
        if not 0 < self.not_after - self.not_before <= MAX_KEY_LIFE:
            return False
        return self.not_before - CLOCK_SKEW <= unix_now <= self.not_after + CLOCK_SKEW

    def is_certified_by(self, identity: bytes, network: Network) -> bool:
        """Tell whether the identity key signed this grant for this network."""
        text = _grant_text(network, self.public, self.not_before, self.not_after)
        return verify(identity, text, self.certificate)


@dataclass(frozen=True, slots=True)
class PresenceKey:
    """What signs a user's registrations on a host without the identity key.

    Attributes:
        grant: The certificate that goes along with every registration.
        key: P.
    """

    grant: Grant
    key: SigningKey = field(repr=False)

    @classmethod
    def make(
        cls,
        identity: SigningKey,
        network: Network,
        not_before: UnixTime,
        entropy: Entropy,
        *,
        life: int = MAX_KEY_LIFE,
    ) -> "PresenceKey":
        """Make a key that lives ``life`` seconds; only this needs the identity key."""
        key = SigningKey.generate(entropy)
        not_after = UnixTime(not_before + life)
        text = _grant_text(network, key.public, not_before, not_after)
        return cls(Grant(key.public, not_before, not_after, identity.sign(text)), key)

    def encode(self) -> bytes:
        """Return ``grant 112 | seed of P 32``: keep it secret."""
        return self.grant.encode() + self.key.seed

    @classmethod
    def decode(cls, data: bytes) -> "PresenceKey":
        """Read a key made ahead.

        Raises:
            DecodeError: If ``data`` is not 144 bytes, or holds another key's grant.
        """
        grant = Grant.decode(data[:GRANT_SIZE])
        if len(data) != PRESENCE_KEY_SIZE:
            raise DecodeError(f"a presence key of {len(data)} bytes")
        key = SigningKey.from_seed(data[GRANT_SIZE:])
        if key.public != grant.public:
            raise DecodeError("the grant is for another key")
        return cls(grant, key)


@dataclass(frozen=True, slots=True)
class UserSigner:
    """What signs for a user: the identity key, or a presence key with its grant.

    Attributes:
        user_id: Who is signed for.
        grant: 112 bytes to send along; zeros when the identity key signs.
        key: The private key.
    """

    user_id: UserId
    grant: bytes
    key: SigningKey = field(repr=False)

    @classmethod
    def by_identity(cls, key: SigningKey) -> "UserSigner":
        """Return a signer that needs no grant."""
        return cls(UserId(key.public), bytes(GRANT_SIZE), key)

    @classmethod
    def by_presence_key(cls, user_id: UserId, key: PresenceKey) -> "UserSigner":
        """Return a signer that shows its grant."""
        return cls(user_id, key.grant.encode(), key.key)

    def sign(self, text: bytes) -> bytes:
        """Return a signature of 64 bytes."""
        return self.key.sign(text)


def is_signed_by_user(
    user_id: bytes,
    grant: bytes,
    text: bytes,
    signature: bytes,
    *,
    network: Network,
    unix_now: float,
) -> bool:
    """Tell whether a user signed a text, or a key that the user granted for now.

    Args:
        user_id: The identity key.
        grant: 112 bytes; zeros when the identity key itself must have signed.
        text: What is signed.
        signature: 64 bytes.
        network: The grant must be for it.
        unix_now: Seconds; the grant must be in force.
    """
    if not any(grant):
        return len(grant) == GRANT_SIZE and verify(user_id, text, signature)
    try:
        granted = Grant.decode(grant)
    except DecodeError:
        return False
    return (
        granted.is_in_force(unix_now)
        and granted.is_certified_by(user_id, network)
        and verify(granted.public, text, signature)
    )


def _grant_text(
    network: Network, public: bytes, not_before: UnixTime, not_after: UnixTime
) -> bytes:
    times = not_before.to_bytes(8) + not_after.to_bytes(8)
    return Label.PRESENCE_GRANT + network.encode() + public + times
