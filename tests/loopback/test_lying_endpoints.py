"""Endpoints that lie, stall or die, before two real chains (CHAIN.md section 3)."""

import asyncio

import pytest

from discovery.transactions.abi import call_data
from psp.crypto.keccak import keccak256
from psp.directory.chain import layout
from psp.runtime.chain_reader import ContractError
from psp.runtime.quorum import ChainReadError, ForeignChainError, NoQuorumError
from psp.wire import rlp
from psp.wire.network import Network as NetworkName
from tests.block_headers import FIELDS, field
from tests.loopback import chains
from tests.loopback.chains import honest, proxy, reader, running_network

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", params=chains.KINDS)
def network(request, tmp_path_factory):
    with running_network(request.param, tmp_path_factory.mktemp("chain")) as running:
        yield running


@pytest.fixture
async def truth(network):
    async with reader(network, network.url, quorum=1) as honest_reader:
        yield (await honest_reader.read()).view


def tampered(data: str, place: int) -> str:
    """The same hex string with one bit of one byte changed."""
    raw = bytearray.fromhex(data[2:])
    raw[place] ^= 1
    return "0x" + raw.hex()


def is_page(method, params):
    wanted = ("0x" + layout.PAGE.hex(), "0x" + layout.RECORDS_OF.hex())
    return method == "eth_call" and params[0]["data"].startswith(wanted)


# -- lies


def another_onion_key(method, params, result):
    # After offset and length: head, identity, onion.
    return tampered(result, 64 + 64) if is_page(method, params) else result


def one_node_left_out(method, params, result):
    if not is_page(method, params):
        return result
    raw = bytes.fromhex(result[2:])
    words = int.from_bytes(raw[32:64])
    head = int.from_bytes(raw[64:96])
    status_and_words = (1 << 160) - 1 | (((1 << 24) - 1) << 168) | (~0 << 192)
    retired = (head & status_and_words & ((1 << 256) - 1)) | (2 << 160)
    left = 4 + ((head >> 164) & 15)
    short = raw[:32] + (words - left).to_bytes(32) + retired.to_bytes(32)
    return "0x" + (short + raw[96 + 32 * left :]).hex()


def a_changed_proof(method, params, result):
    if method == "eth_getProof" and result["storageProof"]:
        nodes = result["storageProof"][0]["proof"]
        nodes[-1] = tampered(nodes[-1], len(nodes[-1]) // 2 - 2)
    return result


def another_state_root(method, params, result):
    if method == "eth_getBlockByNumber":
        result["stateRoot"] = "0x" + "11" * 32
    return result


def a_made_up_block(method, params, result):
    """A header that makes its hash: only the others can tell that it is none."""
    if method != "eth_getBlockByNumber":
        return result
    result["stateRoot"] = "0x" + "11" * 32
    named = [name for name in FIELDS if result.get(name) is not None]
    items = [field(result, name) for name in named]
    result["hash"] = "0x" + keccak256(rlp.encode(items)).hex()
    return result


def an_old_head(method, params, result):
    if method == "eth_getBlockByNumber" and params[0] == "finalized":
        return None
    return result


LIES = [
    another_onion_key,
    one_node_left_out,
    a_changed_proof,
    another_state_root,
    a_made_up_block,
    an_old_head,
]


@pytest.mark.parametrize("lie", LIES)
async def test_one_liar_of_three_changes_nothing(network, truth, lie):
    async with (
        proxy(network.url, lie) as liar,
        proxy(network.url) as first,
        proxy(network.url) as second,
        reader(network, liar, first, second) as two_of_three,
    ):
        for _ in range(3):  # whoever is asked first
            reading = await two_of_three.read()
            assert reading.view == truth


@pytest.mark.parametrize("lie", LIES)
async def test_a_liar_alone_is_refused(network, lie):
    async with proxy(network.url, lie) as liar, reader(network, liar, quorum=1) as one:
        with pytest.raises(ChainReadError):
            await one.read()


@pytest.mark.parametrize("lie", [another_state_root, a_made_up_block, an_old_head])
async def test_two_that_disagree_about_a_block_give_none(network, lie):
    async with (
        proxy(network.url, lie) as liar,
        reader(network, liar, network.url) as two,
    ):
        with pytest.raises(NoQuorumError):
            await two.read()


@pytest.mark.parametrize("lie", [another_onion_key, one_node_left_out])
async def test_a_change_hidden_from_a_returning_reader_is_found(network, truth, lie):
    async with (
        proxy(network.url, lie) as liar,
        proxy(network.url) as second,
        reader(network, liar, second, network.url) as three,
    ):
        reading = await three.read()
        again = await three.read(reading.view)

    assert again.view == reading.view == truth


# -- silence


async def test_dead_endpoints_stop_nothing_until_too_few_are_left(network, truth):
    dead = "http://127.0.0.1:9"
    async with reader(network, dead, network.url, network.url + "/") as three:
        assert (await three.read()).view == truth
    async with reader(network, dead, dead + "/", network.url) as three:
        with pytest.raises(NoQuorumError, match=r"1 of 3 .* gave a valid block, 2 are"):
            await three.read()
    async with reader(network, dead, dead + "/") as two:
        with pytest.raises(NoQuorumError, match="0 of 2"):
            await two.read()


async def test_one_that_never_answers_is_not_waited_for(network, truth):
    never = asyncio.Event()

    async def stall(method, params, result):
        await never.wait()

    async with (
        proxy(network.url, stall) as slow,
        reader(network, slow, network.url, network.url + "/") as three,
    ):
        assert (await three.read()).view == truth
        never.set()


@pytest.mark.parametrize(
    "junk",
    [
        "0x" + "00" * (2 << 20),
        [[]] * 10_000,
        {"number": "0x1"},
        "0xzz",
        -1,
        None,
        "",
    ],
)
async def test_junk_for_every_answer_is_refused(network, truth, junk):
    def lie(method, params, result):
        return result if method == "eth_chainId" else junk

    async with (
        proxy(network.url, lie) as liar,
        reader(network, liar, network.url, network.url + "/") as three,
    ):
        assert (await three.read()).view == truth
        async with reader(network, liar, quorum=1) as alone:
            with pytest.raises(ChainReadError):
                await alone.read()


# -- the wrong chain, the wrong contract


async def test_another_chain_is_named(network):
    async with reader(network, network.url, quorum=1, chain_id=1) as other:
        with pytest.raises(ForeignChainError, match="another chain than 1"):
            await other.read()


async def test_one_endpoint_of_another_chain_is_left_out(network, truth):
    def lie(method, params, result):
        return "0x1" if method == "eth_chainId" else result

    async with (
        proxy(network.url, lie) as foreign,
        reader(network, foreign, network.url, network.url + "/") as three,
    ):
        assert (await three.read()).view == truth


@pytest.mark.parametrize("which", ["nobody", "book", "users"])
async def test_an_address_without_the_registry_is_refused(network, which):
    address = {
        "nobody": bytes(19) + b"\x77",
        "book": network.founded.book,
        "users": network.founded.users,
    }[which]
    name = NetworkName(chains.CHAIN_ID, address)

    async with reader(network, network.url, quorum=1, name=name) as other:
        with pytest.raises(ContractError, match=r"membership\.registry"):
            await other.read()


# -- what honest endpoints show


async def test_the_view_is_what_was_registered(network, truth):
    signed = {entry.record.node_id: entry.record for _, entry in network.relays}

    assert set(truth.nodes.nodes) == set(signed)
    for node_id, record in truth.nodes.nodes.items():
        assert record.onion_key == signed[node_id].onion_key
        assert record.endpoints == signed[node_id].endpoints
        assert record.operator == signed[node_id].operator
    assert truth.users.users == {user.user_id for user in network.users}
    assert len(truth.elected()) == chains.SEATS
    assert len(truth.trusted()) == 2


async def test_an_equal_view_costs_one_block(network, truth):
    calls = []

    def note(method, params, result):
        calls.append(method)
        return result

    async with (
        proxy(network.url, note) as noted,
        reader(network, noted, quorum=1) as one,
    ):
        await one.read(truth)

    assert set(calls) == {"eth_chainId", "eth_getBlockByNumber"}


async def test_the_selector_of_a_page_is_what_the_contract_has():
    assert call_data("NodeBook", "page", 1, 1)[:4] == layout.PAGE


def test_honesty_changes_nothing():
    assert honest("m", [], 1) == 1
