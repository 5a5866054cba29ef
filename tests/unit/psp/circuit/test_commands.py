"""What the tables of commands promise, and the part byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.circuit.commands import (
    ANSWERING,
    ANSWERS,
    BARE,
    NOTICES,
    SERVICES,
    TO_HOP,
    TO_ORIGIN,
    WHOLE_SIZES,
    split_part,
    to_messages,
)
from psp.errors import DecodeError, LocalProtocolError
from psp.wire.onion import message_capacity
from psp.wire.relay_message import RelayCommand, RelayMessage


def test_every_command_asks_answers_or_tells():
    assert {*ANSWERS, *ANSWERING, *NOTICES, RelayCommand.BLOCK} == set(RelayCommand)


def test_an_answer_is_the_number_after_its_request():
    assert all(answer == request + 1 for request, answer in ANSWERS.items())


def test_no_command_both_asks_and_answers():
    assert not ANSWERS.keys() & ANSWERING


def test_only_introductions_and_changes_are_asked_of_the_origin():
    assert {RelayCommand.INTRODUCTION, RelayCommand.CHANGED} == TO_ORIGIN
    assert not TO_HOP & TO_ORIGIN
    assert SERVICES < TO_HOP


def test_no_answer_has_more_parts_than_its_request():
    # What lets an asker bound the answers by what it sent.
    for request, answer in ANSWERS.items():
        assert answer not in WHOLE_SIZES or request in WHOLE_SIZES


def test_halves_are_as_large_as_the_specification_says():
    halves = {command.name: size // 2 for command, size in WHOLE_SIZES.items()}

    assert halves == {
        "EXTEND": 716,
        "EXTENDED": 592,
        "INTRODUCE": 760,
        "INTRODUCTION": 760,
    }


@pytest.mark.parametrize("command", sorted(RelayCommand))
def test_data_survives_being_split(command):
    data = bytes(range(8)) * (WHOLE_SIZES.get(command, 40) // 8)

    messages = to_messages(command, 7, data, message_capacity(4))
    parts = [split_part(message) for message in messages]

    assert {message.stream_id for message in messages} == {7}
    assert [part for part, _ in parts] == ([1, 2] if len(messages) == 2 else [0])
    assert b"".join(part for _, part in parts) == data
    assert (messages[0].data == data) == (command in BARE)


@pytest.mark.parametrize(
    ("command", "size"),
    [
        (RelayCommand.EXTEND, 1431),
        (RelayCommand.INTRODUCE, 0),
        (RelayCommand.FETCHED, 1106),
        (RelayCommand.REPORT, 1107),
    ],
)
def test_data_that_does_not_fit_is_a_bug_of_ours(command, size):
    with pytest.raises(LocalProtocolError, match=command.name):
        to_messages(command, 1, bytes(size), message_capacity(4))


@pytest.mark.parametrize(
    "message",
    [
        RelayMessage(RelayCommand.LOOKUP, 1, b""),
        RelayMessage(RelayCommand.LOOKUP, 1, b"\1" + bytes(20)),
        RelayMessage(RelayCommand.EXTEND, 1, b"\0" + bytes(716)),
        RelayMessage(RelayCommand.EXTEND, 1, b"\3" + bytes(716)),
        RelayMessage(RelayCommand.EXTEND, 1, b"\1" + bytes(715)),
        RelayMessage(RelayCommand.EXTENDED, 1, b"\2" + bytes(716)),
    ],
)
def test_wrong_parts_are_refused(message):
    with pytest.raises(DecodeError):
        split_part(message)


@given(st.sampled_from(RelayCommand), st.binary(max_size=800))
def test_any_data_has_a_part_or_is_a_decode_error(command, data):
    try:
        part, rest = split_part(RelayMessage(command, 1, data))
    except DecodeError:
        return
    assert (bytes([part]) + rest == data) or (part == 0 and rest == data)
