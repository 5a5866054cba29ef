"""A registry of any size on a development chain, for benchmarks.

All is as in a real network but the hurry: records are signed by their own identities,
owners sign their transactions, weights count from the next epoch on, lists are drawn by
a seed and compared with the draw recomputed. The chain's clock runs ahead of ours, a
day with every election.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from cli.bench.chain_blocks import BATCH, BlockMaker, batches
from discovery.devchain.config import CHAIN_ID, WEI
from discovery.devchain.process import ChainError
from discovery.election import effective_weight, elect, number_of
from discovery.transactions.abi import decode_log
from discovery.transactions.call import Call
from discovery.transactions.calls import NodeBook, Relays, deployment
from discovery.transactions.wallet import Wallet
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.directory.chain.layout import RING, WEIGHTS_PAGE, epoch_at, epoch_start
from psp.entropy import Entropy
from psp.ids import NodeId
from psp.netdoc.node_entry import SignedNode
from psp.netdoc.node_record import NodeRecord
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network

EPOCH = 86_400
SEED_DELAY = 1
STAKES = (1, 2, 4, 8)
"""Ether, one node after the other: a draw must have something to weigh."""
OWNERS = 256
"""Accounts that share the nodes in turn. An owner comes again after 256 records, which
is farther than gzip looks back: they compress no better than 10,000 accounts would."""
DUAL_STACK = 4
"""Every so many nodes have an IPv6 address too."""
FINAL = 3
"""Blocks after which anvil, with one slot to an epoch, calls a block final."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ElectionGas:
    """What one election costs, in gas.

    Attributes:
        seed: Request and draw of the seed together.
        all_seats: One transaction that nominates as many nodes as there are seats.
        one_seat: One nomination more, of the best node: it takes the worst one's place
            and sinks to the bottom of the heap, the longest way there is.
    """

    seed: int
    all_seats: int
    one_seat: int


@dataclass(frozen=True, slots=True)
class _Listed:
    """A registered node, with what it takes to change its record."""

    number: int
    key: SigningKey
    record: NodeRecord
    owner: Wallet


class BenchRegistry:
    """The three contracts, and whoever uses them.

    Attributes:
        network: Chain and registry.
        seats: Of a list.
    """

    def __init__(
        self, blocks: BlockMaker, *, seats: int, entropy: Entropy, say: Say
    ) -> None:
        """Deploy the contracts."""
        self.seats = seats
        self._blocks = blocks
        self._entropy = entropy
        self._say = say
        self._owners: list[Wallet] = []
        users = self._deploy("Users")
        book = self._deploy("NodeBook")
        registry = self._deploy(
            "Relays",
            book,
            users,
            EPOCH,
            7 * EPOCH,
            WEI,
            seats,
            SEED_DELAY,
            True,  # noqa: FBT003 - sortition
            False,  # noqa: FBT003 - self_only: one account may nominate all
            0,
        )
        blocks.do(blocks.deployer, NodeBook(book).bind(registry))
        self.network = Network(CHAIN_ID, registry)
        self._contract = Relays(registry)
        self._nodes: list[_Listed] = []
        self._genesis: int = self._read("parameters")[0]

    def __len__(self) -> int:
        return len(self._nodes)

    def fill(self, size: int) -> None:
        """Register nodes until there are ``size``.

        Raises:
            ChainError: If the chain did not take one.
        """
        self._hire(min(size, OWNERS))
        first_block = self._blocks.head()[0] + 1
        new: dict[NodeId, tuple[SigningKey, NodeRecord, Wallet]] = {}
        for part in batches(range(len(self), size), BATCH):
            work: list[tuple[Wallet, Call]] = []
            for index in part:
                key, signed, owner = self._make_node(index)
                new[signed.record.node_id] = key, signed.record, owner
                stake = STAKES[index % len(STAKES)] * WEI
                work.append((owner, self._contract.register_node(signed, stake=stake)))
            self._blocks.fill(work)
            self._say(f"registering {part[-1] + 1} of {size} nodes")
        self._blocks.finish()
        numbers = self._registered(first_block)
        if numbers.keys() != new.keys():
            raise ChainError(f"{len(numbers)} of {len(new)} nodes are registered")
        found = [_Listed(numbers[key], *parts) for key, parts in new.items()]
        self._nodes += sorted(found, key=lambda node: node.number)

    def warm_up(self) -> None:
        """Hold an election in every place of the ring: later ones write used words."""
        for _ in range(RING):
            self.elect()

    def elect(self) -> ElectionGas:
        """Hold an election in the next epoch.

        Raises:
            ChainError: If the list is not the draw recomputed.
        """
        blocks, contract = self._blocks, self._contract
        epoch = self._epoch() + 1  # weights count from the epoch after they changed
        blocks.mine(at=epoch_start(epoch, self._genesis, EPOCH) + EPOCH // 2)
        request = blocks.do(blocks.deployer, contract.request_seed())
        blocks.mine(SEED_DELAY)
        reveal = blocks.do(blocks.deployer, contract.reveal_seed())
        best, *others = self._draw(epoch)
        many = blocks.do(blocks.deployer, contract.nominate_many(others))
        one = blocks.do(blocks.deployer, contract.nominate(best))
        elected = {number_of(key) for key in self._read("elected", epoch + 1)}
        if elected != {best, *others[:-1]}:
            raise ChainError("the elected nodes are not those of the draw recomputed")
        return ElectionGas(_gas(request) + _gas(reveal), _gas(many), _gas(one))

    def rotate(self, count: int) -> None:
        """Have ``count`` nodes, spread over all of them, change their onion keys."""
        step = len(self) // count
        for part in batches(range(0, count * step, step), BATCH):
            work = [(self._nodes[i].owner, self._rotation(i)) for i in part]
            self._blocks.fill(work)
            self._say(f"changing {part[-1] // step + 1} of {count} onion keys")
        self._blocks.finish()

    def vote(self) -> None:
        """Have an owner add to his stake: the elections' storage changes."""
        node = self._nodes[0]
        self._blocks.fill([(node.owner, self._contract.vote(node.number, value=WEI))])
        self._blocks.finish()

    def begin_epoch(self) -> None:
        """Go to the next epoch, in which the list made in this one is in force."""
        self._blocks.mine(at=epoch_start(self._epoch() + 1, self._genesis, EPOCH))
        self.settle()

    def settle(self) -> None:
        """Make what has happened final."""
        self._blocks.mine(FINAL)

    def _hire(self, count: int) -> None:
        """Have so many owners, with money."""
        missing = range(len(self._owners), count)
        new = [Wallet(self._entropy.token(32)) for _ in missing]
        self._blocks.fund((owner.address for owner in new), 100_000 * WEI)
        self._owners += new

    def _draw(self, epoch: int) -> list[int]:
        """Return one node more than seats, best first."""
        _, seed = self._read("seed_of", epoch + 1)
        words = [
            word
            for first in range(1, len(self) + 1, WEIGHTS_PAGE)
            for word in self._read("weights", first, WEIGHTS_PAGE)
        ]
        weights = {n: effective_weight(word, epoch) for n, word in enumerate(words, 1)}
        return elect(seed, weights, self.seats + 1, sortition=True)

    def _make_node(self, index: int) -> tuple[SigningKey, SignedNode, Wallet]:
        entropy = self._entropy
        owner = self._owners[index % len(self._owners)]
        key = SigningKey.generate(entropy)
        endpoints = [_endpoint(entropy, "4")]
        if index % DUAL_STACK == 0:
            endpoints.append(_endpoint(entropy, "6"))
        onion = x25519_public(x25519_generate(entropy))
        record = NodeRecord(NodeId(key.public), onion, tuple(endpoints), owner.address)
        return key, SignedNode.sign(self.network, record, key), owner

    def _rotation(self, index: int) -> Call:
        node = self._nodes[index]
        record = NodeRecord(
            node.record.node_id,
            x25519_public(x25519_generate(self._entropy)),
            node.record.endpoints,
            node.record.operator,
        )
        signed = SignedNode.sign(self.network, record, node.key)
        return self._contract.rotate_onion(
            node.number, record.onion_key, signed.signature
        )

    def _registered(self, first_block: int) -> dict[NodeId, int]:
        """Return the numbers that nodes were given since a block."""
        numbers: dict[NodeId, int] = {}
        for block in range(first_block, self._blocks.head()[0] + 1):
            span = {"fromBlock": hex(block), "toBlock": hex(block)}
            address = {"address": "0x" + self.network.registry.hex()}
            for log in self._blocks.chain.rpc("eth_getLogs", {**span, **address}):
                topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
                data = bytes.fromhex(log["data"][2:])
                event = decode_log("Relays", topics, data)
                if event is not None and event.name == "NodeSet":
                    fields = event.fields
                    numbers[NodeId(fields["identity"])] = fields["number"]
        return numbers

    def _epoch(self) -> int:
        return epoch_at(self._blocks.head()[1], self._genesis, EPOCH)

    def _deploy(self, contract: str, *arguments: object) -> bytes:
        call = deployment(contract, *arguments)
        receipt = self._blocks.do(self._blocks.deployer, call)
        return bytes.fromhex(receipt["contractAddress"][2:])

    def _read(self, function: str, *args: object) -> Any:  # noqa: ANN401
        return self._blocks.read("Relays", self.network.registry, function, *args)


def _endpoint(entropy: Entropy, family: str) -> Endpoint:
    if family == "6":
        groups = [f"{entropy.below(1 << 16):x}" for _ in range(7)]
        return Endpoint(str(IPv6Address(f"2001:{':'.join(groups)}")), 443)
    first = 1 + entropy.below(223)
    return Endpoint(str(IPv4Address(bytes([first]) + entropy.token(3))), 443)


def _gas(receipt: dict[str, str]) -> int:
    return int(receipt["gasUsed"], 16)
