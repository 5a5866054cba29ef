"""Elections as one node sees them: who still counts, and for how long."""

import pytest

from presence.config import DhtConfig
from presence.dht.tenure import SERVES_LONGER, Tenure
from psp.ids import NodeId

CONFIG = DhtConfig()
GRACE, SETTLING = CONFIG.handover_grace, CONFIG.settling
A, B, C, D = (NodeId(bytes([n]) * 32) for n in b"abcd")
ALL = frozenset({A, B, C, D})
T = 1_000_000.0


class Seen:
    """A node's tenure, told the registry at its own times."""

    def __init__(self, own, *elected, at=T):
        self.tenure = Tenure(own, CONFIG)
        self.elected = ()
        self.hear(*elected, at=at, now=at + 10_000)

    def hear(self, *elected, at, now=None, active=ALL):
        retiring = [node for node in self.elected if node not in elected]
        self.elected = elected
        now = at if now is None else now
        self.tenure.follow(elected, retiring, at, now, active=active)
        return self.tenure


def test_first_list_is_no_change():
    tenure = Seen(A, A, B).tenure

    assert tenure.version == 0
    assert tenure.is_elected
    assert not tenure.is_changing(T + 10_000)
    assert not tenure.is_settling(T + 10_000)
    assert tenure.retiring(T + 10_000) == (frozenset(), float("inf"))


def test_old_list_is_asked_for_the_grace_and_published_to_while_settling():
    seen = Seen(D, A, B)

    tenure = seen.hear(B, C, at=T)

    assert tenure.version == 1
    assert tenure.before == {A, B}
    assert tenure.retiring(T + GRACE - 1) == ({A}, T + GRACE)
    assert tenure.retiring(T + GRACE)[0] == frozenset()
    assert tenure.is_settling(T + SETTLING - 1)
    assert not tenure.is_settling(T + SETTLING)


def test_same_list_again_changes_nothing():
    seen = Seen(D, A, B)
    seen.hear(B, C, at=T)

    tenure = seen.hear(B, C, at=T)

    assert tenure.version == 1


def test_node_that_starts_after_an_election_knows_it_from_the_registry():
    tenure = Tenure(A, CONFIG)

    tenure.follow([B, C], [A], T, T + 60, active=ALL)

    assert tenure.is_retiring
    assert tenure.retiring(T + 60) == ({A}, T + GRACE)
    assert tenure.may_hand_over(A, T + 60)
    assert tenure.version == 0


def test_node_that_starts_long_after_an_election_is_nobody():
    tenure = Tenure(A, CONFIG)

    tenure.follow([B, C], [A], T, T + GRACE + SERVES_LONGER, active=ALL)

    assert not tenure.is_retiring
    assert not tenure.may_hand_over(A, T + GRACE + SERVES_LONGER)
    assert not tenure.may_hand_over(B, T + GRACE + SERVES_LONGER)


def test_only_who_was_elected_may_hand_over_and_only_for_a_while():
    seen = Seen(C, A, B)
    tenure = seen.tenure
    assert not tenure.may_hand_over(A, T)

    seen.hear(B, C, at=T)

    end = T + GRACE + SERVES_LONGER
    for node, may in ((A, True), (B, True), (C, True), (D, False)):
        assert tenure.may_hand_over(node, end - 1) is may
        assert not tenure.may_hand_over(node, end)


def test_lists_further_back_may_hand_over_too_when_epochs_are_short():
    seen = Seen(D, A)
    seen.hear(B, at=T)

    tenure = seen.hear(C, at=T + 20)

    assert tenure.may_hand_over(A, T + 20)
    assert tenure.retiring(T + 20)[0] == {B}


def test_retiring_node_serves_longer_than_anybody_asks_it():
    seen = Seen(A, A, B)
    tenure = seen.hear(B, C, at=T, now=T + 30)

    assert tenure.is_retiring
    assert not tenure.may_lay_down(T + 30, has_handed_over=True)
    # The asker's clock is two minutes behind, ours two minutes ahead.
    assert not tenure.may_lay_down(T + GRACE + 240, has_handed_over=True)
    end = T + 30 + GRACE + SERVES_LONGER
    assert tenure.may_lay_down(end, has_handed_over=False)
    tenure.lay_down()
    assert not tenure.is_retiring
    seen.hear(B, C, at=T, now=end + 1)
    assert not tenure.is_retiring


def test_further_election_relieves_a_node_that_has_handed_over():
    seen = Seen(A, A)
    seen.hear(B, at=T)
    tenure = seen.hear(C, at=T + 20)

    assert not tenure.may_lay_down(T + 20, has_handed_over=True)
    assert not tenure.may_lay_down(T + SETTLING, has_handed_over=False)
    assert tenure.may_lay_down(T + SETTLING, has_handed_over=True)


def test_node_that_is_elected_again_stays():
    seen = Seen(A, A)
    seen.hear(B, at=T)
    tenure = seen.hear(A, at=T + 20)

    assert tenure.is_elected
    assert not tenure.is_retiring
    assert not tenure.may_lay_down(T + 10_000, has_handed_over=True)


def test_node_that_was_never_elected_has_nothing_to_lay_down():
    tenure = Seen(D, A).tenure

    assert not tenure.may_lay_down(T + 10_000, has_handed_over=True)


def test_list_of_the_partners_is_followed_by_what_was_seen():
    # elected_at 0 and nobody retiring, as `TrustedFileRegistry` has it.
    tenure = Tenure(A, CONFIG)
    tenure.follow([A, B], (), 0, T, active=ALL)

    tenure.follow([B, C], (), 0, T + 100, active=ALL)

    assert tenure.is_retiring
    assert tenure.retiring(T + 100) == ({A}, T + 100 + GRACE)
    assert tenure.is_settling(T + 100)
    assert not tenure.may_lay_down(T + 100 + SETTLING, has_handed_over=True)


@pytest.mark.parametrize("elected_at", [T, 0.0])
def test_node_that_left_the_registry_is_nobody_at_once(elected_at):
    tenure = Tenure(D, CONFIG)
    tenure.follow([A, B], (), 0, T - 10_000, active=ALL)

    tenure.follow([B, C], (), elected_at, T, active=ALL - {A})

    assert tenure.retiring(T)[0] == frozenset()
    assert not tenure.may_hand_over(A, T)


def test_clock_that_is_two_minutes_off_ends_the_grace_within_those_minutes():
    for skew in (-120, 120):
        seen = Seen(D, A)
        tenure = seen.hear(B, at=T, now=T + skew)

        assert tenure.retiring(T + skew)[0] == {A}
        assert tenure.is_settling(T + 60 + skew)
        assert tenure.is_changing(T + 60 + skew)


def test_earlier_lists_are_remembered_up_to_a_bound():
    config = DhtConfig(max_peers=10)
    tenure = Tenure(D, config)
    nodes = [NodeId(n.to_bytes(32)) for n in range(60)]
    active = frozenset(nodes)

    for i in range(0, 60, 4):
        tenure.follow(nodes[i : i + 4], (), T + i, T + i, active=active)

    remembered = [node for node in nodes if tenure.may_hand_over(node, T + 60)]
    assert remembered == nodes[46:]
