"""What is out of the ordinary about a view."""

from dataclasses import replace

import pytest

from psp.crypto.keccak import keccak256
from psp.crypto.keys import SigningKey
from psp.directory.chain import layout
from psp.directory.chain.alarms import AlarmConfig, AlarmKind, Severity, judge
from psp.directory.chain.header import BlockHeader
from psp.directory.chain.records import NodeStatus
from psp.directory.chain.users import UserStatus
from psp.errors import LocalProtocolError
from psp.testing.chain import CODE, MemoryContracts, node_words, user_words
from psp.testing.directory import START
from psp.testing.entropy import SeededEntropy
from psp.wire.network import Network

CONFIG = AlarmConfig()
NODES = 20
USER = SigningKey(b"u" * 32)


def make(nodes=NODES):
    contracts = MemoryContracts.with_nodes(SeededEntropy(1), nodes)
    contracts.elect(4, [1, 2])
    contracts.users.append(user_words(USER))
    return contracts


HELD = make().view(100)


def judged(previous, new, config=CONFIG, *, now=None, full=False, ancestor=None):
    alarms = judge(
        previous,
        new,
        new.timestamp if now is None else now,
        config,
        is_full_quorum=full,
        ancestor=ancestor,
    )
    assert all(len(alarm.sentence) > 20 for alarm in alarms)
    return {alarm.kind: alarm.severity for alarm in alarms}


def test_an_ordinary_view_raises_none():
    contracts = make()
    contracts.add_node(SeededEntropy(2))
    key = contracts.keys[3]
    contracts.nodes[2] = node_words(key, onion_key=b"n" * 32, version=2)
    contracts.end_node(4, NodeStatus.REVOKED)
    contracts.end_node(5, NodeStatus.RETIRED)
    contracts.users.append(user_words(SigningKey(b"v" * 32)))

    assert judged(HELD, contracts.view(101)) == {}
    assert judged(HELD, HELD) == {}
    assert judged(None, HELD) == {}


@pytest.mark.parametrize(
    ("age", "alarms"),
    [
        (96, {}),
        (97, {AlarmKind.STALE: Severity.WARNING}),
        (-120, {}),
        (-121, {AlarmKind.FUTURE: Severity.REFUSAL}),
    ],
)
def test_heads_have_a_usual_age(age, alarms):
    assert judged(None, HELD, now=HELD.timestamp + age) == alarms


def test_a_view_below_the_one_held_is_refused():
    assert judged(HELD, make().view(99)) == {AlarmKind.OLDER: Severity.REFUSAL}


def test_another_block_of_the_same_height_freezes_the_list():
    fork = make().view(100, fork=b"other")

    assert judged(HELD, fork) == {AlarmKind.REORGANISED: Severity.FREEZE}


def test_another_block_where_the_view_held_was_read_freezes_the_list():
    contracts = make()

    def block(fork):
        return BlockHeader.from_json(contracts.block(100, HELD.timestamp, fork=fork))

    view = contracts.view(150)

    assert judged(HELD, view, ancestor=block(b"")) == {}
    assert judged(HELD, view, ancestor=block(b"other")) == {
        AlarmKind.REORGANISED: Severity.FREEZE
    }


def test_time_does_not_go_back():
    view = make().view(101, HELD.timestamp - 1)

    assert judged(HELD, view) == {AlarmKind.TIME_BACK: Severity.REFUSAL}
    assert judged(HELD, make().view(101, HELD.timestamp)) == {}


def test_a_replaced_contract_is_refused():
    contracts = make()
    contracts.code = replace(CODE, relays=keccak256(b"other"))

    assert judged(HELD, contracts.view(101)) == {AlarmKind.CONTRACT: Severity.REFUSAL}


@pytest.mark.parametrize(
    ("slot", "bit"),
    [
        (layout.RELAYS_PARAMS, 0),
        (layout.RELAYS_PARAMS, 64),
        (layout.RELAYS_PARAMS, 96),
        (layout.RELAYS_PARAMS, 128),
        (layout.RELAYS_PARAMS, 144),
        (layout.RELAYS_PARAMS, 160),
        (layout.RELAYS_PARAMS, 161),
        (layout.RELAYS_MIN_STAKE, 0),
        (layout.RELAYS_BOOK, 0),
        (layout.RELAYS_USERS, 0),
    ],
)
def test_what_no_function_can_change_does_not_change(slot, bit):
    contracts = make()
    contracts.relays[slot] ^= 1 << bit

    alarms = judged(HELD, contracts.view(101))

    assert alarms[AlarmKind.CONTRACT] is Severity.REFUSAL


def test_records_do_not_vanish():
    assert judged(HELD, make(NODES - 1).view(101)) == {
        AlarmKind.RECORDS_BACK: Severity.REFUSAL
    }


@pytest.mark.parametrize("before", [(2, 1), (1, 2), (1, 3), (2, 3)])
@pytest.mark.parametrize("after", [(1, 1), (1, 2), (1, 3)])
def test_records_do_not_go_back(before, after):
    def view(height, version, status):
        contracts = make()
        contracts.nodes[6] = node_words(
            contracts.keys[7], version=version, status=NodeStatus(status)
        )
        return contracts.view(height)

    alarms = judged(view(100, *before), view(101, *after))

    assert alarms == (
        {} if before == after else {AlarmKind.RECORDS_BACK: Severity.REFUSAL}
    )


def test_a_version_has_one_content():
    contracts = make()
    contracts.nodes[6] = node_words(contracts.keys[7], onion_key=b"z" * 32)

    assert judged(HELD, contracts.view(101)) == {
        AlarmKind.RECORDS_BACK: Severity.REFUSAL
    }


def test_revoked_users_do_not_come_back():
    contracts = make()
    contracts.users[0] = user_words(USER, status=UserStatus.REVOKED)
    revoked = contracts.view(100)

    assert judged(HELD, replace(revoked, height=101)) == {}
    assert judged(revoked, make().view(101)) == {
        AlarmKind.RECORDS_BACK: Severity.REFUSAL
    }


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (20, 26, None),
        (20, 27, AlarmKind.GROWN),
        (7, 9, None),
        (7, 10, AlarmKind.GROWN),
        (3, 7, None),  # too few to say
        (0, 8, AlarmKind.GROWN),
    ],
)
def test_fast_growth_needs_all_endpoints(before, after, kind):
    old, new = bare(before).view(100), bare(after).view(101)

    assert judged(old, new) == ({kind: Severity.REFUSAL} if kind else {})
    assert judged(old, new, full=True) == ({kind: Severity.WARNING} if kind else {})


def bare(nodes):
    return MemoryContracts.with_nodes(SeededEntropy(1), nodes)


@pytest.mark.parametrize(("ended", "kind"), [(6, None), (7, AlarmKind.SHRUNK)])
def test_fast_shrinking_too(ended, kind):
    contracts = make()
    for number in range(1, ended + 1):
        contracts.end_node(number, NodeStatus.RETIRED)

    view = contracts.view(101)

    assert judged(HELD, view) == ({kind: Severity.REFUSAL} if kind else {})
    assert judged(HELD, view, full=True) == ({kind: Severity.WARNING} if kind else {})


def test_after_several_epochs_more_may_have_changed():
    later = START + 3 * 3_600
    view = make(40).view(1_000, later)

    assert judged(HELD, view) == {}
    assert AlarmKind.GROWN in judged(HELD, make(50).view(1_000, later))


def test_a_missing_own_node_is_a_warning_unless_it_was_there():
    contracts = make()
    stranger = AlarmConfig(own_node=SigningKey(b"s" * 32).public)
    member = AlarmConfig(own_node=contracts.node_id(3))
    contracts.end_node(3, NodeStatus.RETIRED)
    view = contracts.view(101)

    missing = AlarmKind.OWN_NODE_MISSING
    assert judged(HELD, HELD, member) == {}
    assert judged(HELD, view, stranger) == {missing: Severity.WARNING}
    assert judged(None, view, member) == {missing: Severity.WARNING}
    assert judged(HELD, view, member) == {missing: Severity.REFUSAL}
    assert judged(HELD, view, member, full=True) == {missing: Severity.WARNING}


def test_a_missing_own_user_too():
    contracts = make()
    contracts.users[0] = user_words(USER, status=UserStatus.REVOKED)
    view = contracts.view(101)
    config = AlarmConfig(own_user=USER.public)

    missing = AlarmKind.OWN_USER_MISSING
    assert judged(HELD, HELD, config) == {}
    assert judged(None, view, config) == {missing: Severity.WARNING}
    assert judged(HELD, view, config) == {missing: Severity.REFUSAL}
    assert judged(HELD, replace(view, users=None), config) == {}


def test_an_own_key_that_this_node_does_not_have_is_said():
    contracts = make()
    config = AlarmConfig(
        own_node=contracts.node_id(3), own_onion_keys=frozenset({b"k"})
    )
    true = replace(config, own_onion_keys=frozenset({contracts.nodes[2][64:96]}))

    assert judged(HELD, HELD, true) == {}
    assert judged(HELD, HELD, config) == {AlarmKind.OWN_KEY_CHANGED: Severity.WARNING}


def test_many_unsigned_records_are_said():
    contracts = make(40)
    for number in range(1, 11):
        contracts.nodes[number - 1] = node_words(
            contracts.keys[number], network=Network(1, bytes(20))
        )

    alarms = judged(None, contracts.view(101))

    assert alarms == {AlarmKind.UNSIGNED: Severity.WARNING}


def test_views_of_two_networks_are_not_compared():
    contracts = MemoryContracts(network=Network(1, b"r" * 20))

    with pytest.raises(LocalProtocolError):
        judged(HELD, contracts.view(101))
