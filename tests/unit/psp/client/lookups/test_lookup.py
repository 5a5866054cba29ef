"""Looking users up (psp/client/lookups/lookup.py)."""

import asyncio

import pytest

from psp.client.circuits import RegistryExpiredError
from psp.client.errors import ClockError, WrongNetworkError
from psp.client.lookups.lookup import MAX_REMEMBERED, PresenceState
from psp.crypto.keys import SigningKey
from psp.ids import UserId
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.presence_record import MAX_LIFETIME, STATUS_SLOT, RecordHead
from psp.netdoc.presence_status import Status, seal_status
from psp.netdoc.voice import VOICE_SLOTS
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import MemoryRegistry
from psp.units import UnixTime
from psp.wire.lookup import ANY_SLOT
from psp.wire.network import Network
from tests.unit.psp.client.lookups.gateways import (
    NOON,
    Alice,
    Gateways,
    at_noon,
    find,
    make_lookup,
)


class MemoryRegistryWithoutRandom(MemoryRegistry):
    """Of a day whose random value nobody knows."""

    def random_value(self, period: int) -> bytes | None:
        return None


def all_closed(gateways):
    return all(not circuit.is_open for circuit in gateways.builder.opened)


def status_record(alice, text, sequence):
    day = alice.day_key(int(NOON) // 86_400)
    issued = UnixTime(int(NOON))
    head = RecordHead.under(day, STATUS_SLOT, sequence, issued, 1_800)
    return seal_status(
        head.encode(),
        Status.of(text, ["audio"]),
        day=day,
        credential=alice.credential,
        network=MemoryRegistry.network,
        entropy=SeededEntropy(text),
    )


def test_a_user_on_line_is_found_at_every_point_newest_first():
    gateways, alice = Gateways(), Alice()
    for slot in range(3):
        record = alice.agreed_record(gateways.point, NOON, slot=slot)
        gateways.give(record)

    (result,) = find(gateways, alice.card)

    assert result.state is PresenceState.ONLINE
    assert [presence.head.slot for presence in result.points] == [2, 1, 0]
    assert result.is_confirmed
    assert result.answers == 2
    assert result.issued == NOON
    assert set(gateways.asked) == set(gateways.ids[:2])
    assert all_closed(gateways)


def test_each_of_two_gateways_is_asked_for_everything_at_once():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON))

    find(gateways, alice.card)

    assert gateways.slots_asked == [ANY_SLOT, *range(VOICE_SLOTS)] * 2


def test_near_midnight_no_nonce_joins_what_is_asked_about_two_days():
    """Replicas see nonces, and must not learn whose two pseudonyms belong together."""
    gateways, alice = Gateways(), Alice()

    async def main(hub):
        await asyncio.sleep(43_200)
        return await make_lookup(hub, gateways).find(alice.card)

    at_noon(main)

    today, tomorrow = gateways.nonces.values()
    assert not today & tomorrow
    assert len(today) == len(tomorrow) == len(set(gateways.asked))


def test_a_status_comes_with_the_user_and_the_newest_counts():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON))
    gateways.give(status_record(alice, "at work", 5))
    gateways.give(status_record(alice, "at home", 7), *gateways.ids[3:])

    (result,) = find(gateways, alice.card)

    assert (result.status, result.status_sequence) == ("at home", 7)
    assert result.capabilities == {"audio"}
    assert result.is_confirmed


def test_an_older_status_than_one_seen_before_is_refused():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON))
    gateways.give(status_record(alice, "at work", 5))
    highest = {alice.user_id: {STATUS_SLOT: 6}}

    (result,) = find(gateways, alice.card, highest=highest)

    assert result.state is PresenceState.ONLINE
    assert (result.status, result.status_sequence) == ("", 0)
    assert highest[alice.user_id][STATUS_SLOT] == 6


def test_a_signed_absence_is_off_line_and_names_its_mailboxes():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON, slot=0))
    for slot in (1, 2):
        gateways.give(
            alice.agreed_record(gateways.point, NOON, slot=slot, lifetime=MAX_LIFETIME)
        )

    (result,) = find(gateways, alice.card)

    assert (result.state, result.points) == (PresenceState.OFFLINE, ())
    assert [each.head.slot for each in result.mailboxes] == [2, 1]


def test_five_voices_that_there_is_nobody_are_off_line_and_fewer_are_not():
    gateways, alice = Gateways(), Alice()

    (result,) = find(gateways, alice.card)
    assert result.state is PresenceState.OFFLINE
    assert result.is_confirmed
    assert result.answers == 2

    gateways.mute.update(gateways.ids[:4])
    (result,) = find(gateways, alice.card)
    assert result.state is PresenceState.UNKNOWN
    assert result.answers == 5


@pytest.mark.parametrize(("nodes", "mute"), [(1, 0), (3, 0), (4, 1), (5, 1)])
def test_where_there_are_few_nodes_almost_all_must_say_so(nodes, mute):
    gateways = Gateways(nodes)
    gateways.mute.update(gateways.ids[:mute])
    (result,) = find(gateways, Alice().card)
    assert result.state is PresenceState.OFFLINE

    gateways.mute.update(gateways.ids[: mute + 1])
    (result,) = find(gateways, Alice().card)
    assert result.state is PresenceState.UNKNOWN


def test_when_nobody_can_be_asked_nothing_is_known():
    gateways, alice = Gateways(), Alice()
    gateways.builder.dead.update(gateways.ids[:3])
    gateways.failing.update(gateways.ids[3:])

    (result,) = find(gateways, alice.card)

    assert (result.state, result.answers) == (PresenceState.UNKNOWN, 0)
    assert gateways.blamed == set(gateways.ids)
    assert all_closed(gateways)


def test_dead_gateways_do_not_count_among_the_five():
    gateways, alice = Gateways(16), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON))
    gateways.builder.dead.update(gateways.ids[:5])
    (result,) = find(gateways, alice.card)
    assert result.state is PresenceState.ONLINE

    gateways.builder.dead.update(gateways.ids[5:])
    (result,) = find(gateways, alice.card)
    assert result.state is PresenceState.UNKNOWN
    assert len(gateways.blamed) == 10


def test_without_the_days_random_value_nothing_is_known():
    gateways = Gateways(registry=MemoryRegistryWithoutRandom)

    (result,) = find(gateways, Alice().card)

    assert result.state is PresenceState.UNKNOWN
    assert gateways.asked == []


def test_more_gateways_are_asked_when_the_first_have_nothing_valid():
    gateways, alice = Gateways(), Alice()
    gateways.junk.update(gateways.ids[:2])
    gateways.give(alice.agreed_record(gateways.point, NOON))

    (result,) = find(gateways, alice.card)

    assert result.state is PresenceState.ONLINE
    assert result.is_confirmed
    assert gateways.blamed == set(gateways.ids[:2])


def four_liars_near(gateways, record):
    """Let the first two gateways and four of the nearest replicas lie together."""
    nearest = gateways.nearest(gateways.where(record))
    liars = set(gateways.ids[:2])
    for node in nearest:
        if len(liars & set(nearest)) < 4 and node not in gateways.ids[:5]:
            liars.add(node)
    assert len(liars & set(nearest)) == 4
    gateways.conspiracy.update(liars)
    return liars


def test_two_gateways_that_lie_together_are_seen_through():
    # They show an old record, still valid, and the only voices they can make.
    gateways, alice = Gateways(16), Alice()
    old = alice.agreed_record(gateways.point, NOON - 600)
    new = alice.agreed_record(gateways.point, NOON - 120)
    gateways.give(new)
    liars = four_liars_near(gateways, old)
    gateways.give(old, *liars)

    (result,) = find(gateways, alice.card)

    assert result.points[0].head.issued == NOON - 120
    assert set(gateways.ids[:2]) <= gateways.blamed


def test_two_gateways_that_deny_a_user_are_seen_through():
    gateways, alice = Gateways(16), Alice()
    new = alice.agreed_record(gateways.point, NOON - 120)
    liars = four_liars_near(gateways, new)
    gateways.give(new, *(node for node in gateways.ids if node not in liars))

    (result,) = find(gateways, alice.card)

    assert result.state is PresenceState.ONLINE
    assert set(gateways.ids[:2]) <= gateways.blamed


def test_whoever_claims_what_nobody_has_is_not_counted_and_keeps_nobody_from_an_answer():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON))
    liar = gateways.nearest(gateways.where(gateways.held[gateways.ids[0]][0]))[0]
    fake = bytearray(gateways.held[liar][0])
    honest = gateways._at

    def claim(node, where):
        if node != liar:
            return honest(node, where)
        fake[1], fake[134:142] = 2, (2**63).to_bytes(8)
        return [bytes(fake)]

    gateways._at = claim
    (result,) = find(gateways, alice.card)

    assert result.state is PresenceState.ONLINE
    assert result.is_confirmed


def test_the_newest_is_taken_although_nobody_can_confirm_it():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON))
    gateways.mute.update(gateways.ids[:6])

    (result,) = find(gateways, alice.card)

    assert result.state is PresenceState.ONLINE
    assert not result.is_confirmed
    assert result.answers == 5


def test_four_gateways_need_a_voice_less_than_two():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON))
    gateways.mute.update(gateways.ids[:4])

    (result,) = find(gateways, alice.card)

    assert result.is_confirmed
    assert result.answers == 4


def test_a_slow_second_gateway_does_not_hold_the_look_up_up():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON))
    gateways.slow.add(gateways.ids[1])

    async def main(hub):
        lookup = make_lookup(hub, gateways)
        started = hub.unix_time()
        await lookup.find(alice.card)
        return hub.unix_time() - started

    assert at_noon(main) < 1.0
    assert all_closed(gateways)


def test_a_dead_gateway_is_not_waited_for_when_the_other_is_enough():
    gateways, alice = Gateways(), Alice()
    gateways.builder.dead.add(gateways.ids[0])

    (result,) = find(gateways, alice.card)

    assert result.state is PresenceState.OFFLINE
    assert result.answers == 1
    assert all_closed(gateways)


def test_a_record_older_than_one_seen_before_is_refused():
    gateways, alice = Gateways(), Alice()
    old = alice.agreed_record(gateways.point, NOON - 60)
    gateways.give(old)
    seen: dict[UserId, dict[int, int]] = {}

    (first,) = find(gateways, alice.card, highest=seen)
    assert first.state is PresenceState.ONLINE
    seen[alice.user_id][0] += 1
    (second,) = find(gateways, alice.card, highest=seen)

    assert second.state is PresenceState.UNKNOWN
    assert second.points == ()


def test_records_of_relays_that_left_do_not_count():
    gateways, alice = Gateways(), Alice()
    stranger = SigningKey.generate(SeededEntropy("stranger"))
    gateways.give(alice.agreed_record(stranger, NOON))

    (result,) = find(gateways, alice.card)

    assert (result.state, result.points) == (PresenceState.UNKNOWN, ())


def test_another_users_card_finds_nothing():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON))
    wrong = ContactCard(MemoryRegistry.network, alice.user_id, b"w" * 32)

    (result,) = find(gateways, wrong)

    assert result.points == ()


def test_a_card_of_another_network_is_refused():
    card = ContactCard(Network(1, bytes(20)), Alice().user_id, bytes(32))

    with pytest.raises(WrongNetworkError, match="another network"):
        find(Gateways(), card)


def test_no_more_users_are_remembered_than_allowed():
    gateways, alice = Gateways(), Alice()
    gateways.give(alice.agreed_record(gateways.point, NOON))
    seen = {UserId(number.to_bytes(32)): {0: 1} for number in range(MAX_REMEMBERED)}

    find(gateways, alice.card, highest=seen)

    assert len(seen) == MAX_REMEMBERED
    assert UserId(bytes(32)) not in seen
    assert alice.user_id in seen


class TestClock:
    """Our own clock is wrong: no answer is better than a wrong one."""

    @pytest.mark.parametrize("off", [-86_400, -600, -300, 300, 600, 86_400])
    @pytest.mark.parametrize("is_there", [False, True])
    def test_it_is_told_by_the_clocks_of_those_asked(self, off, is_there):
        gateways, alice = Gateways(), Alice()
        if is_there:
            gateways.give(alice.agreed_record(gateways.point, NOON))
        gateways.clocks = dict.fromkeys(gateways.ids, float(off))

        with pytest.raises(ClockError, match="slow" if off > 0 else "fast"):
            find(gateways, alice.card)

    @pytest.mark.parametrize("off", [-120, 120])
    def test_two_minutes_are_allowed(self, off):
        gateways, alice = Gateways(), Alice()
        gateways.give(alice.agreed_record(gateways.point, NOON + off))
        gateways.clocks = dict.fromkeys(gateways.ids, float(off))

        (result,) = find(gateways, alice.card)

        assert result.state is PresenceState.ONLINE

    @pytest.mark.parametrize("off", [-86_400, 86_400])
    def test_two_liars_among_eight_cannot_make_it_wrong(self, off):
        gateways, alice = Gateways(), Alice()
        gateways.give(alice.agreed_record(gateways.point, NOON))
        gateways.clocks = dict.fromkeys(gateways.ids[:2], float(off))

        (result,) = find(gateways, alice.card)

        assert result.state is PresenceState.ONLINE

    def test_nobody_is_asked_when_the_registry_is_from_the_future(self):
        gateways = Gateways()
        gateways.registry.issued = UnixTime(int(NOON + 86_400))

        with pytest.raises(ClockError, match="24 hours slow"):
            find(gateways, Alice().card)
        assert gateways.asked == []

    def test_an_expired_registry_is_told(self):
        gateways = Gateways()
        gateways.registry.expires = UnixTime(int(NOON - 86_400))

        with pytest.raises(RegistryExpiredError, match="clock is fast"):
            find(gateways, Alice().card)
        assert gateways.asked == []

    @pytest.mark.parametrize("issued", [-1_830, 150])
    def test_a_record_that_ended_or_is_to_come_is_not_taken_for_absence(self, issued):
        gateways, alice = Gateways(), Alice()
        gateways.where = lambda raw: where
        raw = alice.agreed_record(gateways.point, NOON + issued)
        where = Gateways().where(alice.agreed_record(gateways.point, NOON))
        gateways.give(raw)

        (result,) = find(gateways, alice.card)

        assert result.state is PresenceState.UNKNOWN


def test_cancelled_at_any_moment_a_look_up_leaves_no_circuit_open():
    async def main(hub):
        for step in range(40):
            gateways, alice = Gateways(), Alice()
            gateways.builder.dead.add(gateways.ids[0])
            for slot in range(2):
                gateways.give(alice.agreed_record(gateways.point, NOON, slot=slot))
            looking = asyncio.create_task(make_lookup(hub, gateways).find(alice.card))
            await asyncio.sleep(step * 0.05)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            assert all_closed(gateways)

    at_noon(main)


def test_while_an_election_is_fresh_both_lists_must_say_so():
    gateways, alice = Gateways(16), Alice()
    elected, retiring = gateways.ids[:8], gateways.ids[8:]
    gateways.registry.elect(elected, UnixTime(int(NOON - 60)))
    gateways.registry.retiring = set(retiring)
    old = alice.agreed_record(gateways.point, NOON - 600)
    gateways.give(old, *retiring)

    gateways.nearest = lambda where, count=8: [*elected[:3], *retiring[:3]]
    (result,) = find(gateways, alice.card)
    assert result.is_confirmed
    assert result.answers == 2

    gateways.nearest = lambda where, count=8: elected[:6]
    (result,) = find(gateways, alice.card)
    assert result.state is PresenceState.UNKNOWN
