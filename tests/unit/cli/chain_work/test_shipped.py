"""Whether a contract is the shipped one (cli/chain_work/shipped.py)."""

from dataclasses import replace

from cli.chain_work.shipped import (
    foreign_contracts,
    is_shipped_registry,
    shipped,
)
from discovery.contract.artefacts import artefact
from psp.crypto.keccak import keccak256
from psp.directory.chain.alarms import AlarmKind, Severity
from psp.directory.chain.view import CodeHashes
from psp.testing.chain import BOOK, MemoryContracts
from psp.testing.entropy import SeededEntropy


def code_of(state):
    """What a deployment with these parameters has, written out once more."""
    values = [
        state.genesis,
        state.epoch_length,
        state.unbonding,
        state.min_stake,
        state.seats,
        state.seed_delay,
        1,
        0,
        int.from_bytes(BOOK),
    ]
    return keccak256(artefact("Relays").code(values))


def view(**changed):
    contracts = MemoryContracts.with_nodes(SeededEntropy("shipped"), 1)
    state = contracts.view(1).state
    hashes = {
        "relays": code_of(state),
        "book": keccak256(artefact("NodeBook").code()),
        "users": keccak256(artefact("Users").code()),
    }
    contracts.code = CodeHashes(**hashes | changed)
    return contracts.view(1)


def test_contracts_as_shipped_are_known():
    assert shipped(view()) == {"Relays": True, "NodeBook": True, "Users": True}
    assert list(foreign_contracts(view())) == []


def test_each_other_contract_is_named():
    (alarm,) = foreign_contracts(view(relays=b"\x01" * 32, users=b"\x02" * 32))

    assert alarm.kind is AlarmKind.CONTRACT
    assert alarm.severity is Severity.WARNING
    assert "code of Relays, Users is not what this program ships" in alarm.sentence


def test_a_registry_that_says_other_parameters_than_its_code_is_foreign():
    state = view().state

    assert is_shipped_registry(state, code_of(state))
    lower = replace(state, min_stake=state.min_stake - 1)
    assert not is_shipped_registry(lower, code_of(state))
