"""What happens to datagrams (psp/testing/weather.py)."""

import pytest

from psp.testing.weather import Arrival, Sky, Weather, split_train
from psp.units import Monotonic, Seconds

ALICE, BOB, CAROL = ("192.0.2.1", 1), ("192.0.2.2", 2), ("192.0.2.3", 3)
START = Monotonic(100.0)
MANY = [number.to_bytes(2) for number in range(10_000)]


def carry(weather, packets=MANY, seed=0):
    """Return the sky after it carried ``packets`` one by one, and all arrivals."""
    sky = Sky(weather, seed)
    arrivals = []
    for packet in packets:
        arrivals += sky.carry(ALICE, BOB, [packet], START)
    return sky, arrivals


def test_fair_weather_keeps_a_train_together():
    assert Sky().carry(ALICE, BOB, [b"a", b"b"], START) == [
        Arrival(Monotonic(100.05), [b"a", b"b"])
    ]


def test_loss_takes_its_share():
    sky, arrivals = carry(Weather(loss=0.3))

    assert sky.stats.lost == pytest.approx(3_000, abs=150)
    assert len(arrivals) == 10_000 - sky.stats.lost == sky.stats.carried


def test_duplicates_arrive_twice():
    sky, arrivals = carry(Weather(duplication=0.1))

    assert sky.stats.doubled == pytest.approx(1_000, abs=100)
    assert len(arrivals) == 10_000 + sky.stats.doubled


def test_jitter_delays_and_keeps_the_order():
    _, arrivals = carry(Weather(jitter=Seconds(0.1)))

    times = [arrival.time for arrival in arrivals]
    assert times == sorted(times)
    assert 100.05 <= times[0] <= times[-1] <= 100.15


def test_reordered_datagrams_are_overtaken():
    sky, arrivals = carry(Weather(reorder=0.25))

    order = [arrival.packets[0] for arrival in sorted(arrivals, key=lambda a: a.time)]
    assert sky.stats.held_back == pytest.approx(2_500, abs=150)
    assert order != MANY
    assert sorted(order) == MANY


def test_corruption_flips_one_bit():
    packets = [bytes(100)] * 1_000
    sky, arrivals = carry(Weather(corruption=0.1), packets)

    changed = [a.packets[0] for a in arrivals if a.packets[0] != bytes(100)]
    assert len(changed) == sky.stats.corrupted == pytest.approx(100, abs=40)
    assert {int.from_bytes(packet).bit_count() for packet in changed} == {1}


def test_narrow_path_queues_and_then_drops():
    sky, arrivals = carry(Weather(rate=1_000.0, max_queue=Seconds(0.25)))

    assert len(arrivals) == pytest.approx(250, abs=1)
    assert sky.stats.queue_full == 10_000 - len(arrivals)
    assert arrivals[-1].time == pytest.approx(100.05 + 0.25, abs=0.002)


def test_narrow_path_is_free_again_later():
    sky, _ = carry(Weather(rate=1_000.0))

    later = sky.carry(ALICE, BOB, [b"x"], Monotonic(START + 1.0))

    assert later[0].time == pytest.approx(101.051)


def test_weather_by_path_prefers_the_more_specific():
    sky = Sky()
    sky.set_path(None, BOB[0], Weather(latency=Seconds(1.0)))
    sky.set_path(ALICE[0], None, Weather(latency=Seconds(2.0)))
    sky.set_path(ALICE[0], BOB[0], Weather(latency=Seconds(3.0)))

    def latency(source, destination):
        return sky.carry(source, destination, [b"x"], START)[0].time - START

    assert latency(CAROL, BOB) == 1.0
    assert latency(ALICE, CAROL) == 2.0
    assert latency(ALICE, BOB) == 3.0
    assert latency(BOB, CAROL) == pytest.approx(0.05)


def test_one_path_does_not_depend_on_the_traffic_of_another():
    weather = Weather(loss=0.5, jitter=Seconds(0.1))
    alone, busy = Sky(weather, 4), Sky(weather, 4)

    for _ in range(100):
        busy.carry(CAROL, BOB, [b"x"], START)
        assert alone.carry(ALICE, BOB, [b"y"], START) == busy.carry(
            ALICE, BOB, [b"y"], START
        )


def test_same_seed_same_weather_and_another_seed_another():
    weather = Weather(loss=0.5)

    assert carry(weather, seed=1)[1] == carry(weather, seed=1)[1]
    assert carry(weather, seed=1)[1] != carry(weather, seed=2)[1]


def test_dead_hosts_and_partitions_cut_datagrams_off():
    sky = Sky()
    sky.kill(BOB)
    sky.part([ALICE[0]], [CAROL[0]])

    assert sky.carry(ALICE, BOB, [b"x"], START) == []
    assert sky.carry(ALICE, CAROL, [b"x", b"y"], START) == []
    assert sky.stats.cut_off == 3

    sky.revive(BOB)
    sky.heal()

    assert sky.reaches(ALICE, BOB)
    assert sky.reaches(ALICE, CAROL)


@pytest.mark.parametrize(
    ("parts", "packets", "expected"),
    [
        ([b"ab", b"cd"], 1, [b"abcd"]),
        ([b"ab", b"cd"], 2, [b"ab", b"cd"]),
        ([b"a", b"bcd"], 2, [b"ab", b"cd"]),
        ([b""], 1, [b""]),
    ],
)
def test_trains_are_cut_by_count(parts, packets, expected):
    assert split_train(parts, packets) == expected


@pytest.mark.parametrize("packets", [2, 4])
def test_train_that_does_not_come_out_even_is_our_bug(packets):
    with pytest.raises(ValueError, match="do not make"):
        split_train([b"abc"[: 3 * (packets == 2)]], packets)
