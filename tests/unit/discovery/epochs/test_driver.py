"""What a relay does for the next election (discovery/epochs/driver.py)."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.election import draw_key, elect, number_of
from discovery.epochs.config import EpochConfig
from discovery.epochs.driver import Action, EpochDriver, Kind, Reason, expected_rank
from discovery.epochs.observation import Node, Observation, Parameters
from psp.testing.entropy import SeededEntropy

ETHER = 10**18
PARAMETERS = Parameters(
    genesis=1_700_000_000, epoch_length=3_600, min_stake=ETHER, seats=3,
    is_drawn=True, is_self_only=True,
)  # fmt: skip
EPOCH = 10
START = PARAMETERS.start(EPOCH)
HALF = START + 1_800
END = START + 3_600
SEED = b"s" * 32


def weight_word(now=2 * ETHER, later=None, *, changed=EPOCH - 2, nominated=0):
    later = now if later is None else later
    return now | later << 96 | changed << 192 | nominated << 224


NODE = Node(7, is_active=True, is_ours=True, weight_word=weight_word())
SEEN = Observation(
    height=100, timestamp=START + 10, parameters=PARAMETERS, node=NODE, nodes=20,
    stake=40 * ETHER, target=0, seed=None, keys=(), balance=ETHER, cost=10**15,
)  # fmt: skip


def at(timestamp, **changes):
    return replace(SEEN, timestamp=timestamp, **changes)


def driver(seed=1, **changes):
    return EpochDriver(EpochConfig(**changes), SeededEntropy(seed))


def nothing(reason, until=END):
    return Action(Kind.NOTHING, until, reason)


def test_first_half_is_waited_out():
    action = driver().next(SEEN)

    assert action.kind is Kind.WAIT
    assert HALF <= action.until <= HALF + 360


def test_seed_is_requested_in_the_second_half_unless_somebody_has():
    machine = driver()
    when = machine.next(SEEN).until

    assert machine.next(at(when - 1)) == Action(Kind.WAIT, when)
    assert machine.next(at(when)) == Action(Kind.REQUEST_SEED)
    assert machine.next(at(when, target=103)).kind is Kind.WAIT


def test_seed_is_drawn_when_its_block_is_past():
    machine = driver(revealers=10**6)

    assert machine.next(at(HALF, target=103, height=102)) == Action(Kind.WAIT, HALF)
    assert machine.next(at(HALF, target=103, height=103)) == Action(Kind.REVEAL_SEED)


def test_few_of_many_relays_draw_the_seed_at_once_and_nobody_waits_long():
    seen = at(HALF, target=100, nodes=1_000)
    machines = [driver(seed) for seed in range(1_000)]

    def ready(height):
        kinds = [m.next(replace(seen, height=height)).kind for m in machines]
        return kinds.count(Kind.REVEAL_SEED)

    assert 1 <= ready(100) <= 20
    assert ready(101) <= 40
    assert ready(104) == 1_000


@pytest.mark.parametrize("relays", [1, 10, 100, 1_000])
def test_seed_is_requested_about_once_however_many_relays_there_are(relays):
    """They look at every block, which takes 12 s, and the first suffices."""
    long = replace(PARAMETERS, epoch_length=86_400)
    start = long.start(EPOCH)
    seen = replace(SEEN, timestamp=start, parameters=long, nodes=relays)
    requests = []
    for trial in range(10):
        machines = (driver(f"{trial}/{i}") for i in range(relays))
        times = [machine.next(seen).until for machine in machines]
        requests.append(sum(time < min(times) + 12 for time in times))

    assert sum(requests) / len(requests) < 2


def drawn(number, weight=2 * ETHER):
    return draw_key(SEED, number, weight, sortition=True)


def test_node_that_would_not_be_elected_is_not_nominated():
    own = drawn(7)
    better, worse = (own - (1 << 40), own - (2 << 40), own - (3 << 40)), own + (1 << 40)

    assert driver().next(at(HALF, seed=SEED, keys=better)) == nothing(Reason.OUTBID)
    # One seat is free, or held by a worse draw.
    for keys in (better[:2], (worse, *better[:2])):
        machine = driver()
        when = machine.next(at(HALF, seed=SEED, keys=keys)).until
        assert machine.next(at(when, seed=SEED, keys=keys)) == Action(Kind.NOMINATE)


def test_best_draws_are_nominated_first():
    def when(number):
        node = replace(NODE, number=number)
        action = driver().next(at(HALF, seed=SEED, node=node))
        return HALF if action.kind is Kind.NOMINATE else action.until

    numbers = range(1, 50)
    by_key = sorted(numbers, key=drawn)

    times = [when(number) for number in by_key]
    assert times == sorted(times)
    assert times[-1] <= END - 180


def test_nominations_little_exceed_the_seats():
    """A thousand relays, a third of them gone; the list is what the draw says."""
    dice = random.Random(2)
    weights = {i: dice.randrange(1, 30) * ETHER for i in range(1, 1_001)}
    parameters = replace(PARAMETERS, epoch_length=86_400, seats=32)
    alive = {i for i in weights if dice.random() > 0.33}
    start = parameters.start(EPOCH) + 43_200
    seen = replace(
        SEEN, parameters=parameters, timestamp=start, seed=SEED, nodes=1_000,
        stake=sum(weights.values()),
    )  # fmt: skip
    machines = {i: driver(i) for i in alive}
    heap, nominations = [], 0
    agenda = dict.fromkeys(alive, start)
    for time in range(start, start + 43_200, 12):
        for i in [i for i in agenda if agenda[i] <= time]:
            node = replace(NODE, number=i, weight_word=weight_word(weights[i]))
            now = replace(seen, timestamp=time, node=node, keys=tuple(heap))
            action = machines[i].next(now)
            if action.kind is Kind.WAIT:
                agenda[i] = action.until
                continue
            del agenda[i]
            if action.kind is Kind.NOMINATE:
                nominations += 1
                key = draw_key(SEED, i, weights[i], sortition=True)
                heap = sorted([*heap, key])[:32]

    standing = {i: weights[i] for i in alive}
    assert [number_of(k) for k in heap] == elect(SEED, standing, 32, sortition=True)
    assert nominations <= 40


def test_expected_rank_is_the_number_of_better_draws():
    weights = {i: (1 + i % 7) * ETHER for i in range(1, 2_001)}
    keys = sorted(draw_key(SEED, i, w, sortition=True) for i, w in weights.items())
    stake = sum(weights.values())

    for place in (200, 500, 1_000):
        # Draws without replacement: what rang already is out, so a little less.
        assert 0.9 * place < expected_rank(keys[place], stake) < 2.2 * place


def test_without_a_draw_no_seed_is_needed():
    counted = replace(PARAMETERS, is_drawn=False)
    machine = driver()
    seen = at(START, parameters=counted)

    when = machine.next(seen).until

    assert HALF <= when < END
    assert machine.next(replace(seen, timestamp=when)) == Action(Kind.NOMINATE)
    keys = tuple(((1 << 96) - 1 - w * ETHER) << 32 for w in (3, 4, 5))
    assert machine.next(replace(seen, keys=keys)) == nothing(Reason.OUTBID)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (None, Reason.NOT_REGISTERED),
        (replace(NODE, is_active=False), Reason.ENDED),
        (replace(NODE, is_ours=False), Reason.NOT_OURS),
        (replace(NODE, weight_word=weight_word(ETHER - 1)), Reason.TOO_LITTLE_STAKE),
        (replace(NODE, weight_word=weight_word(ETHER, 0)), Reason.TOO_LITTLE_STAKE),
        (
            replace(NODE, weight_word=weight_word(0, ETHER, changed=EPOCH)),
            Reason.TOO_LITTLE_STAKE,
        ),
        (
            replace(NODE, weight_word=weight_word(nominated=EPOCH + 1)),
            Reason.NOMINATED,
        ),
    ],
)
def test_node_that_cannot_stand_rests_until_the_next_epoch(node, reason):
    assert driver().next(at(HALF + 900, node=node)) == nothing(reason)


def test_nomination_of_another_epoch_does_not_count():
    node = replace(NODE, weight_word=weight_word(nominated=EPOCH))

    assert driver().next(at(START, node=node)).kind is Kind.WAIT


def test_anybody_may_nominate_where_the_registry_says_so():
    open_to_all = replace(PARAMETERS, is_self_only=False)
    stranger = replace(NODE, is_ours=False)

    action = driver().next(at(START, parameters=open_to_all, node=stranger))

    assert action.kind is Kind.WAIT


@pytest.mark.parametrize("changes", [{}, {"target": 50}, {"seed": SEED}])
def test_nothing_is_begun_shortly_before_the_end(changes):
    machine = driver()
    machine.next(at(HALF, **changes))

    assert machine.next(at(END - 180, **changes)) == nothing(Reason.TOO_LATE)
    assert machine.next(at(END - 181, **changes)).reason is None


def test_money_is_asked_for_before_the_time_is_over():
    seen = at(HALF + 400)
    soon = seen.timestamp + 72

    for balance, cost, reason in (
        (10**15 - 1, 10**15, Reason.NO_MONEY),
        (ETHER, None, Reason.TOO_DEAR),
    ):
        action = driver().next(replace(seen, balance=balance, cost=cost))
        assert action == nothing(reason, soon)
    assert driver().next(seen) == Action(Kind.REQUEST_SEED)


def test_tries_are_bounded_and_further_and_further_apart():
    machine, seen = driver(), at(HALF + 400)
    pauses = []
    while (action := machine.next(seen)).kind is Kind.REQUEST_SEED:
        machine.tried(Kind.REQUEST_SEED, seen)
        action = machine.next(seen)
        pauses.append(action.until - seen.timestamp)
        seen = replace(seen, timestamp=action.until)
        if action.kind is Kind.NOTHING:
            break

    assert action == nothing(Reason.TRIES_SPENT)
    assert pauses[:2] == [72, 144]
    assert len(pauses) == 3


def test_what_could_not_be_sent_uses_up_no_try():
    machine, seen = driver(), at(HALF + 400)
    for _ in range(10):
        assert machine.next(seen) == Action(Kind.REQUEST_SEED)
        machine.postponed(Kind.REQUEST_SEED, seen)
        assert machine.next(seen) == Action(Kind.WAIT, seen.timestamp + 72)
        seen = replace(seen, timestamp=seen.timestamp + 72)


def test_new_epoch_has_new_dice_and_new_tries():
    machine, seen = driver(), at(HALF + 400)
    first = machine.next(SEEN).until
    for _ in range(3):
        machine.tried(Kind.REQUEST_SEED, seen)
    assert machine.next(seen).reason is Reason.TRIES_SPENT

    later = machine.next(at(START + 3_600 + 10)).until - 3_600

    assert later != first
    assert machine.next(at(HALF + 3_600 + 400)) == Action(Kind.REQUEST_SEED)


SEEN_ANYHOW = st.builds(
    replace,
    st.just(SEEN),
    height=st.integers(0, 2**64),
    timestamp=st.integers(START, END + 10_000),
    node=st.none() | st.builds(
        Node, st.integers(1, 2**32 - 1), is_active=st.booleans(),
        is_ours=st.booleans(), weight_word=st.integers(0, 2**256 - 1),
    ),
    nodes=st.integers(0, 2**256 - 1),
    stake=st.integers(0, 2**256 - 1),
    target=st.integers(0, 2**64 - 1),
    seed=st.none() | st.just(SEED),
    keys=st.lists(st.integers(0, 2**256 - 1), max_size=5).map(tuple),
    balance=st.integers(0, 2**256 - 1),
    cost=st.none() | st.integers(0, 2**256 - 1),
)  # fmt: skip


@given(st.lists(SEEN_ANYHOW, min_size=1, max_size=5))
def test_whatever_endpoints_say_the_answer_is_sane(observations):
    machine = driver()
    for seen in observations:
        action = machine.next(seen)

        end = seen.parameters.start(seen.epoch + 1)
        if action.kind in {Kind.WAIT, Kind.NOTHING}:
            assert action.until <= end
            assert action.kind is Kind.WAIT or action.reason is not None
        else:
            machine.tried(action.kind, seen)
            assert seen.node is not None
            assert seen.cost is not None
            assert seen.cost <= seen.balance
