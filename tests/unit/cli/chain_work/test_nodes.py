"""A relay's entry, and what may be done with stake (cli/chain_work/nodes.py)."""

import doctest
from dataclasses import replace
from pathlib import Path

import pytest

from cli.chain_work import nodes
from cli.chain_work.nodes import (
    Holding,
    NodeKeys,
    NotRegisteredError,
    Unbonding,
    find_endpoints,
    find_number,
    load_keys,
    parse_id,
    parse_number,
    sign_entry,
)
from cli.node_config import KeysConfig, ListenConfig, NodeConfig
from psp.crypto.keys import SigningKey, verify
from psp.errors import ConfigError
from psp.ids import NodeId
from psp.netdoc.node_entry import endpoint_text
from psp.netdoc.node_record import node_signing_input
from psp.runtime import keyfiles
from psp.runtime.membership import MembershipConfig
from psp.testing.chain import MemoryContracts, node_words
from psp.testing.directory import LOOPBACK
from psp.testing.entropy import SeededEntropy

ETHER = 10**18
OURS, THEIRS = b"\x01" * 20, b"\x02" * 20
KEY = SigningKey.from_seed(b"\x07" * 32)


def config(host="10.0.0.1", port=7001, folder=Path()):
    keys = KeysConfig(folder / "identity.key", folder / "onion.key")
    return NodeConfig(
        MembershipConfig(7, "ab" * 20), keys, ListenConfig(port, host), Path("state")
    )


def test_the_examples_hold():
    assert doctest.testmod(nodes).failed == 0


def test_a_relay_is_reached_where_it_listens_or_where_it_is_said():
    assert list(map(endpoint_text, find_endpoints(config(), []))) == ["10.0.0.1:7001"]
    given = ["192.0.2.1:7001", "[2001:db8::1]:7001"]

    found = find_endpoints(config(host="0.0.0.0"), given)

    assert list(map(endpoint_text, found)) == given


def test_each_worker_has_a_port_of_its_own():
    two = replace(config(), workers=2)

    found = find_endpoints(two, ["192.0.2.1:7001", "[2001:db8::1]:7001"])

    assert list(map(endpoint_text, find_endpoints(two, []))) == [
        "10.0.0.1:7001",
        "10.0.0.1:7002",
    ]
    assert list(map(endpoint_text, found)) == [
        "192.0.2.1:7001",
        "[2001:db8::1]:7001",
        "192.0.2.1:7002",
        "[2001:db8::1]:7002",
    ]
    with pytest.raises(ConfigError, match="the first endpoint must have port 7001"):
        find_endpoints(two, ["192.0.2.1:443", "192.0.2.1:7001"])


@pytest.mark.parametrize(
    ("host", "given", "sentence"),
    [
        ("0.0.0.0", [], "give the relay's public address with --endpoint"),
        ("::", [], "nobody can reach"),
        ("10.0.0.1", ["example.org:7001"], "--endpoint 'example.org:7001'"),
        ("10.0.0.1", ["192.0.2.1:443"], "which no endpoint names"),
        ("10.0.0.1", [f"10.0.{i}.1:7001" for i in range(20)], "--endpoint: "),
    ],
)
def test_what_nobody_could_reach_is_said(host, given, sentence):
    with pytest.raises(ConfigError, match=sentence):
        find_endpoints(config(host=host), given)


def test_an_entry_is_signed_for_its_owner():
    endpoints = find_endpoints(config(), [])

    entry = sign_entry(LOOPBACK, NodeKeys(KEY, b"\x03" * 32), endpoints, OURS)

    text = node_signing_input(LOOPBACK, entry.record)
    assert entry.record.operator == OURS
    assert verify(KEY.public, text, entry.signature)


def test_keys_are_read_from_their_files(tmp_path):
    tmp_path.chmod(0o700)
    keys = config(folder=tmp_path).keys
    entropy = SeededEntropy("keys")
    keyfiles.create(keys.identity, KEY.seed, entropy=entropy)
    keyfiles.create(keys.onion, b"\x03" * 32, entropy=entropy)

    found = load_keys(keys, None)

    assert found.node_id == KEY.public
    assert found.onion == b"\x03" * 32
    assert "\\x03" not in repr(found)


@pytest.mark.parametrize(
    ("text", "number"), [("7", 7), ("0", 0), ("x", None), ("-1", None), ("٣", None)]
)
def test_numbers_are_told_from_ids(text, number):
    assert parse_number(text) == number


def test_an_id_has_64_digits():
    assert parse_id("ab" * 32) == b"\xab" * 32
    for text in ("ab", "zz" * 32, "ab " * 32):
        with pytest.raises(ConfigError, match="64 hex digits"):
            parse_id(text)


def test_a_relay_is_found_by_its_key():
    contracts = MemoryContracts.with_nodes(SeededEntropy("find"), 2)
    contracts.nodes += [node_words(KEY, owner=THEIRS), node_words(KEY, owner=OURS)]
    view = contracts.view(1)
    node_id = NodeId(KEY.public)

    assert find_number(view, node_id, OURS) == 4
    assert find_number(view, node_id, b"\x09" * 20) == 3
    with pytest.raises(NotRegisteredError, match="is not registered, as of block 1"):
        find_number(view, NodeId(b"\x01" * 32), OURS)


def holding(*, owner=OURS, status=1, stake=3 * ETHER):
    return Holding(5, owner, status, stake)


def test_only_the_owner_changes_an_active_node():
    holding().check_owner(OURS)
    with pytest.raises(ConfigError, match=r"node 5 belongs to 0x0101.*use its owner's"):
        holding().check_owner(THEIRS)
    with pytest.raises(ConfigError, match="was retired already"):
        holding(status=2).check_owner(OURS)
    with pytest.raises(ConfigError, match="was revoked already"):
        holding(status=3).check_owner(OURS)


@pytest.mark.parametrize("amount", [0, 3 * ETHER + 1])
def test_no_more_can_be_taken_than_there_is(amount):
    with pytest.raises(ConfigError, match="this account has 3 ether in node 5"):
        holding().check_left(amount, ETHER, OURS)


def test_an_owner_leaves_the_smallest_stake_in_an_active_node():
    holding().check_left(2 * ETHER, ETHER, OURS)
    with pytest.raises(ConfigError, match=r"0.5 ether would be left, .* 1 ether"):
        holding().check_left(5 * ETHER // 2, ETHER, OURS)
    holding().check_left(3 * ETHER, ETHER, THEIRS)
    holding(status=2).check_left(3 * ETHER, ETHER, OURS)


def test_what_unbonds_is_due_when_its_time_is_over():
    assert Unbonding(0, 0, 100).sentence == "nothing"
    assert not Unbonding(0, 0, 100).is_due
    waiting, due = Unbonding(ETHER, 101, 100), Unbonding(ETHER, 100, 100)

    assert not waiting.is_due
    assert waiting.sentence.endswith("from 1970-01-01 00:01:41 UTC on")
    assert due.is_due
    assert due.sentence == "1 ether, to be withdrawn now"
