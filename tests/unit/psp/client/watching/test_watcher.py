"""A watcher against relays in memory that do what a test says."""

import asyncio

import pytest

from psp.client.errors import (
    ClockError,
    ContactRevokedError,
    UserRevokedError,
    WrongNetworkError,
)
from psp.client.watching.presence_event import View, WatchReason
from psp.client.watching.watch_config import WatcherConfig
from psp.client.watching.watcher import WatcherStatus, WatchLimitError
from psp.errors import PspError
from psp.netdoc.contact_card import ContactCard
from psp.path.selection import Purpose
from psp.wire.network import Network
from psp.wire.relay_message import RelayCommand
from psp.wire.watch import (
    Change,
    ChangeMessage,
)
from tests.unit.psp.client.watching.rig import (
    OFFLINE,
    ONLINE,
    UNKNOWN,
    App,
    in_simulation,
    tag_of,
)


def test_the_first_event_is_how_a_contact_is_and_then_every_change_is_told():
    async def main(world):
        card = world.card()
        app = App(world.watcher.watch([card], {card.identity: "alice"}))
        app.start()
        await asyncio.sleep(5)
        await world.change(card, Change.STATUS, world.online(card, "at lunch"))
        await asyncio.sleep(5)
        await world.change(card, Change.ABSENT, world.offline(card))
        await asyncio.sleep(5)

        assert [(e.name, e.state, e.status, e.reason) for e in app.events] == [
            ("alice", ONLINE, "", WatchReason.FIRST),
            ("alice", ONLINE, "at lunch", WatchReason.LOOKED_UP),
            ("alice", OFFLINE, "", WatchReason.LOOKED_UP),
        ]
        assert world.watcher.status() == WatcherStatus(1, 1, 1)
        await app.stop()

    in_simulation(main)


def test_two_watches_of_one_contact_cost_what_one_does():
    async def main(world):
        card = world.card()
        early, late = (App(world.watcher.watch([card])) for _ in range(2))
        early.start()
        await asyncio.sleep(5)
        late.start()
        await asyncio.sleep(5)
        await world.change(card, Change.GONE)
        await asyncio.sleep(1)

        wanted = [(ONLINE, WatchReason.FIRST), (UNKNOWN, WatchReason.GONE)]
        assert early.told() == late.told() == wanted
        assert len(world.looks) == 1
        await early.stop()
        assert world.watcher.status().contacts == 1
        await late.stop()
        assert world.watcher.status().contacts == 0

    in_simulation(main)


def test_a_slow_app_gets_the_newest_state_and_no_queue():
    async def main(world):
        card = world.card()
        async with world.watcher.watch([card]) as watch:
            await asyncio.sleep(5)
            for number in range(8):
                found = world.online(card, f"number {number}")
                await world.change(card, Change.STATUS, found)
                await asyncio.sleep(5)
            event = await anext(watch)
            assert (event.status, event.reason) == ("number 7", WatchReason.FIRST)

    in_simulation(main)


def test_what_was_undone_before_the_app_had_time_is_not_told():
    async def main(world):
        card = world.card()
        async with world.watcher.watch([card]) as watch:
            assert (await anext(watch)).state is ONLINE
            await asyncio.sleep(5)
            await world.change(card, Change.GONE)
            world.found[card.identity] = world.online(card)
            await asyncio.sleep(30)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(30):
                    await anext(watch)

    in_simulation(main)


def test_a_wait_that_is_cancelled_loses_nothing():
    async def main(world):
        card = world.card()
        async with world.watcher.watch([card]) as watch:
            waiting = asyncio.create_task(anext(watch))
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.sleep(5)
            assert (await anext(watch)).reason is WatchReason.FIRST

    in_simulation(main)


@pytest.mark.parametrize("moment", [n / 20 for n in range(24)])
def test_it_may_be_cancelled_at_any_moment(moment):
    """Look-up, watch point, cookies, circuit and answer: nothing is left behind."""

    async def main(world):
        app = App(world.watcher.watch([world.card()]))
        app.start()
        await asyncio.sleep(moment)
        await app.stop()

    in_simulation(main)


def test_a_removed_contact_is_told_of_once_and_the_others_go_on():
    async def main(world):
        gone, stays = world.card(1), world.card(2)
        app = App(world.watcher.watch([gone, stays]))
        app.start()
        await asyncio.sleep(5)
        world.watcher.remove(gone.identity)
        await asyncio.sleep(1)
        await world.change(stays, Change.ABSENT, world.offline(stays))
        await asyncio.sleep(5)

        assert app.told()[2:] == [
            (UNKNOWN, WatchReason.REMOVED),
            (OFFLINE, WatchReason.LOOKED_UP),
        ]
        world.watcher.remove(stays.identity)
        assert app.task is not None
        with pytest.raises(ContactRevokedError):
            await app.task
        assert app.told()[-1] == (UNKNOWN, WatchReason.REMOVED)

    in_simulation(main)


def test_a_revoked_identity_ends_its_watch():
    async def main(world):
        card = world.card()
        app = App(world.watcher.watch([card]))
        app.start()
        await asyncio.sleep(5)
        world.errors[card.identity] = UserRevokedError("lost")
        await world.change(card, Change.STATUS)
        assert app.task is not None
        with pytest.raises(UserRevokedError):
            await app.task
        assert app.told()[-1] == (UNKNOWN, WatchReason.REVOKED)

    in_simulation(main)


def test_a_wrong_clock_is_told_and_the_watch_goes_on():
    async def main(world):
        card = world.card()
        world.errors[card.identity] = ClockError("a day off")
        app = App(world.watcher.watch([card]))
        app.start()
        await asyncio.sleep(5)
        del world.errors[card.identity]
        await asyncio.sleep(200)

        assert app.told()[0] == (UNKNOWN, WatchReason.CLOCK)
        assert app.told()[-1][0] is ONLINE
        await app.stop()

    in_simulation(main)


def test_closing_ends_the_iteration_of_whoever_still_waits():
    async def main(world):
        app = App(world.watcher.watch([world.card()]))
        app.start()
        await asyncio.sleep(5)
        await world.watcher.close()
        assert app.task is not None
        await app.task  # ends by itself

    in_simulation(main)


def test_contacts_may_come_and_go_while_it_runs():
    async def main(world):
        first, second = world.card(1), world.card(2)
        watch = world.watcher.watch([first])
        app = App(watch)
        app.start()
        await asyncio.sleep(5)
        watch.add(second, "bob")
        watch.discard(first.identity)
        await asyncio.sleep(5)
        await world.change(first, Change.GONE)
        await asyncio.sleep(5)

        assert [event.name for event in app.events] == [None, "bob"]
        assert watch.contacts == {second.identity}
        await app.stop()

    in_simulation(main)


def test_a_lost_watch_point_is_replaced_and_handles_are_left_anew():
    async def main(world):
        cards = [world.card(number) for number in range(1, 6)]
        app = App(world.watcher.watch(cards))
        app.start()
        await asyncio.sleep(10)
        (lost,) = world.watch_points()
        lost.close()
        await asyncio.sleep(60)
        (found,) = world.watch_points()

        assert found is not lost
        leads_to = {handle.watch_point for handle in world.handles.values()}
        assert leads_to == {found.path[0].node_id}
        await world.change(cards[0], Change.GONE)
        await asyncio.sleep(1)
        assert app.told()[-1] == (UNKNOWN, WatchReason.GONE)
        await app.stop()

    in_simulation(main)


def test_a_full_watch_point_is_passed_over():
    async def main(world):
        world.full |= set(world.relays[:2])
        app = App(world.watcher.watch([world.card()]))
        app.start()
        await asyncio.sleep(10)

        (point,) = world.watch_points()
        assert point.path[0].node_id not in world.full
        assert world.watcher.status() == WatcherStatus(1, 1, 1)
        await app.stop()

    in_simulation(main)


def test_when_all_are_full_few_are_asked():
    async def main(world):
        world.full |= set(world.relays)
        app = App(world.watcher.watch([world.card()]))
        app.start()
        await asyncio.sleep(3_600)

        holds = sum(
            circuit.purpose is Purpose.WATCH_POINT for circuit in world.builder.opened
        )
        assert 3 <= holds <= 15
        assert app.told() == [(ONLINE, WatchReason.FIRST)]
        assert len(world.looks) >= 4  # looking up is what is left
        await app.stop()

    in_simulation(main)


def test_a_silent_watch_point_is_noticed_blamed_and_left():
    async def main(world):
        app = App(world.watcher.watch([world.card()]))
        app.start()
        await asyncio.sleep(10)
        (silent,) = world.watch_points()
        silent.is_silent = True
        await asyncio.sleep(WatcherConfig().ping[1] + 20)

        assert silent in world.builder.blamed
        assert not silent.is_open
        assert len(world.watch_points()) == 1
        await app.stop()

    in_simulation(main)


def test_no_message_counts_twice_and_none_for_an_unknown_cookie():
    async def main(world):
        card = world.card()
        app = App(world.watcher.watch([card]))
        app.start()
        await asyncio.sleep(5)
        request = world.handles[tag_of(card.identity)]
        (point,) = world.watch_points()
        junk = ChangeMessage(bytes(20), bytes(32)).encode()
        assert await point.told(RelayCommand.CHANGED, junk) == b""
        await world.change(card, Change.STATUS, world.online(card, "new"))
        await asyncio.sleep(5)
        looks = len(world.looks)
        world.sequence += 1
        for _ in range(50):
            await world.tell(request, Change.GONE)
        await asyncio.sleep(60)

        assert len(world.looks) == looks
        assert app.told()[-1] == (ONLINE, WatchReason.LOOKED_UP)
        await app.stop()

    in_simulation(main)


def test_a_watch_point_that_garbles_messages_is_left():
    async def main(world):
        cards = [world.card(number) for number in range(1, 5)]
        app = App(world.watcher.watch(cards))
        app.start()
        await asyncio.sleep(10)
        (point,) = world.watch_points()
        for card in cards[:3]:
            request = world.handles[tag_of(card.identity)]
            message = ChangeMessage(request.cookie, bytes(32)).encode()
            await point.told(RelayCommand.CHANGED, message)
        await asyncio.sleep(30)

        assert not point.is_open
        assert {event.state for event in app.events} == {ONLINE}
        assert world.watcher.status().handles == 4
        await app.stop()

    in_simulation(main)


def test_many_contacts_bring_no_more_circuits_than_a_guard_takes():
    async def main(world):
        cards = [world.card(number) for number in range(1, 301)]
        app = App(world.watcher.watch(cards))
        app.start()
        await asyncio.sleep(100)
        opened = len(world.builder.opened)
        assert 90 <= opened <= 10 + 100 + 2
        await asyncio.sleep(300)

        status = world.watcher.status()
        assert (status.contacts, status.handles) == (300, 300)
        assert status.watch_points == 2  # 200 handles each, at most
        holds = [
            circuit.asked.count(RelayCommand.HOLD) for circuit in world.watch_points()
        ]
        assert sum(holds) <= 8
        assert len(world.looks) == 300
        await app.stop()

    in_simulation(main)


def test_there_is_a_limit_and_a_wrong_network_is_refused():
    async def main(world):
        cards = [world.card(number) for number in range(1, 4)]
        with pytest.raises(WatchLimitError):
            async with world.watcher.watch(cards):
                pass
        other = ContactCard(Network(9, bytes(20)), cards[0].identity)
        with pytest.raises(WrongNetworkError):
            async with world.watcher.watch([other]):
                pass
        assert world.watcher.status().contacts == 0
        async with world.watcher.watch(cards[:2]) as watch:
            with pytest.raises(WatchLimitError):
                watch.add(cards[2])
            assert (await anext(watch)).state is ONLINE

    in_simulation(main, WatcherConfig(max_contacts=2))


def test_when_one_look_up_is_answered_again_the_others_follow_soon():
    async def main(world):
        cards = [world.card(number) for number in range(1, 21)]
        for card in cards:
            world.errors[card.identity] = PspError("no network")
        app = App(world.watcher.watch(cards))
        app.start()
        await asyncio.sleep(7_200)
        world.errors.clear()
        world.looked.clear()
        await world.looked.wait()
        await asyncio.sleep(16)

        online = {e.card.identity for e in app.events if e.state is ONLINE}
        assert len(online) == 20
        await app.stop()

    in_simulation(main)


def test_a_failed_look_up_is_no_more_than_not_known():
    async def main(world):
        card = world.card()
        world.errors[card.identity] = PspError("nobody answers")
        app = App(world.watcher.watch([card]))
        app.start()
        await asyncio.sleep(5)

        assert app.told() == [(UNKNOWN, WatchReason.FIRST)]
        assert app.events[0].is_like(app.events[0])
        assert View(UNKNOWN).state is app.events[0].state
        await app.stop()

    in_simulation(main)
