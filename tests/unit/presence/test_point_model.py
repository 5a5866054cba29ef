"""A presence point under random lives, judged by a slow and obvious model."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from presence.config import MailboxConfig, PointConfig
from presence.mailboxes import Mailboxes
from presence.point import PresencePoint
from presence.stats import PresenceStats
from presence.turns import Turns
from psp.crypto.keys import SigningKey
from psp.ids import NodeId
from psp.netdoc.presence_inner import Place
from psp.netdoc.registration import RegistrationRefusedError, sign_registration
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import TEST_NETWORK, PresenceUser
from psp.units import Monotonic
from psp.wire.presence import IntroduceRequest, IntroductionStatus

NOON = 20_000 * 86_400 + 43_200
RELAY = SigningKey.generate(SeededEntropy("relay"))
USERS = [PresenceUser(SeededEntropy(seed)) for seed in range(3)]
DAYS = [user.day_key(20_000) for user in USERS]
TAGS = [bytes([i]) * 16 for i in range(4)]
circuits = st.integers(1, 5)


class PointLives(RuleBasedStateMachine):
    """The model: tag -> (user, circuit, end), by the rules as they are written."""

    def __init__(self):
        super().__init__()
        self.now = NOON
        self.model: dict[bytes, tuple[int, int, int]] = {}
        self.introduced: set[int] = set()
        self.registered: set[int] = set()
        self.serial = 0
        stats = PresenceStats()
        self.turns = Turns(10_000)
        self.point = PresencePoint(
            PointConfig(
                tags_per_circuit=10,
                registrations_per_minute=10_000,
                introductions_per_minute=10_000,
            ),
            Mailboxes(MailboxConfig(), stats),
            self.turns,
            network=TEST_NETWORK,
            identity=RELAY,
            has_user=lambda user: True,
            endpoints=lambda: (),
            stats=stats,
        )

    @rule(who=st.integers(0, 2), circuit=circuits, tag=st.sampled_from(TAGS))
    def register(self, who, circuit, tag):
        user = USERS[who]
        head = user.head(DAYS[who], self.now)
        data = sign_registration(
            user.user_id,
            user.identity,
            network=TEST_NETWORK,
            channel=bytes([circuit]) * 32,
            head=head,
            place=Place(NodeId(RELAY.public), bytes(32), tag, ()),
        )
        held = self.model.get(tag)
        is_free = held is None or held[0] == who or held[2] <= self.now
        self.registered.add(circuit)
        try:
            self.point.register(
                circuit,
                bytes([circuit]) * 32,
                data,
                now=Monotonic(self.now),
                unix_now=self.now,
            )
        except RegistrationRefusedError:
            assert not is_free
        else:
            assert is_free
            self.model[tag] = (who, circuit, self.now + 1_800)

    @rule(circuit=circuits)
    def close(self, circuit):
        self.point.circuit_closed(circuit)
        self.turns.forget(circuit)
        self.introduced.discard(circuit)
        self.registered.discard(circuit)
        self.model = {t: m for t, m in self.model.items() if m[1] != circuit}

    @rule(seconds=st.integers(1, 1_000))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def sweep(self):
        self.point.sweep(self.now)
        self.model = {t: m for t, m in self.model.items() if m[2] > self.now}

    @rule(circuit=circuits, tag=st.sampled_from(TAGS))
    def introduce(self, circuit, tag):
        self.serial += 1
        request = IntroduceRequest(tag, self.serial.to_bytes(4) * 376)
        route = self.point.route_introduction(
            circuit, request.encode(), now=Monotonic(self.now), unix_now=self.now
        )
        held = self.model.get(tag)
        if circuit in self.introduced | self.registered:
            assert route is IntroductionStatus.REFUSED
            return
        self.introduced.add(circuit)
        if held is None or held[2] <= self.now:
            assert route is IntroductionStatus.NO_SUCH_TAG
        else:
            assert route == held[1]
            self.point.introduction_ended()

    @invariant()
    def serves_just_these_tags(self):
        assert self.point.tags_served == len(self.model)


TestPointLives = PointLives.TestCase
TestPointLives.settings = settings(max_examples=40, stateful_step_count=40)
