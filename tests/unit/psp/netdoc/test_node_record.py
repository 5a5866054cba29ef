"""What a node signs about itself."""

from dataclasses import replace

from psp.ids import NodeId, UserId
from psp.netdoc.node_record import Status, UserRecord, node_signing_input
from psp.testing.directory import LOOPBACK, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.wire.endpoint import Endpoint

RECORD = SignedNetwork.build(SeededEntropy(1), nodes=3).nodes[0].record


def test_signed_text_holds_network_owner_keys_and_endpoints():
    text = node_signing_input(LOOPBACK, RECORD)

    assert text == (
        b"psp-node-v1"
        + LOOPBACK.encode()
        + RECORD.operator
        + RECORD.node_id
        + RECORD.onion_key
        + RECORD.endpoints[0].encode()
    )


def test_each_field_that_readers_rely_on_changes_the_signed_text():
    text = node_signing_input(LOOPBACK, RECORD)
    changes = [
        replace(RECORD, onion_key=bytes(32)),
        replace(RECORD, operator=bytes(20)),
        replace(RECORD, node_id=NodeId(bytes(32))),
        replace(RECORD, endpoints=(Endpoint("192.0.2.1", 1),)),
    ]

    assert all(node_signing_input(LOOPBACK, changed) != text for changed in changes)


def test_a_user_is_active_unless_said_otherwise():
    assert UserRecord(UserId(bytes(32))).status is Status.ACTIVE
