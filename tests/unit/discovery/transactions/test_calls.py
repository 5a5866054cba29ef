"""Every call with types (discovery/transactions/calls.py)."""

import pytest
from eth_abi import decode

from discovery.contract.artefacts import artefact
from discovery.transactions.call import Call, transfer
from discovery.transactions.calls import (
    NOBODY,
    Names,
    NodeBook,
    Relays,
    Users,
    deployment,
)
from psp.crypto.keccak import keccak256
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NodeId
from psp.netdoc.node_entry import SignedNode
from psp.netdoc.node_record import NodeRecord
from psp.wire.endpoint import Endpoint
from psp.wire.link_specifiers import pack

ADDRESS = b"r" * 20
RELAYS, USERS, NAMES = Relays(ADDRESS), Users(ADDRESS), Names(ADDRESS)
SIGNATURE = b"r" * 32 + b"s" * 32
WORD = b"e" * 32

CALLS = {
    "Relays": {
        "register": RELAYS.register(b"i" * 32, b"o" * 32, SIGNATURE, [WORD], stake=9),
        "update": RELAYS.update(1, b"i" * 32, b"o" * 32, SIGNATURE, [WORD] * 4),
        "rotate_onion": RELAYS.rotate_onion(1, b"o" * 32, SIGNATURE),
        "retire": RELAYS.retire(1),
        "revoke": RELAYS.revoke(1),
        "set_operator": RELAYS.set_operator(1, b"x" * 20),
        "vote": RELAYS.vote(1, value=9),
        "unvote": RELAYS.unvote(1, 9),
        "move_vote": RELAYS.move_vote(1, 2, 9),
        "withdraw": RELAYS.withdraw(),
        "request_seed": RELAYS.request_seed(),
        "reveal_seed": RELAYS.reveal_seed(),
        "nominate": RELAYS.nominate(1),
        "nominate_many": RELAYS.nominate_many((1, 2)),
        "set_trusted": RELAYS.set_trusted((1, 2)),
        "offer_admin": RELAYS.offer_admin(NOBODY),
        "accept_admin": RELAYS.accept_admin(),
        "renounce_admin": RELAYS.renounce_admin(),
    },
    "Users": {
        "register": USERS.register(b"i" * 32, SIGNATURE),
        "rotate": USERS.rotate(1, b"i" * 32, SIGNATURE),
        "revoke": USERS.revoke(1),
        "move": USERS.move(1, b"x" * 20, SIGNATURE),
        "set_for": USERS.set_for(
            b"x" * 20, 0, b"i" * 32, SIGNATURE, deadline=9,
            permission=(27, b"r" * 32, b"s" * 32),
        ),
    },
    "Names": {
        "register": NAMES.register("alice", 3, deposit=9),
        "renew": NAMES.renew(1),
        "release": NAMES.release(1),
    },
    "NodeBook": {"bind": NodeBook(ADDRESS).bind(b"x" * 20)},
}  # fmt: skip
KEEPERS_ONLY = {"add", "replace", "rotate", "end"}


def functions(contract):
    return {
        entry["name"]: entry
        for entry in artefact(contract).abi
        if entry["type"] == "function" and entry["stateMutability"] != "view"
    }


@pytest.mark.parametrize("contract", CALLS)
def test_every_function_that_writes_has_a_call(contract):
    writing = functions(contract).keys()

    if contract == "NodeBook":
        writing -= KEEPERS_ONLY
    assert CALLS[contract].keys() == writing


@pytest.mark.parametrize(
    ("contract", "function"), [(c, f) for c in CALLS for f in CALLS[c]]
)
def test_call_is_one_that_the_contract_reads(contract, function):
    call = CALLS[contract][function]
    entry = functions(contract)[function]

    kinds = [field["type"] for field in entry["inputs"]]
    selector = keccak256(f"{function}({','.join(kinds)})".encode())[:4]
    assert call.to == ADDRESS
    assert call.data[:4] == selector
    decode(kinds, call.data[4:])
    assert call.value in {0, 9}
    assert bool(call.value) == (entry["stateMutability"] == "payable")
    assert call.what


def test_unused_words_of_endpoints_are_zero():
    data = CALLS["Relays"]["register"].data

    assert data[-4 * 32 :] == WORD + bytes(3 * 32)


@pytest.mark.parametrize("words", [[], [WORD] * 5, [b"short"]])
def test_endpoints_that_do_not_fit_are_refused(words):
    with pytest.raises(LocalProtocolError):
        RELAYS.update(1, b"i" * 32, b"o" * 32, SIGNATURE, words)


def test_a_signed_node_is_entered_as_its_fields():
    endpoints = (Endpoint("192.0.2.1", 443),)
    record = NodeRecord(NodeId(b"i" * 32), b"o" * 32, endpoints, b"x" * 20)
    node, words = SignedNode(record, SIGNATURE), pack(endpoints)

    assert RELAYS.register_node(node, stake=9) == RELAYS.register(
        b"i" * 32, b"o" * 32, SIGNATURE, words, stake=9
    )
    assert RELAYS.update_node(3, node) == RELAYS.update(
        3, b"i" * 32, b"o" * 32, SIGNATURE, words
    )


def test_signatures_of_another_length_are_refused():
    with pytest.raises(LocalProtocolError):
        USERS.register(b"i" * 32, SIGNATURE[:-1])


def test_names_go_out_in_their_one_spelling():
    assert NAMES.register("Alice", 3, deposit=9).data == CALLS["Names"]["register"].data
    with pytest.raises(DecodeError, match="3 to 31 characters"):
        NAMES.register("a--b", 3, deposit=9)


def test_deployments_and_payments_are_calls_too():
    assert deployment("Users") == Call(
        None, artefact("Users").bytecode, 0, "deploy Users"
    )
    assert transfer(ADDRESS, 5) == Call(ADDRESS, b"", 5, "pay 5 wei")
