"""Keys made ahead, for a host that never sees the identity key (R-PRE-2).

Made where the identity key lives, for some days; a client runs on it as on the identity
itself: it announces, is called and calls. It cannot make more keys, change the
discovery secret, or register anything on the chain.

::

    "psp-delegation-v1" | network 28 | user id 32 | discovery secret 32
        | state key 32 | cache key 32 | book key 32 | name length 1 | name
        | count 1 | presence keys, 144 bytes each, a day long and one after the other
        | count 1 | day keys, 132 bytes each
        | count 1 | day keys of public presence, as many or none

Whoever has it is the user until it ends, and nobody can take it back before: make it
for as few days as you can renew it in.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from psp.client.errors import KeysEndedError
from psp.client.identities.identity import SEALING_KEY_SIZE, ClientIdentity
from psp.crypto.blinding import PUBLIC_SECRET, SECRET_SIZE, Credential, blind_public
from psp.crypto.kdf import Label
from psp.crypto.keys import verify
from psp.entropy import Entropy
from psp.errors import ConfigError, DecodeError, LocalProtocolError
from psp.ids import NODE_ID_SIZE, UserId
from psp.netdoc.contact_card import MAX_NAME_BYTES, ContactCard
from psp.netdoc.presence_keys import (
    CLOCK_SKEW,
    DAY_KEY_SIZE,
    MAX_KEY_LIFE,
    PRESENCE_KEY_SIZE,
    DayKey,
    PresenceKey,
    UserSigner,
    day_key_text,
)
from psp.netdoc.presence_record import period_at
from psp.units import UnixTime
from psp.wire.buffer import Reader
from psp.wire.network import NETWORK_SIZE, Network

MAX_DAYS = 31
"""Our choice: who cannot renew it once a month should not keep the key away."""
_SEALING = (Label.CLIENT_STATE, Label.CHAIN_CACHE_KEY, Label.CONTACT_BOOK)


@dataclass(frozen=True, slots=True)
class DelegatedIdentity:
    """A registered user on a host that has keys made ahead.

    Attributes:
        network: The only one that the keys are good for.
        user_id: The public identity key.
        discovery_secret: 32 bytes that contacts know; zeros for public presence.
        display_name: Goes into the contact card only.
        presence_keys: Sign for the user, a day each, the earliest first.
        days: Sign records, by period.
        public_days: Likewise the records that anybody finds; none unless asked for.
        sealing_keys: By label, what seals this user's files.
    """

    network: Network
    user_id: UserId
    discovery_secret: bytes = field(repr=False)
    display_name: str
    presence_keys: tuple[PresenceKey, ...] = field(repr=False)
    days: dict[int, DayKey] = field(repr=False)
    public_days: dict[int, DayKey] = field(repr=False)
    sealing_keys: dict[Label, bytes] = field(repr=False)

    @classmethod
    def make(
        cls,
        identity: ClientIdentity,
        network: Network,
        unix_now: float,
        days: int,
        entropy: Entropy,
        *,
        with_public: bool = False,
    ) -> "DelegatedIdentity":
        """Make keys for some days, from now on; only this needs the identity key.

        Args:
            identity: Whose keys.
            network: The network they are good for.
            unix_now: Seconds.
            days: 1 … `MAX_DAYS`.
            entropy: For the keys.
            with_public: Let the host announce the user to everybody as well.

        Raises:
            ConfigError: If ``days`` is out of bounds.
        """
        if not 1 <= days <= MAX_DAYS:
            raise ConfigError(f"keys are made for 1 … {MAX_DAYS} days, not {days}")
        start = int(unix_now)
        starts = range(start, start + days * MAX_KEY_LIFE, MAX_KEY_LIFE)
        presence_keys = tuple(
            PresenceKey.make(identity.key, network, UnixTime(begin), entropy)
            for begin in starts
        )
        last = period_at(start + days * MAX_KEY_LIFE + CLOCK_SKEW)
        periods = range(period_at(start - CLOCK_SKEW), last + 1)

        def days_of(secret: bytes) -> dict[int, DayKey]:
            credential = Credential.derive(identity.key.public, secret)
            return {
                p: DayKey.make(identity.key, credential, network, p, entropy)
                for p in periods
            }

        return cls(
            network,
            identity.user_id,
            identity.discovery_secret,
            identity.display_name,
            presence_keys,
            days_of(identity.discovery_secret),
            days_of(PUBLIC_SECRET) if with_public and not identity.is_public else {},
            {label: identity.sealing_key(label) for label in _SEALING},
        )

    @property
    def is_public(self) -> bool:
        """Whether whoever has no secret may find this user."""
        return self.discovery_secret == PUBLIC_SECRET

    @property
    def credential(self) -> Credential:
        """What it takes to find this user's records."""
        return Credential.derive(self.user_id, self.discovery_secret)

    @property
    def ends(self) -> UnixTime:
        """When the last of the keys ends."""
        return self.presence_keys[-1].grant.not_after

    def sealing_key(self, label: Label) -> bytes:
        """Return the key that seals one kind of file of this user, 32 bytes.

        Raises:
            ConfigError: If this host was not given that key.
        """
        try:
            return self.sealing_keys[label]
        except KeyError:
            raise ConfigError(
                "this host runs on keys made ahead, and has none for that file; open "
                "it where the identity key is"
            ) from None

    def day_key(
        self,
        network: Network,
        period: int,
        entropy: Entropy,  # noqa: ARG002 - as `Identity`; made ahead
        *,
        as_public: bool = False,
    ) -> DayKey:
        """Return the key that signs the records of one period.

        Raises:
            ConfigError: If the keys are for another network, or were not made for
                public presence.
            KeysEndedError: If this host has no key for that period.
        """
        self._check_network(network)
        days = self.public_days if as_public and not self.is_public else self.days
        if not days:
            raise ConfigError(
                "the keys on this host announce you to your contacts only; make them "
                "anew with: psp user delegate --public"
            )
        try:
            return days[period]
        except KeyError:
            raise self._ended() from None

    def signer(self, unix_now: float) -> UserSigner:
        """Return what signs for the user now.

        Raises:
            KeysEndedError: If this host has no key for that time.
        """
        in_force = [k for k in self.presence_keys if k.grant.is_in_force(unix_now)]
        if not in_force:
            raise self._ended()
        # Where two are, the one that has begun and ends last.
        begins = [key.grant.not_before for key in in_force]
        best = max(range(len(begins)), key=lambda i: (begins[i] <= unix_now, begins[i]))
        return UserSigner.by_presence_key(self.user_id, in_force[best])

    def new_secret(self, secret: bytes) -> None:
        """Be found under another discovery secret: only the identity key can do that.

        Raises:
            ConfigError: Always, unless it is the one in use.
        """
        if secret != self.discovery_secret:
            raise ConfigError(
                "the keys on this host are for another discovery secret; make new "
                "ones where the identity key is: psp user delegate"
            )

    def check(self, network: Network, unix_now: float) -> None:
        """See that this host can act for the user on a network now.

        Raises:
            ConfigError: If its keys are for another network.
            KeysEndedError: If it has no key for that time.
        """
        self._check_network(network)
        self.signer(unix_now)

    def contact_card(self, network: Network) -> ContactCard:
        """Return what this user gives to contacts."""
        return ContactCard(
            network, self.user_id, self.discovery_secret, self.display_name
        )

    def encode(self) -> bytes:
        """Return the bytes: keep them secret."""
        name = self.display_name.encode()
        if len(name) > MAX_NAME_BYTES:
            raise LocalProtocolError(f"a name of {len(name)} bytes")
        keys = b"".join(self.sealing_keys[label] for label in _SEALING)
        return b"".join(
            (
                Label.DELEGATION,
                self.network.encode(),
                self.user_id,
                self.discovery_secret,
                keys,
                bytes([len(name)]) + name,
                _listed([key.encode() for key in self.presence_keys]),
                _listed([self.days[period].encode() for period in sorted(self.days)]),
                _listed(
                    [self.public_days[p].encode() for p in sorted(self.public_days)]
                ),
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> "DelegatedIdentity":
        """Read keys made ahead, and check that they are what they are said to be.

        Raises:
            DecodeError: If they are not.
        """
        reader = Reader(data)
        if reader.take(len(Label.DELEGATION)) != Label.DELEGATION:
            raise DecodeError("not keys made ahead")
        chain_id = int.from_bytes(reader.take(8))
        network = Network(chain_id, reader.take(NETWORK_SIZE - 8))
        user = UserId(reader.take(NODE_ID_SIZE))
        secret = reader.take(SECRET_SIZE)
        sealing = {label: reader.take(SEALING_KEY_SIZE) for label in _SEALING}
        name = _name(reader.take(reader.u8()))
        presence_keys = tuple(
            PresenceKey.decode(reader.take(PRESENCE_KEY_SIZE))
            for _ in range(reader.u8())
        )
        _check_presence_keys(presence_keys, user, network)
        days = _days(_taken(reader), Credential.derive(user, secret), network)
        public_days = _days(_taken(reader), Credential.derive(user), network)
        reader.finish()
        if not days or (public_days and public_days.keys() != days.keys()):
            raise DecodeError("day keys are missing")
        identity = cls(
            network, user, secret, name, presence_keys, days, public_days, sealing
        )
        if identity.encode() != data:
            raise DecodeError("the day keys are not in their order")
        return identity

    def _check_network(self, network: Network) -> None:
        if network != self.network:
            raise ConfigError(
                "the keys on this host are for another network; make them with the "
                "settings of this one: psp user delegate"
            )

    def _ended(self) -> KeysEndedError:
        return KeysEndedError(
            "the keys made ahead for this host have ended (or have not begun); make "
            "new ones where the identity key is: psp user delegate"
        )


def _listed(items: Sequence[bytes]) -> bytes:
    return bytes([len(items)]) + b"".join(items)


def _taken(reader: Reader) -> list[DayKey]:
    return [DayKey.decode(reader.take(DAY_KEY_SIZE)) for _ in range(reader.u8())]


def _name(data: bytes) -> str:
    if len(data) > MAX_NAME_BYTES:
        raise DecodeError(f"a name of {len(data)} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise DecodeError("the name is not UTF-8") from None


def _check_presence_keys(
    keys: Sequence[PresenceKey], user: UserId, network: Network
) -> None:
    if not 1 <= len(keys) <= MAX_DAYS:
        raise DecodeError(f"{len(keys)} presence keys")
    begins = [key.grant.not_before for key in keys]
    if begins != sorted(set(begins)):
        raise DecodeError("the presence keys are not in their order")
    for key in keys:
        if not key.grant.is_certified_by(user, network):
            raise DecodeError("a presence key is not the user's")


def _days(
    days: Iterable[DayKey], credential: Credential, network: Network
) -> dict[int, DayKey]:
    found: dict[int, DayKey] = {}
    for day in days:
        text = day_key_text(network, day.period, day.blinded, day.key.public)
        is_users = day.blinded == blind_public(credential, day.period)
        if not is_users or not verify(day.blinded, text, day.certificate):
            raise DecodeError("a day key is not the user's")
        found[day.period] = day
    return found
