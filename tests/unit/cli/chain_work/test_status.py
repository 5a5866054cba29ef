"""Phases, lengths of time, pages (cli/chain_work/status.py)."""

import doctest

import pytest

from cli.chain_work import status
from cli.chain_work.status import (
    EndpointReport,
    NetworkReport,
    Phase,
    duration,
    endpoint_rows,
    phase_of,
)
from psp.directory.chain.alarms import Alarm, AlarmKind, Severity
from psp.directory.chain.header import BlockHeader
from psp.directory.chain.records import NodeStatus
from psp.runtime.chain_reader import Completeness, Reading
from psp.runtime.quorum import Agreed
from psp.testing.chain import MemoryContracts
from psp.testing.entropy import SeededEntropy

EPOCH = 3_600


def contracts():
    made = MemoryContracts.with_nodes(SeededEntropy("status"), 5, users=2)
    made.end_node(2, NodeStatus.RETIRED)
    made.end_node(3, NodeStatus.REVOKED)
    made.elect(4, [1, 4])
    made.trust([5])
    return made


def test_the_examples_hold():
    assert doctest.testmod(status).failed == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_661, "1 h 1 min"),
        (86_400, "1 d"),
        (86_401, "1 d"),
        (7 * 86_400 + 3_600, "7 d 1 h"),
    ],
)
def test_a_length_of_time_is_shown_in_its_largest_units(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("into", "draw", "phase"),
    [
        (0, None, Phase("stakes change, election 5 not begun", 1_800)),
        (1_799, None, Phase("stakes change, election 5 not begun", 1)),
        (1_800, None, Phase("waiting for the seed of 5", 1_800)),
        (1_900, b"", Phase("the seed of 5 is being drawn", 1_700)),
        (1_900, b"\x01" * 32, Phase("nominations for 5", 1_700)),
        (3_599, b"\x01" * 32, Phase("nominations for 5", 1)),
    ],
)
def test_an_election_has_four_phases(into, draw, phase):
    made = contracts()
    if draw is not None:
        made.draw(5, 10, draw)
    timestamp = made.genesis + into

    assert phase_of(made.view(1, timestamp).state, timestamp) == phase


def report(*alarms):
    made = contracts()
    view = made.view(7)
    header = BlockHeader.from_json(made.block(7, view.timestamp))
    reading = Reading(view, Agreed(header, 2, is_full=False), Completeness.PROVEN)
    return NetworkReport(reading, list(alarms), 12, Phase("waiting", 30))


def test_a_page_counts_what_counts_and_says_why_the_rest_does_not():
    rows = dict(report().rows[:8])

    assert rows["block"] == "7, 12 s old"
    assert rows["agreement"] == "2 endpoints"
    assert rows["list in force"] == "epoch 4's"
    assert rows["seats"] == "2 of 8 taken"
    assert rows["nodes"] == "3"
    assert ["", "not counted: 1, retired"] in report().rows
    assert ["", "not counted: 1, revoked"] in report().rows
    assert ["users", "2"] in report().rows
    assert ["code", "Relays, NodeBook, Users: not as shipped"] in report().rows


def test_programs_get_the_same():
    figures = report().figures

    assert figures["nodes"] == 3
    assert figures["nodes_refused"] == {"retired": 1, "revoked": 1}
    assert figures["trusted"] == 1
    assert figures["phase"] == "waiting"
    assert figures["alarms"] == []


def test_alarms_stand_at_the_end():
    alarm = Alarm(AlarmKind.STALE, Severity.WARNING, "the newest block is old")

    assert report(alarm).rows[-1] == ["alarm", "the newest block is old"]
    assert report(alarm).figures["alarms"] == ["the newest block is old"]


def test_endpoints_say_their_block_or_their_trouble():
    made = contracts()
    header = BlockHeader.from_json(made.block(7, made.genesis))

    rows = endpoint_rows(
        [
            EndpointReport("endpoint 1", header),
            EndpointReport("endpoint 2", None, "dead"),
        ]
    )

    name = header.hash.hex()[:8]
    assert rows == [
        ["endpoint 1", f"final block 7 (0x{name}…)"],
        ["endpoint 2", "dead"],
    ]
