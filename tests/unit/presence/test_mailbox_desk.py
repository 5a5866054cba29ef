"""The mailbox desk: turns for who leaves notices, proofs for who collects them."""

from dataclasses import replace

import pytest

from presence.config import MailboxConfig
from presence.mailbox_desk import MailboxDesk
from presence.mailboxes import Mailboxes
from presence.stats import PresenceStats
from presence.turns import Turns
from psp.crypto.keys import SigningKey
from psp.ids import NodeId, UserId
from psp.netdoc.collection import sign_collection
from psp.netdoc.presence_keys import UserSigner
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import TEST_NETWORK
from psp.units import Monotonic, UnixTime
from psp.wire.mailboxes import MissedRequest, Noted, NotedStatus

NOW = 1_700_000_000
POINT = NodeId(b"p" * 32)
TAG = b"t" * 16
ALICE = SigningKey.generate(SeededEntropy("alice"))
MALLORY = SigningKey.generate(SeededEntropy("mallory"))


def channel(circuit):
    return bytes([circuit]) * 32


class Rig:
    def __init__(self):
        self.stats = PresenceStats()
        self.boxes = Mailboxes(MailboxConfig(), self.stats)
        self.turns = Turns(4)
        self.back = []
        self.desk = MailboxDesk(
            self.boxes,
            self.turns,
            network=TEST_NETWORK,
            node_id=POINT,
            collections_per_circuit=3,
            max_circuits=2,
            stats=self.stats,
        )
        self.desk.on_owner_back = lambda *owner: self.back.append(owner)
        self.boxes.open(TAG, UserId(ALICE.public), until=NOW + 60, sequence=7)

    def leave(self, circuit, number=0, tag=TAG):
        data = MissedRequest(tag, number.to_bytes(4) * 104).encode()
        return self.desk.leave(circuit, data, now=Monotonic(0.0), unix_now=NOW)

    def collect(self, circuit=9, *, over=None, key=ALICE, **change):
        signer = UserSigner.by_identity(key)
        if key is MALLORY:
            signer = replace(signer, user_id=UserId(ALICE.public))
        fields = {
            "presence_point": POINT,
            "channel": channel(circuit),
            "tag": TAG,
            "issued": UnixTime(NOW),
            "first": 0,
            **change,
        }
        data = sign_collection(signer, network=TEST_NETWORK, **fields)
        return self.given(over or circuit, data)

    def given(self, circuit, data):
        return self.desk.collect(circuit, channel(circuit), data, unix_now=NOW)


@pytest.fixture
def rig():
    return Rig()


def test_one_circuit_leaves_one_notice(rig):
    assert rig.leave(1).status is NotedStatus.KEPT
    assert rig.leave(1, 1).status is NotedStatus.REFUSED
    assert rig.leave(2, 2).status is NotedStatus.KEPT


def test_after_a_demand_of_work_it_may_come_once_more(rig):
    for circuit in range(8):
        rig.leave(circuit, circuit)
        rig.turns.forget(circuit)

    first = rig.leave(20, 20)
    second = rig.leave(20, 21)
    third = rig.leave(20, 22)

    assert first == second == Noted(NotedStatus.WORK_NEEDED, 8)
    assert third.status is NotedStatus.REFUSED


def test_guessing_tags_costs_a_circuit_each(rig):
    assert rig.leave(1, tag=b"u" * 16).status is NotedStatus.NO_SUCH_TAG
    assert rig.leave(1).status is NotedStatus.REFUSED


def test_there_are_no_more_turns_than_the_table_holds(rig):
    statuses = [rig.leave(circuit, circuit).status for circuit in range(6)]

    assert statuses == [NotedStatus.KEPT] * 4 + [NotedStatus.REFUSED] * 2


@pytest.mark.parametrize("data", [b"", bytes(448), bytes(450)], ids=len)
def test_what_is_no_notice_is_refused(rig, data):
    noted = rig.desk.leave(1, data, now=Monotonic(0.0), unix_now=NOW)

    assert noted.status is NotedStatus.REFUSED
    assert rig.stats.notices["refused"] == 1


def test_the_owner_collects_and_watchers_are_told_once(rig):
    rig.leave(1)

    first, again = rig.collect(), rig.collect()

    assert first is not None
    assert first == again
    assert first.total == 1
    assert rig.back == [(TAG, 7)]
    assert rig.collect(first=1).notices == ()
    assert rig.collect() is None
    assert rig.stats.collections == {"served": 3, "refused": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"key": MALLORY},
        {"over": 8},
        {"presence_point": NodeId(b"q" * 32)},
        {"tag": b"u" * 16},
        {"issued": UnixTime(NOW - 121)},
    ],
    ids=["forged", "other circuit", "other point", "other tag", "replayed later"],
)
def test_nobody_else_collects_nowhere_else_and_at_no_other_time(rig, change):
    rig.leave(1)

    assert rig.collect(**change) is None
    assert rig.back == []
    assert rig.boxes.is_open(TAG, NOW)


def test_a_registered_user_does_not_collect_anothers_notices(rig):
    rig.leave(1)
    signer = UserSigner.by_identity(MALLORY)
    data = sign_collection(
        signer,
        network=TEST_NETWORK,
        presence_point=POINT,
        channel=channel(9),
        tag=TAG,
        issued=UnixTime(NOW),
        first=0,
    )

    assert rig.given(9, data) is None


def test_collections_of_a_circuit_are_bounded(rig):
    results = [rig.collect(key=MALLORY) for _ in range(5)]

    assert results == [None] * 5
    assert rig.collect() is None  # this circuit has asked too often
    assert rig.collect(8) is not None
    assert rig.collect(7) is None  # and no third one may ask now
    rig.desk.circuit_closed(9)
    assert rig.collect(7) is None  # the mailbox is empty, and has ended


@pytest.mark.parametrize("data", [b"", bytes(296), bytes(297)], ids=len)
def test_what_is_no_collection_is_refused(rig, data):
    assert rig.given(9, data) is None
