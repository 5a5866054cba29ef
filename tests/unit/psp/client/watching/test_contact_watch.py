"""What a watcher does about one contact: told the time and results, nothing else."""

import random
from itertools import pairwise

import pytest

from psp.client.lookups.lookup import LookupResult, PresenceState
from psp.client.watching.contact_watch import ContactWatch, Leave, Look
from psp.client.watching.presence_event import GONE, View, WatchReason
from psp.client.watching.watch_config import WatcherConfig
from psp.ids import NodeId
from psp.netdoc.presence_inner import Place, Presence
from psp.netdoc.presence_record import RecordHead
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic, UnixTime
from psp.wire.endpoint import Endpoint
from psp.wire.watch import Change, Watched, WatchStatus

CONFIG = WatcherConfig()
ENDPOINT = (Endpoint("192.0.2.1", 443),)
ONLINE, OFFLINE, UNKNOWN = PresenceState
HOUR = 3_600.0


def tag(number: int) -> bytes:
    return number.to_bytes(16)


def record(number: int, sequence: int, *, slot=None, is_absence=False) -> Presence:
    """Return what a record says that names point ``number``."""
    lifetime = 86_400 if is_absence else 1_800
    keys = (bytes(32), bytes(32), bytes(64))
    slot = number % 3 if slot is None else slot
    head = RecordHead(slot, 20_000, *keys, sequence, UnixTime(0), lifetime)
    point = NodeId(number.to_bytes(32))
    endpoints = () if is_absence else ENDPOINT
    return Presence(head, Place(point, bytes(32), tag(number), endpoints))


def online(*points: Presence, status="", status_sequence=0) -> LookupResult:
    return LookupResult(
        ONLINE, points, 2, status=status, status_sequence=status_sequence
    )


def offline(*mailboxes: Presence) -> LookupResult:
    return LookupResult(OFFLINE, (), 5, mailboxes=mailboxes)


def nothing() -> LookupResult:
    return LookupResult(UNKNOWN, (), 0)


class Bench:
    """A contact's watch, and points that take every handle unless told otherwise."""

    def __init__(self, seed=1) -> None:
        self.now = 1_000.0
        self.watch = ContactWatch(CONFIG, SeededEntropy(seed), Monotonic(self.now))
        self.found: LookupResult | None = nothing()
        self.answers: dict[bytes, Watched | None] = {}
        self.looks: list[float] = []
        self.left: list[tuple[float, bytes]] = []

    def do_what_is_due(self) -> None:
        """Do everything that is to be done now."""
        for _ in range(10):
            action = self.watch.next_action(Monotonic(self.now))
            if action is None:
                return
            self.do(action)
        raise AssertionError("it never rests")

    def do(self, action: Look | Leave) -> None:
        if isinstance(action, Look):
            self.looks.append(self.now)
            self.watch.looked(self.found, Monotonic(self.now))
        else:
            self.left.append((self.now, action.tag))
            answer = self.answers.get(action.tag, Watched(self.status()))
            self.watch.left(action.tag, answer, Monotonic(self.now))

    def status(self) -> WatchStatus:
        is_away = self.found is not None and self.found.state is OFFLINE
        return WatchStatus.AWAY if is_away else WatchStatus.HERE

    def run(self, seconds: float) -> None:
        """Let time pass, doing what is due when it is due."""
        end = self.now + seconds
        self.do_what_is_due()
        while (due := self.watch.next_timeout()) <= end:
            assert due > self.now, "it wakes up for nothing"
            self.now = due
            self.do_what_is_due()
        self.now = end

    def tell(self, number: int, change: Change | None, sequence=0) -> None:
        self.watch.changed(tag(number), change, sequence, Monotonic(self.now))

    def looks_since(self, time: float) -> int:
        return sum(look >= time for look in self.looks)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def started(bench: Bench, found: LookupResult) -> float:
    bench.found = found
    bench.run(10)
    return bench.now


def test_it_looks_once_and_leaves_handles_at_the_two_lowest_slots(bench):
    started(bench, online(record(2, 5), record(0, 6), record(1, 7)))

    assert bench.watch.view == View(ONLINE)
    assert len(bench.looks) == 1
    assert [left for _, left in bench.left] == [tag(0), tag(1)]
    assert bench.watch.handles == 2


def test_while_handles_lie_it_hardly_looks(bench):
    start = started(bench, online(record(0, 5), record(1, 6)))
    bench.run(10 * HOUR)

    assert 8 <= bench.looks_since(start) <= 14
    # 600 at two points would be polling; each handle is renewed before its hour is over.
    times = [time for time, left in bench.left if left == tag(0)]
    gaps = [later - time for time, later in pairwise(times)]
    assert all(0.8 * HOUR <= gap <= 0.95 * HOUR for gap in gaps)


def test_a_point_that_dies_is_looked_into_while_another_still_stands(bench):
    start = started(bench, online(record(0, 5), record(1, 6)))
    bench.tell(0, Change.GONE)

    assert bench.watch.view == View(ONLINE)
    bench.found = online(record(1, 6), record(3, 7))
    bench.run(20)

    assert 5 <= bench.looks[-1] - start <= 15
    assert bench.left[-1][1] == tag(3)


def test_gone_everywhere_is_unknown_at_once_until_a_newer_record(bench):
    start = started(bench, online(record(0, 5), record(1, 6)))
    bench.tell(0, Change.GONE)
    bench.tell(1, Change.GONE)

    assert bench.watch.view == GONE
    bench.run(60)
    assert bench.watch.view == GONE  # the old records are still found, and say nothing
    assert 2 <= bench.looks_since(start) <= 5

    bench.found = online(record(0, 5), record(1, 6), record(4, 9))
    bench.run(120)
    assert bench.watch.view == View(ONLINE)
    assert bench.left[-1][1] == tag(4)


def test_a_point_that_was_gone_counts_again_with_a_newer_record(bench):
    started(bench, online(record(0, 5)))
    bench.tell(0, Change.GONE)
    bench.found = online(record(0, 6))
    bench.run(20)

    assert bench.watch.view == View(ONLINE)
    assert bench.watch.handles == 1


@pytest.mark.parametrize("change", [Change.ABSENT, Change.STATUS, Change.MOVED])
def test_a_change_is_looked_for_soon_and_until_it_shows(bench, change):
    start = started(bench, online(record(0, 5), record(1, 6)))
    bench.tell(0, change, 9)
    assert bench.watch.view == View(ONLINE)  # a point alone is not believed
    bench.run(2.9)
    assert bench.looks_since(start) >= 1
    assert 0.5 <= bench.looks[1] - start <= 3

    bench.found = offline(record(0, 9, is_absence=True))
    bench.run(10)

    assert bench.watch.view == View(OFFLINE)
    looked = len(bench.looks)
    bench.run(300)
    assert len(bench.looks) == looked


def test_of_two_points_that_tell_the_same_only_the_first_costs_a_look_up(bench):
    start = started(bench, online(record(0, 5), record(1, 6)))
    bench.found = online(record(0, 5), record(1, 6), status="busy", status_sequence=9)
    bench.tell(0, Change.STATUS, 9)
    bench.run(5)
    bench.tell(1, Change.STATUS, 9)
    bench.run(100)

    assert bench.watch.view == View(ONLINE, "busy")
    assert bench.looks_since(start) == 1
    assert bench.watch.handles == 2


def test_who_is_away_is_watched_at_its_mailboxes(bench):
    away = offline(*(record(n, 5 + n, is_absence=True) for n in range(3)))
    start = started(bench, away)
    assert bench.watch.view == View(OFFLINE)
    assert [left for _, left in bench.left] == [tag(0), tag(1)]

    bench.tell(1, Change.BACK, 6)
    bench.run(5)
    assert bench.watch.view == View(OFFLINE)
    bench.found = online(record(7, 20))
    bench.run(20)

    assert bench.watch.view == View(ONLINE)
    assert 2 <= bench.looks_since(start) <= 4


def test_what_was_missed_before_the_handle_lay_is_looked_for(bench):
    bench.answers[tag(0)] = Watched(WatchStatus.HERE, 9)
    started(bench, online(record(0, 5)))
    bench.found = online(record(0, 5), status="new", status_sequence=9)
    bench.run(10)

    assert bench.watch.view == View(ONLINE, "new")
    looked = len(bench.looks)
    assert looked <= 5
    bench.run(300)
    assert len(bench.looks) == looked


@pytest.mark.parametrize(
    ("found", "status", "truth"),
    [
        (online(record(0, 5)), WatchStatus.AWAY, offline(record(0, 8))),
        (
            offline(record(0, 5, is_absence=True)),
            WatchStatus.HERE,
            online(record(0, 8)),
        ),
    ],
)
def test_a_point_that_disagrees_with_the_record_makes_us_look(
    bench, found, status, truth
):
    bench.answers[tag(0)] = Watched(status)
    bench.found = found
    bench.do_what_is_due()
    bench.found = truth
    bench.run(4)

    assert bench.watch.view == View(truth.state)


def test_silence_everywhere_is_unknown_until_somebody_is_heard_again(bench):
    start = started(bench, online(record(0, 5), record(1, 6), status="here"))
    bench.answers[tag(0)] = bench.answers[tag(1)] = Watched(WatchStatus.SILENT)
    bench.tell(0, Change.SILENT)
    assert bench.watch.view == View(ONLINE, "here")
    bench.tell(1, Change.SILENT)
    assert bench.watch.view == GONE

    bench.run(60)  # the records are still found, and handles lie again
    assert bench.watch.view == GONE
    assert bench.watch.handles == 2
    assert 1 <= bench.looks_since(start) <= 4
    bench.tell(1, Change.HEARD)
    assert bench.watch.view == View(ONLINE, "here")


def test_a_silent_point_counts_again_when_its_record_is_renewed(bench):
    started(bench, online(record(0, 5)))
    bench.answers[tag(0)] = Watched(WatchStatus.SILENT)
    bench.tell(0, Change.SILENT)
    bench.run(60)
    assert bench.watch.view == GONE

    bench.answers[tag(0)] = Watched(WatchStatus.HERE)
    bench.found = online(record(0, 9))
    bench.run(200)
    assert bench.watch.view == View(ONLINE)


def test_no_such_tag_means_gone(bench):
    bench.answers[tag(0)] = Watched(WatchStatus.NO_SUCH_TAG)
    started(bench, online(record(0, 5)))

    assert bench.watch.view == GONE


def test_without_any_handle_it_looks_less_and_less_often(bench):
    bench.answers[tag(0)] = None
    start = started(bench, online(record(0, 5)))
    bench.run(12 * HOUR)

    assert bench.watch.view == View(ONLINE)
    gaps = [later - time for time, later in pairwise(bench.looks)]
    assert max(gaps) <= 1.25 * CONFIG.retry[1]
    assert bench.looks_since(start) <= 12 * 6


def test_an_hour_without_handles_costs_no_more_than_a_twentieth_of_polling():
    for seed in range(20):
        bench = Bench(seed)
        bench.found = LookupResult(OFFLINE, (), 5)
        bench.run(HOUR)
        # 120 would be polling; jitter may bring one more into the hour.
        assert len(bench.looks) <= 7


def test_something_new_makes_it_look_more_often_again(bench):
    started(bench, nothing())
    bench.run(6 * HOUR)
    bench.found = online(record(0, 5))
    bench.answers[tag(0)] = Watched(WatchStatus.BUSY)
    bench.run(0.4 * HOUR)
    assert bench.watch.view == View(ONLINE)

    start = bench.now
    bench.found = online(record(1, 9))
    bench.answers[tag(1)] = Watched(WatchStatus.BUSY)
    bench.run(HOUR)

    assert bench.looks_since(start) >= 4


def test_no_answer_to_a_look_up_leaves_what_points_would_have_told(bench):
    started(bench, online(record(0, 5)))
    bench.found = None
    bench.run(3 * HOUR)
    assert bench.watch.view == View(ONLINE)

    bench.answers[tag(0)] = None
    bench.run(3 * HOUR)
    assert bench.watch.view == View(UNKNOWN)


def test_after_an_outage_of_our_own_nothing_is_held_against_others(bench):
    started(bench, online(record(0, 5), record(1, 6)))
    bench.watch.handles_lost([tag(0), tag(1)])
    bench.answers[tag(0)] = bench.answers[tag(1)] = None
    bench.found = nothing()
    bench.run(4 * HOUR)
    assert bench.watch.view == View(UNKNOWN)
    assert bench.watch.is_cut_off

    bench.answers.clear()
    bench.found = online(record(0, 5), record(1, 6))
    bench.run(1.25 * CONFIG.retry_cut_off[1])
    assert bench.watch.view == View(ONLINE)
    assert bench.watch.handles == 2


def test_a_wrong_clock_makes_everything_unknown_until_it_is_right(bench):
    started(bench, online(record(0, 5)))
    bench.watch.looked(None, Monotonic(bench.now), is_clock_off=True)
    assert bench.watch.view == View(UNKNOWN, reason=WatchReason.CLOCK)

    bench.run(200)
    assert bench.watch.view == View(ONLINE)


def test_lost_handles_are_left_anew_without_a_look_up(bench):
    start = started(bench, online(record(0, 5), record(1, 6)))
    bench.watch.handles_lost([tag(0), tag(1), tag(9)])
    bench.run(60)

    assert bench.looks_since(start) == 0
    assert bench.watch.handles == 2


def test_a_busy_point_is_passed_over_for_the_third(bench):
    bench.answers[tag(0)] = Watched(WatchStatus.BUSY)
    started(bench, online(record(0, 5), record(1, 6), record(2, 7)))

    assert [left for _, left in bench.left] == [tag(0), tag(1), tag(2)]
    assert bench.watch.handles == 2


LIES = {
    "tells at once": lambda bench: bench.tell(0, Change.STATUS, 1),
    "tells of what never comes": lambda bench: bench.tell(0, Change.STATUS, 2**63),
    "says that the owner is back": lambda bench: bench.tell(0, Change.BACK, 2**63),
    "sends what does not open": lambda bench: bench.tell(0, None),
    "says that the circuit is gone": lambda bench: bench.tell(0, Change.GONE),
    "says that nothing is heard": lambda bench: bench.tell(0, Change.SILENT),
    "says that something is heard": lambda bench: bench.tell(0, Change.HEARD),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lying_point_costs_less_than_polling_would(bench, lie):
    """It lies as often as it can: at each handle, at once."""
    bench.found = online(record(0, 5), record(1, 6))
    start, left = bench.now, 0
    while bench.now < start + 5 * HOUR:
        bench.run(1)
        has_handle = any(gave == tag(0) for _, gave in bench.left[left:])
        left = len(bench.left)
        if has_handle:
            lie(bench)

    polls = 5 * HOUR / 30
    assert bench.looks_since(start) <= polls / 8
    assert len(bench.left) <= polls / 8
    # The honest point is not forgotten over it, nor believed the less.
    assert bench.watch.view == View(ONLINE)
    bench.found = offline(record(1, 9, is_absence=True))
    bench.tell(1, Change.ABSENT, 9)
    bench.run(4)
    assert bench.watch.view == View(OFFLINE)


def test_a_point_that_claims_to_remember_what_never_was_is_doubted(bench):
    bench.answers[tag(0)] = Watched(WatchStatus.HERE, 2**63)
    start = started(bench, online(record(0, 5)))
    bench.run(5 * HOUR)

    assert bench.looks_since(start) <= 5 * HOUR / 30 / 8


def test_a_point_that_never_tells_is_found_out_by_a_look_up(bench):
    started(bench, online(record(0, 5)))
    bench.found = offline(record(0, 9, is_absence=True))
    bench.run(CONFIG.check[1])

    assert bench.watch.view == View(OFFLINE)


@pytest.mark.parametrize("seed", range(10))
def test_whatever_points_say_it_neither_fails_nor_polls(seed):
    """Three points that answer and tell anything, at any time."""
    dice = random.Random(seed)
    bench = Bench(seed)
    bench.found = online(*(record(n, 5 + n) for n in range(3)))
    start = bench.now
    sequences = (0, 5, 9, 2**63, 2**64 - 1)
    while bench.now < start + 5 * HOUR:
        number = dice.randrange(4)
        status = dice.choice([None, *WatchStatus])
        answer = None if status is None else Watched(status, dice.choice(sequences))
        bench.answers[tag(number)] = answer
        bench.tell(number, dice.choice([None, *Change]), dice.choice(sequences))
        bench.run(dice.choice((0.1, 3, 60, 600)))

    polls = 5 * HOUR / 30
    assert bench.looks_since(start) <= polls / 2
    assert len(bench.left) <= polls / 2
    assert bench.watch.view is not None


@pytest.mark.parametrize("seed", range(20))
def test_it_follows_honest_points_through_any_history(seed):
    """A user who comes, goes, moves and vanishes; the obvious version is her own state."""
    dice = random.Random(seed)
    bench = Bench(seed)
    sequence, number = 10, 0
    here: dict[int, int] = {}
    text, said_at = "", 0
    bench.run(1)
    for _ in range(60):
        sequence += 1
        watched = [n for n in here if any(left == tag(n) for _, left in bench.left)]
        move = dice.choice(("appear", "vanish", "status", "leave"))
        change, told = None, watched
        if move == "appear":
            number += 1
            here[number] = sequence
        elif move == "vanish" and here:
            lost = dice.choice(list(here))
            del here[lost]  # the record is still found: it lives for half an hour
            bench.answers[tag(lost)] = Watched(WatchStatus.NO_SUCH_TAG)
            change, told = Change.GONE, [lost] if lost in watched else []
        elif move == "status" and here:
            text, said_at, change = str(sequence), sequence, Change.STATUS
        elif move == "leave" and here:
            absences = (record(n, sequence, is_absence=True) for n in here)
            bench.found, here, change = offline(*absences), {}, Change.ABSENT
        if here:
            points = (record(n, s) for n, s in here.items())
            bench.found = online(*points, status=text, status_sequence=said_at)
        for n in told if change else ():
            bench.tell(n, change, sequence)
        bench.run(CONFIG.check_absent[1] + 60)
        assert bench.watch.view is not None
        if here:
            assert bench.watch.view == View(ONLINE, text)
        else:
            assert bench.watch.view.state in {UNKNOWN, OFFLINE}
