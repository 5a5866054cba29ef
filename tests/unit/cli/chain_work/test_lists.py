"""Draws for people and programs (cli/chain_work/lists.py)."""

import json
from dataclasses import replace

import pytest

from cli.chain_work.lists import (
    draw_figures,
    draw_rows,
    draw_sentence,
    short_id,
)
from discovery.replay.draw import Place, Replay
from psp.crypto.keys import SigningKey
from psp.directory.chain.records import NodeStatus
from psp.testing.chain import MemoryContracts, node_words

ETHER = 10**18
PLACES = (
    Place(2, 2 * ETHER, 5 << 32 | 2, is_elected=True),
    Place(1, ETHER, 9 << 32 | 1, is_elected=False),
)
DONE = Replay(
    epoch=6,
    seed=b"\x01" * 32,
    seed_height=33,
    weights={1: ETHER, 2: 3 * ETHER},
    places=PLACES,
    stored=(2,),
    is_held=True,
    is_final=True,
)


def nodes():
    """Active, retired, revoked, a double of the first."""
    contracts = MemoryContracts()
    for seed in (1, 2, 3, 1):
        contracts.nodes.append(node_words(SigningKey.from_seed(bytes([seed]) * 32)))
    contracts.end_node(2, NodeStatus.RETIRED)
    contracts.end_node(3, NodeStatus.REVOKED)
    return contracts.view(1).nodes


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({}, "matches the list that the contract holds: 1 elected of 2 nominated"),
        ({"is_held": False}, "matches the contract's events: 1 elected of 2 nominated"),
        (
            {"places": (), "stored": ()},
            "matches: nobody was nominated, nobody is elected",
        ),
        ({"faults": ("one", "two")}, "does not match: one; two"),
    ],
)
def test_a_draw_ends_in_a_sentence(changed, sentence):
    assert draw_sentence(replace(DONE, **changed)) == sentence


def test_places_are_rows_with_a_name_or_the_reason_for_none():
    listed = nodes()

    rows = draw_rows(DONE, listed)

    assert rows[0] == ["2", "retired", "2 ether", "elected"]
    assert rows[1] == ["1", f"{listed.numbers[1].hex()[:16]}…", "1 ether", ""]
    assert short_id(listed, 3) == "revoked"
    assert short_id(listed, 4) == "identity registered under a lower number"
    assert short_id(listed, 99) == "unknown"


def test_programs_get_everything_in_json():
    figures = json.loads(json.dumps(draw_figures(DONE, nodes())))

    assert figures["matches"] is True
    assert figures["elected"] == figures["stored"] == [2]
    assert figures["elected_ids"] == [""]
    assert figures["seed"] == "0x" + "01" * 32
    assert figures["places"][0] == {
        "number": 2,
        "weight_wei": 2 * ETHER,
        "stake_at_start_wei": 3 * ETHER,
        "key": hex(5 << 32 | 2),
        "elected": True,
    }


def test_a_draw_without_a_seed_has_an_empty_one():
    empty = replace(DONE, places=(), stored=(), seed=b"", weights={})

    assert draw_figures(empty, nodes())["seed"] == "0x"
