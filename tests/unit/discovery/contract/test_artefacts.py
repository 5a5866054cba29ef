"""What is shipped of the contracts."""

import dataclasses

import pytest

from discovery.contract.artefacts import NAMES, artefact
from psp.crypto.keccak import keccak256
from psp.directory.chain.names import CODE_HASH


@pytest.mark.parametrize("name", NAMES)
def test_artefact_holds_what_a_deployment_needs(name):
    compiled = artefact(name)

    assert compiled.name == name
    assert compiled.runtime in compiled.bytecode
    # EIP-170; paris has no opcode that old chains lack
    assert len(compiled.runtime) < 24_576
    assert compiled.evm_version == "paris"
    assert compiled.compiler == "vyper 0.4.3"


def test_unknown_contract_is_named_in_the_error():
    with pytest.raises(KeyError, match=r"no contract 'Nodes'; there are NodeBook"):
        artefact("Nodes")


def test_artefact_is_read_once_and_not_to_be_changed():
    compiled = artefact("Users")

    assert artefact("Users") is compiled
    with pytest.raises(dataclasses.FrozenInstanceError):
        compiled.name = "Others"


@pytest.mark.parametrize(
    ("name", "slots"),
    [
        ("NodeBook", {"keeper": 0, "node_count": 1, "records": 2}),
        ("Users", {"user_count": 0, "users": 1, "nonces": 2}),
        (
            "Names",
            {
                "users": 0,
                "deposit": 1,
                "name_count": 2,
                "records": 3,
                "numbers": 4,
                "held": 5,
            },
        ),
        (
            "Relays",
            {
                "params": 0,
                "min_stake": 1,
                "book": 2,
                "users": 3,
                "admin": 4,
                "pending_admin": 5,
                "trusted": 6,
                "heap_meta": 23,
                "seed_target": 27,
                "seeds": 31,
                "heaps": 35,
                "beacons": 1059,
                "weight_words": 1060,
                "votes": 1061,
                "unbonding": 1062,
                "operators": 1063,
            },
        ),
    ],
)
def test_slots_are_those_that_readers_know(name, slots):
    compiled = artefact(name)

    assert {variable: compiled.slot(variable) for variable in slots} == slots
    assert compiled.storage_layout.keys() == slots.keys()
    with pytest.raises(KeyError):
        compiled.slot("nodes")


def test_code_of_a_deployment_ends_with_its_immutables():
    relays = artefact("Relays")
    values = range(1, 1 + len(relays.immutables))

    code = relays.code(values)

    assert (relays.immutables[0], relays.immutables[-1]) == ("GENESIS", "BOOK")
    assert code == relays.runtime + b"".join(n.to_bytes(32, "big") for n in values)
    assert artefact("Users").code() == artefact("Users").runtime
    with pytest.raises(ValueError, match="need 9 immutables, got 1"):
        relays.code([1])


def test_functions_have_the_selectors_that_clients_send():
    """Of the interface as agreed; a changed argument type shows here."""
    selectors = {
        name: {
            keccak256(signature(entry).encode())[:4].hex(): signature(entry)
            for entry in artefact(name).abi
            if entry["type"] == "function"
        }
        for name in NAMES
    }

    assert set(selectors["NodeBook"].values()) == NODE_BOOK
    assert set(selectors["Relays"].values()) == RELAYS
    assert set(selectors["Users"].values()) == USERS
    assert set(selectors["Names"].values()) == NAMING


def test_readers_know_the_code_of_the_contract_of_names():
    assert keccak256(artefact("Names").code()) == CODE_HASH


def signature(entry):
    return (
        f"{entry['name']}({','.join(argument['type'] for argument in entry['inputs'])})"
    )


RECORD = "bytes32,bytes32,bytes32[2],bytes32[4]"

NODE_BOOK = {
    "bind(address)",
    f"add(address,uint256,{RECORD})",
    f"replace(uint256,uint256,{RECORD})",
    "rotate(uint256,uint256,bytes32,bytes32[2])",
    "end(uint256,uint256)",
    "keeper()",
    "node_count()",
    "head(uint256)",
    "record(uint256)",
    "versions(uint256,uint256)",
    "page(uint256,uint256)",
    "records_of(uint256[])",
}

RELAYS = {
    f"register({RECORD})",
    f"update(uint256,{RECORD})",
    "rotate_onion(uint256,bytes32,bytes32[2])",
    "retire(uint256)",
    "revoke(uint256)",
    "set_operator(uint256,address)",
    "vote(uint256)",
    "unvote(uint256,uint256)",
    "move_vote(uint256,uint256,uint256)",
    "withdraw()",
    "request_seed()",
    "reveal_seed()",
    "nominate(uint256)",
    "nominate_many(uint256[])",
    "set_trusted(uint256[])",
    "offer_admin(address)",
    "accept_admin()",
    "renounce_admin()",
    "epoch()",
    "parameters()",
    "elected(uint256)",
    "discovery()",
    "seed_of(uint256)",
    "weight_of(uint256)",
    "weights(uint256,uint256)",
    "key_of(bytes32,uint256,uint256)",
    "trusted_numbers()",
    "beacon(uint256)",
    "operators(uint256)",
    "votes(address,uint256)",
    "unbonding(address)",
    "book()",
    "users()",
    "admin()",
    "pending_admin()",
}

NAMING = {
    "register(bytes32,uint256)",
    "renew(uint256)",
    "release(uint256)",
    "record(uint256)",
    "versions(uint256,uint256)",
    "page(uint256,uint256)",
    "users()",
    "deposit()",
    "name_count()",
    "numbers(bytes32)",
    "held(uint256)",
    "LIFETIME()",
    "GRACE()",
    "HOLD()",
}

USERS = {
    "register(bytes32,bytes32[2])",
    "rotate(uint256,bytes32,bytes32[2])",
    "revoke(uint256)",
    "move(uint256,address,bytes32[2])",
    "set_for(address,uint256,bytes32,bytes32[2],uint256,uint8,bytes32,bytes32)",
    "user(uint256)",
    "users_of(uint256[])",
    "versions(uint256,uint256)",
    "page(uint256,uint256)",
    "user_count()",
    "nonces(address)",
}
