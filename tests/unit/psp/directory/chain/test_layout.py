"""What readers know of the contracts, against what the compiler says."""

import json
from pathlib import Path

import pytest
from eth_abi import encode
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.keccak import keccak256
from psp.directory.chain import layout
from psp.directory.chain.layout import Weight
from psp.errors import DecodeError

ARTEFACTS = Path(__file__).parents[5] / "discovery" / "contract" / "artefacts"
CONTRACTS = {
    name: json.loads((ARTEFACTS / f"{name}.json").read_text("utf-8"))
    for name in ("NodeBook", "Users", "Relays", "Names")
}


def slot(contract, name):
    return CONTRACTS[contract]["storage_layout"][name]["slot"]


def size(contract, name):
    return CONTRACTS[contract]["storage_layout"][name]["n_slots"]


def selector(contract, name):
    entry = next(
        e for e in CONTRACTS[contract]["abi"] if e.get("name") == name and "inputs" in e
    )
    types = ",".join(field["type"] for field in entry["inputs"])
    return keccak256(f"{name}({types})".encode())[:4]


@pytest.mark.parametrize(
    ("ours", "contract", "name"),
    [
        (layout.BOOK_KEEPER, "NodeBook", "keeper"),
        (layout.BOOK_COUNT, "NodeBook", "node_count"),
        (layout.BOOK_RECORDS, "NodeBook", "records"),
        (layout.USERS_COUNT, "Users", "user_count"),
        (layout.USERS_RECORDS, "Users", "users"),
        (layout.NAMES_USERS, "Names", "users"),
        (layout.NAMES_DEPOSIT, "Names", "deposit"),
        (layout.NAMES_COUNT, "Names", "name_count"),
        (layout.NAMES_RECORDS, "Names", "records"),
        (layout.NAMES_NUMBERS, "Names", "numbers"),
        (layout.NAMES_HELD, "Names", "held"),
        (layout.RELAYS_PARAMS, "Relays", "params"),
        (layout.RELAYS_MIN_STAKE, "Relays", "min_stake"),
        (layout.RELAYS_BOOK, "Relays", "book"),
        (layout.RELAYS_USERS, "Relays", "users"),
        (layout.RELAYS_TRUSTED, "Relays", "trusted"),
        (layout.RELAYS_HEAP_META, "Relays", "heap_meta"),
        (layout.RELAYS_SEED_TARGET, "Relays", "seed_target"),
        (layout.RELAYS_SEEDS, "Relays", "seeds"),
        (layout.RELAYS_HEAPS, "Relays", "heaps"),
        (layout.RELAYS_BEACONS, "Relays", "beacons"),
        (layout.RELAYS_WEIGHTS, "Relays", "weight_words"),
    ],
)
def test_slots_are_those_of_the_compiler(ours, contract, name):
    assert ours == slot(contract, name)


def test_the_book_holds_nothing_that_is_not_listed():
    assert set(CONTRACTS["NodeBook"]["storage_layout"]) == {
        "keeper",
        "node_count",
        "records",
    }


def test_names_hold_nothing_that_their_listing_does_not_imply():
    assert set(CONTRACTS["Names"]["storage_layout"]) == {
        *("users", "deposit", "name_count"),
        *("records", "numbers", "held"),
    }


def test_sizes_are_those_of_the_compiler():
    assert size("Relays", "heap_meta") == size("Relays", "seeds") == layout.RING
    assert size("Relays", "seed_target") == layout.RING
    assert size("Relays", "heaps") == layout.RING * layout.MAX_SEATS
    assert size("Relays", "trusted") == 1 + layout.MAX_TRUSTED


@pytest.mark.parametrize(
    ("ours", "contract", "name"),
    [
        (layout.NODE_COUNT, "NodeBook", "node_count"),
        (layout.PAGE, "NodeBook", "page"),
        (layout.VERSIONS, "NodeBook", "versions"),
        (layout.RECORDS_OF, "NodeBook", "records_of"),
        (layout.USER_COUNT, "Users", "user_count"),
        (layout.PAGE, "Users", "page"),
        (layout.VERSIONS, "Users", "versions"),
        (layout.PAGE, "Names", "page"),
        (layout.VERSIONS, "Names", "versions"),
        (layout.WEIGHTS, "Relays", "weights"),
    ],
)
def test_selectors_are_those_of_the_interface(ours, contract, name):
    assert ours == selector(contract, name)


@pytest.mark.parametrize(
    ("call", "selector"),
    [
        (layout.node_page_call, layout.PAGE),
        (layout.node_versions_call, layout.VERSIONS),
        (layout.user_page_call, layout.PAGE),
        (layout.user_versions_call, layout.VERSIONS),
        (layout.name_page_call, layout.PAGE),
        (layout.name_versions_call, layout.VERSIONS),
        (layout.weights_call, layout.WEIGHTS),
    ],
)
def test_pages_are_asked_for_in_the_contracts_encoding(call, selector):
    assert call(241, 9) == selector + encode(["uint256", "uint256"], [241, 9])


def test_other_questions_too():
    numbers = [5, 1, 2**32 - 1]

    assert layout.node_count_call() == layout.NODE_COUNT
    assert layout.user_count_call() == layout.USER_COUNT
    assert layout.node_records_call(numbers) == layout.RECORDS_OF + encode(
        ["uint256[]"], [numbers]
    )


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=20))
def test_lists_of_words(words):
    data = encode(["bytes32[]"], [words])

    assert layout.decode_words(data, 20) == b"".join(words)
    if words:
        with pytest.raises(DecodeError, match="words"):
            layout.decode_words(data, len(words) - 1)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=40))
def test_versions(versions):
    padded = versions + [0] * (-len(versions) % 8)
    words = [
        sum(version << (32 * i) for i, version in enumerate(padded[start : start + 8]))
        for start in range(0, len(padded), 8)
    ]
    data = encode(["uint256[]"], [words])

    assert layout.decode_versions(data, len(versions)) == tuple(versions)
    for wrong in (len(versions) + 8, len(versions) - 8):
        if wrong >= 0:
            with pytest.raises(DecodeError):
                layout.decode_versions(data, wrong)


def test_versions_of_more_than_was_asked_for_are_refused():
    data = encode(["uint256[]"], [[(7 << 32) | 7]])

    assert layout.decode_versions(data, 2) == (7, 7)
    with pytest.raises(DecodeError, match="more than 1"):
        layout.decode_versions(data, 1)


def test_weights():
    word = 5 | 6 << 96 | 7 << 192 | 8 << 224
    data = encode(["uint256[]"], [[word, 0]])

    first, second = layout.decode_weights(data, 2)

    assert (first, second) == (Weight(5, 6, 7, 8), Weight(0, 0, 0, 0))
    assert (first.at(7), first.at(8)) == (5, 6)
    with pytest.raises(DecodeError):
        layout.decode_weights(data, 3)


def test_counts():
    assert layout.decode_count((9).to_bytes(32), 9) == 9
    for data in ((10).to_bytes(32), bytes(31), b"", bytes(33)):
        with pytest.raises(DecodeError):
            layout.decode_count(data, 9)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_decode_error(data):
    for decode in (
        layout.decode_words,
        layout.decode_versions,
        layout.decode_weights,
        layout.decode_count,
    ):
        try:
            decode(data, 3)
        except DecodeError:
            continue


def test_epochs_start_at_four():
    times = [layout.epoch_at(t, 1_000, 60) for t in (1_000, 1_059, 1_060)]

    assert times == [4, 4, 5]
    assert [layout.epoch_start(e, 1_000, 60) for e in (4, 5)] == [1_000, 1_060]
