"""The membership as workers hand it on (cli/workers/members.py)."""

import pytest

from cli.workers.members import Members, MembersMessage, members_message
from psp.errors import DecodeError
from psp.ids import NodeId
from psp.netdoc.node_record import NodeRecord
from psp.wire.endpoint import Endpoint

ONE, TWO = NodeId(b"1" * 32), NodeId(b"2" * 32)
PLACES = (Endpoint("192.0.2.1", 443), Endpoint("2001:db8::1", 443))


def record(node_id: NodeId, *endpoints: Endpoint) -> NodeRecord:
    return NodeRecord(node_id, bytes(32), endpoints, bytes(20))


def test_another_worker_knows_the_same_nodes_and_where_they_are():
    nodes = {ONE: record(ONE, *PLACES), TWO: record(TWO, PLACES[0])}

    members = Members.from_message(members_message(nodes))

    assert set(members) == {ONE, TWO}
    assert {node_id: tuple(members.node(node_id).endpoints) for node_id in members} == {
        ONE: PLACES,
        TWO: PLACES[:1],
    }
    assert members.node(NodeId(bytes(32))) is None


def test_a_node_that_can_be_reached_nowhere_is_left_out():
    assert members_message({ONE: record(ONE)}).nodes == {}


@pytest.mark.parametrize(
    "nodes",
    [
        {b"short": PLACES[0].encode()},
        {bytes(ONE): b""},
        {bytes(ONE): bytes(23)},
        {bytes(ONE): bytes(24)},
    ],
)
def test_anything_else_is_refused(nodes):
    with pytest.raises(DecodeError):
        Members.from_message(MembersMessage(nodes))
