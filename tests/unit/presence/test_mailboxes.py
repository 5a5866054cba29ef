"""Mailboxes: bounded, dear to flood, collected once, gone after a day."""

import pytest

from presence.config import MailboxConfig
from presence.mailboxes import Mailboxes
from presence.stats import PresenceStats
from psp.crypto.work import search
from psp.ids import UserId
from psp.netdoc.missed_call import notice_challenge
from psp.units import Monotonic
from psp.wire.mailboxes import Collected, MissedRequest, Noted, NotedStatus

ALICE, BOB = UserId(b"a" * 32), UserId(b"b" * 32)
TAG = b"t" * 16
START, END = 1_000, 87_400
KEPT, FULL = Noted(NotedStatus.KEPT), Noted(NotedStatus.FULL)
NO_SUCH_TAG = Noted(NotedStatus.NO_SUCH_TAG)


def notice(number):
    return number.to_bytes(4) * 104


class Rig:
    def __init__(self, **limits):
        self.stats = PresenceStats()
        settings = {"first_effort": 1, "last_effort": 5, **limits}
        self.boxes = Mailboxes(MailboxConfig(**settings), self.stats)
        self.now = Monotonic(0.0)

    def open(self, tag=TAG, identity=ALICE, until=END, sequence=1):
        return self.boxes.open(tag, identity, until=until, sequence=sequence)

    def leave(self, number, tag=TAG, *, effort=0, nonce=bytes(16), unix_now=START):
        request = MissedRequest(tag, notice(number), effort, nonce)
        return self.boxes.leave(request, now=self.now, unix_now=unix_now)

    def leave_with_work(self, number, tag=TAG):
        """Leave a notice and do what work it takes."""
        noted = self.leave(number, tag)
        if noted.status is not NotedStatus.WORK_NEEDED:
            return noted, 0
        challenge = notice_challenge(tag, notice(number))
        nonce = search(challenge, noted.effort, 0, 10_000)
        return self.leave(number, tag, effort=noted.effort, nonce=nonce), noted.effort

    def collect(self, first=0, *, tag=TAG, identity=ALICE, unix_now=START):
        return self.boxes.collect(tag, identity, first, unix_now)


@pytest.fixture
def rig():
    rig = Rig()
    rig.open()
    return rig


def test_notices_are_given_to_their_owner_two_at_a_time(rig):
    for number in range(3):
        assert rig.leave(number) == KEPT

    assert rig.collect(0) == Collected(3, (notice(0), notice(1)))
    assert rig.collect(2) == Collected(3, (notice(2),))
    assert rig.collect(3) == Collected(3, ())
    assert rig.collect(0) is None
    assert (len(rig.boxes), rig.boxes.notices_held) == (0, 0)


def test_an_empty_mailbox_ends_with_the_first_collection(rig):
    assert rig.collect() == Collected(0, ())
    assert len(rig.boxes) == 0


def test_nobody_else_collects(rig):
    rig.leave(1)

    assert rig.collect(identity=BOB) is None
    assert rig.collect(tag=b"u" * 16) is None
    assert rig.collect(2) is None
    assert rig.boxes.is_open(TAG, START)


def test_what_was_given_is_given_again_until_it_was_confirmed(rig):
    rig.leave(1)

    assert rig.collect(0) == rig.collect(0) == Collected(1, (notice(1),))


def test_a_mailbox_that_is_being_emptied_takes_nothing_more(rig):
    rig.leave(1)
    assert rig.boxes.is_first_collection(TAG)

    rig.collect(0)

    assert not rig.boxes.is_first_collection(TAG)
    assert rig.leave(2) == NO_SUCH_TAG
    assert not rig.boxes.is_open(TAG, START)


def test_a_mailbox_ends_with_its_absence(rig):
    rig.leave(1)

    assert rig.leave(2, unix_now=END) == NO_SUCH_TAG
    assert rig.collect(unix_now=END) is None
    assert rig.boxes.owner(TAG, END) is None
    assert rig.boxes.sweep(END - 1) == []
    assert rig.boxes.sweep(END) == [TAG]
    assert rig.boxes.notices_held == 0


def test_a_second_absence_under_the_tag_keeps_what_is_there(rig):
    rig.leave(1)

    assert rig.open(until=END + 10, sequence=2) == []

    assert rig.boxes.sequence(TAG) == 2
    assert rig.boxes.is_open(TAG, END + 5)
    assert rig.collect().total == 1


def test_an_ended_mailbox_of_somebody_else_is_not_opened_again(rig):
    assert rig.leave(1) == KEPT

    rig.open(identity=BOB, until=2 * END)

    assert rig.boxes.owner(TAG, END) == BOB
    assert rig.collect(unix_now=END) is None
    assert rig.collect(identity=BOB, unix_now=END) == Collected(0, ())
    assert rig.boxes.notices_held == 0


def test_an_unknown_tag_is_told(rig):
    assert rig.leave(1, b"u" * 16) == NO_SUCH_TAG


def test_a_notice_that_is_there_is_not_kept_twice(rig):
    assert rig.leave(1) == rig.leave(1) == KEPT

    assert rig.boxes.notices_held == 1


def test_half_a_mailbox_is_free_and_the_rest_takes_more_and_more_work(rig):
    efforts = []
    for number in range(16):
        noted, effort = rig.leave_with_work(number)
        assert noted == KEPT
        efforts.append(effort)

    assert efforts[:8] == [0] * 8
    assert efforts[8:] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert rig.leave(16) == FULL
    assert rig.collect().total == 16
    assert rig.stats.notices["kept"] == 16


def test_a_flood_without_work_fills_half(rig):
    statuses = [rig.leave(number).status for number in range(1_000)]

    assert statuses.count(NotedStatus.KEPT) == 8
    assert statuses.count(NotedStatus.WORK_NEEDED) == 992


def test_work_that_was_not_done_is_refused(rig):
    rig = Rig(first_effort=12, last_effort=12)
    rig.open()
    for number in range(8):
        rig.leave(number)

    assert rig.leave(8, effort=12, nonce=b"n" * 16) == Noted(NotedStatus.REFUSED)
    assert rig.boxes.notices_held == 8


def test_work_for_one_notice_does_not_carry_another(rig):
    rig = Rig(first_effort=10, last_effort=10)
    rig.open()
    for number in range(8):
        rig.leave(number)
    nonce = search(notice_challenge(TAG, notice(8)), 10, 0, 20_000)

    assert rig.leave(9, effort=10, nonce=nonce) == Noted(NotedStatus.REFUSED)
    assert rig.leave(8, effort=10, nonce=nonce) == KEPT


def test_all_mailboxes_together_are_bounded_and_dear_before_they_are_full():
    rig = Rig(max_notices=4)
    tags = [bytes([number]) * 16 for number in range(5)]
    for number, tag in enumerate(tags):
        rig.open(tag, UserId(bytes([number]) * 32))
    results = [rig.leave_with_work(n, tag) for n, tag in enumerate(tags)]

    assert [noted for noted, _ in results] == [KEPT] * 4 + [FULL]
    assert [effort > 0 for _, effort in results] == [False, False, True, True, False]


def test_proofs_are_verified_at_a_bounded_rate():
    rig = Rig(proofs_per_second=2.0)
    rig.open()
    for number in range(8):
        rig.leave(number)
    results = [rig.leave_with_work(number)[0] for number in range(8, 12)]
    rig.now = Monotonic(1.0)

    assert results == [KEPT, KEPT, FULL, FULL]
    assert rig.leave_with_work(12)[0] == KEPT


def test_a_full_table_opens_no_further_mailbox():
    rig = Rig(max_mailboxes=1)
    rig.open()

    assert rig.open(b"u" * 16, BOB) == []
    assert not rig.boxes.is_open(b"u" * 16, START)


def test_a_users_oldest_mailbox_goes_for_a_new_one():
    rig = Rig(mailboxes_per_user=2)
    tags = [bytes([number]) * 16 for number in range(3)]
    for tag in tags[:2]:
        rig.open(tag)
    rig.leave(1, tags[0])
    rig.open(b"u" * 16, BOB)

    assert rig.open(tags[2]) == [tags[0]]

    assert rig.boxes.notices_held == 0
    assert len(rig.boxes) == 3
    assert rig.boxes.owner(tags[0], START) is None
