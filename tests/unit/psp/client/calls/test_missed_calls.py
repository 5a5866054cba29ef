"""Missed calls: kept between runs, bounded, each notice once."""

import json

import pytest

from psp.client.calls import missed_calls
from psp.client.calls.missed_calls import Absence, MissedCall, MissedCalls
from psp.client.sealed_file import SealedFile
from psp.errors import ConfigError
from psp.ids import NodeId, UserId
from psp.testing.entropy import SeededEntropy
from psp.units import UnixTime

BOB = UserId(b"b" * 32)
NOTICE = MissedCall(1_000, BOB, text="call me", is_notice=True)
RING = MissedCall(2_000, contact="carol")
ABSENCE = Absence(NodeId(b"p" * 32), b"t" * 16, b"k" * 32, UnixTime(90_000))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "state" / "missed.json"
    return SealedFile(path, b"k" * 32, SeededEntropy(1), "psp-missed-calls", 1)


def test_calls_are_listed_by_time_and_told_once():
    missed = MissedCalls()
    told = []
    missed.on_missed = told.append

    assert missed.add(RING) == (RING,)
    assert missed.add(NOTICE, NOTICE) == (NOTICE,)

    assert missed.list() == (NOTICE, RING)
    assert told == [RING, NOTICE]


def test_the_same_notice_from_another_mailbox_is_no_news():
    missed = MissedCalls()
    missed.add(NOTICE)

    assert missed.add(NOTICE) == ()
    assert missed.list() == (NOTICE,)


def test_two_rings_in_the_same_second_are_two():
    missed = MissedCalls()

    missed.add(RING)
    missed.add(RING)

    assert missed.list() == (RING, RING)


def test_everything_survives_a_restart(file):
    missed = MissedCalls(file)
    missed.add(NOTICE, RING)
    missed.add_absence(ABSENCE)

    again = MissedCalls(file)

    assert again.list() == (NOTICE, RING)
    assert again.absences(0) == (ABSENCE,)


def test_the_file_tells_a_thief_nothing(file):
    missed = MissedCalls(file)
    missed.add(NOTICE)
    missed.add_absence(ABSENCE)

    text = file.path.read_text()

    for secret in ("call me", BOB.hex(), ABSENCE.contact_private.hex(), "carol"):
        assert secret not in text


def test_what_is_forgotten_stays_forgotten(file):
    missed = MissedCalls(file)
    missed.add(NOTICE)
    missed.add_absence(ABSENCE)
    missed.clear()
    missed.remove_absence(ABSENCE.tag)

    again = MissedCalls(file)

    assert (again.list(), again.absences(0)) == ((), ())


def test_the_oldest_go_first(monkeypatch):
    monkeypatch.setattr(missed_calls, "MAX_CALLS", 2)
    monkeypatch.setattr(missed_calls, "MAX_ABSENCES", 2)
    missed = MissedCalls()
    for number in range(3):
        missed.add(MissedCall(number))
        tag = bytes([number]) * 16
        missed.add_absence(Absence(NodeId(b"p" * 32), tag, b"", UnixTime(9)))

    assert [call.when for call in missed.list()] == [1, 2]
    assert [absence.tag[0] for absence in missed.absences(0)] == [1, 2]


def test_a_mailbox_that_has_ended_is_not_emptied():
    missed = MissedCalls()
    missed.add_absence(ABSENCE)

    assert missed.absences(89_999) == (ABSENCE,)
    assert missed.absences(90_000) == ()


def test_signing_off_twice_under_a_tag_is_one_mailbox():
    missed = MissedCalls()
    missed.add_absence(ABSENCE)
    missed.add_absence(ABSENCE)

    assert missed.absences(0) == (ABSENCE,)


@pytest.mark.parametrize(
    "state",
    [
        {"calls": 1},
        {"calls": [1]},
        {"calls": [{}]},
        {"calls": [{"when": "x", "caller": None, "contact": None, "text": ""}]},
        {"absences": [{"presence_point": "zz", "tag": "", "contact_private": ""}]},
    ],
    ids=json.dumps,
)
def test_a_file_with_something_else_is_a_config_error(file, state):
    file.save(state)

    with pytest.raises(ConfigError, match="something else"):
        MissedCalls(file)


def test_another_identitys_file_is_a_config_error(file):
    MissedCalls(file).add(RING)
    other = SealedFile(file.path, b"l" * 32, SeededEntropy(1), "psp-missed-calls", 1)

    with pytest.raises(ConfigError):
        MissedCalls(other)
