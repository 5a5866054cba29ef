"""Frames out of packets that get lost, late and doubled."""

import random

from hypothesis import given
from hypothesis import strategies as st

from psp.media.assembly import (
    KEY_FRAME_PAUSE,
    MAX_GAP,
    MAX_HELD,
    MAX_LATE,
    FrameAssembler,
    VideoPacket,
)
from psp.media.codec import Opening
from psp.media.missing import MAX_PER_REPORT, MAX_TRIES, MIN_PATIENCE
from psp.media.stats import TrackStats
from psp.units import Monotonic, Seconds

PATIENCE = Seconds(0.6)
ROUND_TRIP = Seconds(0.05)
TICKS = 3000
TIMER_SLACK = 0.0005
"""The receiver's timers fire later than this: no two sums of times are quite equal."""


class Stream:
    """Makes the packets of frames one after the other, and feeds them in."""

    def __init__(self, first_sequence: int = 100, first_timestamp: int = 5000) -> None:
        self.stats = TrackStats()
        self.assembler = FrameAssembler(self.stats, PATIENCE, lambda: ROUND_TRIP)
        self.sequence = first_sequence
        self.timestamp = first_timestamp
        self.number = 0
        self.out: list[bytes] = []

    def frame(self, packets: int, *, key: bool = False) -> list[VideoPacket]:
        first = Opening.KEY if key else Opening.DELTA
        made = [
            VideoPacket(
                (self.sequence + at) & 0xFFFF,
                self.timestamp & 0xFFFFFFFF,
                at == packets - 1,
                first if at == 0 else Opening.MIDDLE,
                (b"K" if key else b"D") + b"%d.%d/" % (self.number, at),
            )
            for at in range(packets)
        ]
        self.sequence += packets
        self.timestamp += TICKS
        self.number += 1
        return made

    def feed(self, packets: list[VideoPacket], now: float) -> list[bytes]:
        for packet in packets:
            self.assembler.add(packet, Monotonic(now))
        return self.advance(now)

    def advance(self, now: float) -> list[bytes]:
        released = [
            frame.data
            for frame in self.assembler.advance(Monotonic(now))
            if self.assembler.accept(is_key=frame.data.startswith(b"K"))
        ]
        self.out += released
        return released

    def asks(self, now: float) -> list[int]:
        return self.assembler.requests(Monotonic(now))

    def wants_key(self, now: float) -> bool:
        return self.assembler.wants_key_frame(Monotonic(now))


def started() -> Stream:
    stream = Stream()
    stream.feed(stream.frame(3, key=True), 0.0)
    return stream


def test_frame_is_released_on_its_marker():
    stream = Stream()

    released = stream.feed(stream.frame(3, key=True), 0.0)

    assert released == [b"K0.0/K0.1/K0.2/"]


def test_frame_without_a_marker_is_released_by_the_next_timestamp():
    stream = started()
    unmarked = [packet._replace(is_last=False) for packet in stream.frame(2)]

    assert stream.feed(unmarked, 0.1) == []
    assert len(stream.feed(stream.frame(1), 0.2)) == 2


def test_packets_in_any_order_make_the_same_frame():
    stream = started()
    packets = stream.frame(5)
    random.Random(1).shuffle(packets)

    assert stream.feed(packets, 0.1) == [b"D1.0/D1.1/D1.2/D1.3/D1.4/"]
    assert stream.stats.lost == 0


def test_missing_packet_is_asked_for_again_by_timer():
    stream = started()
    first, lost, last = stream.frame(3)
    stream.feed([first, last], 0.1)

    asked_at = []
    now = 0.1
    while (when := stream.assembler.next_timeout()) is not None and when < 0.69:
        now = when
        if stream.asks(now) == [lost.sequence]:
            asked_at.append(now)

    assert len(asked_at) >= 3
    assert stream.feed([lost], now) == [b"D1.0/D1.1/D1.2/"]
    assert stream.stats.recovered == 1


def test_whole_key_frame_is_not_kept_waiting_by_a_hole_before_it():
    stream = started()
    stream.frame(2)
    key = stream.frame(3, key=True)
    after = stream.frame(1)

    assert stream.feed([*key[:2], *after], 0.10) == []
    assert stream.advance(0.11 + PATIENCE / 2) == []
    assert stream.feed(key[2:], 0.12 + PATIENCE / 2) == [b"K2.0/K2.1/K2.2/", b"D3.0/"]
    assert stream.stats.lost == 2
    assert stream.stats.key_frame_requests == 0


def test_hole_before_a_key_frame_is_given_the_time_that_links_need():
    stream = started()
    hole = stream.frame(1)
    key = stream.frame(1, key=True)

    assert stream.feed(key, 0.1) == []
    assert stream.feed(hole, 0.1 + MIN_PATIENCE / 2) == [b"D1.0/", b"K2.0/"]


def test_patience_and_pauses_follow_the_round_trip():
    round_trip = Seconds(0.05)
    assembler = FrameAssembler(TrackStats(), PATIENCE, lambda: round_trip)
    assert (assembler.patience, assembler.key_frame_pause) == (
        PATIENCE,
        KEY_FRAME_PAUSE,
    )

    round_trip = Seconds(0.6)

    assert 1.0 >= assembler.patience > 1.2 * round_trip
    assert assembler.key_frame_pause > round_trip


def test_a_packet_is_not_asked_for_without_end():
    stream = started()
    stream.frame(1)
    stream.feed(stream.frame(1), 0.1)

    asked = sum(bool(stream.asks(0.1 + step * 10)) for step in range(1, 50))

    assert asked == MAX_TRIES


def test_overtaken_packet_is_not_asked_for():
    stream = started()
    first, second = stream.frame(1), stream.frame(1)

    stream.feed(second, 0.1)
    asked = stream.asks(0.1)
    stream.feed(first, 0.102)

    assert asked == []
    assert stream.asks(1.0) == []


def test_hole_is_skipped_after_patience_and_nothing_damaged_follows():
    stream = started()
    stream.frame(2)
    for step in range(5):
        stream.feed(stream.frame(2), 0.1 + step / 30)

    released = stream.advance(0.1 + PATIENCE + 0.001)

    assert released == []
    assert stream.stats.lost == 2
    assert stream.wants_key(0.71)
    assert stream.feed(stream.frame(2), 0.75) == []
    key = stream.feed(stream.frame(4, key=True), 0.8)
    assert [frame[:2] for frame in key] == [b"K8"]
    assert len(stream.feed(stream.frame(1), 0.83)) == 1


def test_key_frame_request_is_repeated_until_one_comes():
    stream = started()
    stream.assembler.require_key_frame()

    asked = [now / 10 for now in range(10, 30) if stream.wants_key(now / 10)]
    stream.feed(stream.frame(1, key=True), 3.0)

    assert len(asked) >= 4
    assert asked[1] - asked[0] >= KEY_FRAME_PAUSE - 1e-9
    assert not stream.wants_key(9.0)


def test_start_of_a_key_frame_ends_the_wait_behind_a_hole():
    stream = started()
    stream.frame(1)
    stream.feed(stream.frame(1), 0.1)
    stream.assembler.require_key_frame()

    released = stream.feed(stream.frame(2, key=True), 0.2)

    assert [frame[:2] for frame in released] == [b"K3"]
    assert stream.asks(0.3) == []


def test_key_frame_with_a_hole_is_repaired_not_skipped():
    stream = started()
    stream.assembler.require_key_frame()
    first, lost, last = stream.frame(3, key=True)
    stream.feed([first, last], 0.1)

    assert stream.asks(0.2) == [lost.sequence]
    assert not stream.wants_key(0.2)
    assert len(stream.feed([lost], 0.25)) == 1


def test_whole_key_frame_before_a_hole_does_not_excuse_what_follows_the_hole():
    """Both holes are of one outage; the key frame's is filled at the last moment."""
    stream = Stream()
    key_start, key_end = stream.frame(2, key=True)
    stream.frame(1)
    stream.feed([key_start, *stream.frame(1)], 0.1)

    released = stream.feed([key_end], 0.1 + PATIENCE + 0.001)

    assert [frame[:2] for frame in released] == [b"K0"]
    assert stream.wants_key(0.71)
    assert stream.feed(stream.frame(1), 0.72) == []


def test_hole_behind_a_repaired_key_frame_is_waited_for():
    stream = started()
    stream.assembler.require_key_frame()
    key_start, key_end = stream.frame(2, key=True)
    start, lost = stream.frame(2)
    stream.feed([key_start, start, *stream.frame(1)], 0.1)

    released = stream.feed([key_end], 0.2)

    assert [frame[:2] for frame in released] == [b"K1"]
    assert [frame[:2] for frame in stream.feed([lost], 0.3)] == [b"D2", b"D3"]


def test_no_timer_is_left_in_the_past_while_a_key_frame_comes_in():
    stream = started()
    stream.assembler.require_key_frame()
    assert stream.wants_key(0.1)
    stream.feed(stream.frame(3, key=True)[:1], 0.2)

    later = 0.1 + KEY_FRAME_PAUSE + 0.001
    stream.advance(later)

    assert not stream.wants_key(later)
    assert stream.assembler.next_timeout() is None


def test_joining_in_the_middle_of_a_frame_withholds_it():
    stream = Stream()
    packets = stream.frame(4, key=True)

    assert stream.feed(packets[1:], 0.0) == []
    assert stream.wants_key(0.0)
    assert len(stream.feed(stream.frame(2, key=True), 0.1)) == 1


def test_long_outage_ends_in_a_key_frame_not_in_requests():
    stream = started()
    for _ in range(120):
        stream.frame(2)

    released = stream.feed(stream.frame(2), 4.0)

    assert released == []
    assert stream.asks(4.1) == []
    assert stream.wants_key(4.1)
    assert len(stream.feed(stream.frame(3, key=True), 4.3)) == 1


def test_long_gap_without_a_pause_is_an_outage_too():
    stream = started()
    for _ in range(MAX_GAP + 1):
        stream.frame(1)

    stream.feed(stream.frame(1), 0.01)

    assert stream.asks(0.1) == []
    assert stream.wants_key(0.1)


def test_wild_sequence_numbers_do_not_pile_up():
    stream = started()

    for step in range(200):
        stream.sequence += 200
        stream.feed(stream.frame(1), 0.1 + step / 10_000)

    assert stream.stats.lost >= 190 * 200
    assert stream.asks(0.2) == []


def test_requests_are_bounded():
    stream = started()
    for _ in range(MAX_GAP):
        stream.frame(1)
    stream.feed(stream.frame(1), 0.01)

    assert len(stream.asks(0.1)) == MAX_PER_REPORT


def test_packets_held_behind_a_hole_are_bounded():
    stream = started()
    stream.frame(1)

    for _ in range(MAX_HELD + 2):
        stream.feed(stream.frame(1), 0.1)

    assert stream.stats.lost == 1
    assert stream.wants_key(0.1)


def test_sender_that_starts_over_is_followed():
    stream = started()
    stream.sequence -= 5000

    for _ in range(MAX_LATE + 1):
        stream.feed(stream.frame(1), 0.2)

    assert stream.wants_key(0.2)
    assert len(stream.feed(stream.frame(1, key=True), 0.3)) == 1


def test_doubled_packets_are_counted_and_ignored():
    stream = started()
    packets = stream.frame(2)

    stream.feed(packets + packets, 0.1)

    assert len(stream.out) == 2
    assert stream.stats.late == 2


def test_sequence_and_timestamp_wrap_without_a_hitch():
    stream = Stream(first_sequence=65530, first_timestamp=(1 << 32) - 2 * TICKS)
    stamps = []
    for number in range(12):
        for packet in stream.frame(2, key=number == 0):
            stream.assembler.add(packet, Monotonic(0.0))
        stamps += [f.timestamp for f in stream.assembler.advance(Monotonic(0.0))]

    assert stamps == [number * TICKS for number in range(12)]


def test_padding_after_a_marker_is_no_frame():
    stream = started()
    padding = stream.frame(1)[0]._replace(data=b"", opening=Opening.MIDDLE)

    assert stream.feed([padding], 0.1) == []
    assert len(stream.feed(stream.frame(1), 0.2)) == 1


@given(st.integers(0, 2**32), st.floats(0, 0.3))
def test_every_released_frame_is_whole_and_follows_its_reference(seed, loss):
    weather = random.Random(seed)
    stream = Stream(first_sequence=weather.randrange(65536))
    sizes = {}
    now = 0.0
    for number in range(60):
        now += 1 / 30
        is_key = number == 0 or stream.wants_key(now)
        packets = stream.frame(weather.randint(1, 4), key=is_key)
        sizes[number] = (len(packets), is_key)
        survivors = [packet for packet in packets if weather.random() >= loss]
        weather.shuffle(survivors)
        stream.feed(survivors, now)

    check_references(stream.out, sizes)


@given(st.integers(0, 2**32), st.floats(0, 0.5), st.floats(0.001, 0.3))
def test_late_packets_and_late_timers_break_no_reference(seed, lateness, lag):
    """Retransmissions come up to a second late, the loop is up to ``lag`` behind."""
    weather = random.Random(seed)
    stream = Stream(first_sequence=weather.randrange(65536))
    sizes = {}
    coming: list[tuple[float, VideoPacket]] = []
    now = 0.0
    while stream.number < 60:
        now += weather.uniform(0.0, lag)
        while stream.number < min(60, now * 30):
            is_key = stream.number == 0 or stream.wants_key(now)
            packets = stream.frame(weather.randint(1, 4), key=is_key)
            sizes[stream.number - 1] = (len(packets), is_key)
            for packet in packets:
                is_late = weather.random() < lateness
                coming.append((now + weather.random() * is_late, packet))
        arrived = [packet for at, packet in coming if at <= now]
        coming = [(at, packet) for at, packet in coming if at > now]
        for packet in arrived:
            stream.feed([packet], now)
        stream.advance(now)

        stream.asks(now)
        stream.wants_key(now)
        due = stream.assembler.next_timeout()
        assert due is None or due > now - TIMER_SLACK

    check_references(stream.out, sizes)


def check_references(released: list[bytes], sizes: dict[int, tuple[int, bool]]) -> None:
    """Check that frames are whole and each but a key frame follows the one before."""
    last = -1
    for data in released:
        parts = data.split(b"/")[:-1]
        number = int(parts[0][1:].split(b".")[0])
        size, is_key = sizes[number]
        assert [int(part.split(b".")[1]) for part in parts] == list(range(size))
        assert is_key or number == last + 1
        last = number
