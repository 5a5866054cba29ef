"""The three contracts in memory, as an honest endpoint of a chain would show them.

Records, elections and users are changed by hand; blocks, proofs and pages are then made
from the very words that the contracts would hold. Keys are real, and so are tries and
proofs, which come from another implementation than the one that reads them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha512

from nacl import bindings
from trie.hexary import HexaryTrie

from psp.crypto.keccak import HASH_SIZE, keccak256
from psp.crypto.keys import SigningKey, verify
from psp.crypto.primitives import x25519_public
from psp.directory.chain import layout
from psp.directory.chain.header import BlockHeader
from psp.directory.chain.layout import MAX_SEATS, RING, WORD, mapping_slot
from psp.directory.chain.names import LIFETIME, NameStatus
from psp.directory.chain.proof import EMPTY_ROOT, read_proof
from psp.directory.chain.records import (
    ListedNode,
    NodeStatus,
    book_root,
    read_nodes,
    split_listing,
)
from psp.directory.chain.state import list_slots, read_state, state_slots
from psp.directory.chain.trie import storage_root
from psp.directory.chain.users import (
    UserStatus,
    read_users,
    split_users,
    user_signing_input,
)
from psp.directory.chain.view import ChainView, CodeHashes
from psp.entropy import Entropy
from psp.ids import NodeId, UserId
from psp.netdoc.node_record import NodeRecord, node_signing_input
from psp.testing.directory import LOOPBACK, START
from psp.units import UnixTime
from psp.wire import rlp
from psp.wire.endpoint import Endpoint
from psp.wire.link_specifiers import pack
from psp.wire.network import Network

BOOK = b"\xb0" * 20
USERS = b"\x05" * 20
OWNER = b"\x0a" * 20
_SMALL_ORDER = bytes.fromhex(
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
)
"""A point of order 8."""
CODE = CodeHashes(keccak256(b"relays"), keccak256(b"book"), keccak256(b"users"))


def node_words(
    key: SigningKey,
    *,
    network: Network = LOOPBACK,
    onion_key: bytes = b"o" * 32,
    endpoints: Sequence[Endpoint] = (Endpoint("192.0.2.1", 443),),
    owner: bytes = OWNER,
    status: NodeStatus = NodeStatus.ACTIVE,
    version: int = 1,
    epoch: int = 4,
) -> bytes:
    """Return the words of one record, signed by ``key``."""
    record = NodeRecord(NodeId(key.public), onion_key, tuple(endpoints), owner)
    words = pack(endpoints)
    head = _head(owner, status, len(words), version) | epoch << 192 | epoch << 224
    if status is NodeStatus.RETIRED:
        return (head & ~(15 << 164)).to_bytes(WORD)
    signature = key.sign(node_signing_input(network, record))
    return b"".join((head.to_bytes(WORD), key.public, onion_key, signature, *words))


def user_words(
    key: SigningKey,
    *,
    network: Network = LOOPBACK,
    owner: bytes = OWNER,
    status: UserStatus = UserStatus.ACTIVE,
    version: int = 1,
    changed: int = START,
) -> bytes:
    """Return the words of one user's record, signed by ``key``."""
    head = _head(owner, status, 0, version) | changed << 192
    signature = key.sign(user_signing_input(network, owner, UserId(key.public)))
    return head.to_bytes(WORD) + key.public + signature


def name_words(
    name: str | bytes,
    user: int,
    *,
    owner: bytes = OWNER,
    status: NameStatus = NameStatus.ACTIVE,
    version: int = 1,
    expires: int = START + LIFETIME,
) -> bytes:
    """Return the words of one name's record, whatever the name."""
    head = _head(owner, status, 0, version) | user << 192 | expires << 224
    text = name.encode() if isinstance(name, str) else name
    return head.to_bytes(WORD) + text.ljust(WORD, b"\0")


def impure_signature(text: Callable[[int, bytes], bytes]) -> tuple[int, bytes, bytes]:
    """Return n, an identity and its signature of ``text(n, identity)``.

    The identity has a part of small order: such keys can sign, in one of eight texts,
    but have no X25519 form.
    """
    reduce = bindings.crypto_core_ed25519_scalar_reduce
    scalar, nonce = reduce(b"s" * 64), reduce(b"n" * 64)
    pure = bindings.crypto_scalarmult_ed25519_base_noclamp(scalar)
    public = bindings.crypto_core_ed25519_add(pure, _SMALL_ORDER)
    point = bindings.crypto_scalarmult_ed25519_base_noclamp(nonce)
    for n in range(200):
        challenge = reduce(sha512(point + public + text(n, public)).digest())
        product = bindings.crypto_core_ed25519_scalar_mul(challenge, scalar)
        signature = point + bindings.crypto_core_ed25519_scalar_add(product, nonce)
        if verify(public, text(n, public), signature):
            return n, public, signature
    raise AssertionError("one of eight holds")


def make_listing(
    entropy: Entropy, count: int, network: Network = LOOPBACK
) -> tuple[ListedNode, ...]:
    """Return a book of any size, each node with keys and an endpoint of its own."""
    return tuple(
        ListedNode(
            number,
            node_words(
                SigningKey.generate(entropy),
                network=network,
                onion_key=x25519_public(entropy.token(32)),
                endpoints=(_endpoint(number),),
                owner=number.to_bytes(20),
            ),
        )
        for number in range(1, count + 1)
    )


@dataclass(slots=True)
class MemoryContracts:
    """The contracts of one network, changed by hand.

    Attributes:
        network: Which network; its registry is the address of Relays.
        genesis: When epoch 4 began.
        epoch_length: Seconds.
        seats: Of a list.
        nodes: Words of each node's record, by number - 1.
        users: Words of each user's record, by number - 1.
        relays: Storage of Relays.
        keys: Identity keys of nodes, by number.
        code: Hashes of the contracts' code.
    """

    network: Network = LOOPBACK
    genesis: UnixTime = START
    epoch_length: int = 3_600
    seats: int = 8
    nodes: list[bytes] = field(default_factory=list)
    users: list[bytes] = field(default_factory=list)
    relays: dict[int, int] = field(default_factory=dict)
    keys: dict[int, SigningKey] = field(default_factory=dict)
    code: CodeHashes = CODE

    def __post_init__(self) -> None:
        """Found the registry."""
        params = self.genesis | self.epoch_length << 64 | (2 * self.epoch_length) << 96
        self.relays[layout.RELAYS_PARAMS] = (
            params | self.seats << 128 | 3 << 144 | 1 << 160
        )
        self.relays[layout.RELAYS_MIN_STAKE] = 10**17
        self.relays[layout.RELAYS_BOOK] = int.from_bytes(BOOK)
        self.relays[layout.RELAYS_USERS] = int.from_bytes(USERS)

    @classmethod
    def with_nodes(
        cls, entropy: Entropy, count: int, *, users: int = 0
    ) -> "MemoryContracts":
        """Return a network of some nodes and users, nobody elected."""
        contracts = cls()
        for _ in range(count):
            contracts.add_node(entropy)
        for _ in range(users):
            contracts.users.append(user_words(SigningKey.generate(entropy)))
        return contracts

    def add_node(self, entropy: Entropy, *, owner: bytes = OWNER) -> int:
        """Register a node with new keys; return its number."""
        number = len(self.nodes) + 1
        key = SigningKey.generate(entropy)
        self.keys[number] = key
        self.nodes.append(
            node_words(
                key,
                network=self.network,
                onion_key=entropy.token(32),
                endpoints=(_endpoint(number),),
                owner=owner,
            )
        )
        return number

    def end_node(self, number: int, status: NodeStatus) -> None:
        """Retire or revoke a node, as the contract does it."""
        words = self.nodes[number - 1]
        head = int.from_bytes(words[:WORD]) & ~(15 << 160) | status << 160
        if status is NodeStatus.RETIRED:
            self.nodes[number - 1] = (head & ~(15 << 164)).to_bytes(WORD)
        else:
            self.nodes[number - 1] = head.to_bytes(WORD) + words[WORD:]

    def node_id(self, number: int) -> NodeId:
        """Return a node's identity."""
        return NodeId(self.keys[number].public)

    def elect(self, epoch: int, numbers: Sequence[int]) -> None:
        """Make the list of an epoch."""
        ring = epoch % RING
        self.relays[layout.RELAYS_HEAP_META + ring] = epoch << 32 | len(numbers)
        for i, number in enumerate(numbers):
            key = int.from_bytes(keccak256(bytes([epoch, number % 256]))) >> 64
            slot = layout.RELAYS_HEAPS + ring * MAX_SEATS + i
            self.relays[slot] = key << 32 | number

    def trust(self, numbers: Sequence[int]) -> None:
        """Name the trusted partners' nodes."""
        self.relays[layout.RELAYS_TRUSTED] = len(numbers)
        for i, number in enumerate(numbers, 1):
            self.relays[layout.RELAYS_TRUSTED + i] = number

    def draw(self, epoch: int, block: int, seed: bytes = b"") -> None:
        """Ask for the seed of an epoch's list, and draw it if one is given."""
        ring = epoch % RING
        self.relays[layout.RELAYS_SEED_TARGET + ring] = epoch << 64 | block
        self.relays[layout.RELAYS_SEEDS + ring] = int.from_bytes(seed)

    def set_beacon(self, day: int, value: bytes) -> None:
        """Set the random value of a day."""
        slot = mapping_slot(layout.RELAYS_BEACONS, day)
        self.relays[slot] = int.from_bytes(value)

    # ---- as an endpoint shows it

    def storage(self, address: bytes) -> dict[int, int]:
        """Return all words of a contract's storage."""
        if address == self.network.registry:
            return dict(self.relays)
        if address == USERS:
            return {layout.USERS_COUNT: len(self.users)} | _records(
                layout.USERS_RECORDS, self.users
            )
        return {
            layout.BOOK_KEEPER: int.from_bytes(self.network.registry),
            layout.BOOK_COUNT: len(self.nodes),
        } | _records(layout.BOOK_RECORDS, self.nodes)

    def block(
        self, height: int, timestamp: int, *, fork: bytes = b""
    ) -> dict[str, object]:
        """Return a block as JSON; ``fork`` tells blocks of one height apart."""
        fields: list[tuple[str, bytes | int]] = [
            *(("parentHash", keccak256(height.to_bytes(8))), ("sha3Uncles", bytes(32))),
            *(("miner", bytes(20)), ("stateRoot", _trie(self._accounts()).root_hash)),
            *(("transactionsRoot", bytes(32)), ("receiptsRoot", bytes(32))),
            *(("logsBloom", bytes(256)), ("difficulty", 0), ("number", height)),
            *(("gasLimit", 30_000_000), ("gasUsed", 0), ("timestamp", timestamp)),
            *(("extraData", fork), ("mixHash", bytes(32)), ("nonce", bytes(8))),
        ]
        encoded: list[rlp.Item] = [
            rlp.encode_int(value) if isinstance(value, int) else value
            for _, value in fields
        ]
        texts = {
            name: hex(value) if isinstance(value, int) else "0x" + value.hex()
            for name, value in fields
        }
        return {**texts, "hash": "0x" + keccak256(rlp.encode(encoded)).hex()}

    def proof(self, address: bytes, slots: Iterable[int]) -> dict[str, object]:
        """Return the proof of some words as JSON, at a block made now."""
        storage = _trie(_hashed(self.storage(address)))
        return {
            "accountProof": _proof(_trie(self._accounts()), keccak256(address)),
            "storageProof": [
                {"proof": _proof(storage, keccak256(slot.to_bytes(WORD)))}
                for slot in slots
            ],
        }

    def view(
        self,
        height: int,
        timestamp: int | None = None,
        *,
        with_users: bool = True,
        fork: bytes = b"",
        previous: ChainView | None = None,
    ) -> ChainView:
        """Return what a reader makes of a block, 12 s a block if no time is given."""
        when = self.genesis + 12 * height if timestamp is None else timestamp
        header = BlockHeader.from_json(self.block(height, when, fork=fork))
        words: dict[int, int] = {}
        for slots in (state_slots(when), None):
            wanted = list_slots(words, when) if slots is None else slots
            words |= read_proof(
                self.proof(self.network.registry, wanted),
                state_root=header.state_root,
                address=self.network.registry,
                slots=wanted,
            ).words
        listed = split_listing(b"".join(self.nodes))
        users = split_users(b"".join(self.users)) if with_users else None
        return ChainView(
            network=self.network,
            height=header.number,
            block_hash=header.hash,
            timestamp=header.timestamp,
            code_hashes=self.code,
            book_root=book_root(listed, self.network.registry),
            state=read_state(words, when),
            nodes=read_nodes(
                self.network, listed, previous.nodes if previous else None
            ),
            users=None if users is None else read_users(self.network, users),
        )

    def _accounts(self) -> dict[bytes, bytes]:
        """Return the state trie's entries: the contracts and some other accounts."""
        contracts = (
            (self.network.registry, self.code.relays),
            (BOOK, self.code.book),
            (USERS, self.code.users),
        )
        accounts = {
            keccak256(address): rlp.encode(
                (b"\x01", b"", storage_root(self.storage(address).items()), code)
            )
            for address, code in contracts
        }
        for i in range(40):
            person = rlp.encode((b"", b"\x01", EMPTY_ROOT, keccak256(b"")))
            accounts[keccak256(b"person", bytes([i]))] = person
        return accounts


def _head(owner: bytes, status: int, words: int, version: int) -> int:
    return int.from_bytes(owner) | status << 160 | words << 164 | version << 168


def _endpoint(number: int) -> Endpoint:
    high, low = divmod(number, 256)
    return Endpoint(f"{10 + high // 256}.{high % 256}.{low}.1", 443)


def _records(slot: int, records: Sequence[bytes]) -> dict[int, int]:
    return {
        mapping_slot(slot, number) + i // WORD: int.from_bytes(words[i : i + WORD])
        for number, words in enumerate(records, 1)
        for i in range(0, len(words), WORD)
    }


def _hashed(storage: Mapping[int, int]) -> dict[bytes, bytes]:
    return {
        keccak256(slot.to_bytes(WORD)): rlp.encode(rlp.encode_int(value))
        for slot, value in storage.items()
        if value
    }


def _trie(entries: Mapping[bytes, bytes]) -> HexaryTrie:
    trie = HexaryTrie({})
    for key, value in entries.items():
        trie[key] = value
    return trie


def _proof(trie: HexaryTrie, key: bytes) -> list[str]:
    """Return the nodes as Ethereum's nodes list them: without those inside others."""
    found = trie.get_proof(key)  # type: ignore[no-untyped-call]  # typed in part only
    nodes = [rlp.encode(node) for node in found]
    return [
        "0x" + node.hex()
        for i, node in enumerate(nodes)
        if i == 0 or len(node) >= HASH_SIZE
    ]
