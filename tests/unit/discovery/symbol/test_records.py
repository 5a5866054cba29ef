from dataclasses import replace
from hashlib import sha512

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from discovery.symbol.answers import Entry
from discovery.symbol.metadata import NodeMetadata, RecordStatus, UserMetadata
from discovery.symbol.records import NotCounted, read_nodes, read_users
from psp.crypto.keys import SigningKey, verify
from psp.ids import NodeId
from psp.netdoc.node_record import NodeRecord, Status, node_signing_input
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network

NETWORK = Network(77, bytes([9]) * 20)
KEY = SigningKey.from_seed(bytes([1]) * 32)
OTHER = SigningKey.from_seed(bytes([2]) * 32)
ONION = bytes([3]) * 32
ENDPOINTS = (Endpoint("192.0.2.1", 443), Endpoint("2001:db8::1", 8443))
LOW, HIGH = bytes([10]) * 20, bytes([20]) * 20
REVOKED, RETIRED = RecordStatus.REVOKED, RecordStatus.RETIRED


def node(owner=LOW, target=None, key=KEY, network=NETWORK, **changes):
    record = NodeRecord(NodeId(key.public), ONION, ENDPOINTS, owner)
    data = NodeMetadata(
        RecordStatus.ACTIVE,
        5,
        record.node_id,
        ONION,
        ENDPOINTS,
        key.sign(node_signing_input(network, record)),
    )
    value = replace(data, **changes).encode()
    return Entry("", owner, owner if target is None else target, 0, value)


def user(owner=LOW, key=KEY, **changes):
    text = b"psp-user-v1" + NETWORK.encode() + owner + key.public
    data = UserMetadata(RecordStatus.ACTIVE, key.public, key.sign(text))
    return Entry("", owner, owner, 0, replace(data, **changes).encode())


def test_a_record_becomes_what_every_other_registry_has():
    table = read_nodes(NETWORK, [node()])

    assert table.nodes == {
        KEY.public: NodeRecord(
            NodeId(KEY.public), ONION, ENDPOINTS, operator=LOW, version=5
        )
    }
    assert table.targets == {KEY.public: LOW}
    assert table.refused == {}


def test_one_operator_runs_many_nodes_each_on_an_account_of_its_own():
    entries = [node(LOW, HIGH), node(LOW, LOW, key=OTHER)]

    table = read_nodes(NETWORK, entries)

    assert {record.operator for record in table.nodes.values()} == {LOW}
    assert table.targets == {KEY.public: HIGH, OTHER.public: LOW}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (node(onion_key=bytes(32)), NotCounted.SIGNATURE),
        (node(endpoints=ENDPOINTS[:1]), NotCounted.SIGNATURE),
        (node(identity=OTHER.public), NotCounted.SIGNATURE),
        (node(network=Network(78, NETWORK.registry)), NotCounted.SIGNATURE),
        (node(network=Network(77, bytes(20))), NotCounted.SIGNATURE),
        (replace(node(), owner=HIGH), NotCounted.SIGNATURE),
        (replace(node(), value=b"{}"), NotCounted.MALFORMED),
        (replace(node(), value=user().value), NotCounted.MALFORMED),
        (node(status=RETIRED), NotCounted.RETIRED),
        (node(status=REVOKED), NotCounted.REVOKED),
    ],
    ids=[
        "onion key",
        "endpoints",
        "identity",
        "chain",
        "partners",
        "copied to another account",
        "junk",
        "a user's",
        "retired",
        "revoked",
    ],
)
def test_an_entry_that_does_not_count_is_counted_by_reason(entry, reason):
    table = read_nodes(NETWORK, [entry, node(HIGH, key=OTHER)])

    assert set(table.nodes) == {OTHER.public}
    assert table.refused == {reason: 1}


def test_a_key_that_can_sign_but_has_no_link_key_does_not_count():
    # A key with a part of small order: libsodium takes its signatures if the challenge
    # is a multiple of 8, which is found by trying.
    torsion = bytes.fromhex(
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
    )
    scalar = bindings.crypto_core_ed25519_scalar_reduce(b"s" * 64)
    pure = bindings.crypto_scalarmult_ed25519_base_noclamp(scalar)
    public = NodeId(bindings.crypto_core_ed25519_add(pure, torsion))

    for number in range(200):
        onion = number.to_bytes(32)
        record = NodeRecord(public, onion, ENDPOINTS, LOW)
        text = node_signing_input(NETWORK, record)
        signature = sign(scalar, public, text)
        if verify(public, text, signature):
            entry = node(identity=public, onion_key=onion, signature=signature)
            assert read_nodes(NETWORK, [entry]).refused == {NotCounted.IDENTITY: 1}
            return
    raise AssertionError("a signature in eight holds")


def sign(scalar, public, text):
    reduce = bindings.crypto_core_ed25519_scalar_reduce
    nonce = reduce(sha512(text).digest())
    point = bindings.crypto_scalarmult_ed25519_base_noclamp(nonce)
    challenge = reduce(sha512(point + public + text).digest())
    product = bindings.crypto_core_ed25519_scalar_mul(challenge, scalar)
    return point + bindings.crypto_core_ed25519_scalar_add(product, nonce)


def test_a_revoked_identity_is_dead_under_every_owner():
    table = read_nodes(NETWORK, [node(LOW), node(HIGH, status=REVOKED)])

    assert table.nodes == {}
    assert table.refused == {NotCounted.REVOKED: 1, NotCounted.DEAD: 1}


def test_nobody_can_revoke_an_identity_that_is_not_his():
    false = replace(node(HIGH, status=REVOKED), owner=bytes(20))

    table = read_nodes(NETWORK, [node(LOW), false])

    assert set(table.nodes) == {KEY.public}


def test_a_retired_record_leaves_another_of_the_same_identity_alone():
    table = read_nodes(NETWORK, [node(LOW, status=RETIRED), node(HIGH)])

    assert table.nodes[KEY.public].operator == HIGH


def test_of_two_records_of_one_identity_the_lowest_owner_counts():
    for entries in ([node(LOW), node(HIGH)], [node(HIGH), node(LOW)]):
        table = read_nodes(NETWORK, entries)

        assert table.nodes[KEY.public].operator == LOW
        assert table.refused == {NotCounted.DOUBLE: 1}


def test_an_account_lends_its_importance_to_one_node_only():
    entries = [node(HIGH, LOW, key=OTHER), node(LOW, LOW)]

    table = read_nodes(NETWORK, entries)

    assert set(table.nodes) == {KEY.public}
    assert table.refused == {NotCounted.DOUBLE: 1}


@given(order=st.permutations(range(5)))
def test_the_order_of_a_gateway_makes_no_difference(order):
    entries = [
        node(LOW),
        node(HIGH),
        node(HIGH, LOW, key=OTHER),
        node(bytes(20), status=RETIRED),
        replace(node(), owner=bytes(20), target=HIGH),
    ]

    shuffled = read_nodes(NETWORK, [entries[i] for i in order])

    assert shuffled == read_nodes(NETWORK, entries)


def test_users_are_active_or_revoked():
    entries = [user(LOW), user(HIGH, key=OTHER), user(LOW, key=OTHER, status=REVOKED)]

    table = read_users(NETWORK, entries)

    assert {key: record.status for key, record in table.users.items()} == {
        KEY.public: Status.ACTIVE,
        OTHER.public: Status.REVOKED,
    }
    assert table.refused == {NotCounted.REVOKED: 1, NotCounted.DEAD: 1}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (replace(user(), owner=HIGH), NotCounted.SIGNATURE),
        (replace(user(), value=node().value), NotCounted.MALFORMED),
        (user(status=RETIRED), NotCounted.RETIRED),
        (user(HIGH), NotCounted.DOUBLE),
    ],
    ids=["copied", "a node's", "retired", "double"],
)
def test_a_user_that_does_not_count_is_counted_by_reason(entry, reason):
    entries = [entry, user(LOW)] if reason is NotCounted.DOUBLE else [entry]

    table = read_users(NETWORK, entries)

    assert table.refused == {reason: 1}
