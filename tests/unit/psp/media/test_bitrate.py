"""What video gets of a session's bitrate, and when (psp/media/bitrate.py)."""

import random
from itertools import pairwise

import pytest

from psp.media.bitrate import AUDIO_SHARE, Follower, PacedPipe, video_bitrate
from psp.testing.media import MemoryPipe
from psp.units import Monotonic


def test_video_gets_what_audio_leaves_less_a_reserve():
    alone = video_bitrate(3_000_000, audio=0, video=1)
    beside = video_bitrate(3_000_000, audio=1, video=1)

    assert 2_200_000 < alone < 2_400_000
    assert alone - beside == pytest.approx(0.8 * AUDIO_SHARE)
    assert video_bitrate(3_000_000, audio=0, video=2) < alone / 2
    assert video_bitrate(100_000, audio=2, video=1) == 0
    assert video_bitrate(3_000_000, audio=0, video=0) > 0


def test_a_pipe_in_memory_is_not_paced():
    assert not isinstance(MemoryPipe.pair()[0], PacedPipe)


def run(wanted, present=1_000_000.0, step=1 / 30):
    """Follow one wish per frame; return (time, target) of each change."""
    follower = Follower(Monotonic(0.0))
    changes = []
    for number, wish in enumerate(wanted):
        chosen = follower.choose(present, wish, Monotonic(number * step))
        if chosen != present:
            changes.append((number * step, chosen))
            present = chosen
    return changes


def test_it_falls_at_once_and_rises_to_what_was_there_for_a_second():
    wanted = [600_000] * 60 + [1_200_000] * 15 + [900_000] * 60

    changes = run(wanted)

    assert changes[0] == (0.0, 600_000)
    assert [target for _, target in changes] == [600_000, 900_000]
    assert 3.0 <= changes[1][0] <= 4.1


def test_little_is_no_reason_for_a_key_frame():
    dice = random.Random(3)

    assert run([1_000_000 * dice.uniform(0.91, 1.09) for _ in range(900)]) == []


def test_falls_are_half_a_second_apart_unless_deep():
    steady = run([1_000_000 * 0.99**number for number in range(60)])
    deep = run([800_000, 700_000, 300_000])

    assert all(after[0] - before[0] >= 0.5 for before, after in pairwise(steady))
    assert [target for _, target in deep] == [800_000, 300_000]


def test_a_saw_tooth_between_two_backoffs_is_followed_at_its_foot():
    saw = [1_000_000 * (0.75 + 0.25 * (number % 20) / 20) for number in range(300)]

    changes = run(saw, present=2_000_000.0)

    assert len(changes) <= 2
    assert changes[-1][1] <= 850_000
