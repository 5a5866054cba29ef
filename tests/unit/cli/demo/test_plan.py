"""The demo's network on the disk (cli/demo/plan.py)."""

import socket
import stat

import pytest

from cli.demo.plan import HOST, free_ports, make_plan
from psp.errors import ConfigError
from psp.ids import NodeId, UserId
from psp.runtime.membership import open_registry
from psp.testing.clock import EPOCH
from psp.testing.entropy import SeededEntropy
from psp.units import UnixTime


def test_a_plan_is_a_network_that_its_own_members_accept(tmp_path):
    plan = make_plan(
        tmp_path / "network",
        [9001, 9002, 9003],
        ["alice", "bob"],
        discovery=2,
        entropy=SeededEntropy(1),
        unix_now=EPOCH,
    )

    registry = open_registry(plan.membership, UnixTime(EPOCH + 86_400))

    assert registry.nodes().keys() == {relay.node_id for relay in plan.relays}
    assert registry.discovery_nodes() == plan.discovery_nodes
    assert len(plan.discovery_nodes) == 2
    assert all(registry.has_user(u.user_id) for u in plan.users.values())
    assert not registry.has_user(UserId(NodeId(bytes(32))))
    operators = {node.operator for node in registry.nodes().values()}
    assert len(operators) == 3
    for relay in plan.relays:
        for key in (relay.config.keys.identity, relay.config.keys.onion):
            assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "discovery_secret" not in repr(plan)


def test_any_free_ports_differ():
    ports = free_ports(12)

    assert len(set(ports)) == 12
    assert all(port > 0 for port in ports)


def test_a_taken_port_is_named_and_the_others_are_released():
    with socket.socket(type=socket.SOCK_DGRAM) as held:
        held.bind((HOST, 0))
        port = held.getsockname()[1]

        with pytest.raises(ConfigError, match=f"port {port} on {HOST} is taken"):
            free_ports(2, port)
    assert free_ports(1, port) == [port]
