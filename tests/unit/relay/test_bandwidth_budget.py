"""What a relay promises to circuits, and that it comes back (relay/bandwidth_budget.py)."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from psp.bandwidth import MAX_KBIT_PER_S, NO_BANDWIDTH, Bandwidth
from psp.circuit.events import HopAdded
from psp.errors import ConfigError
from psp.testing.weather import Weather
from psp.units import Seconds
from psp.wire.cell import Reason
from relay.bandwidth_budget import MAX_GRANT_KBIT_PER_S, BandwidthBudget
from relay.config import RelayConfig
from relay.congestion import Congestion
from relay.stats import RelayStats

CALL = Bandwidth(480, 3000)
LOSSY = Weather(latency=Seconds(0.01), loss=0.1)


def make_budget(limit, *, is_congested=False):
    congestion = Congestion(RelayStats())
    congestion.is_active = is_congested
    return BandwidthBudget(limit, congestion)


def grant(budget, asked=CALL):
    """Take what is offered, as an open circuit does; None if it is refused."""
    offer = budget.offer(asked)
    if offer is not None:
        budget.hold(SimpleNamespace(granted=offer))
    return offer


def test_whoever_asks_for_nothing_is_never_refused():
    full = make_budget(480)
    assert grant(full) == 480

    assert grant(full, NO_BANDWIDTH) == 0
    assert grant(make_budget(0, is_congested=True), NO_BANDWIDTH) == 0


def test_a_grant_is_what_is_wanted_or_a_quarter_or_what_is_left():
    budget = make_budget(10_000)

    grants = [grant(budget, Bandwidth(480, wanted)) for wanted in (1000, *[3000] * 4)]

    assert grants == [1000, 2496, 2496, 2496, 1512]
    assert budget.granted == 10_000
    assert grant(budget) is None


def test_a_voice_flow_may_be_more_than_a_quarter():
    budget = make_budget(1000)

    assert [grant(budget) for _ in range(3)] == [480, 480, None]


def test_one_circuit_never_gets_more_than_any_call_takes():
    budget = make_budget(0)

    assert grant(budget, Bandwidth(480, MAX_KBIT_PER_S)) == MAX_GRANT_KBIT_PER_S
    assert grant(budget, Bandwidth(MAX_KBIT_PER_S, MAX_KBIT_PER_S)) is None


def test_nothing_is_granted_while_the_relay_is_behind():
    budget = make_budget(0, is_congested=True)

    assert grant(budget) is None
    assert grant(budget, Bandwidth(0, 3000)) == 0


def rates():
    return st.integers(0, MAX_KBIT_PER_S // 8).map(lambda units: units * 8)


class BudgetRules(RuleBasedStateMachine):
    """Any order of opening, closing and congestion."""

    LIMIT = 5000

    def __init__(self) -> None:
        super().__init__()
        self.congestion = Congestion(RelayStats())
        self.budget = BandwidthBudget(self.LIMIT, self.congestion)
        self.circuits: list[SimpleNamespace] = []

    @rule(
        least=st.one_of(st.integers(0, 120).map(lambda n: n * 8), rates()), more=rates()
    )
    def open(self, least, more):
        asked = Bandwidth(least, min(least + more, MAX_KBIT_PER_S))
        offer = self.budget.offer(asked)
        if offer is None:
            return
        assert asked.min_kbit_per_s <= offer <= asked.wanted_kbit_per_s
        assert offer % 8 == 0
        circuit = SimpleNamespace(granted=offer)
        self.circuits.append(circuit)
        self.budget.hold(circuit)

    @rule(pick=st.integers(0, 1 << 16))
    def close(self, pick):
        if self.circuits:
            self.budget.release(self.circuits.pop(pick % len(self.circuits)))

    @rule(is_active=st.booleans())
    def congest(self, is_active):
        self.congestion.is_active = is_active

    @invariant()
    def never_negative_and_never_above(self):
        assert 0 <= self.budget.granted <= self.LIMIT
        assert self.budget.agrees_with(self.circuits)

    def teardown(self):
        while self.circuits:
            self.close(0)
        assert self.budget.granted == 0


BudgetRules.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestBudgetRules = BudgetRules.TestCase


# -- whole relays


def media_config(**changes):
    return RelayConfig(neighbours=0, media_kbit_per_s=1000, **changes)


def asking(path, bandwidth=CALL):
    return [replace(spec, bandwidth=bandwidth) for spec in path]


def try_circuit(rig, *numbers, client=None, bandwidth=CALL):
    circuit = (client or rig.client()).open(
        asking(rig.path(*numbers), bandwidth), rig.now
    )
    assert rig.run_until(lambda: circuit.origin.is_open or circuit.closed)
    return circuit


def granted(rig):
    rig.audit()
    return [relay.machine.gauges()["media_granted_kbit_per_s"] for relay in rig.relays]


def test_each_hop_grants_and_the_origin_learns_how_much(make_rig):
    rig = make_rig(3, config=media_config())

    circuit = try_circuit(rig, 0, 1, 2)

    added = [event for event in circuit.events if isinstance(event, HopAdded)]
    assert added == [HopAdded(1, 480), HopAdded(2, 480), HopAdded(3, 480)]
    assert granted(rig) == [480, 480, 480]


@pytest.mark.parametrize("path", [(0,), (1, 0), (1, 2, 0)])
def test_a_full_relay_refuses_at_any_hop_and_says_why(make_rig, path):
    rig = make_rig(3, config=media_config())
    for _ in range(2):
        assert try_circuit(rig, 0).closed is None

    refused = try_circuit(rig, *path)

    assert refused.closed.reason is Reason.BANDWIDTH
    assert refused.origin.hops == len(path) - 1
    stats = rig.relays[0].machine.stats
    assert stats.creates_refused == {Reason.BANDWIDTH: 1}
    rig.run(1.0)
    assert granted(rig) == [960, 0, 0]


def test_circuits_that_ask_for_nothing_pass_a_full_relay(make_rig):
    rig = make_rig(1, config=media_config())
    for _ in range(2):
        assert try_circuit(rig, 0).closed is None

    assert try_circuit(rig, 0, bandwidth=NO_BANDWIDTH).closed is None
    assert granted(rig) == [960]


def test_a_grant_comes_back_when_the_circuit_is_closed_and_once_only(make_rig):
    rig = make_rig(2, config=media_config())
    circuits = [try_circuit(rig, 0, 1) for _ in range(2)]
    assert try_circuit(rig, 0, 1).closed.reason is Reason.BANDWIDTH

    circuits[0].origin.destroy()
    circuits[0].origin.destroy()
    rig.run(1.0)

    assert granted(rig) == [480, 480]
    assert try_circuit(rig, 0, 1).closed is None


def test_a_relay_that_stops_gives_the_budget_of_its_neighbours_back(make_rig):
    rig = make_rig(3, config=media_config())
    try_circuit(rig, 0, 1, 2)

    rig.relays[0].machine.close(Reason.SHUTTING_DOWN, rig.now)
    rig.run(1.0)

    assert granted(rig) == [0, 0, 0]


def test_a_lost_destroy_costs_the_budget_until_the_circuit_counts_as_idle(make_rig):
    rig = make_rig(2, config=media_config())
    try_circuit(rig, 0, 1)
    plain = try_circuit(rig, 0, 1, bandwidth=NO_BANDWIDTH)
    # Nobody says that the origin is gone: its circuit stays, and falls silent.

    rig.run(30.0)
    before = granted(rig)
    rig.run(120.0)

    assert before == [480, 480]
    assert granted(rig) == [0, 0]
    assert plain.closed is None


def test_repeated_handshakes_are_granted_once(make_rig):
    rig = make_rig(2, config=media_config(), weather=LOSSY, seed=3)

    circuits = [try_circuit(rig, 0, 1) for _ in range(2)]
    rig.run(10.0)

    still_open = sum(circuit.closed is None for circuit in circuits)
    assert still_open
    assert max(granted(rig)) <= 960


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"media_kbit_per_s": 479}, "media_kbit_per_s = 479: one voice call takes 480"),
        ({"media_kbit_per_s": -1}, "media_kbit_per_s = -1"),
        (
            {"media_kbit_per_s": 5000, "bandwidth_bytes_per_s": 1_000_000},
            "leaves 3896",
        ),
    ],
)
def test_absurd_budgets_are_refused_with_the_key(changes, words):
    with pytest.raises(ConfigError, match=words):
        RelayConfig(**changes)


def test_the_budget_is_half_the_egress_limit_where_none_is_set():
    assert RelayConfig().media_budget == 0
    assert RelayConfig(media_kbit_per_s=4000).media_budget == 4000
    # The least egress limit there may be carries one voice call.
    assert RelayConfig(bandwidth_bytes_per_s=125_000).media_budget == 487
