"""Readers make of real contracts, by headers, proofs and pages, what is in them."""

import pytest

from psp.crypto.keys import SigningKey
from psp.directory.chain import layout
from psp.directory.chain.header import BlockHeader
from psp.directory.chain.json_values import bytes_up_to
from psp.directory.chain.proof import read_proof
from psp.directory.chain.records import (
    NodeStatus,
    NotCounted,
    book_root,
    changed_numbers,
    read_nodes,
    split_listing,
    split_records,
)
from psp.directory.chain.state import list_slots, read_state, state_slots
from psp.directory.chain.users import read_users, split_users, user_signing_input
from psp.directory.chain.view import ChainView, CodeHashes
from psp.ids import NodeId, UserId
from psp.netdoc.node_record import NodeRecord, node_signing_input
from psp.wire.endpoint import Endpoint
from psp.wire.link_specifiers import MAX_WORDS, pack
from psp.wire.network import Network
from tests.chain.chains import ETHER
from tests.chain.conftest import CHAINS
from tests.chain.deployment import Deployment

KEYS = [SigningKey(bytes([n]) * 32) for n in range(1, 8)]
PLACES = (Endpoint("192.0.2.7", 443), Endpoint("2001:db8::7", 444))


def raw(address):
    return bytes.fromhex(address[2:])


class Reader:
    """As much of a reader as one honest endpoint needs."""

    def __init__(self, deployed):
        self.rpc = deployed.chain.rpc
        self.relays = raw(deployed.relays.address)
        self.network = Network(deployed.chain.w3.eth.chain_id, self.relays)
        self.header = self.block("latest")

    def block(self, tag):
        answer = deployed_json(self.rpc("eth_getBlockByNumber", tag, bool(0)))
        return BlockHeader.from_json(answer)

    def prove(self, address, slots):
        words = [f"0x{slot:064x}" for slot in slots]
        height = hex(self.header.number)
        answer = self.rpc("eth_getProof", "0x" + address.hex(), words, height)
        root = self.header.state_root
        return read_proof(
            deployed_json(answer), state_root=root, address=address, slots=slots
        )

    def call(self, address, data):
        request = {"to": "0x" + address.hex(), "data": "0x" + data.hex()}
        answer = self.rpc("eth_call", request, hex(self.header.number))
        return bytes_up_to(deployed_json(answer), 1 << 20)

    def view(self):
        when = self.header.timestamp
        relays = self.prove(self.relays, state_slots(when))
        lists = self.prove(self.relays, list_slots(relays.words, when))
        state = read_state({**relays.words, **lists.words}, when)
        book = self.prove(state.book, [layout.BOOK_KEEPER, layout.BOOK_COUNT])
        users = self.prove(state.users, [layout.USERS_COUNT])
        page = self.call(state.book, layout.node_page_call(1, 240))
        user_page = self.call(state.users, layout.user_page_call(1, 400))
        listed = split_listing(layout.decode_words(page, 2_160))
        listed_users = split_users(layout.decode_words(user_page, 1_600))
        assert book.words[layout.BOOK_KEEPER] == int.from_bytes(self.relays)
        assert book.words[layout.BOOK_COUNT] == len(listed)
        assert users.words[layout.USERS_COUNT] == len(listed_users)
        return ChainView(
            network=self.network,
            height=self.header.number,
            block_hash=self.header.hash,
            timestamp=when,
            code_hashes=CodeHashes(
                relays.account.code_hash,
                book.account.code_hash,
                users.account.code_hash,
            ),
            book_root=book.account.storage_root,
            state=state,
            nodes=read_nodes(self.network, listed),
            users=read_users(self.network, listed_users),
        )


def deployed_json(answer):
    """Undo what the client library makes of JSON: mappings of its own, bytes, numbers."""
    if isinstance(answer, bytes):
        return "0x" + answer.hex()
    if isinstance(answer, int):
        return hex(answer)
    if isinstance(answer, list | tuple):
        return [deployed_json(item) for item in answer]
    if hasattr(answer, "items"):
        return {key: deployed_json(value) for key, value in answer.items()}
    return answer


def fields(reader, key, owner, onion):
    record = NodeRecord(NodeId(key.public), onion, PLACES, raw(owner))
    signature = key.sign(node_signing_input(reader.network, record))
    words = pack(PLACES)
    padded = [*words, *[bytes(32)] * (MAX_WORDS - len(words))]
    return key.public, onion, [signature[:32], signature[32:]], padded


@pytest.fixture(scope="module", params=CHAINS)
def filled(request):
    """A registry with six nodes, an election of two, trusted nodes and two users."""
    deployed = Deployment.deploy(
        request.getfixturevalue(request.param), sortition=False
    )
    reader = Reader(deployed)
    accounts = deployed.chain.accounts
    for n in range(6):
        record = fields(reader, KEYS[n], accounts[n % 2], bytes([n + 1]) * 32)
        deployed.send("register", *record, sender=n % 2, value=(n + 1) * ETHER)
    for n in (0, 1):
        text = user_signing_input(
            reader.network, raw(accounts[0]), UserId(KEYS[n].public)
        )
        signature = KEYS[n].sign(text)
        call = deployed.users.functions.register(
            KEYS[n].public, [signature[:32], signature[32:]]
        )
        deployed.chain.send(call)
    deployed.next_epoch()
    deployed.send("nominate_many", [3, 4])
    deployed.send("set_trusted", [5, 6])
    deployed.next_epoch()
    deployed.send("retire", 1)
    deployed.send("revoke", 4, sender=1)
    deployed.send("rotate_onion", *rotation(reader, accounts[1]), sender=1)
    deployed.chain.send(deployed.users.functions.revoke(2))
    return deployed, request.param


def rotation(reader, owner):
    _, onion, signature, _ = fields(reader, KEYS[1], owner, b"n" * 32)
    return 2, onion, signature


def test_a_view_is_what_is_in_the_contracts(filled):
    deployed, _ = filled
    view = Reader(deployed).view()

    assert dict(view.nodes.numbers) == {n: KEYS[n - 1].public for n in (2, 3, 5, 6)}
    assert view.nodes.refused == {NotCounted.RETIRED: 1, NotCounted.REVOKED: 1}
    assert view.nodes.nodes[KEYS[1].public].onion_key == b"n" * 32
    assert view.nodes.nodes[KEYS[2].public].endpoints == PLACES
    assert view.users.users == {KEYS[0].public}
    assert view.users.revoked == {KEYS[1].public}
    assert view.elected() == (KEYS[2].public,)
    assert view.trusted() == tuple(sorted((KEYS[4].public, KEYS[5].public)))


def test_its_state_is_what_the_contract_says(filled):
    deployed, _ = filled
    view = Reader(deployed).view()
    state = view.state
    epoch, numbers = deployed.read("discovery")

    assert (state.list_epoch, state.elected) == (epoch, tuple(sorted(numbers)))
    assert state.epoch == deployed.epoch()
    assert (
        state.genesis,
        state.epoch_length,
        state.unbonding,
        state.min_stake,
        state.seats,
        state.seed_delay,
        state.sortition,
        state.self_only,
        state.strategy,
    ) == tuple(deployed.read("parameters"))
    assert list(state.trusted) == deployed.read("trusted_numbers")
    assert (state.book, state.users) == (
        raw(deployed.book.address),
        raw(deployed.users.address),
    )
    for day, value in state.beacons.items():
        assert deployed.read("beacon", day) == value
    assert len(state.beacons) == 2


def test_the_listing_makes_the_proven_storage_root(filled):
    deployed, chain = filled
    view = Reader(deployed).view()

    root = book_root(view.nodes.listed, view.network.registry)

    # anvil keeps words of zero in its tries, here those that retire() has cleared.
    assert root == view.book_root or chain == "anvil"


def test_versions_and_chosen_records_tell_the_same(filled):
    deployed, _ = filled
    reader = Reader(deployed)
    view = reader.view()
    listed, book = view.nodes.listed, view.state.book
    versions = layout.decode_versions(
        reader.call(book, layout.node_versions_call(1, 6)), 6
    )
    chosen = layout.decode_words(
        reader.call(book, layout.node_records_call([6, 1])), 2_160
    )
    weights = layout.decode_weights(
        reader.call(view.network.registry, layout.weights_call(1, 6)), 6
    )

    assert changed_numbers(listed, versions) == ()
    assert split_records(chosen, [6, 1]) == (listed[5], listed[0])
    assert listed[0].status is NodeStatus.RETIRED
    assert [weight.at(view.state.epoch) for weight in weights] == [
        deployed.read("weight_of", number) for number in range(1, 7)
    ]
    count = layout.decode_count(reader.call(book, layout.node_count_call()), 1_000)
    assert count == len(listed)
