"""The contracts' interface by name (discovery/transactions/abi.py)."""

import pytest
from eth_abi import encode
from hypothesis import given
from hypothesis import strategies as st

from discovery.contract.artefacts import NAMES, artefact
from discovery.transactions.abi import (
    call_data,
    decode_log,
    decode_result,
    decode_revert,
    deploy_data,
)
from psp.crypto.keccak import keccak256
from psp.errors import DecodeError, LocalProtocolError

VIEWS = [
    (name, entry["name"])
    for name in NAMES
    for entry in artefact(name).abi
    if entry["type"] == "function"
]
EVENTS = [
    (name, entry)
    for name in NAMES
    for entry in artefact(name).abi
    if entry["type"] == "event"
]


def test_call_is_selector_and_words():
    data = call_data("Relays", "move_vote", 1, 2, 3)

    assert data[:4] == keccak256(b"move_vote(uint256,uint256,uint256)")[:4]
    assert data[4:] == b"".join(n.to_bytes(32) for n in (1, 2, 3))


def test_deployment_is_code_and_arguments():
    address = b"a" * 20
    arguments = (address, address, 60, 120, 1, 32, 3, True, False, 0)

    data = deploy_data("Relays", *arguments)

    assert data.startswith(artefact("Relays").bytecode)
    assert len(data) == len(artefact("Relays").bytecode) + 10 * 32
    assert deploy_data("Users") == artefact("Users").bytecode


@pytest.mark.parametrize(
    ("function", "args"),
    [
        ("vote", ()),
        ("vote", (-1,)),
        ("vote", ("x",)),
        ("set_operator", (1, b"short")),
        ("rotate_onion", (1, b"o" * 31, (b"r" * 32, b"s" * 32))),
        ("nonsense", ()),
    ],
)
def test_arguments_that_do_not_fit_are_our_mistake(function, args):
    with pytest.raises(LocalProtocolError):
        call_data("Relays", function, *args)


def test_results_come_in_our_forms():
    book = encode(["address"], [b"b" * 20])
    listed = encode(["uint256", "uint256[]"], [5, [1, 2]])

    assert decode_result("Relays", "book", book) == b"b" * 20
    assert decode_result("Relays", "discovery", listed) == (5, (1, 2))
    assert decode_result("Relays", "withdraw", b"") is None


def test_structs_are_tuples():
    words = (7, b"i" * 32, b"o" * 32, (b"r" * 32, b"s" * 32), (b"e" * 32,) * 4)
    kind = "(uint256,bytes32,bytes32,bytes32[2],bytes32[4])"

    assert decode_result("NodeBook", "record", encode([kind], [words])) == words


@pytest.mark.parametrize("view", VIEWS)
@given(data=st.binary(max_size=400))
def test_any_answer_is_a_result_or_refused(view, data):
    try:
        decode_result(*view, data)
    except DecodeError:
        return


@given(st.integers(0, 2**256 - 1), st.integers(0, 2**256 - 1))
def test_lists_that_claim_any_size_are_refused(offset, size):
    data = offset.to_bytes(32) + size.to_bytes(32)

    try:
        assert decode_result("Relays", "elected", data) == ()
    except DecodeError:
        return


def test_event_is_found_by_its_name():
    topics = [
        keccak256(b"Vote(address,uint256,uint256,bool,uint256)"),
        b"v" * 20,
        (7).to_bytes(32),
    ]
    topics[1] = topics[1].rjust(32, b"\0")
    data = encode(["uint256", "bool", "uint256"], [10**18, True, 4])

    event = decode_log("Relays", topics, data)

    assert event.name == "Vote"
    assert event.fields == {
        "voter": b"v" * 20, "number": 7, "amount": 10**18, "added": True, "epoch": 4,
    }  # fmt: skip


def test_events_of_others_are_passed_over():
    assert decode_log("Relays", [], b"") is None
    assert decode_log("Relays", [b"x" * 32], b"") is None
    assert decode_log("Users", [keccak256(b"NodeEnded(uint256,uint256)")], b"") is None


@pytest.mark.parametrize(("contract", "entry"), EVENTS, ids=lambda e: str(e)[:20])
@given(
    topics=st.lists(st.binary(min_size=32, max_size=32), max_size=3),
    data=st.binary(max_size=200),
)
def test_any_log_is_an_event_or_refused(contract, entry, topics, data):
    kinds = ",".join(field["type"] for field in entry["inputs"])
    name = keccak256(f"{entry['name']}({kinds})".encode())

    try:
        event = decode_log(contract, [name, *topics], data)
    except DecodeError:
        return

    assert event.name == entry["name"]
    assert set(event.fields) == {field["name"] for field in entry["inputs"]}


def test_reasons_are_read():
    def error(text):
        return keccak256(b"Error(string)")[:4] + encode(["string"], [text])

    panic = keccak256(b"Panic(uint256)")[:4] + (17).to_bytes(32)

    assert decode_revert(error("stake")) == "stake"
    assert decode_revert(error("a\nb" + "c" * 500)) == "ab" + "c" * 197
    assert decode_revert(error("")) == decode_revert(b"") == "no reason given"
    assert decode_revert(panic) == "panic 17"
    assert decode_revert(b"\x01" * 36) == "36 bytes of unknown meaning"


@given(st.sampled_from([b"", b"\x08\xc3\x79\xa0", b"NH{q"]), st.binary(max_size=150))
def test_any_bytes_of_a_refusal_give_a_short_text(selector, data):
    assert len(decode_revert(selector + data)) <= 200
