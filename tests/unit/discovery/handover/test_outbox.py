"""Whom to bring a signature, and when again."""

import itertools

import pytest

from discovery.handover.config import HandOverConfig
from discovery.handover.outbox import Outbox
from psp.ids import NodeId
from psp.testing.entropy import SeededEntropy
from psp.units import UnixTime
from psp.wire.directory_service import HandOverSignature, SignatureStatus

A, B = NodeId(bytes(31) + b"a"), NodeId(bytes(31) + b"b")
ONE = HandOverSignature(UnixTime(1), b"1" * 32, A, bytes(64))
TWO = HandOverSignature(UnixTime(2), b"2" * 32, A, bytes(64))


def outbox(signature=ONE):
    box = Outbox(HandOverConfig(), SeededEntropy())
    box.put(signature, [A, B])
    return box


def test_everybody_is_sent_it_at_once():
    assert outbox().due(0.0) == [A, B]


@pytest.mark.parametrize("status", ["STORED", "HELD", "REFUSED", "DIFFERENT", "OVER"])
def test_whoever_has_decided_is_left_alone(status):
    box = outbox()

    box.answered(A, SignatureStatus[status], 0.0)

    assert box.due(1e9) == [B]


@pytest.mark.parametrize(
    "status", [SignatureStatus.NOT_YET, SignatureStatus.BUSY, None]
)
def test_whoever_has_not_is_asked_again_later_and_later(status):
    box, now, waits = outbox(), 0.0, []
    box.answered(B, SignatureStatus.STORED, 0.0)
    for _ in range(10):
        box.answered(A, status, now)
        asked = now
        while not box.due(now):
            now += 0.5
        waits.append(now - asked)

    assert 4 < waits[0] < 7
    assert all(a < b for a, b in itertools.pairwise(waits[:7]))
    assert 530 < waits[-1] < 670


def test_the_same_signature_is_not_begun_again():
    box = outbox()
    box.answered(A, SignatureStatus.STORED, 0.0)

    box.put(ONE, [A, B])

    assert box.due(0.0) == [B]


def test_a_new_signature_ends_the_pushing_of_the_one_before():
    box = outbox()
    box.answered(A, SignatureStatus.STORED, 0.0)

    box.put(TWO, [A])
    box.answered(B, None, 0.0)

    assert box.signature == TWO
    assert box.due(0.0) == [A]


def test_an_empty_box_has_nobody_to_send_to():
    assert Outbox(HandOverConfig(), SeededEntropy()).due(0.0) == []
