"""Lists of numbered records, and what changes of them make."""

import pytest

from psp.directory.chain.listed import (
    ListedRecord,
    NotCounted,
    changed_numbers,
    flags_of,
    joined,
    merged,
    reason_of,
)
from psp.errors import DecodeError


def record(number, version=1, status=1):
    head = int.from_bytes(b"o" * 20) | status << 160 | 1 << 164 | version << 168
    return ListedRecord(number, head.to_bytes(32) + b"i" * 32)


LISTED = tuple(record(number) for number in range(1, 6))
VERSIONS = [r.summary for r in LISTED]


def test_a_head_tells_owner_and_version():
    assert (record(1, 7).owner, record(1, 7).version) == (b"o" * 20, 7)
    assert record(1, 7).summary == 7 << 8 | 1 << 4 | 1
    assert record(1).identity == b"i" * 32
    assert [record(1, status=status).is_revoked for status in (1, 2, 3)] == [0, 0, 1]


def test_equal_versions_need_no_reading():
    assert changed_numbers(LISTED, VERSIONS) == ()
    assert changed_numbers((), []) == ()


def test_other_versions_statuses_and_new_records_are_read():
    versions = [
        *VERSIONS[:1],
        record(2, 2).summary,
        VERSIONS[2],
        record(4, 1, 3).summary,
    ]
    versions += [VERSIONS[4], 5, 5]  # fmt: skip

    assert changed_numbers(LISTED, versions) == (2, 4, 6, 7)


def test_records_do_not_vanish():
    with pytest.raises(DecodeError, match="4 records where 5"):
        changed_numbers(LISTED, VERSIONS[:4])


def test_changed_records_take_their_places():
    made = merged(LISTED, [record(6), record(2, 9)], 6)

    assert [r.number for r in made] == [1, 2, 3, 4, 5, 6]
    assert [r.version for r in made] == [1, 9, 1, 1, 1, 1]
    assert merged((), [], 0) == ()


@pytest.mark.parametrize(
    ("changed", "count"), [([], 6), ([record(7)], 6), ([record(7)], 7), ([], 4)]
)
def test_a_list_has_no_gaps(changed, count):
    with pytest.raises(DecodeError):
        merged(LISTED, changed, count)


def test_a_list_is_its_words_one_after_the_other():
    assert joined(LISTED) == b"".join(r.raw for r in LISTED)


def test_verdicts_survive_as_flags():
    verdicts = [NotCounted.DEAD, object(), *NotCounted]

    flags = flags_of(verdicts)

    assert [reason_of(flag) for flag in flags] == [NotCounted.DEAD, None, *NotCounted]
    with pytest.raises(DecodeError):
        reason_of(len(NotCounted) + 1)
