"""Cookies: single use, one state machine each, bounded."""

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from psp.units import Monotonic, Seconds
from psp.wire.cell import Reason
from relay.config import RelayConfig
from relay.rendezvous_point import RendezvousPoint
from relay.stats import RelayStats

COOKIE = b"c" * 20
NOW = Monotonic(100.0)


def make_point(max_cookies: int = 4096) -> tuple[RendezvousPoint, RelayStats]:
    stats = RelayStats()
    return RendezvousPoint(RelayConfig(max_cookies=max_cookies), stats), stats


def test_first_joiner_gets_the_waiting_circuit():
    point, stats = make_point()

    assert point.establish(COOKIE, 1, NOW) is None
    assert point.join(COOKIE, 2) == 1

    assert (point.partner(1), point.partner(2)) == (2, 1)
    assert (stats.cookies_established, stats.cookies_joined) == (1, 1)


def test_second_joiner_on_a_used_cookie_is_refused():
    point, stats = make_point()
    point.establish(COOKIE, 1, NOW)
    point.join(COOKIE, 2)

    assert point.join(COOKIE, 3) is Reason.REFUSED
    assert point.partner(1) == 2
    assert stats.cookies_refused == 1


def test_asking_again_for_what_one_has_changes_nothing():
    point, stats = make_point()

    for _ in range(3):
        assert point.establish(COOKIE, 1, NOW) is None
    for _ in range(3):
        assert point.join(COOKIE, 2) == 1
        assert point.establish(COOKIE, 1, NOW) is None

    assert (stats.cookies_established, stats.cookies_joined) == (1, 1)
    assert stats.cookies_refused == 0


def test_who_waits_may_ask_again_before_its_time_is_over():
    point, stats = make_point()
    point.establish(COOKIE, 1, NOW)
    for seconds in (20.0, 40.0, 60.0):
        now = Monotonic(NOW + seconds)
        point.handle_timeout(now)
        assert point.establish(COOKIE, 1, now) is None

    assert point.join(COOKIE, 2) == 1
    assert stats.cookies_established == 1


def test_nobody_else_makes_a_cookie_last_longer():
    point, _ = make_point()
    point.establish(COOKIE, 1, NOW)

    assert point.establish(COOKIE, 3, Monotonic(NOW + 20)) is Reason.REFUSED
    point.handle_timeout(Monotonic(NOW + 30))

    assert point.join(COOKIE, 2) is Reason.REFUSED
    assert point.establish(COOKIE, 1, Monotonic(NOW + 31)) is Reason.REFUSED


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["E1", "J2", "J3", "E4", "J1"]))
)
def test_whatever_the_order_one_pair_at_most_is_joined(order):
    point, _ = make_point()
    outcomes = {}

    for step in order:
        key = int(step[1])
        outcomes[step] = (
            point.establish(COOKIE, key, NOW)
            if step[0] == "E"
            else point.join(COOKIE, key)
        )

    hosts = [step for step in ("E1", "E4") if outcomes[step] is None]
    guests = [
        step for step in ("J1", "J2", "J3") if not isinstance(outcomes[step], Reason)
    ]
    assert len(hosts) == 1
    assert len(guests) <= 1
    for guest in guests:
        assert outcomes[guest] == int(hosts[0][1]) != int(guest[1])
    assert point.audit()


def test_cookie_expires_after_thirty_seconds_and_stays_used_for_as_long():
    point, stats = make_point()
    point.establish(COOKIE, 1, NOW)

    point.handle_timeout(Monotonic(NOW + 30.0))

    assert stats.cookies_expired == 1
    assert point.join(COOKIE, 2) is Reason.REFUSED
    assert point.establish(COOKIE, 3, Monotonic(NOW + 59.0)) is Reason.REFUSED
    point.handle_timeout(Monotonic(NOW + 60.0))
    assert len(point) == 0
    assert point.next_timeout() is None


def test_joined_cookie_does_not_expire():
    point, _ = make_point()
    point.establish(COOKIE, 1, NOW)
    point.join(COOKIE, 2)

    point.handle_timeout(Monotonic(NOW + 3600.0))

    assert point.partner(2) == 1


@pytest.mark.parametrize("leaver", [1, 2])
def test_end_of_either_circuit_names_the_other_and_uses_the_cookie_up(leaver):
    point, _ = make_point()
    point.establish(COOKIE, 1, NOW)
    point.join(COOKIE, 2)

    assert point.circuit_closed(leaver, NOW) == 3 - leaver

    assert point.circuit_closed(3 - leaver, NOW) is None
    assert point.join(COOKIE, 5) is Reason.REFUSED
    assert point.audit()


def test_circuit_with_a_cookie_may_not_have_another():
    point, _ = make_point()
    point.establish(COOKIE, 1, NOW)
    point.establish(b"d" * 20, 2, NOW)

    assert point.establish(b"e" * 20, 1, NOW) is Reason.PROTOCOL
    assert point.join(b"d" * 20, 1) is Reason.REFUSED


def test_cookie_of_another_size_is_refused():
    point, _ = make_point()

    assert point.establish(b"short", 1, NOW) is Reason.PROTOCOL


def test_full_table_refuses_and_pushes_nobody_out():
    point, _ = make_point(max_cookies=2)
    point.establish(b"1" * 20, 1, NOW)
    point.establish(b"2" * 20, 2, NOW)

    assert point.establish(b"3" * 20, 3, NOW) is Reason.RESOURCE_LIMIT
    assert point.join(b"1" * 20, 4) == 1


class RendezvousRules(RuleBasedStateMachine):
    """Any calls in any order keep the tables in agreement and pairs exclusive."""

    cookies = st.sampled_from([bytes([n]) * 20 for n in range(4)])
    keys = st.integers(0, 5)

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.point, _ = make_point(max_cookies=3)

    @rule(cookie=cookies, key=keys)
    def establish(self, cookie, key):
        self.point.establish(cookie, key, self.now)

    @rule(cookie=cookies, key=keys)
    def join(self, cookie, key):
        self.point.join(cookie, key)

    @rule(key=keys)
    def close(self, key):
        self.point.circuit_closed(key, self.now)

    @rule(step=st.floats(0.0, 40.0))
    def wait(self, step):
        self.now = Monotonic(self.now + Seconds(step))
        self.point.handle_timeout(self.now)

    @invariant()
    def tables_agree(self):
        assert self.point.audit()
        assert len(self.point) <= 3

    @invariant()
    def pairs_are_mutual(self):
        for key in range(6):
            partner = self.point.partner(key)
            if partner is not None:
                assert partner != key
                assert self.point.partner(partner) == key


RendezvousRules.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestRendezvousRules = RendezvousRules.TestCase
