"""Cookies at a watch point: each leads to one circuit, once."""

from presence.config import WatchConfig
from presence.watch.held_cookies import HeldCookies


def cookies(*numbers: int) -> tuple[bytes, ...]:
    return tuple(number.to_bytes(20) for number in numbers)


def test_a_cookie_leads_to_its_circuit_once():
    held = HeldCookies(WatchConfig())
    assert held.hold(1, cookies(1, 2)) == 2
    assert held.hold(2, cookies(3)) == 1

    assert [held.use(cookie) for cookie in cookies(3, 1, 1, 4)] == [2, 1, None, None]
    assert len(held) == 1


def test_nobody_takes_over_the_cookie_of_another_circuit():
    held = HeldCookies(WatchConfig())
    held.hold(1, cookies(1))

    assert held.hold(2, cookies(1)) == 0
    assert held.use(cookies(1)[0]) == 1


def test_cookies_end_with_their_circuit():
    held = HeldCookies(WatchConfig())
    held.hold(1, cookies(1, 2))
    held.hold(2, cookies(3))

    held.circuit_closed(1)
    held.circuit_closed(99)

    assert [held.use(cookie) for cookie in cookies(1, 2, 3)] == [None, None, 2]


def test_a_circuit_at_its_limit_gives_up_its_oldest():
    held = HeldCookies(WatchConfig(cookies_per_circuit=3))
    held.hold(1, cookies(1, 2))
    assert held.hold(1, cookies(3, 4, 5)) == 3

    assert [held.use(cookie) for cookie in cookies(1, 2, 3)] == [None, None, 1]
    assert len(held) == 2


def test_when_all_is_full_nobody_gets_as_many_as_another_has_until_something_ends():
    held = HeldCookies(WatchConfig(max_cookies=4))
    assert held.hold(1, cookies(1, 2, 3)) == 3
    assert held.hold(2, cookies(4, 5, 6)) is None
    assert held.hold(1, cookies(1, 2, 3)) == 3  # asked again: nothing new

    held.circuit_closed(1)

    assert held.hold(2, cookies(4, 5, 6)) == 3


def test_a_hundred_greedy_circuits_keep_nobody_out():
    held = HeldCookies(WatchConfig())
    for circuit in range(110):
        for start in range(0, 512, 32):
            numbers = range(1_000 * circuit + start, 1_000 * circuit + start + 32)
            held.hold(circuit, cookies(*numbers))
    assert len(held) > 49_900

    for circuit in range(1_000, 1_500):
        numbers = range(1_000 * circuit, 1_000 * circuit + 8)
        assert held.hold(circuit, cookies(*numbers)) == 8
    assert len(held) <= 50_000
    assert held.use(cookies(1_000_000)[0]) == 1_000
    assert sum(map(len, held._of_circuit.values())) == len(held)
