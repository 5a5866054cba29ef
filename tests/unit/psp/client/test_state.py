"""What a client keeps between runs (psp/client/state.py)."""

import base64
import json

import pytest

from psp.client.identities.identity import ClientIdentity
from psp.client.state import ClientState
from psp.errors import ConfigError
from psp.ids import NodeId, UserId
from psp.runtime.statefile import StateFile
from psp.testing.directory import START, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic

ALICE = ClientIdentity.generate(SeededEntropy("alice"))
BOB = ClientIdentity.generate(SeededEntropy("bob"))
HIGHEST = {UserId(b"u" * 32): {0: 5, 2: 9}}


@pytest.fixture
def file(tmp_path) -> StateFile:
    return StateFile(tmp_path / "state" / "client.json", form="psp-client", version=1)


def read(file: StateFile, identity: ClientIdentity | None = ALICE) -> ClientState:
    return ClientState(file.path, identity, SeededEntropy(3))


@pytest.mark.parametrize("identity", [ALICE, None])
def test_everything_comes_back(file, identity):
    network = SignedNetwork.build(SeededEntropy(1), nodes=8)
    nodes = {node.node_id: node.record for node in network.nodes}
    weights = dict.fromkeys(nodes, 1)
    state = read(file, identity)
    state.guards.refresh(nodes, weights, START, SeededEntropy(4))
    state.save(HIGHEST, 7)

    again = read(file, identity)

    assert again.guards.primary() == state.guards.primary()
    assert again.guards.candidates(Monotonic(0.0)) == state.guards.candidates(
        Monotonic(0.0)
    )
    assert (again.highest, again.registry_sequence) == (HIGHEST, 7)


def test_the_first_start_has_nothing(file):
    state = read(file)

    assert (state.highest, state.registry_sequence, len(state.guards)) == ({}, 0, 0)


def test_the_registrys_sequence_never_falls(file):
    read(file).save({}, 9)
    state = read(file)
    state.save({}, 4)

    assert read(file).registry_sequence == 9


def test_a_thief_of_the_disk_learns_neither_guards_nor_contacts(file):
    network = SignedNetwork.build(SeededEntropy(1), nodes=8)
    nodes = {node.node_id: node.record for node in network.nodes}
    weights = dict.fromkeys(nodes, 1)
    state = read(file)
    state.guards.refresh(nodes, weights, START, SeededEntropy(4))
    state.save(HIGHEST, 1)

    stored = file.path.read_bytes()

    secrets: list[NodeId | UserId] = [*state.guards.primary(), *HIGHEST]
    for secret in secrets:
        for form in (secret, secret.hex().encode(), base64.b64encode(secret)):
            assert form not in stored


@pytest.mark.parametrize("other", [BOB, None])
def test_another_identitys_state_is_refused_with_the_cure(file, other):
    read(file).save(HIGHEST, 1)

    with pytest.raises(ConfigError, match=r"client\.json: .*move it away"):
        read(file, other)


def test_every_torn_or_changed_file_is_refused(file):
    read(file).save(HIGHEST, 1)
    whole = file.path.read_bytes()
    for number in range(0, len(whole), 7):
        for data in (whole[:number], whole[:number] + b"#" + whole[number + 1 :]):
            file.path.write_bytes(data)
            with pytest.raises(ConfigError):
                read(file)


@pytest.mark.parametrize(
    "state",
    [
        {"guards": 7},
        {"guards": "%%%"},
        {"guards": "\u00e9"},
        {"guards": "AAAA"},
        {"layer2": "AAAA"},
        {"highest": []},
        {"highest": {"zz": {}}},
        {"highest": {"00": 5}},
        {"highest": {"00": {"x": 5}}},
        {"highest": {"00": {"0": "5"}}},
        {"highest": {"00": {"0": -1}}},
        {"registry_sequence": "1"},
        {"registry_sequence": -1},
        [],
        7,
        None,
    ],
)
def test_a_state_of_another_shape_is_refused_and_nothing_else(file, state):
    file.save({"plain": json.dumps(state)})

    with pytest.raises(ConfigError):
        read(file, None)


@pytest.mark.parametrize("stored", [{"plain": "{"}, {"plain": 5}, {"x": 1}])
def test_what_was_stored_otherwise_is_refused(file, stored):
    file.save(stored)

    with pytest.raises(ConfigError):
        read(file, None)
    with pytest.raises(ConfigError):
        read(file)
