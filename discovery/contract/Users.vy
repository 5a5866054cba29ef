# pragma version 0.4.3
# pragma evm-version paris
# pragma nonreentrancy off
"""
@title Users
@notice The identity keys of users who want to be found, each with a self-signature that readers check.
@dev Storage:
        slot 0                                       user_count
        slot keccak256(be32(1) || be32(number)) + j  word j of a record, 0 <= j < 4
        slot keccak256(be32(2) || be32(owner))       nonce of an owner
     Words of a record: head, identity, sig (2).
     Head, low to high: owner 160 | status 4 | zero 4 | version 24 | time of the last change 64.
     There are no immutables, so the code hash of every deployment is that of the shipped artefact.
"""

ACTIVE: constant(uint256) = 1
REVOKED: constant(uint256) = 3  # the record stays as a tombstone

M4: constant(uint256) = 2**4 - 1
M24: constant(uint256) = 2**24 - 1
M32: constant(uint256) = 2**32 - 1
M160: constant(uint256) = 2**160 - 1

MAX_MANY: constant(uint256) = 200
MAX_MANY_WORDS: constant(uint256) = 800
MAX_PAGE: constant(uint256) = 400
MAX_WORDS: constant(uint256) = 1600
MAX_VERSIONS: constant(uint256) = 2400
MAX_VERSION_WORDS: constant(uint256) = 300

# (n - 1) / 2 of secp256k1: of the two signatures (r, s) and (r, n - s) only the lower counts
HALF_N: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168

DOMAIN: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
NAME: constant(bytes32) = keccak256("PSPUsers")
VERSION: constant(bytes32) = keccak256("1")
SET: constant(bytes32) = keccak256(
    "Set(uint256 number,bytes32 identity,bytes32 sigR,bytes32 sigS,uint256 nonce,uint256 deadline)"
)

struct User:
    head: uint256
    identity: bytes32
    sig: bytes32[2]

event UserSet:
    number: indexed(uint256)
    owner: indexed(address)
    version: uint256
    identity: bytes32

event UserRevoked:
    number: indexed(uint256)

event UserMoved:
    number: indexed(uint256)
    owner: indexed(address)

user_count: public(uint256)
users: HashMap[uint256, User]
nonces: public(HashMap[address, uint256])


# ------------------------------------------------------------------ writing


@internal
@view
def _owned(owner: address, number: uint256) -> uint256:
    """Return the head of an active record of this owner."""
    head: uint256 = self.users[number].head
    assert head & M160 == convert(owner, uint256), "owner"
    assert (head >> 160) & M4 == ACTIVE, "status"
    return head


@internal
@view
def _head(owner: address, version: uint256) -> uint256:
    assert version <= M24, "version"
    return convert(owner, uint256) | (ACTIVE << 160) | (version << 168) | (block.timestamp << 192)


@internal
def _register(owner: address, identity: bytes32, sig: bytes32[2]) -> uint256:
    assert identity != empty(bytes32), "empty"
    number: uint256 = self.user_count + 1
    self.user_count = number
    self.users[number] = User(head=self._head(owner, 1), identity=identity, sig=sig)
    log UserSet(number=number, owner=owner, version=1, identity=identity)
    return number


@internal
def _rotate(owner: address, number: uint256, identity: bytes32, sig: bytes32[2]):
    assert identity != empty(bytes32), "empty"
    version: uint256 = ((self._owned(owner, number) >> 168) & M24) + 1
    self.users[number] = User(head=self._head(owner, version), identity=identity, sig=sig)
    log UserSet(number=number, owner=owner, version=version, identity=identity)


@internal
def _revoke(owner: address, number: uint256):
    head: uint256 = self._owned(owner, number) & (2**192 - 1) & ~(M4 << 160)
    self.users[number].head = head | (REVOKED << 160) | (block.timestamp << 192)
    log UserRevoked(number=number)


@external
def register(identity: bytes32, sig: bytes32[2]) -> uint256:
    """
    @notice Enter an identity key.
    @param identity Ed25519 key of the user.
    @param sig Self-signature over network, owner and identity, checked by readers only.
    @return The user's number: 1, 2, 3 ..., never used again.
    @dev Anybody can enter any key: only its holder has the signature that makes readers believe it.
    """
    return self._register(msg.sender, identity, sig)


@external
def rotate(number: uint256, identity: bytes32, sig: bytes32[2]):
    """
    @notice Put a new identity key in the place of the old one.
    @param number The user, owned by the caller.
    @param identity Ed25519 key of the user.
    @param sig Self-signature over network, owner and identity.
    """
    self._rotate(msg.sender, number, identity, sig)


@external
def revoke(number: uint256):
    """
    @notice Declare an identity key dead for ever; the record stays for readers to see that.
    @param number The user, owned by the caller.
    """
    self._revoke(msg.sender, number)


@external
def move(number: uint256, to: address, sig: bytes32[2]):
    """
    @notice Give a record to another account.
    @param number The user, owned by the caller.
    @param to The new owner.
    @param sig Self-signature of the same identity, which names the new owner.
    """
    assert to != empty(address), "empty"
    version: uint256 = ((self._owned(msg.sender, number) >> 168) & M24) + 1
    self.users[number].head = self._head(to, version)
    self.users[number].sig = sig
    log UserMoved(number=number, owner=to)


@external
def set_for(
    owner: address,
    number: uint256,
    identity: bytes32,
    sig: bytes32[2],
    deadline: uint256,
    v: uint8,
    r: bytes32,
    s: bytes32,
) -> uint256:
    """
    @notice Register, rotate or revoke for an owner who signed off chain (EIP-712): a sponsor pays the gas,
            so the owner's account needs no money and none leads to it.
    @param owner Who signed.
    @param number The user; 0 registers a new one.
    @param identity Ed25519 key of the user; zero revokes.
    @param sig Self-signature over network, owner and identity.
    @param deadline Last time, Unix seconds, at which the signature may be used.
    @param v Recovery byte of the signature, 27 or 28.
    @param r First half of the signature.
    @param s Second half of the signature, in the lower half of its range.
    @return The user's number.
    @dev The nonce of the owner is in what is signed and grows with each use: nothing can be repeated.
    """
    assert block.timestamp <= deadline, "late"
    assert convert(s, uint256) <= HALF_N, "malleable"
    nonce: uint256 = self.nonces[owner]
    domain: bytes32 = keccak256(abi_encode(DOMAIN, NAME, VERSION, chain.id, self))
    message: bytes32 = keccak256(abi_encode(SET, number, identity, sig[0], sig[1], nonce, deadline))
    signer: address = ecrecover(keccak256(concat(x"1901", domain, message)), v, r, s)
    assert signer == owner and signer != empty(address), "signature"
    self.nonces[owner] = nonce + 1
    if number == 0:
        return self._register(owner, identity, sig)
    if identity == empty(bytes32):
        self._revoke(owner, number)
    else:
        self._rotate(owner, number, identity, sig)
    return number


# ------------------------------------------------------------------ reading


@external
@view
def user(number: uint256) -> User:
    """
    @notice A whole record.
    @param number The user.
    @return Its four words; zeros for a user that does not exist.
    """
    return self.users[number]


@external
@view
def users_of(numbers: DynArray[uint256, MAX_MANY]) -> DynArray[bytes32, MAX_MANY_WORDS]:
    """
    @notice The records of some users.
    @param numbers The users, at most 200.
    @return Four words each: head, identity, signature; zeros for a user that does not exist.
    """
    out: DynArray[bytes32, MAX_MANY_WORDS] = []
    for number: uint256 in numbers:
        out.append(convert(self.users[number].head, bytes32))
        out.append(self.users[number].identity)
        out.append(self.users[number].sig[0])
        out.append(self.users[number].sig[1])
    return out


@external
@view
def versions(first: uint256, n: uint256) -> DynArray[uint256, MAX_VERSION_WORDS]:
    """
    @notice Status and version of a run of users, to see what changed since the last reading.
    @param first Number of the first user, from 1.
    @param n At most so many users, at most 2,400.
    @return 32 bits a user, status 4 | zero 4 | version 24, eight users a word, the first in the lowest bits.
    """
    assert first > 0 and n <= MAX_VERSIONS, "page"
    out: DynArray[uint256, MAX_VERSION_WORDS] = []
    count: uint256 = self.user_count
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
            word |= ((self.users[number].head >> 160) & M32) << (32 * j)
            number += 1
            left -= 1
        out.append(word)
    return out


@external
@view
def page(first: uint256, n: uint256) -> DynArray[bytes32, MAX_WORDS]:
    """
    @notice The records of a run of users.
    @param first Number of the first user, from 1.
    @param n At most so many users, at most 400.
    @return Four words each: head, identity, signature; of revoked users too.
    """
    assert first > 0 and n <= MAX_PAGE, "page"
    out: DynArray[bytes32, MAX_WORDS] = []
    count: uint256 = self.user_count
    for i: uint256 in range(MAX_PAGE):
        number: uint256 = first + i
        if i == n or number > count:
            break
        out.append(convert(self.users[number].head, bytes32))
        out.append(self.users[number].identity)
        out.append(self.users[number].sig[0])
        out.append(self.users[number].sig[1])
    return out
