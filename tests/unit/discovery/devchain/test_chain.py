"""Blocks on a file: added, read, taken back."""

import pytest

from discovery.devchain.blocks import Message
from discovery.devchain.chain import MAX_CACHED_CALLS, Chain
from discovery.devchain.store import ChainStore
from psp.crypto.keccak import keccak256

RICH = b"\x11" * 20
GENESIS = 1_700_000_000


def open_chain(store):
    return Chain(
        store,
        chain_id=31_337,
        balances={RICH: 10**18},
        genesis_time=GENESIS,
        gas_limit=60_000_000,
    )


@pytest.fixture
def chain():
    store = ChainStore(None)
    yield open_chain(store)
    store.close()


def mine(chain, timestamp=None):
    stamp = chain.head.timestamp + 1 if timestamp is None else timestamp
    chain.append(chain.builder(chain.pending_header(stamp)).seal(), {})
    return chain.head


def test_new_chain_has_a_block_with_the_balances(chain):
    assert chain.head.block_number == 0
    assert chain.head.timestamp == GENESIS
    assert chain.account(chain.head, RICH).balance == 10**18


def test_blocks_hang_together(chain):
    first, second = mine(chain), mine(chain)

    assert second.parent_hash == first.hash
    assert chain.header(1).hash == first.hash
    assert chain.header_by_hash(second.hash).block_number == 2
    assert chain.header(3) is None
    assert chain.header(-1) is None
    assert chain.header_by_hash(b"?" * 32) is None


def test_random_word_differs_from_block_to_block(chain):
    words = {bytes(mine(chain).mix_hash) for _ in range(5)}

    assert len(words) == 5


def test_chain_goes_on_where_its_file_ends(tmp_path):
    store = ChainStore(tmp_path / "chain.db")
    head = mine(open_chain(store))
    store.close()

    store = ChainStore(tmp_path / "chain.db")
    again = open_chain(store)

    assert again.head.hash == head.hash
    assert mine(again).parent_hash == head.hash
    store.close()


def test_discarded_block_leaves_nothing(chain):
    header = chain.pending_header(GENESIS + 1)
    chain.fund(b"\x22" * 20, 5, header)

    chain.discard()
    mine(chain)

    assert chain.account(chain.head, b"\x22" * 20).balance == 0


def test_rewound_chain_grows_other_blocks(chain):
    old = [mine(chain).hash for _ in range(3)]

    assert chain.rewind(1) == []
    new = [mine(chain, chain.head.timestamp + 1).hash for _ in range(2)]

    assert chain.header(1).hash == old[0]
    assert chain.header(2).hash == new[0] != old[1]
    assert chain.header_by_hash(old[1]) is None


def test_rewound_to_a_known_branch_grows_the_same_blocks(chain):
    branch = chain.branch
    old = mine(chain).hash

    chain.rewind(0, branch=branch)

    assert mine(chain).hash == old


def test_balance_can_be_given(chain):
    header = chain.pending_header(GENESIS + 1)

    chain.append(chain.fund(b"\x22" * 20, 5, header), {})

    assert chain.account(chain.head, b"\x22" * 20).balance == 5
    assert chain.account(chain.header(0), b"\x22" * 20).balance == 0


def test_same_call_is_run_once_and_another_block_is_another_call(chain):
    message = Message(RICH, b"\x22" * 20, gas=30_000)

    first = chain.call(chain.head, message)

    assert chain.call(chain.head, message) is first
    mine(chain)
    assert chain.call(chain.head, message) is not first


def test_oldest_result_is_forgotten(chain):
    first = Message(RICH, b"\x22" * 20, gas=30_000)
    result = chain.call(chain.head, first)

    for gas in range(30_001, 30_001 + MAX_CACHED_CALLS):
        chain.call(chain.head, Message(RICH, b"\x22" * 20, gas=gas))

    assert chain.call(chain.head, first) is not result


def test_code_of_an_account_without_any_is_empty(chain):
    assert chain.code(chain.head, RICH) == b""
    assert chain.storage(chain.head, RICH, 5) == 0
    assert chain.account(chain.head, RICH).code_hash == keccak256(b"")
