"""A presence point, its users, and the clocks."""

import pytest

from presence.config import MailboxConfig, PointConfig
from presence.mailboxes import Mailboxes
from presence.point import PresencePoint
from presence.stats import PresenceStats
from presence.turns import Turns
from psp.crypto.keys import SigningKey
from psp.ids import UserId
from psp.netdoc.registration import RegistrationRefusedError, sign_registration
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import TEST_NETWORK, PresenceUser
from psp.units import Monotonic
from psp.wire.endpoint import Endpoint
from psp.wire.presence import IntroduceRequest

NOON = 20_000 * 86_400 + 43_200
RELAY = SigningKey.generate(SeededEntropy("relay"))
ENDPOINTS = tuple(Endpoint("192.0.2.1", port) for port in (443, 444, 445))
HASH = {circuit: bytes([circuit]) * 32 for circuit in range(256)}


class Setting:
    """A point, its users, and the clocks."""

    def __init__(self, **limits):
        self.stats = PresenceStats()
        self.users: set[UserId] = set()
        self.unix_now = float(NOON)
        config = PointConfig(**limits)
        self.mailboxes = Mailboxes(MailboxConfig(), self.stats)
        self.turns = Turns(config.max_introducing_circuits)
        self.changes = []
        self.point = PresencePoint(
            config,
            self.mailboxes,
            self.turns,
            network=TEST_NETWORK,
            identity=RELAY,
            has_user=self.users.__contains__,
            endpoints=lambda: ENDPOINTS,
            stats=self.stats,
        )
        self.point.on_tag_changed = lambda *change: self.changes.append(change)

    def close(self, circuit):
        self.point.circuit_closed(circuit)
        self.turns.forget(circuit)

    def user(self, seed=1):
        user = PresenceUser(SeededEntropy(seed))
        self.users.add(user.user_id)
        return user

    @property
    def now(self):
        return Monotonic(self.unix_now - NOON)

    def registration(self, user, circuit=1, *, place=None, period=20_000, **settings):
        day = user.day_key(period)
        options = {
            "signer": user.identity,
            "network": TEST_NETWORK,
            "channel": HASH[circuit],
            "head": user.head(day, self.unix_now),
            "place": place or user.place(RELAY.public),
            **settings,
        }
        return sign_registration(user.user_id, **options)

    def register(self, data, circuit=1):
        return self.point.register(
            circuit, HASH[circuit], data, now=self.now, unix_now=self.unix_now
        )

    def refusal_of(self, data, circuit=1):
        with pytest.raises(RegistrationRefusedError) as caught:
            self.register(data, circuit)
        assert self.stats.registrations_refused[caught.value.reason] > 0
        return caught.value.reason

    def route(self, circuit, tag, sealed=b"s" * 1_504):
        return self.point.route_introduction(
            circuit,
            IntroduceRequest(tag, sealed).encode(),
            now=self.now,
            unix_now=self.unix_now,
        )

    def served(self, user, circuit=1, **settings):
        """Register a new place and return its tag."""
        place = settings.pop("place", None) or user.place(RELAY.public)
        self.register(
            self.registration(user, circuit, place=place, **settings), circuit
        )
        return place.tag
