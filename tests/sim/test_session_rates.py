"""What sessions make of a narrow path: its rate, short queues, fair shares.

Virtual time, seeded; see `tests.sim.bottleneck`. Rates are those of slower machines and
networks than ours, so that the tests are quick; the control knows no absolute rate.
"""

import pytest

from psp.endpoint.rate_control import BLOCK_BITS
from tests.sim.bottleneck import START, Call, Path, Place

MEGABIT = 1e6 / BLOCK_BITS
"""Blocks a second of one Mbit/s of datagrams."""

SEEDS = [1, 2, 3]


def run(path: Path, *calls: Call, seconds: float, seed: int = 1) -> Place:
    place = Place(path, list(calls), seed)
    place.run(seconds)
    return place


def utilisation(path: Path, since: float, until: float) -> float:
    passed = sum(START + since <= at < START + until for at in path.passed)
    return passed / (path.rate * (until - since))


def later(seconds: float) -> float:
    return START + seconds


def test_relays_on_loopback_are_filled_while_voice_passes_within_ten_ms():
    path = Path(rate=4000, buffer=0.05, delay=0.001)
    call = Call(bulk=True, voice=True)

    run(path, call, seconds=5.0)

    assert utilisation(path, 2.0, 5.0) > 0.9
    assert call.voice_delay(0.99, later(2.0)) < path.delay + 0.010


def test_two_megabits_with_a_long_buffer_are_filled_without_filling_the_buffer():
    path = Path(rate=2 * MEGABIT, buffer=0.2, delay=0.02)
    call = Call(bulk=True, voice=True)

    run(path, call, seconds=20.0)

    assert utilisation(path, 5.0, 20.0) > 0.9
    assert call.voice_delay(0.99, later(5.0)) < path.delay + 0.05
    assert call.voice_loss(later(0.0), later(19.0)) <= 0.005


@pytest.mark.parametrize("seed", SEEDS)
def test_seven_long_links_that_repair_do_not_look_like_a_queue(seed):
    path = Path(rate=5 * MEGABIT, buffer=0.2, delay=0.28, repaired=0.07, loss=0.001)
    call = Call(bulk=True, voice=True)

    run(path, call, seconds=24.0, seed=seed)

    assert utilisation(path, 12.0, 24.0) > 0.8
    # Three of the four chances of a word come within 60 ms; repair takes 80.
    assert call.voice_delay(0.99, later(12.0)) < path.delay + 0.14
    assert call.voice_loss(later(6.0), later(23.0)) <= 0.002


def test_a_path_without_limit_is_used_ever_more():
    path = Path(rate=0, delay=0.28, repaired=0.07, loss=0.001)
    call = Call(bulk=True)

    run(path, call, seconds=4.0)

    assert call.received(later(3.0), later(4.0)) > 50 * MEGABIT


@pytest.mark.parametrize("begins", [1.7, 2.0, 2.6])
def test_two_sessions_come_to_share_within_two_to_one(begins):
    path = Path(rate=600, buffer=0.1, delay=0.01)
    first, second = Call(bulk=True), Call(bulk=True, begins=begins)

    run(path, first, second, seconds=16.0)

    shares = [call.received(later(8.0), later(16.0)) for call in (first, second)]
    assert max(shares) < 2 * min(shares)
    assert sum(shares) > 0.85 * path.rate


def test_a_video_beside_bulk_keeps_what_it_needs():
    path = Path(rate=4000, buffer=0.05, delay=0.001)
    video = Call(video=0.85, video_limit=2.5e6, voice=True)

    run(path, video, Call(bulk=True, begins=1.0), seconds=10.0)

    assert video.received(later(3.0), later(10.0)) > 1.8 * MEGABIT
    assert video.voice_delay(0.99, later(3.0)) < path.delay + 0.02


def test_a_video_that_follows_its_session_s_bitrate_fits_a_narrow_path():
    path = Path(rate=2 * MEGABIT, buffer=0.2, delay=0.06, repaired=0.05)
    video = Call(video=0.85, voice=True)

    run(path, video, seconds=20.0)

    assert video.received(later(5.0), later(20.0)) > 1.0 * MEGABIT
    assert video.voice_delay(0.99, later(5.0)) < path.delay + 0.1
    assert video.sessions[0].sending.dropped < 30


@pytest.mark.parametrize("outage", [0.8, 3.0])
def test_after_an_outage_the_rate_comes_back(outage):
    path = Path(rate=5 * MEGABIT, buffer=0.2, delay=0.05)
    call = Call(bulk=True, voice=True)
    place = Place(path, [call])
    place.at(later(6.0), lambda: place.interrupt(outage))

    place.run(16.0)

    assert utilisation(path, 6.0 + outage + 5, 16.0) > 0.8
    assert call.voice_delay(0.99, later(6.0 + outage + 5)) < path.delay + 0.05


def test_marks_alone_keep_the_queue_short():
    path = Path(rate=4000, buffer=0.05, delay=0.001, mark_above=0.002)
    call = Call(bulk=True, voice=True)

    run(path, call, seconds=5.0)

    assert utilisation(path, 2.0, 5.0) > 0.8
    assert call.voice_delay(0.99, later(2.0)) < path.delay + 0.01


@pytest.mark.parametrize("seed", SEEDS)
def test_on_a_busy_machine_most_of_what_is_left_is_used(seed):
    path = Path(rate=6000, buffer=0.05, delay=0.001, turns=(0.004, 0.004))
    call = Call(bulk=True)

    run(path, call, seconds=5.0, seed=seed)

    assert utilisation(path, 2.0, 5.0) > 0.5 * 0.5


def test_an_idle_start_costs_the_first_picture_nothing():
    path = Path(rate=20 * MEGABIT, buffer=0.2, delay=0.05)
    video = Call(video=0.85, begins=0.0)

    run(path, video, seconds=5.0)

    assert video.sessions[0].sending.dropped == 0
    assert video.received(later(4.0), later(5.0)) > 4.5 * MEGABIT
