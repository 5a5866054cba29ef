"""Who a client is, who may find it, and what signs for it.

A client runs as an `Identity`: on the identity key itself (`ClientIdentity`), or on keys
made ahead where that key lives (`psp.client.identities.delegation.DelegatedIdentity`, R-PRE-2).
"""

from dataclasses import dataclass, field
from typing import Protocol

from psp.crypto import primitives
from psp.crypto.blinding import PUBLIC_SECRET, Credential
from psp.crypto.kdf import Label
from psp.crypto.keys import SigningKey
from psp.entropy import Entropy
from psp.ids import UserId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.presence_keys import DayKey, UserSigner
from psp.units import UnixTime
from psp.wire.network import Network

_KEPT_PERIODS = 3
"""Day keys are kept for yesterday, today and tomorrow."""
_KEPT_DAY_KEYS = 12
"""At most, under however many discovery secrets; the oldest period goes first."""
SEALING_KEY_SIZE = 32
NO_IDENTITY = (
    "this client has no identity; give it a key file: --identity, or psp.connect(…, "
    "identity=…)"
)
"""What whoever needs one is told."""


class Identity(Protocol):
    """A user on this host, with or without the identity key."""

    @property
    def display_name(self) -> str:
        """Goes into the contact card only."""
        ...

    @property
    def user_id(self) -> UserId:
        """The public identity key."""
        ...

    @property
    def discovery_secret(self) -> bytes:
        """32 bytes that contacts know; zeros for public presence."""
        ...

    @property
    def is_public(self) -> bool:
        """Whether whoever has no secret may find this user."""
        ...

    @property
    def credential(self) -> Credential:
        """What it takes to find this user's records."""
        ...

    @property
    def ends(self) -> UnixTime | None:
        """When the keys on this host end; None for never."""
        ...

    def sealing_key(self, label: Label) -> bytes:
        """Return the key that seals one kind of file of this user, 32 bytes.

        Raises:
            ConfigError: If this host was not given that key.
        """
        ...

    def day_key(
        self,
        network: Network,
        period: int,
        entropy: Entropy,
        *,
        as_public: bool = False,
    ) -> DayKey:
        """Return the key that signs the records of one period.

        Args:
            network: Which network.
            period: Days since 1970.
            entropy: For a key that is made now.
            as_public: For the records that need no secret to be found.

        Raises:
            KeysEndedError: If this host has no key for that period.
        """
        ...

    def signer(self, unix_now: float) -> UserSigner:
        """Return what signs for the user now.

        Raises:
            KeysEndedError: If this host has no key for that time.
        """
        ...

    def new_secret(self, secret: bytes) -> None:
        """Be found under another discovery secret from now on.

        Raises:
            ConfigError: If the identity key, which that needs, is elsewhere.
        """
        ...

    def check(self, network: Network, unix_now: float) -> None:
        """See that this host can act for the user on a network now.

        Raises:
            ConfigError: If its keys are for another network.
            KeysEndedError: If it has no key for that time.
        """
        ...

    def contact_card(self, network: Network) -> ContactCard:
        """Return what this user gives to contacts."""
        ...


def derive_sealing_key(seed: bytes, label: Label) -> bytes:
    """Return the key that seals one kind of file, 32 bytes, from an identity's seed."""
    return primitives.hkdf(seed, salt=b"", info=label, length=SEALING_KEY_SIZE)


@dataclass(slots=True)
class ClientIdentity:
    """A registered user whose identity key is on this host.

    Attributes:
        key: The identity key.
        discovery_secret: 32 bytes that contacts know; zeros for public presence.
        display_name: Goes into the contact card only.
    """

    key: SigningKey = field(repr=False)
    discovery_secret: bytes = field(repr=False)
    display_name: str = ""
    _days: dict[tuple[int, bytes], DayKey] = field(default_factory=dict, repr=False)

    @classmethod
    def generate(cls, entropy: Entropy, display_name: str = "") -> "ClientIdentity":
        """Return a new identity that only its contacts can find."""
        return cls(SigningKey.generate(entropy), entropy.token(32), display_name)

    @property
    def user_id(self) -> UserId:
        """The public identity key."""
        return UserId(self.key.public)

    @property
    def is_public(self) -> bool:
        """Whether whoever has no secret may find this user."""
        return self.discovery_secret == PUBLIC_SECRET

    @property
    def credential(self) -> Credential:
        """What it takes to find this user's records."""
        return Credential.derive(self.key.public, self.discovery_secret)

    @property
    def ends(self) -> UnixTime | None:
        """Never."""
        return None

    def sealing_key(self, label: Label) -> bytes:
        """Return the key that seals one kind of file of this user, 32 bytes."""
        return derive_sealing_key(self.key.seed, label)

    def day_key(
        self,
        network: Network,
        period: int,
        entropy: Entropy,
        *,
        as_public: bool = False,
    ) -> DayKey:
        """Return the key that signs the records of one period; see `Identity`."""
        secret = PUBLIC_SECRET if as_public else self.discovery_secret
        # By the credential: a discovery secret may be changed while the client runs.
        credential = Credential.derive(self.key.public, secret)
        day = self._days.get((period, credential.value))
        if day is None:
            day = DayKey.make(self.key, credential, network, period, entropy)
            self._days[period, credential.value] = day
            oldest = max(self._days)[0] - _KEPT_PERIODS
            while len(self._days) > _KEPT_DAY_KEYS or min(self._days)[0] <= oldest:
                del self._days[min(self._days)]
        return day

    def signer(self, unix_now: float) -> UserSigner:  # noqa: ARG002 - as `Identity`
        """Return what signs for the user: the identity key."""
        return UserSigner.by_identity(self.key)

    def new_secret(self, secret: bytes) -> None:
        """Be found under another discovery secret from now on."""
        self.discovery_secret = secret

    def check(self, network: Network, unix_now: float) -> None:
        """See that this host can act for the user: the identity key always can."""

    def contact_card(self, network: Network) -> ContactCard:
        """Return what this user gives to contacts."""
        return ContactCard(
            network, self.user_id, self.discovery_secret, self.display_name
        )
