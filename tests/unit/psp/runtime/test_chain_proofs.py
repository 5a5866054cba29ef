"""Proven words are asked for once, and again whenever they may have changed."""

import pytest

from psp.directory.chain import layout
from psp.directory.chain.header import BlockHeader
from psp.directory.chain.state import state_slots
from psp.runtime.chain_lists import ContractError
from psp.runtime.chain_proofs import SLOTS_PER_PROOF, ChainProofs, checked_state
from psp.runtime.quorum import ChainReadError, QuorumRpc
from psp.testing.chain import BOOK, MemoryContracts
from psp.testing.entropy import SeededEntropy

CHAIN = 31_337
DAY = 86_400


class Endpoint:
    """Shows contracts as they are now.

    Attributes:
        asked: Number of slots of each question for a proof.
        blocks: Those made so far, by number.
    """

    name = "endpoint"

    def __init__(self, contracts):
        self.contracts = contracts
        self.asked = []
        self.blocks = {}

    async def call(self, method, *params):
        if method == "eth_chainId":
            return hex(CHAIN)
        if method == "eth_getBlockByNumber":
            return self.blocks[int(params[0], 16)]
        assert method == "eth_getProof"
        address, slots, _ = params
        self.asked.append(len(slots))
        return self.contracts.proof(
            bytes.fromhex(address[2:]), [int(slot, 16) for slot in slots]
        )


class Chain:
    """Contracts with a list in force, an endpoint and its reader."""

    def __init__(self):
        entropy = SeededEntropy("proofs")
        self.contracts = MemoryContracts.with_nodes(entropy, 12)
        self.contracts.elect(5, [1, 2, 3])
        self.endpoint = Endpoint(self.contracts)
        rpc = QuorumRpc([self.endpoint], chain_id=CHAIN, quorum=1, entropy=entropy)
        self.proofs = ChainProofs(rpc, self.contracts.network.registry)

    def header(self, epoch, seconds=0):
        """Return a block some time after an epoch began."""
        contracts = self.contracts
        when = contracts.genesis + (epoch - 4) * contracts.epoch_length + seconds
        block = contracts.block(when // 12, when)
        self.endpoint.blocks[when // 12] = block
        return BlockHeader.from_json(block)

    async def read(self, header):
        """Return what the chain is asked, and the state that comes of it."""
        self.endpoint.asked.clear()
        proven = await self.proofs.prove_relays(header)
        return list(self.endpoint.asked), checked_state(proven, header)


@pytest.fixture
def chain():
    return Chain()


async def test_first_the_state_is_proven_and_then_its_lists(chain):
    header = chain.header(5)

    asked, state = await chain.read(header)

    assert asked == [len(state_slots(header.timestamp)), 3]
    assert state.elected == (1, 2, 3)


async def test_what_lies_under_the_same_root_is_not_asked_for_again(chain):
    _, before = await chain.read(chain.header(5))
    chain.contracts.add_node(SeededEntropy("another"))  # in another contract

    asked, state = await chain.read(chain.header(5, 60))

    assert asked == [0]
    assert state == before


async def test_a_change_of_one_word_is_seen(chain):
    await chain.read(chain.header(5))
    chain.contracts.trust([7])

    asked, state = await chain.read(chain.header(5, 60))

    header = chain.header(5, 60)
    assert asked == [0, len(state_slots(header.timestamp))]
    assert state.trusted == (7,)
    assert state.elected == (1, 2, 3)


async def test_a_list_in_force_is_proven_again_after_a_reorganisation(chain):
    header = chain.header(5)
    await chain.read(header)
    chain.contracts.elect(5, [8, 9, 10])
    other = chain.contracts.block(header.number, header.timestamp, fork=b"other")
    chain.endpoint.blocks[header.number] = other

    asked, state = await chain.read(chain.header(5, 60))

    assert asked[-1] == 3
    assert state.elected == (8, 9, 10)


async def test_a_list_that_takes_the_place_of_another_is_proven(chain):
    await chain.read(chain.header(5))
    chain.contracts.elect(9, [8, 9, 10])

    asked, state = await chain.read(chain.header(9))

    assert asked[-1] == 3
    assert state.elected == (8, 9, 10)


async def test_only_the_new_one_of_two_lists_is_proven(chain):
    await chain.read(chain.header(5))
    chain.contracts.elect(6, [4, 5])

    asked, state = await chain.read(chain.header(6))

    assert asked[-1] == 2
    assert (state.elected, state.retiring) == ((4, 5), (1, 2, 3))


async def test_a_list_that_comes_into_force_without_a_change_is_proven(chain):
    chain.contracts.elect(6, [4, 5])
    await chain.read(chain.header(5))

    asked, state = await chain.read(chain.header(6))

    assert asked[-1] == 2
    assert (state.elected, state.retiring) == ((4, 5), (1, 2, 3))


async def test_the_values_of_a_new_day_are_proven(chain):
    await chain.read(chain.header(5))
    tomorrow = chain.header(5).timestamp // DAY + 1
    later = BlockHeader.from_json(chain.contracts.block(9, tomorrow * DAY))

    asked, _ = await chain.read(later)

    assert asked[0] == len(state_slots(later.timestamp))


async def test_an_earlier_block_is_read_anew(chain):
    chain.contracts.elect(6, [4, 5])
    await chain.read(chain.header(6))
    del chain.contracts.relays[layout.RELAYS_HEAP_META + 6 % 4]

    _, state = await chain.read(chain.header(5))

    assert state.elected == (1, 2, 3)


async def test_an_account_alone_is_proven_without_slots(chain):
    proven = await chain.proofs.prove(chain.header(5), BOOK, ())

    assert proven.account.has_code
    assert proven.words == {}


async def test_many_words_are_proven_in_parts(chain):
    slots = range(SLOTS_PER_PROOF + 1)

    proven = await chain.proofs.prove(chain.header(5), BOOK, slots)

    assert chain.endpoint.asked == [SLOTS_PER_PROOF, 1]
    assert proven.words[layout.BOOK_COUNT] == 12


async def test_an_address_without_a_contract_is_named(chain):
    with pytest.raises(ContractError, match="no contract at 0x0909"):
        await chain.proofs.prove(chain.header(5), bytes([9]) * 20, (0,))


async def test_a_contract_that_is_no_registry_is_named(chain):
    chain.contracts.relays[layout.RELAYS_PARAMS] = 1

    with pytest.raises(ContractError, match=r"membership\.registry"):
        await chain.read(chain.header(5))


async def test_a_proof_of_another_block_is_refused(chain):
    header = chain.header(5)
    chain.contracts.trust([7])

    with pytest.raises(ChainReadError, match="no endpoint can show"):
        await chain.read(header)
