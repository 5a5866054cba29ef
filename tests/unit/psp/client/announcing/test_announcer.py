"""Keeping a user announced (psp/client/announcing/announcer.py, registration.py)."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from psp.client.announcing.announcer import Announcer
from psp.client.announcing.announcer_config import AnnouncerConfig
from psp.client.announcing.registration import ABSENCE_LIFETIME, PresenceRegistration
from psp.client.announcing.visibility import Visibility
from psp.client.circuit import RequestError
from psp.client.errors import ClockError, KeysEndedError
from psp.client.identities.delegation import DelegatedIdentity
from psp.client.identities.identity import ClientIdentity, Identity
from psp.crypto.blinding import PUBLIC_SECRET, Credential, blind_public
from psp.crypto.keys import SigningKey
from psp.errors import ConfigError
from psp.ids import NodeId
from psp.netdoc.presence_inner import ONLINE_LIFETIME, Place, read_records
from psp.netdoc.presence_record import (
    STATUS_SLOT,
    OuterRecord,
    locations_at,
    parse,
    period_at,
)
from psp.netdoc.presence_status import Status, open_status
from psp.netdoc.registration import Registration
from psp.path.selection import Purpose
from psp.testing.client_circuits import (
    MemoryBuilder,
    MemoryClientCircuit,
    client_context,
)
from psp.testing.clock import EPOCH
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.testing.presence import MemoryRegistry, random_value
from psp.testing.simloop import run_simulation
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.presence import (
    IntroductionAnswer,
    IntroductionStatus,
    Published,
    Registered,
)
from psp.wire.relay_message import RelayCommand

NOON = EPOCH + 43_200
ALICE = ClientIdentity.generate(SeededEntropy("alice"))
PUBLIC_CREDENTIAL = Credential.derive(ALICE.user_id)
ONE_SLOT = AnnouncerConfig(slots=1)


class Points:
    """Presence points that agree to everything, unless told otherwise."""

    def __init__(self, count: int) -> None:
        entropy = SeededEntropy("points")
        keys = [SigningKey.generate(entropy) for _ in range(count)]
        self.keys = {NodeId(key.public): key for key in keys}
        self.registry = MemoryRegistry(self.keys, list(self.keys)[:1])
        self.builder = MemoryBuilder(self.registry, self._answer)
        self.refusing: set[NodeId] = set()
        self.forging: set[NodeId] = set()
        self.forgetful: set[NodeId] = set()
        self.unknown_periods: set[int] = set()
        self.registrations: list[tuple[float, Registration]] = []
        self.records: list[OuterRecord] = []
        self.published: list[tuple[float, OuterRecord]] = []
        self.unix_time: Callable[[], float] = lambda: NOON

    async def _answer(
        self, circuit: MemoryClientCircuit, command: RelayCommand, data: bytes
    ) -> bytes:
        await asyncio.sleep(0.1)
        point = circuit.path[-1].node_id
        if point in self.refusing:
            raise RequestError(command, Reason.REFUSED)
        if command is RelayCommand.PUBLISH:
            record = parse(
                data,
                network=self.registry.network,
                random_value=random_value,
                unix_now=self.unix_time(),
            )
            self.records.append(record)
            self.published.append((self.unix_time(), record))
            is_kept = (
                point not in self.forgetful
                and record.head.period not in self.unknown_periods
            )
            return Published(8 if is_kept else 0).encode()
        asked = Registration.decode(data)
        asked.check_signatures(self.registry.network)
        assert asked.channel == circuit.handshake_hash
        self.registrations.append((self.unix_time(), asked))
        is_absence = asked.head.lifetime > ONLINE_LIFETIME
        endpoints = () if is_absence else circuit.path[-1].endpoints
        place = Place(point, asked.contact_key, asked.tag, endpoints)
        text = place.consent_text(self.registry.network, asked.head.encode())
        key = self.keys[point]
        return Registered(
            key.sign(b"other" if point in self.forging else text), endpoints
        ).encode()

    def statuses(self, credential: Credential = ALICE.credential) -> list[Status]:
        """Return what was said under a credential, the oldest first."""
        said = [r for r in self.records if r.head.slot == STATUS_SLOT]
        mine = [
            r for r in said if r.head.blinded == blind_public(credential, r.head.period)
        ]
        return [open_status(record, credential) for record in mine]

    def places(self) -> list[OuterRecord]:
        return [r for r in self.records if r.head.slot != STATUS_SLOT]

    def lives(self) -> list[int]:
        return [record.head.lifetime for record in self.records]


def announced(
    points: Points,
    then: Callable[[Announcer, SimHub], Awaitable[object]],
    config: AnnouncerConfig | None = None,
    identity: Identity | None = None,
):
    """Announce from noon on, and run ``then``."""

    async def main(hub: SimHub):
        await asyncio.sleep(43_200)
        points.unix_time = hub.unix_time
        context = client_context(hub, points.registry)
        announcer = Announcer(
            context,
            identity or ALICE,
            points.builder.as_builder(),
            busy,
            config,
        )
        announcer.start()
        try:
            return await then(announcer, hub)
        finally:
            await announcer.stop()

    return run_simulation(main, within=Seconds(4 * 86_400.0))


async def busy(_: PresenceRegistration, data: bytes) -> IntroductionAnswer:
    assert data == b"introduction"
    return IntroductionAnswer(IntroductionStatus.BUSY)


def test_the_slots_use_points_that_differ_though_all_start_at_once():
    points = Points(5)

    async def then(announcer, _):
        await announcer.wait_until_announced(3)
        return [point.node_id for point in announcer.points()]

    assert len(set(announced(points, then))) == 3
    slots = sorted(asked.head.slot for _, asked in points.registrations[:3])
    assert slots == [0, 1, 2]


def test_with_fewer_relays_than_slots_a_point_serves_twice():
    points = Points(2)

    async def then(announcer, _):
        await announcer.wait_until_announced(3)
        return {point.node_id for point in announcer.points()}

    assert announced(points, then) == set(points.keys)


def test_a_registration_is_renewed_over_the_same_circuit_with_a_higher_sequence():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        before = len(points.builder.opened)
        await asyncio.sleep(1250.0)
        return before, len(points.builder.opened)

    before, after = announced(points, then, AnnouncerConfig(slots=1))

    assert before == after == 1
    online = [record.head for record in points.records[:3]]
    assert [head.sequence for head in online] == sorted(h.sequence for h in online)
    assert len({head.sequence for head in online}) == 3
    assert [round(h.issued - online[0].issued, -1) for h in online] == [0, 600, 1200]


def test_a_record_that_lives_past_midnight_is_announced_under_both_days():
    points = Points(3)

    async def then(announcer, _):
        await asyncio.sleep(42_600)  # a quarter to midnight and more renewals

    announced(points, then, AnnouncerConfig(slots=1))

    late = [r.head for r in points.records if r.head.lifetime == ONLINE_LIFETIME][-2:]
    assert late[0].sequence == late[1].sequence
    assert late[0].period + 1 == late[1].period


@pytest.mark.parametrize("skew", [-100, 0, 100])
def test_around_midnight_every_reader_finds_the_user_at_every_moment(skew):
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        await asyncio.sleep(43_200 + 2_000)

    announced(points, then, ONE_SLOT)

    midnight = EPOCH + 86_400
    for moment in range(midnight - 1_500, midnight + 1_500, 10):
        held = [record for when, record in points.published if when <= moment]
        unix_now = moment + skew
        places = locations_at(ALICE.credential, unix_now, random_value)
        # Each discovery node holds the newest of a location; it serves no other.
        newest = {r.location: r.raw for r in held if r.location in places.values()}
        found = read_records(
            newest.values(),
            credential=ALICE.credential,
            network=points.registry.network,
            random_value=random_value,
            unix_now=unix_now,
            is_relay=lambda _: True,
        )
        assert found, moment - midnight
        assert not found[0].is_absence


def test_when_the_circuit_ends_the_slot_moves_to_a_point_that_can_be_reached():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        (lost,) = announcer.points()
        points.builder.dead.add(lost.node_id)
        points.builder.opened[0].close(Reason.LINK_CLOSED)
        await asyncio.sleep(30.0)
        (found,) = announcer.points()
        return lost, found

    lost, found = announced(points, then, AnnouncerConfig(slots=1))

    assert lost != found


def test_a_point_that_falls_silent_is_blamed_and_left():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        first = points.builder.opened[0]
        first.is_silent = True
        points.builder.dead.add(first.path[-1].node_id)
        await asyncio.sleep(40.0)
        return first, announcer.points()

    first, now = announced(points, then, AnnouncerConfig(slots=1))

    assert points.builder.blamed == [first]
    assert not first.is_open
    assert now != [first.path[-1]]
    assert len(now) == 1


def test_one_missed_ping_moves_nothing():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        circuit = points.builder.opened[0]
        for is_silent in (True, False) * 5:
            circuit.is_silent = is_silent
            await asyncio.sleep(6.0)
        return circuit

    assert announced(points, then, AnnouncerConfig(slots=1)).asked.count(
        RelayCommand.REGISTER
    )
    assert points.builder.blamed == []


def test_refusing_forging_and_forgetful_points_announce_nobody():
    for fault in ("refusing", "forging", "forgetful"):
        points = Points(2)
        getattr(points, fault).update(points.keys)

        async def then(announcer, _):
            await asyncio.sleep(100.0)
            return announcer.registrations

        assert announced(points, then, AnnouncerConfig(slots=1)) == {}
        assert 4 <= len(points.builder.opened) <= 20, "pauses grow"
        assert points.builder.open_for(Purpose.REGISTRATION) == []


def test_leaving_tells_everybody_who_looks_the_user_up():
    points = Points(4)

    async def then(announcer, _):
        await announcer.wait_until_announced(3)

    announced(points, then)

    absences = points.lives().count(ABSENCE_LIFETIME)
    assert absences >= 3
    assert points.builder.open_for(Purpose.REGISTRATION) == []


def test_leaving_takes_no_longer_than_allowed():
    points = Points(4)

    async def then(announcer, hub):
        await announcer.wait_until_announced(3)
        for circuit in points.builder.opened:
            circuit.is_silent = True
        started = hub.unix_time()
        await announcer.stop()
        return hub.unix_time() - started

    config = AnnouncerConfig(leave_within=Seconds(2.0))

    assert announced(points, then, config) <= 2.0


def test_introductions_are_handed_on_with_their_answer():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        circuit = points.builder.opened[0]
        return await circuit.told(RelayCommand.INTRODUCTION, b"introduction")

    answer = announced(points, then, AnnouncerConfig(slots=1))

    assert IntroductionAnswer.decode(answer).status is IntroductionStatus.BUSY


def test_a_status_is_found_as_soon_as_it_is_said():
    points = Points(3)

    async def then(announcer, hub):
        await announcer.wait_until_announced(3)
        said = hub.unix_time()
        await announcer.set_status("at lunch", ["audio"])
        took = hub.unix_time() - said
        await announcer.set_status("back")
        return took

    took = announced(points, then)

    assert took < 1.0
    first, second = points.statuses()
    assert (first.text, first.capabilities) == ("at lunch", {"audio"})
    assert (second.text, second.capabilities) == ("back", frozenset())
    assert second.sequence > first.sequence


def test_a_status_is_renewed_and_survives_the_point_it_was_said_at():
    points = Points(4)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        await announcer.set_status("here")
        for _ in range(3):
            await asyncio.sleep(600.0)
            lost = points.builder.opened[-1]
            points.builder.dead = {lost.path[-1].node_id}
            lost.close(Reason.LINK_CLOSED)
        await asyncio.sleep(700.0)

    announced(points, then, ONE_SLOT)

    issued = [r.head.issued for r in points.records if r.head.slot == STATUS_SLOT]
    gaps = [later - earlier for earlier, later in itertools.pairwise(issued)]
    assert len(gaps) >= 4
    assert max(gaps) < ONLINE_LIFETIME


def test_changes_in_quick_succession_are_bounded_and_the_last_one_counts():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(3)
        changes = [announcer.set_status(f"change {n}") for n in range(100)]
        await asyncio.gather(*changes)
        for number in range(100):
            saying = asyncio.create_task(announcer.set_status(f"more {number}"))
            await asyncio.sleep(1.0)
        await saying

    announced(points, then)

    said = points.statuses()
    assert len(said) <= 4 * (130 // 30 + 1)
    assert said[-1].text == "more 99"


def test_a_status_that_is_taken_back_is_not_renewed():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        await announcer.set_status("")
        await announcer.set_status("here")
        await announcer.set_status("")
        await asyncio.sleep(3_000.0)

    announced(points, then, ONE_SLOT)

    assert [status.text for status in points.statuses()] == ["here", ""]


def test_a_status_that_cannot_be_said_is_refused_at_once():
    points = Points(3)

    async def then(announcer, _):
        with pytest.raises(ConfigError, match="180"):
            await announcer.set_status("x" * 181)

    announced(points, then)


def test_public_presence_is_published_under_both_secrets_with_one_sequence():
    points = Points(3)

    async def then(announcer, _):
        await announcer.announce_as(Visibility.PUBLIC)
        await announcer.wait_until_announced(1)
        await announcer.set_status("open to all")
        before = len(points.records)
        await announcer.announce_as(Visibility.CONTACTS)
        await asyncio.sleep(30.0)
        return before

    before = announced(points, then, ONE_SLOT)

    day = period_at(NOON)
    faces = {blind_public(c, day) for c in (ALICE.credential, PUBLIC_CREDENTIAL)}
    for slot in (0, STATUS_SLOT):
        heads = [r.head for r in points.records[:before] if r.head.slot == slot]
        assert {head.blinded for head in heads} == faces
        assert len({head.sequence for head in heads}) == 1
    assert points.statuses(PUBLIC_CREDENTIAL)[0].text == "open to all"
    after = [r.head for r in points.places()[2:] if r.head.lifetime == ONLINE_LIFETIME]
    assert {head.blinded for head in after} == {blind_public(ALICE.credential, day)}


def test_an_identity_without_a_secret_cannot_hide():
    points = Points(3)
    public = ClientIdentity(ALICE.key, PUBLIC_SECRET)

    async def then(announcer, _):
        with pytest.raises(ConfigError, match="no secret"):
            await announcer.announce_as(Visibility.CONTACTS)

    announced(points, then, identity=public)


def test_a_new_secret_counts_at_once():
    points = Points(3)
    identity = ClientIdentity(ALICE.key, b"old" + bytes(29))

    async def then(announcer, _):
        await announcer.wait_until_announced(3)
        identity.new_secret(b"new" + bytes(29))
        await announcer.publish_now()
        await asyncio.sleep(1.0)
        return len(points.records)

    count = announced(points, then, identity=identity)

    blinded = blind_public(identity.credential, period_at(NOON))
    newest = {r.head.slot: r.head for r in points.records[:count]}
    assert {head.blinded for head in newest.values()} == {blinded}
    assert newest.keys() == {0, 1, 2}


def test_a_day_that_becomes_known_late_is_published_under_within_a_minute():
    points = Points(3)
    known: set[int] = {period_at(NOON)}
    points.registry.random_value = lambda period: (
        random_value(period) if period in known else None
    )
    tomorrow = period_at(NOON) + 1

    async def then(announcer, _):
        await asyncio.sleep(43_200 - 500)
        await announcer.publish_now()  # so that no renewal is due for ten minutes
        await asyncio.sleep(1.0)
        assert {record.head.period for record in points.records} == known
        known.add(tomorrow)
        await asyncio.sleep(70.0)
        return {record.head.period for record in points.records}

    assert tomorrow in announced(points, then, ONE_SLOT)


def test_nodes_that_do_not_know_tomorrow_yet_are_asked_again_and_not_left():
    points = Points(3)
    tomorrow = period_at(NOON) + 1
    points.unknown_periods.add(tomorrow)

    async def then(announcer, _):
        await asyncio.sleep(43_200 - 500)
        await announcer.publish_now()  # so that no renewal is due for ten minutes
        await asyncio.sleep(1.0)
        asked = sum(r.head.period == tomorrow for r in points.records)
        points.unknown_periods.clear()
        await asyncio.sleep(70.0)
        return asked, sum(r.head.period == tomorrow for r in points.records)

    asked, later = announced(points, then, ONE_SLOT)

    assert asked < later
    assert len(points.builder.opened) == 1


def test_a_public_identity_is_public_from_the_start():
    points = Points(3)
    public = ClientIdentity(ALICE.key, PUBLIC_SECRET)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        return announcer.visibility

    assert announced(points, then, ONE_SLOT, public) is Visibility.PUBLIC
    assert points.lives().count(ONLINE_LIFETIME) == 1


def test_who_leaves_says_where_it_was_agreed_to():
    points = Points(4)
    left = []

    async def then(announcer, _):
        announcer.on_absence = lambda at, lifetime: left.append((at.slot, lifetime))
        await announcer.wait_until_announced(3)

    announced(points, then)

    assert sorted(left) == [(slot, ABSENCE_LIFETIME) for slot in range(3)]


def test_a_full_disk_keeps_nobody_on_line():
    points = Points(4)

    def full(at, lifetime):
        raise ConfigError("no space left on device")

    async def then(announcer, _):
        announcer.on_absence = full
        await announcer.wait_until_announced(3)

    announced(points, then)

    assert points.lives().count(ABSENCE_LIFETIME) >= 3
    assert points.builder.open_for(Purpose.REGISTRATION) == []


def test_a_clock_that_is_set_back_a_day_makes_nobody_unfindable():
    points = Points(3)

    async def main(hub: SimHub):
        await asyncio.sleep(43_200)
        wrong = [86_400.0]
        points.unix_time = lambda: hub.unix_time() + wrong[0]
        context = replace(
            client_context(hub, points.registry), unix_time=points.unix_time
        )
        builder = points.builder.as_builder()
        announcer = Announcer(context, ALICE, builder, busy, ONE_SLOT)
        announcer.start()
        await announcer.wait_until_announced(1)
        wrong[0] = 0.0
        # What the points and stores parse is refused when it is ahead of its time.
        points.records.clear()
        await announcer.publish_now()
        await asyncio.sleep(5.0)
        heads = [record.head for record in points.records]
        await announcer.stop()
        return heads, hub.unix_time()

    heads, now = run_simulation(main)

    assert heads
    assert all(head.sequence <= now * 1_000 for head in heads)


def made_ahead(days: int = 1, since: float = NOON - 1_000) -> DelegatedIdentity:
    network = MemoryRegistry.network
    return DelegatedIdentity.make(ALICE, network, since, days, SeededEntropy(8))


def test_who_is_refused_everywhere_looks_into_the_clock_and_goes_on():
    points = Points(3)
    points.refusing.update(points.keys)
    asked: list[float] = []

    async def then(announcer, hub):
        async def wrong() -> None:
            asked.append(hub.unix_time())
            raise ClockError("an hour fast")

        announcer.check_clock = wrong
        with pytest.raises(ClockError):
            await announcer.wait_until_announced(1)
        points.refusing.clear()
        await announcer.wait_until_announced(3)

    announced(points, then)

    assert 1 <= len(asked) <= 3


def test_a_few_refusals_cast_no_doubt_on_the_clock():
    points = Points(5)
    points.refusing.add(next(iter(points.keys)))
    checks: list[int] = []

    async def then(announcer, _):
        async def check() -> None:
            checks.append(1)

        announcer.check_clock = check
        await announcer.wait_until_announced(2)
        points.refusing.clear()
        await announcer.wait_until_announced(3)

    announced(points, then)

    assert checks == []


def test_a_host_without_the_identity_key_announces_the_user():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(3)
        await announcer.set_status("from afar")

    announced(points, then, identity=made_ahead())

    asked = [registration for _, registration in points.registrations]
    assert {registration.identity for registration in asked} == {ALICE.user_id}
    assert all(r.grant is not None for r in asked)
    assert points.statuses()[0].text == "from afar"


def test_the_end_of_keys_is_told_a_day_before_and_is_an_error_then():
    points = Points(3)
    told: list[float] = []

    async def then(announcer, hub):
        announcer.on_keys_ending = lambda ends: told.append(ends - hub.unix_time())
        await announcer.wait_until_announced(1)
        assert told == []
        await asyncio.sleep(2 * 86_400.0)
        with pytest.raises(KeysEndedError, match="psp user delegate"):
            await announcer.wait_until_announced(1)
        return hub.unix_time()

    identity = made_ahead(days=2)
    now = announced(points, then, ONE_SLOT, identity)

    (left,) = told
    assert 86_400 - 700 <= left <= 86_400
    ends = identity.ends
    last = max(when for when, _ in points.registrations)
    assert ends - 700 <= last <= ends + 120 < now
    assert points.builder.open_for(Purpose.REGISTRATION) == []


@pytest.mark.parametrize(
    ("identity", "error"),
    [
        (made_ahead(since=NOON - 2 * 86_400), KeysEndedError),
        (made_ahead(since=NOON + 1_000), KeysEndedError),
    ],
    ids=["ended", "not begun"],
)
def test_keys_of_another_time_are_refused_before_anything_is_sent(identity, error):
    points = Points(3)

    async def then(_, __):
        raise AssertionError

    with pytest.raises(error):
        announced(points, then, identity=identity)

    assert points.builder.opened == []


def test_keys_that_do_not_do_for_public_presence_say_what_does():
    points = Points(3)

    async def then(announcer, _):
        with pytest.raises(ConfigError, match="--public"):
            await announcer.announce_as(Visibility.PUBLIC)

    announced(points, then, identity=made_ahead())
