"""The two rules that nodes and users share, on records of no kind."""

from typing import NamedTuple

import pytest

from psp.crypto.keys import SigningKey
from psp.directory.chain.counted import count, doubt, judge, recall
from psp.directory.chain.listed import REVOKED, ListedRecord, NotCounted, flags_of
from psp.errors import DecodeError
from psp.testing.chain import impure_signature
from psp.testing.directory import LOOPBACK
from psp.wire.network import Network

KEY = SigningKey(b"k" * 32)
ACTIVE = 1


class Earlier(NamedTuple):
    """A list that was verified before."""

    network: Network
    listed: list[ListedRecord]
    verdicts: list[NotCounted | str]


def record(number, identity, status=ACTIVE):
    head = int.from_bytes(b"o" * 20) | status << 160
    return ListedRecord(number, head.to_bytes(32) + identity * 32)


def says(listed):
    return f"record {listed.number}"


def total(listed, verdicts=None):
    return count(listed, verdicts or [says(each) for each in listed])


def test_a_signed_record_is_not_doubted():
    assert doubt(KEY.public, b"text", KEY.sign(b"text")) is None


def test_a_record_signed_otherwise_or_by_a_useless_key_is_doubted():
    n, identity, signature = impure_signature(lambda n, public: bytes([n]) + public)

    assert doubt(KEY.public, b"text", KEY.sign(b"other")) is NotCounted.SIGNATURE
    assert doubt(identity, bytes([n]) + identity, signature) is NotCounted.IDENTITY


def verdict(network, listed):
    return f"record {listed.number} on chain {network.chain_id}"


def test_only_unknown_records_are_judged():
    listed = [record(1, b"a"), record(2, b"b")]
    earlier = Earlier(LOOPBACK, listed[:1], [NotCounted.SIGNATURE])

    verdicts = judge(LOOPBACK, listed, earlier, verdict)

    assert verdicts == (NotCounted.SIGNATURE, verdict(LOOPBACK, listed[1]))


def test_verdicts_of_another_network_are_worth_nothing():
    listed, other = [record(1, b"a")], Network(1, LOOPBACK.registry)
    earlier = Earlier(other, listed, [NotCounted.SIGNATURE])

    for previous in (earlier, None):
        verdicts = judge(LOOPBACK, listed, previous, verdict)

        assert verdicts == (verdict(LOOPBACK, listed[0]),)


def test_verdicts_are_recalled_from_their_flags():
    listed = [record(1, b"a"), record(2, b"b")]
    verdicts = (NotCounted.ENDPOINTS, "record 2")

    assert recall(listed, flags_of(verdicts), says) == verdicts


@pytest.mark.parametrize("flags", [b"", bytes(1), bytes(3), b"\xff\x00"])
def test_flags_of_other_records_are_refused(flags):
    with pytest.raises(DecodeError):
        recall([record(1, b"a"), record(2, b"b")], flags, says)


def test_the_lowest_believed_number_of_an_identity_counts():
    listed = [record(n, identity) for n, identity in enumerate([b"a", b"b", b"a"], 1)]

    assert list(total(listed).counting) == [1, 2]
    assert total(listed).refused == {NotCounted.DOUBLE: 1}
    verdicts = [NotCounted.SIGNATURE, "record 2", "record 3"]
    assert total(listed, verdicts).counting == {2: "record 2", 3: "record 3"}
    assert total(listed, verdicts).refused == {NotCounted.SIGNATURE: 1}


def test_a_genuine_revocation_is_for_ever_whatever_its_number():
    for order in (1, -1):
        pair = [(b"a", ACTIVE), (b"a", REVOKED)][::order]
        listed = [record(n, *each) for n, each in enumerate([*pair, (b"b", ACTIVE)], 1)]

        assert list(total(listed).counting) == [3]
        assert total(listed).dead == {b"a" * 32}
        assert total(listed).refused == {NotCounted.REVOKED: 1, NotCounted.DEAD: 1}


def test_a_false_revocation_kills_nobody():
    listed = [record(1, b"a", REVOKED), record(2, b"a")]

    counted = total(listed, [NotCounted.SIGNATURE, "record 2"])

    assert counted.counting == {2: "record 2"}
    assert not counted.dead
