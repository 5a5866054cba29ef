"""Audio in order, with a delay that ends when its cause does."""

from psp.media.assembly import MAX_LATE
from psp.media.audio_order import MAX_HELD, AudioOrder
from psp.media.stats import TrackStats
from psp.units import Monotonic, Seconds

PATIENCE = Seconds(0.12)
FRAME = 0.02


class Ear:
    def __init__(self, first: int = 65000) -> None:
        self.stats = TrackStats()
        self.order = AudioOrder(self.stats, PATIENCE)
        self.first = first
        self.heard: dict[int, float] = {}

    def packet(self, number: int, now: float) -> None:
        self.order.add(
            (self.first + number) & 0xFFFF,
            (number * 960) & 0xFFFFFFFF,
            b"%d" % number,
            Monotonic(now),
        )
        self.advance(now)

    def advance(self, now: float) -> None:
        for frame in self.order.advance(Monotonic(now)):
            self.heard[int(frame.data)] = now

    def run_timers(self, until: float) -> None:
        while (when := self.order.next_timeout()) is not None and when <= until:
            self.advance(when)


def test_packets_in_order_leave_at_once():
    ear = Ear()

    for number in range(100):
        ear.packet(number, number * FRAME)

    assert ear.heard == {number: number * FRAME for number in range(100)}
    assert ear.order.next_timeout() is None


def test_lost_packet_costs_one_frame_and_no_lasting_delay():
    ear = Ear()

    for number in range(100):
        ear.run_timers(number * FRAME)
        if number != 50:
            ear.packet(number, number * FRAME)

    assert sorted(set(range(100)) - set(ear.heard)) == [50]
    assert ear.stats.lost == 1
    delays = {number: now - number * FRAME for number, now in ear.heard.items()}
    assert max(delays.values()) <= PATIENCE + 1e-9
    assert all(delays[number] < 1e-9 for number in range(60, 100))


def test_overtaken_packet_is_put_back_in_order():
    ear = Ear()

    for number, now in ((0, 0.0), (2, 0.04), (1, 0.05), (3, 0.06)):
        ear.packet(number, now)

    assert list(ear.heard) == [0, 1, 2, 3]
    assert ear.stats.lost == 0


def test_packet_after_its_time_is_counted_and_ignored():
    ear = Ear()
    ear.packet(0, 0.0)
    ear.packet(2, 0.04)
    ear.advance(0.2)

    ear.packet(1, 0.21)

    assert list(ear.heard) == [0, 2]
    assert ear.stats.late == 1


def test_waiting_packets_are_bounded():
    ear = Ear()
    ear.packet(0, 0.0)

    for number in range(2, MAX_HELD + 2):
        ear.packet(number, 0.0)

    assert len(ear.heard) == MAX_HELD + 1


def test_sender_that_starts_over_is_followed():
    ear = Ear()
    ear.packet(0, 0.0)
    ear.first -= 10000

    for number in range(1, MAX_LATE + 2):
        ear.packet(number, number * FRAME)

    assert MAX_LATE + 1 in ear.heard
