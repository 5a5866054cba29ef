"""Who a client is, and who may find it."""

from dataclasses import dataclass, field

from psp.crypto.blinding import PUBLIC_SECRET, Credential
from psp.crypto.keys import SigningKey
from psp.entropy import Entropy
from psp.ids import UserId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.presence_keys import DayKey
from psp.wire.network import Network

_KEPT_PERIODS = 3
"""Day keys kept: yesterday's, today's and tomorrow's."""


@dataclass(slots=True)
class ClientIdentity:
    """A registered user on this host.

    Attributes:
        key: The identity key.
        discovery_secret: 32 bytes that contacts know; zeros for public presence.
        display_name: Goes into the contact card only.
    """

    key: SigningKey = field(repr=False)
    discovery_secret: bytes = field(repr=False)
    display_name: str = ""
    _days: dict[int, DayKey] = field(default_factory=dict, repr=False)

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
        """Whether anybody may find this user."""
        return self.discovery_secret == PUBLIC_SECRET

    @property
    def credential(self) -> Credential:
        """What it takes to find this user's records."""
        return Credential.derive(self.key.public, self.discovery_secret)

    def day_key(self, network: Network, period: int, entropy: Entropy) -> DayKey:
        """Return the key that signs the records of one period."""
        day = self._days.get(period)
        if day is None:
            day = DayKey.make(self.key, self.credential, network, period, entropy)
            self._days[period] = day
            while len(self._days) > _KEPT_PERIODS:
                del self._days[min(self._days)]
        return day

    def contact_card(self, network: Network) -> ContactCard:
        """Return what this user gives to contacts."""
        return ContactCard(
            network, self.user_id, self.discovery_secret, self.display_name
        )
