"""32 bad tags in 10 s."""

from psp.circuit.tags import MAX_BAD_TAGS, BadTagWatch
from psp.units import Monotonic


def test_the_32nd_bad_tag_within_ten_seconds_is_one_too_many():
    watch = BadTagWatch()

    verdicts = [watch.record(Monotonic(i * 0.3)) for i in range(MAX_BAD_TAGS)]

    assert verdicts == [False] * (MAX_BAD_TAGS - 1) + [True]


def test_slower_bad_tags_are_borne_for_ever():
    watch = BadTagWatch()

    assert not any(watch.record(Monotonic(i * 0.33)) for i in range(1000))


def test_the_window_slides():
    watch = BadTagWatch()
    for i in range(16):
        watch.record(Monotonic(i * 0.0))
    verdicts = [watch.record(Monotonic(9.0 + i * 0.01)) for i in range(16)]

    assert verdicts == [False] * 15 + [True]
