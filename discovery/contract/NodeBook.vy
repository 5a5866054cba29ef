# pragma version 0.4.3
# pragma evm-version paris
# pragma nonreentrancy off
"""
@title NodeBook
@notice The records of the relays, in a contract of their own: every word of its storage can be listed,
        so a reader can rebuild the storage root from a listing and knows that nothing was left out.
@dev Storage, and there is no more of it:
        slot 0                                       keeper
        slot 1                                       node_count
        slot keccak256(be32(2) || be32(number)) + j  word j of a record, 0 <= j < 9
     Words of a record: head, identity, onion, sig (2), endpoints (4).
     Head, low to high: owner 160 | status 4 | words 4 | version 24 | registered epoch 32 | onion epoch 32,
     where `words` counts the endpoint words in use and `onion epoch` is that of the last change of the onion key.
     There are no immutables, so the code hash of every deployment is that of the shipped artefact.
"""

ACTIVE: constant(uint256) = 1
RETIRED: constant(uint256) = 2  # gone for good, all words but the head are cleared
REVOKED: constant(uint256) = 3  # the identity key is lost or stolen; the record stays as a tombstone

M4: constant(uint256) = 2**4 - 1
M24: constant(uint256) = 2**24 - 1
M32: constant(uint256) = 2**32 - 1
KEPT: constant(uint256) = (2**160 - 1) | (M4 << 160)  # what a change of the record leaves: owner, status
REGISTERED: constant(uint256) = M32 << 192

MAX_PAGE: constant(uint256) = 240
MAX_WORDS: constant(uint256) = 2160  # 9 words for each node of a page
MAX_VERSIONS: constant(uint256) = 2400
MAX_VERSION_WORDS: constant(uint256) = 300  # 8 nodes in a word

struct Record:
    head: uint256
    identity: bytes32
    onion: bytes32
    sig: bytes32[2]
    endpoints: bytes32[4]

event Bound:
    keeper: indexed(address)

keeper: public(address)
node_count: public(uint256)
records: HashMap[uint256, Record]


@deploy
def __init__():
    """
    @notice The deployer keeps the book until it is bound.
    """
    self.keeper = msg.sender


@external
def bind(keeper: address):
    """
    @notice Hand the empty book to the contract that writes it from now on.
    @param keeper The Relays contract.
    @dev Happens once: Relays has no way to call this.
    """
    assert msg.sender == self.keeper, "keeper"
    assert keeper.is_contract and self.node_count == 0, "bound"
    self.keeper = keeper
    log Bound(keeper=keeper)


# ------------------------------------------------------------------ writing


@internal
@pure
def _words(identity: bytes32, onion: bytes32, endpoints: bytes32[4]) -> uint256:
    """Count the endpoint words in use and refuse what no reader would accept."""
    assert identity != empty(bytes32) and onion != empty(bytes32), "empty"
    words: uint256 = 0
    for j: uint256 in range(4):
        if endpoints[j] != empty(bytes32):
            assert words == j, "gap"
            words = j + 1
    assert words > 0, "empty"
    return words


@internal
@view
def _next(head: uint256) -> uint256:
    """Return the next version of an active record."""
    assert (head >> 160) & M4 == ACTIVE, "status"
    version: uint256 = ((head >> 168) & M24) + 1
    assert version <= M24, "version"
    return version


@external
def add(
    owner: address, epoch: uint256, identity: bytes32, onion: bytes32, sig: bytes32[2], endpoints: bytes32[4]
) -> uint256:
    """
    @notice Write the first version of a new record.
    @param owner Account that may change it.
    @param epoch The current epoch.
    @param identity Ed25519 key of the node.
    @param onion X25519 key for circuit handshakes.
    @param sig Ed25519 self-signature, checked by readers only.
    @param endpoints Packed link specifiers, zero padded, words in use first.
    @return The node's number: 1, 2, 3 ..., never used again.
    @dev Keeper only.
    """
    assert msg.sender == self.keeper, "keeper"
    words: uint256 = self._words(identity, onion, endpoints)
    number: uint256 = self.node_count + 1
    assert number <= M32, "full"
    self.node_count = number
    self.records[number].head = (
        convert(owner, uint256)
        | (ACTIVE << 160)
        | (words << 164)
        | (1 << 168)
        | (epoch << 192)
        | (epoch << 224)
    )
    self.records[number].identity = identity
    self.records[number].onion = onion
    self.records[number].sig = sig
    # words never written are zero already; writing zero would cost 2,200 gas each
    for j: uint256 in range(4):
        if j == words:
            break
        self.records[number].endpoints[j] = endpoints[j]
    return number


@external
def replace(
    number: uint256, epoch: uint256, identity: bytes32, onion: bytes32, sig: bytes32[2], endpoints: bytes32[4]
):
    """
    @notice Write the next version of an active record.
    @param number The node.
    @param epoch The current epoch.
    @param identity Ed25519 key of the node.
    @param onion X25519 key for circuit handshakes.
    @param sig Ed25519 self-signature, checked by readers only.
    @param endpoints Packed link specifiers, zero padded, words in use first.
    @dev Keeper only.
    """
    assert msg.sender == self.keeper, "keeper"
    words: uint256 = self._words(identity, onion, endpoints)
    head: uint256 = self.records[number].head
    version: uint256 = self._next(head)
    changed: uint256 = head >> 224
    if self.records[number].onion != onion:
        changed = epoch
        self.records[number].onion = onion
    if self.records[number].identity != identity:
        self.records[number].identity = identity
    self.records[number].sig = sig
    used: uint256 = max(words, (head >> 164) & M4)
    for j: uint256 in range(4):
        if j == used:
            break
        self.records[number].endpoints[j] = endpoints[j]
    self.records[number].head = (
        (head & (KEPT | REGISTERED)) | (words << 164) | (version << 168) | (changed << 224)
    )


@external
def rotate(number: uint256, epoch: uint256, onion: bytes32, sig: bytes32[2]) -> bytes32:
    """
    @notice Write the next version of an active record with a new onion key, all else unchanged.
    @param number The node.
    @param epoch The current epoch.
    @param onion X25519 key for circuit handshakes.
    @param sig Ed25519 self-signature, checked by readers only.
    @return The node's identity key.
    @dev Keeper only. For the same words as `replace`, at 60 % of its gas.
    """
    assert msg.sender == self.keeper, "keeper"
    assert onion != empty(bytes32), "empty"
    head: uint256 = self.records[number].head
    version: uint256 = self._next(head)
    changed: uint256 = head >> 224
    if self.records[number].onion != onion:
        changed = epoch
        self.records[number].onion = onion
    self.records[number].sig = sig
    self.records[number].head = (
        (head & (KEPT | REGISTERED | (M4 << 164))) | (version << 168) | (changed << 224)
    )
    return self.records[number].identity


@external
def end(number: uint256, status: uint256):
    """
    @notice End an active record for ever.
    @param number The node.
    @param status 2 RETIRED: all words but the head are cleared; 3 REVOKED: the record stays as a tombstone.
    @dev Keeper only. The version stays: the status shows the change.
    """
    assert msg.sender == self.keeper, "keeper"
    assert status == RETIRED or status == REVOKED, "status"
    head: uint256 = self.records[number].head
    assert (head >> 160) & M4 == ACTIVE, "status"
    head = (head & ~(M4 << 160)) | (status << 160)
    if status == RETIRED:
        words: uint256 = (head >> 164) & M4
        head = head & ~(M4 << 164)
        self.records[number].identity = empty(bytes32)
        self.records[number].onion = empty(bytes32)
        self.records[number].sig = empty(bytes32[2])
        for j: uint256 in range(4):
            if j == words:
                break
            self.records[number].endpoints[j] = empty(bytes32)
    self.records[number].head = head


# ------------------------------------------------------------------ reading


@external
@view
def head(number: uint256) -> uint256:
    """
    @notice The first word of a record.
    @param number The node.
    @return Owner, status, words, version and epochs; zero for a node that does not exist.
    """
    return self.records[number].head


@external
@view
def record(number: uint256) -> Record:
    """
    @notice A whole record.
    @param number The node.
    @return Its nine words; zeros for a node that does not exist.
    """
    return self.records[number]


@external
@view
def versions(first: uint256, n: uint256) -> DynArray[uint256, MAX_VERSION_WORDS]:
    """
    @notice Status, words and version of a run of nodes, to see what changed since the last reading.
    @param first Number of the first node, from 1.
    @param n At most so many nodes, at most 2,400.
    @return 32 bits a node, status 4 | words 4 | version 24, eight nodes a word, the first in the lowest bits.
    """
    assert first > 0 and n <= MAX_VERSIONS, "page"
    out: DynArray[uint256, MAX_VERSION_WORDS] = []
    count: uint256 = self.node_count
    if first > count:
        return out
    left: uint256 = min(n, count - first + 1)
    number: uint256 = first
    for _: uint256 in range(MAX_VERSION_WORDS):
        if left == 0:
            break
        word: uint256 = 0
        for j: uint256 in range(8):
            if left == 0:
                break
            word |= ((self.records[number].head >> 160) & M32) << (32 * j)
            number += 1
            left -= 1
        out.append(word)
    return out


@internal
@view
def _length(head: uint256) -> uint256:
    """Return how many words of a record a listing shows after its head."""
    status: uint256 = (head >> 160) & M4
    if status == ACTIVE or status == REVOKED:
        return 4 + ((head >> 164) & M4)
    return 0


@external
@view
def page(first: uint256, n: uint256) -> DynArray[bytes32, MAX_WORDS]:
    """
    @notice The records of a run of nodes.
    @param first Number of the first node, from 1.
    @param n At most so many nodes, at most 240.
    @return For each node its head and, unless it is retired, identity, onion, two words of signature and the
            endpoint words in use.
    """
    assert first > 0 and n <= MAX_PAGE, "page"
    out: DynArray[bytes32, MAX_WORDS] = []
    count: uint256 = self.node_count
    for i: uint256 in range(MAX_PAGE):
        number: uint256 = first + i
        if i == n or number > count:
            break
        head: uint256 = self.records[number].head
        out.append(convert(head, bytes32))
        length: uint256 = self._length(head)
        if length > 0:
            out.append(self.records[number].identity)
            out.append(self.records[number].onion)
            out.append(self.records[number].sig[0])
            out.append(self.records[number].sig[1])
            for j: uint256 in range(4):
                if j + 4 == length:
                    break
                out.append(self.records[number].endpoints[j])
    return out


@external
@view
def records_of(numbers: DynArray[uint256, MAX_PAGE]) -> DynArray[bytes32, MAX_WORDS]:
    """
    @notice The records of some nodes.
    @param numbers The nodes, at most 240.
    @return As `page`; one zero word for a node that does not exist.
    """
    out: DynArray[bytes32, MAX_WORDS] = []
    for number: uint256 in numbers:
        head: uint256 = self.records[number].head
        out.append(convert(head, bytes32))
        length: uint256 = self._length(head)
        if length > 0:
            out.append(self.records[number].identity)
            out.append(self.records[number].onion)
            out.append(self.records[number].sig[0])
            out.append(self.records[number].sig[1])
            for j: uint256 in range(4):
                if j + 4 == length:
                    break
                out.append(self.records[number].endpoints[j])
    return out
