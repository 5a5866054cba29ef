# pragma version 0.4.3
# pragma evm-version paris
# pragma nonreentrancy off
"""
@title Relays
@notice Stakes and standing votes of the relays, and the election of the discovery nodes of each epoch.
@dev No call costs more with more nodes.

     Epochs have equal length, counted by time and from 4 on, so that the tag of an epoch is never zero. In epoch e:
     votes change the weights that count from e+1 on; in its second half `request_seed` names a block, the first call
     after that block draws the seed, and from then on nodes are nominated into a heap that keeps the `seats` best.
     That heap is the list of epoch e+1. Four lists lie in a ring: e+1, which is being made, e and the two before.

     Best is, in a draw, the smallest -log2(u) / weight with u from seed and number: the order of a draw without
     replacement in proportion to weight, so that splitting stake wins nothing. Without a draw, the largest weight.
     The seed is drawn after the weights are fixed, from prevrandao, which a builder of a block can withhold but not
     choose: who builds the drawing block has one bit. It is worth what it says where prevrandao is random: on
     Ethereum and Gnosis, not on Arbitrum.

     Strategy 0 STAKE, the only one: weight = stake. Importance would be stake with vesting: weight grows by a tenth of
     what is missing per epoch, from one more packed field. It is not built.

     Storage, in this order: params (genesis 64 | epoch_length 32 | unbonding 32 | seats 16 | seed_delay 16 | flags 8,
     1 sortition and 2 self_only | strategy 8, low to high), min_stake, book, users, admin, pending_admin, trusted (17
     words), heap_meta (4), seed_target (4), seeds (4), heaps (4 times 256), then the maps beacons, weights, votes,
     unbonding, operators. The first four are immutables too, used by the code; in storage they can be proven.
     Immutables, 32 bytes each behind the code: genesis, epoch_length, unbonding, min_stake, seats, seed_delay,
     sortition, self_only, book.

     The balance is the sum of all votes and unbondings, plus what somebody forces upon the contract.
"""

interface NodeBook:
    def node_count() -> uint256: view
    def head(number: uint256) -> uint256: view
    def add(
        owner: address, epoch: uint256, identity: bytes32, onion: bytes32, sig: bytes32[2], endpoints: bytes32[4]
    ) -> uint256: nonpayable
    def replace(
        number: uint256, epoch: uint256, identity: bytes32, onion: bytes32, sig: bytes32[2], endpoints: bytes32[4]
    ): nonpayable
    def rotate(number: uint256, epoch: uint256, onion: bytes32, sig: bytes32[2]) -> bytes32: nonpayable
    def end(number: uint256, status: uint256): nonpayable

ACTIVE: constant(uint256) = 1
RETIRED: constant(uint256) = 2
REVOKED: constant(uint256) = 3

STAKE: constant(uint8) = 0

MAX_SEATS: constant(uint256) = 256
MAX_DEPTH: constant(uint256) = 9  # levels of a heap of 256, and one more
MAX_BATCH: constant(uint256) = 64
MAX_TRUSTED: constant(uint256) = 16
MAX_PAGE: constant(uint256) = 400
RING: constant(uint256) = 4
DAY: constant(uint256) = 86400  # seconds
MIN_EPOCH: constant(uint256) = 16  # seconds: a few blocks in each half

M4: constant(uint256) = 2**4 - 1
M16: constant(uint256) = 2**16 - 1
M24: constant(uint256) = 2**24 - 1
M32: constant(uint256) = 2**32 - 1
M64: constant(uint256) = 2**64 - 1
M96: constant(uint256) = 2**96 - 1
M160: constant(uint256) = 2**160 - 1
M224: constant(uint256) = 2**224 - 1

event NodeSet:
    number: indexed(uint256)
    owner: indexed(address)
    version: uint256
    identity: bytes32
    onion: bytes32

event NodeEnded:
    number: indexed(uint256)
    status: uint256

event OperatorSet:
    number: indexed(uint256)
    operator: address

event Vote:
    voter: indexed(address)
    number: indexed(uint256)
    amount: uint256
    added: bool
    epoch: uint256

event Unbonding:
    who: indexed(address)
    amount: uint256
    release: uint256

event SeedRequested:
    epoch: indexed(uint256)
    target: uint256

event Seed:
    epoch: indexed(uint256)
    seed: bytes32

event BeaconSet:
    day: indexed(uint256)
    value: bytes32

event Nominated:
    epoch: indexed(uint256)
    number: indexed(uint256)
    weight: uint256
    key: uint256

event TrustedSet:
    numbers: DynArray[uint256, MAX_TRUSTED]

event AdminOffered:
    to: indexed(address)

event AdminChanged:
    admin: indexed(address)

GENESIS: immutable(uint256)
EPOCH_LENGTH: immutable(uint256)
UNBONDING: immutable(uint256)
MIN_STAKE: immutable(uint256)
SEATS: immutable(uint256)
SEED_DELAY: immutable(uint256)
SORTITION: immutable(bool)
SELF_ONLY: immutable(bool)
BOOK: immutable(NodeBook)

params: uint256
min_stake: uint256
book: public(address)
users: public(address)
admin: public(address)
pending_admin: public(address)
trusted: DynArray[uint256, MAX_TRUSTED]
heap_meta: uint256[RING]  # epoch << 32 | size
seed_target: uint256[RING]  # epoch << 64 | block
seeds: bytes32[RING]
heaps: uint256[MAX_SEATS][RING]  # key << 32 | number; the worst of the best on top
beacons: HashMap[uint256, bytes32]
weight_words: HashMap[uint256, uint256]  # now 96 | next 96 | changed epoch 32 | nominated epoch 32
votes: public(HashMap[address, HashMap[uint256, uint256]])
unbonding: public(HashMap[address, uint256])  # amount 96 | release time << 96
operators: public(HashMap[uint256, address])


@deploy
def __init__(
    book: address,
    users: address,
    epoch_length: uint256,
    unbonding: uint256,
    min_stake: uint256,
    seats: uint256,
    seed_delay: uint256,
    sortition: bool,
    self_only: bool,
    strategy: uint8,
):
    """
    @notice Found a registry; it works once its book is bound to it.
    @param book An empty NodeBook.
    @param users The Users contract, named here so that one address leads to all three.
    @param epoch_length Seconds, at least 16.
    @param unbonding Seconds until stake taken back can be withdrawn, at least two epochs: nobody gets his stake
           out while a list that it elected is in force.
    @param min_stake Smallest stake of an owner in an own node, and smallest weight that is elected, in wei.
    @param seats Length of a list, 1 to 256.
    @param seed_delay Blocks between request and seed, from 1 on: prevrandao must be unknown at the request.
    @param sortition True for a draw in proportion to weight, False for the largest weights.
    @param self_only True when only the owner or operator of a node may nominate it, as a sign of life.
    @param strategy 0 STAKE.
    """
    assert strategy == STAKE, "strategy"
    assert epoch_length >= MIN_EPOCH and epoch_length <= M32, "epoch"
    assert unbonding >= 2 * epoch_length and unbonding <= M32, "unbonding"
    assert min_stake > 0 and min_stake <= M96, "stake"
    assert seats > 0 and seats <= MAX_SEATS, "seats"
    assert seed_delay > 0 and seed_delay <= M16, "delay"
    assert book.is_contract and staticcall NodeBook(book).node_count() == 0, "book"
    assert users.is_contract, "users"
    GENESIS = block.timestamp
    EPOCH_LENGTH = epoch_length
    UNBONDING = unbonding
    MIN_STAKE = min_stake
    SEATS = seats
    SEED_DELAY = seed_delay
    SORTITION = sortition
    SELF_ONLY = self_only
    BOOK = NodeBook(book)
    flags: uint256 = convert(sortition, uint256) | (convert(self_only, uint256) << 1)
    self.params = (
        block.timestamp
        | (epoch_length << 64)
        | (unbonding << 96)
        | (seats << 128)
        | (seed_delay << 144)
        | (flags << 160)
        | (convert(strategy, uint256) << 168)
    )
    self.min_stake = min_stake
    self.book = book
    self.users = users
    self.admin = msg.sender
    log AdminChanged(admin=msg.sender)
    value: bytes32 = self._draw(RING)
    self._set_beacon(block.timestamp // DAY, value)
    self._set_beacon(block.timestamp // DAY + 1, value)


# ------------------------------------------------------------------ time and weights


@internal
@view
def _epoch() -> uint256:
    # from RING on, so that no tag of an epoch is zero and looking back never goes below zero
    return (block.timestamp - GENESIS) // EPOCH_LENGTH + RING


@internal
@pure
def _at_start(word: uint256, epoch: uint256) -> uint256:
    """Return the weight a node had when this epoch began."""
    if (word >> 192) & M32 == epoch:
        return word & M96
    return (word >> 96) & M96


@internal
def _change(number: uint256, amount: uint256, added: bool, epoch: uint256):
    word: uint256 = self.weight_words[number]
    now: uint256 = self._at_start(word, epoch)
    next: uint256 = (word >> 96) & M96
    if added:
        next += amount
        assert next <= M96, "large"
    else:
        next -= amount
    self.weight_words[number] = now | (next << 96) | (epoch << 192) | (word & (M32 << 224))
    log Vote(voter=msg.sender, number=number, amount=amount, added=added, epoch=epoch)


# ------------------------------------------------------------------ nodes


@internal
@view
def _active(number: uint256) -> uint256:
    """Return the head of an active node."""
    head: uint256 = staticcall BOOK.head(number)
    assert (head >> 160) & M4 == ACTIVE, "status"
    return head


@internal
@view
def _is_owner(head: uint256) -> bool:
    return head & M160 == convert(msg.sender, uint256)


@internal
@view
def _is_operator(number: uint256, head: uint256) -> bool:
    return self._is_owner(head) or self.operators[number] == msg.sender


@external
@payable
def register(identity: bytes32, onion: bytes32, sig: bytes32[2], endpoints: bytes32[4]) -> uint256:
    """
    @notice Enter a node; the money sent is the owner's stake in it. It counts from the next epoch on.
    @param identity Ed25519 key of the node.
    @param onion X25519 key for circuit handshakes.
    @param sig Ed25519 self-signature over the record, which names the caller; checked by readers only.
    @param endpoints Packed link specifiers, zero padded, words in use first.
    @return The node's number: 1, 2, 3 ..., never used again.
    @dev Anybody can enter any key: only its holder has the signature that makes readers believe it.
    """
    assert msg.value >= MIN_STAKE, "stake"
    epoch: uint256 = self._epoch()
    number: uint256 = extcall BOOK.add(msg.sender, epoch, identity, onion, sig, endpoints)
    self.votes[msg.sender][number] = msg.value
    log NodeSet(number=number, owner=msg.sender, version=1, identity=identity, onion=onion)
    self._change(number, msg.value, True, epoch)
    return number


@external
def update(number: uint256, identity: bytes32, onion: bytes32, sig: bytes32[2], endpoints: bytes32[4]):
    """
    @notice Change any of the keys and endpoints of a node.
    @param number The node, owned by the caller.
    @param identity Ed25519 key of the node.
    @param onion X25519 key for circuit handshakes.
    @param sig Ed25519 self-signature over the record.
    @param endpoints Packed link specifiers, zero padded, words in use first.
    """
    head: uint256 = self._active(number)
    assert self._is_owner(head), "owner"
    extcall BOOK.replace(number, self._epoch(), identity, onion, sig, endpoints)
    version: uint256 = ((head >> 168) & M24) + 1
    log NodeSet(number=number, owner=msg.sender, version=version, identity=identity, onion=onion)


@external
def rotate_onion(number: uint256, onion: bytes32, sig: bytes32[2]):
    """
    @notice Change the onion key of a node.
    @param number The node, owned or operated by the caller.
    @param onion X25519 key for circuit handshakes.
    @param sig Ed25519 self-signature over the record.
    """
    head: uint256 = self._active(number)
    assert self._is_operator(number, head), "owner"
    identity: bytes32 = extcall BOOK.rotate(number, self._epoch(), onion, sig)
    owner: address = convert(convert(head & M160, uint160), address)
    version: uint256 = ((head >> 168) & M24) + 1
    log NodeSet(number=number, owner=owner, version=version, identity=identity, onion=onion)


@external
def set_operator(number: uint256, operator: address):
    """
    @notice Let a hot key nominate a node and rotate its onion key; it can neither move stake nor end the node.
    @param number The node, owned by the caller.
    @param operator The key's account, or zero for none.
    """
    assert self._is_owner(self._active(number)), "owner"
    self.operators[number] = operator
    log OperatorSet(number=number, operator=operator)


@internal
def _end(number: uint256, status: uint256):
    assert self._is_owner(self._active(number)), "owner"
    extcall BOOK.end(number, status)
    self.operators[number] = empty(address)
    stake: uint256 = self.votes[msg.sender][number]
    self.votes[msg.sender][number] = 0
    log NodeEnded(number=number, status=status)
    self._change(number, stake, False, self._epoch())
    self._unbond(stake)


@external
def retire(number: uint256):
    """
    @notice Lay a node down for ever and take its stake back. Its record is cleared.
    @param number The node, owned by the caller.
    @dev Votes of others stay theirs, to take back or to move.
    """
    self._end(number, RETIRED)


@external
def revoke(number: uint256):
    """
    @notice Declare a node's identity key lost or stolen and take its stake back. The record stays, so that readers
            see that the key is dead, under whatever owner.
    @param number The node, owned by the caller.
    @dev It stays in lists already made; readers look at the status.
    """
    self._end(number, REVOKED)


# ------------------------------------------------------------------ votes


@internal
def _take(number: uint256, amount: uint256, epoch: uint256):
    """Take the caller's vote away, but not an owner's smallest stake in an active node."""
    held: uint256 = self.votes[msg.sender][number]
    assert amount > 0 and amount <= held, "amount"
    head: uint256 = staticcall BOOK.head(number)
    if self._is_owner(head) and (head >> 160) & M4 == ACTIVE:
        assert held - amount >= MIN_STAKE, "stake"
    self.votes[msg.sender][number] = held - amount
    self._change(number, amount, False, epoch)


@internal
def _unbond(amount: uint256):
    total: uint256 = (self.unbonding[msg.sender] & M96) + amount
    assert total <= M96, "large"
    release: uint256 = block.timestamp + UNBONDING
    self.unbonding[msg.sender] = total | (release << 96)
    log Unbonding(who=msg.sender, amount=total, release=release)


@external
@payable
def vote(number: uint256):
    """
    @notice Add the money sent to the weight of a node, from the next epoch on.
    @param number An active node.
    """
    self._active(number)
    assert msg.value > 0, "amount"
    self.votes[msg.sender][number] += msg.value
    self._change(number, msg.value, True, self._epoch())


@external
def unvote(number: uint256, amount: uint256):
    """
    @notice Take votes back; the money can be withdrawn when the unbonding time is over.
    @param number The node, ended or not.
    @param amount Wei; an owner leaves the smallest stake in an active node.
    @dev Sets the release of everything that the caller has unbonding.
    """
    self._take(number, amount, self._epoch())
    self._unbond(amount)


@external
def move_vote(src: uint256, dst: uint256, amount: uint256):
    """
    @notice Move votes to another node; they count there from the next epoch on.
    @param src The node to take from, ended or not.
    @param dst An active node.
    @param amount Wei; an owner leaves the smallest stake in an active node.
    """
    self._active(dst)
    epoch: uint256 = self._epoch()
    self._take(src, amount, epoch)
    self.votes[msg.sender][dst] += amount
    self._change(dst, amount, True, epoch)


@external
def withdraw():
    """
    @notice Pay out what the caller has unbonding, when its time is over.
    """
    word: uint256 = self.unbonding[msg.sender]
    assert word & M96 > 0 and block.timestamp >= word >> 96, "wait"
    # the state first: the payee may call back
    self.unbonding[msg.sender] = 0
    raw_call(msg.sender, b"", value=word & M96)


# ------------------------------------------------------------------ seed


@internal
@view
def _draw(epoch: uint256) -> bytes32:
    return keccak256(abi_encode(block.prevrandao, blockhash(block.number - 1), epoch, self))


@internal
def _set_beacon(day: uint256, seed: bytes32):
    if self.beacons[day] == empty(bytes32):
        value: bytes32 = keccak256(abi_encode(seed, day))
        self.beacons[day] = value
        log BeaconSet(day=day, value=value)


@internal
def _seed(epoch: uint256) -> bytes32:
    """Return the seed of an epoch; the first call behind the named block draws it."""
    target: uint256 = self.seed_target[epoch % RING]
    assert target >> 64 == epoch, "request"
    seed: bytes32 = self.seeds[epoch % RING]
    if seed == empty(bytes32):
        assert block.number > target & M64, "seed"
        seed = self._draw(epoch)
        self.seeds[epoch % RING] = seed
        log Seed(epoch=epoch, seed=seed)
        self._set_beacon(block.timestamp // DAY + 1, seed)
    return seed


@external
def request_seed():
    """
    @notice In the second half of an epoch, when the weights that count are long fixed: name the block behind which
            the seed of the next list, and of the next day's beacon, is drawn. Once an epoch, by anybody.
    """
    assert (block.timestamp - GENESIS) % EPOCH_LENGTH >= EPOCH_LENGTH // 2, "early"
    epoch: uint256 = self._epoch() + 1
    assert self.seed_target[epoch % RING] >> 64 != epoch, "set"
    target: uint256 = block.number + SEED_DELAY
    self.seed_target[epoch % RING] = (epoch << 64) | target
    self.seeds[epoch % RING] = empty(bytes32)
    log SeedRequested(epoch=epoch, target=target)


@external
def reveal_seed():
    """
    @notice Draw the seed of the next list, when its block is past. By anybody.
    @dev Every relay sends it, so that no caller can wait for a block that suits him.
    """
    self._seed(self._epoch() + 1)


# ------------------------------------------------------------------ election


@internal
@pure
def _neglog2(u: uint256) -> uint256:
    """Return -log2(u / 2**128) in units of 2**-48, rounded up, 0 < u < 2**128: in whole numbers, so that readers
    get the same."""
    x: uint256 = u
    n: uint256 = 0
    if x >= 2**64:
        x >>= 64
        n += 64
    if x >= 2**32:
        x >>= 32
        n += 32
    if x >= 2**16:
        x >>= 16
        n += 16
    if x >= 2**8:
        x >>= 8
        n += 8
    if x >= 2**4:
        x >>= 4
        n += 4
    if x >= 2**2:
        x >>= 2
        n += 2
    if x >= 2:
        n += 1
    m: uint256 = u << (127 - n)
    f: uint256 = 0
    for _: uint256 in range(48):
        # below 2**256: m is below 2**128
        m = unsafe_mul(m, m) >> 127
        f <<= 1
        if m >= 2**128:
            m >>= 1
            f |= 1
    return (128 << 48) - ((n << 48) | f)


@internal
@pure
def _key(seed: bytes32, number: uint256, weight: uint256, sortition: bool) -> uint256:
    """Return what the heap compares: smaller is better, the number behind it makes it unique."""
    if not sortition:
        return ((M96 - weight) << 32) | number
    u: uint256 = (convert(keccak256(abi_encode(seed, number)), uint256) >> 128) | 1
    return (((self._neglog2(u) << 96) // weight) << 32) | number


@internal
def _rise(ring: uint256, last: uint256, key: uint256):
    """Put a key at the free end of a heap and let it rise to its place."""
    i: uint256 = last
    for _: uint256 in range(MAX_DEPTH):
        if i == 0:
            break
        parent: uint256 = (i - 1) // 2
        above: uint256 = self.heaps[ring][parent]
        if above >= key:
            break
        self.heaps[ring][i] = above
        i = parent
    self.heaps[ring][i] = key


@internal
def _sink(ring: uint256, key: uint256):
    """Put a key in the place of a full heap's top and let it sink to its place."""
    i: uint256 = 0
    for _: uint256 in range(MAX_DEPTH):
        child: uint256 = 2 * i + 1
        if child >= SEATS:
            break
        below: uint256 = self.heaps[ring][child]
        if child + 1 < SEATS:
            other: uint256 = self.heaps[ring][child + 1]
            if other > below:
                child += 1
                below = other
        if below <= key:
            break
        self.heaps[ring][i] = below
        i = child
    self.heaps[ring][i] = key


@internal
def _nominate(number: uint256, epoch: uint256, seed: bytes32, must: bool):
    head: uint256 = staticcall BOOK.head(number)
    word: uint256 = self.weight_words[number]
    # what it had when this epoch began, less what was taken away since: stake cannot be used twice
    weight: uint256 = min(self._at_start(word, epoch - 1), (word >> 96) & M96)
    refused: bool = (head >> 160) & M4 != ACTIVE or word >> 224 == epoch or weight < MIN_STAKE
    if SELF_ONLY and not refused:
        refused = not self._is_operator(number, head)
    if refused:
        # in a batch, one that somebody else nominated a moment before must not undo the others
        assert not must, "refused"
        return
    key: uint256 = self._key(seed, number, weight, SORTITION)
    ring: uint256 = epoch % RING
    meta: uint256 = self.heap_meta[ring]
    size: uint256 = 0
    if meta >> 32 == epoch:
        size = meta & M32
    if size < SEATS:
        self._rise(ring, size, key)
        self.heap_meta[ring] = (epoch << 32) | (size + 1)
    elif key < self.heaps[ring][0]:
        self._sink(ring, key)
    else:
        assert not must, "outbid"
        return
    self.weight_words[number] = (word & M224) | (epoch << 224)
    log Nominated(epoch=epoch, number=number, weight=weight, key=key)


@internal
def _open(epoch: uint256) -> bytes32:
    """Return the seed of a list that is being made; zero where nothing is drawn."""
    if SORTITION:
        return self._seed(epoch)
    return empty(bytes32)


@external
def nominate(number: uint256):
    """
    @notice Put a node up for the list of the next epoch. Draws the seed where that is due.
    @param number An active node whose weight has counted since the epoch began.
    """
    epoch: uint256 = self._epoch() + 1
    self._nominate(number, epoch, self._open(epoch), True)


@external
def nominate_many(numbers: DynArray[uint256, MAX_BATCH]):
    """
    @notice Put many nodes up; those that cannot be are passed over.
    @param numbers The nodes, at most 64. Least gas: only those that win, the worst of them first.
    """
    epoch: uint256 = self._epoch() + 1
    seed: bytes32 = self._open(epoch)
    for number: uint256 in numbers:
        self._nominate(number, epoch, seed, False)


# ------------------------------------------------------------------ trusted partners


@external
def set_trusted(numbers: DynArray[uint256, MAX_TRUSTED]):
    """
    @notice Name the nodes to ask when no list is in force. Admin only.
    @param numbers At most 16 active nodes.
    """
    assert msg.sender == self.admin, "admin"
    for number: uint256 in numbers:
        self._active(number)
    self.trusted = numbers
    log TrustedSet(numbers=numbers)


@external
def offer_admin(to: address):
    """
    @notice Offer the office to somebody, who has to accept it. Admin only.
    @param to The account; zero takes an offer back.
    """
    assert msg.sender == self.admin, "admin"
    self.pending_admin = to
    log AdminOffered(to=to)


@external
def accept_admin():
    """
    @notice Take over an office that was offered to the caller.
    """
    assert msg.sender == self.pending_admin, "admin"
    self.admin = msg.sender
    self.pending_admin = empty(address)
    log AdminChanged(admin=msg.sender)


@external
def renounce_admin():
    """
    @notice Lay the office down for ever: the trusted nodes stay as they are. Admin only.
    """
    assert msg.sender == self.admin, "admin"
    self.admin = empty(address)
    # else who was offered the office could still take it
    self.pending_admin = empty(address)
    log AdminChanged(admin=empty(address))


# ------------------------------------------------------------------ reading


@external
@view
def epoch() -> uint256:
    """
    @notice The current epoch.
    @return Whole epoch lengths since genesis, plus 4.
    """
    return self._epoch()


@external
@view
def parameters() -> (uint256, uint256, uint256, uint256, uint256, uint256, bool, bool, uint256):
    """
    @notice What the constructor was given.
    @return genesis (Unix seconds), epoch_length, unbonding (seconds), min_stake (wei), seats, seed_delay (blocks),
            sortition, self_only, strategy.
    """
    return (
        GENESIS,
        EPOCH_LENGTH,
        UNBONDING,
        MIN_STAKE,
        SEATS,
        SEED_DELAY,
        SORTITION,
        SELF_ONLY,
        convert(STAKE, uint256),
    )


@internal
@view
def _list(epoch: uint256) -> DynArray[uint256, MAX_SEATS]:
    out: DynArray[uint256, MAX_SEATS] = []
    meta: uint256 = self.heap_meta[epoch % RING]
    if meta >> 32 == epoch:
        for i: uint256 in range(meta & M32, bound=MAX_SEATS):
            out.append(self.heaps[epoch % RING][i])
    return out


@external
@view
def elected(epoch: uint256) -> DynArray[uint256, MAX_SEATS]:
    """
    @notice The list of an epoch: the next one as it stands, this one, or one of the two before.
    @param epoch The epoch.
    @return key << 32 | number of each, in the order of the heap; none for an epoch not held.
    """
    return self._list(epoch)


@external
@view
def discovery() -> (uint256, DynArray[uint256, MAX_SEATS]):
    """
    @notice The list in force: that of this epoch or, where nobody was elected, of the one or two before.
    @return Its epoch and numbers; 0 and none where none of the three has any.
    """
    epoch: uint256 = self._epoch()
    for back: uint256 in range(RING - 1):
        keys: DynArray[uint256, MAX_SEATS] = self._list(epoch - back)
        if len(keys) > 0:
            numbers: DynArray[uint256, MAX_SEATS] = []
            for key: uint256 in keys:
                numbers.append(key & M32)
            return epoch - back, numbers
    return 0, []


@external
@view
def seed_of(epoch: uint256) -> (uint256, bytes32):
    """
    @notice The seed of a list.
    @param epoch The epoch of the list.
    @return The block behind which it is drawn and the seed; zeros as long as unknown.
    """
    target: uint256 = self.seed_target[epoch % RING]
    if target >> 64 != epoch:
        return 0, empty(bytes32)
    return target & M64, self.seeds[epoch % RING]


@external
@view
def key_of(seed: bytes32, number: uint256, weight: uint256) -> uint256:
    """
    @notice What a nomination is compared by; the smallest are elected.
    @param seed The seed of the list; not used without a draw.
    @param number The node.
    @param weight Its weight in wei, not zero.
    @return key << 32 | number.
    """
    assert weight > 0 and weight <= M96 and number <= M32, "range"
    return self._key(seed, number, weight, SORTITION)


@external
@view
def weight_of(number: uint256) -> uint256:
    """
    @notice The weight of a node in this epoch.
    @param number The node.
    @return Wei, what it had when the epoch began; of an ended node too.
    """
    return self._at_start(self.weight_words[number], self._epoch())


@external
@view
def weights(first: uint256, n: uint256) -> DynArray[uint256, MAX_PAGE]:
    """
    @notice The words of weight of a run of nodes.
    @param first Number of the first node, from 1.
    @param n At most so many nodes, at most 400.
    @return now 96 | next 96 | changed epoch 32 | nominated epoch 32, low to high: in epoch `changed` counts `now`,
            later `next`.
    """
    assert first > 0 and n <= MAX_PAGE, "page"
    out: DynArray[uint256, MAX_PAGE] = []
    count: uint256 = staticcall BOOK.node_count()
    for i: uint256 in range(n, bound=MAX_PAGE):
        number: uint256 = first + i
        if number > count:
            break
        out.append(self.weight_words[number])
    return out


@external
@view
def trusted_numbers() -> DynArray[uint256, MAX_TRUSTED]:
    """
    @notice The nodes to ask when no list is in force.
    @return Their numbers; readers look at their status.
    """
    return self.trusted


@external
@view
def beacon(day: uint256) -> bytes32:
    """
    @notice The random value of a day, drawn on an earlier day.
    @param day Days since 1970.
    @return The value; zero where none was drawn.
    """
    return self.beacons[day]
