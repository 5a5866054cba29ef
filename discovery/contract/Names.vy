# pragma version 0.4.3
# pragma evm-version paris
# pragma nonreentrancy off
"""
@title Names
@notice Human-readable names of users: one for each user's record, against a deposit, for a year at a time.
@dev Storage, and there is no more of it:
        slot 0                                       users: address of Users
        slot 1                                       deposit, in wei
        slot 2                                       name_count
        slot keccak256(be32(3) || be32(number)) + j  word j of a record, 0 <= j < 2
        slot keccak256(be32(4) || name)              number of the newest record of a name
        slot keccak256(be32(5) || be32(user))        number of the newest record of a user
     Words of a record: head, name (ASCII, zeros behind it).
     Head, low to high: owner 160 | status 4 | zero 4 | version 24 | user 32 | expires 32 (Unix seconds, to 2106).
     Each registration has a number of its own, never used again, and only its head ever changes. So the listing
     of all records implies every word of the storage: a reader rebuilds the storage root from it, knows that
     nothing was left out, and asks nobody for a single name. No word is ever set back to zero, so the root is
     also right on chains that keep zeros in their tries.
     There are no immutables: the code hash of every deployment is that of the shipped artefact.
"""

ACTIVE: constant(uint256) = 1
ENDED: constant(uint256) = 2  # released, or replaced by a newer record

USER_ACTIVE: constant(uint256) = 1  # of a record of Users

LIFETIME: public(constant(uint256)) = 365 * 86400  # from registration or renewal
GRACE: public(constant(uint256)) = 30 * 86400  # behind it, for the old owner alone
HOLD: public(constant(uint256)) = 7 * 86400  # before it can be ended: one deposit does not fill the list

M4: constant(uint256) = 2**4 - 1
M24: constant(uint256) = 2**24 - 1
M32: constant(uint256) = 2**32 - 1
M160: constant(uint256) = 2**160 - 1

HYPHEN: constant(uint256) = 45
MIN_SIZE: constant(uint256) = 3

MAX_PAGE: constant(uint256) = 400
MAX_WORDS: constant(uint256) = 800
MAX_VERSIONS: constant(uint256) = 2400
MAX_VERSION_WORDS: constant(uint256) = 300

struct User:
    head: uint256
    identity: bytes32
    sig: bytes32[2]

struct Record:
    head: uint256
    name: bytes32

interface Users:
    def user(number: uint256) -> User: view

event NameSet:
    number: indexed(uint256)
    user: indexed(uint256)
    owner: indexed(address)
    name: bytes32
    expires: uint256

event NameRenewed:
    number: indexed(uint256)
    expires: uint256

event NameEnded:
    number: indexed(uint256)

users: public(Users)
deposit: public(uint256)
name_count: public(uint256)
records: HashMap[uint256, Record]
numbers: public(HashMap[bytes32, uint256])
held: public(HashMap[uint256, uint256])


@deploy
def __init__(users: address, deposit: uint256):
    """
    @notice Found the list of names of a network.
    @param users The network's contract Users.
    @param deposit What a name costs as long as it is kept, in wei; more than zero.
    """
    assert users.is_contract, "empty"
    assert deposit > 0 and deposit < 2**96, "amount"
    self.users = Users(users)
    self.deposit = deposit


# ------------------------------------------------------------------ writing


@internal
@pure
def _check(name: bytes32):
    """Refuse what is not 3 to 31 of a-z, 0-9 and single hyphens inside."""
    value: uint256 = convert(name, uint256)
    size: uint256 = 0
    before: uint256 = HYPHEN  # so that none comes first
    for i: uint256 in range(32):
        char: uint256 = (value >> (248 - 8 * i)) & 255
        if char == 0:
            break
        if char == HYPHEN:
            assert before != HYPHEN, "name"
        elif char < 97:
            assert char >= 48 and char <= 57, "name"
        else:
            assert char <= 122, "name"
        before = char
        size += 1
    assert size >= MIN_SIZE and size < 32 and before != HYPHEN, "name"
    assert value << (8 * size) == 0, "name"


@internal
@view
def _check_user(owner: address, user: uint256):
    """Refuse what is not an active record of this owner."""
    assert user <= M32, "status"
    head: uint256 = (staticcall self.users.user(user)).head
    assert head & M160 == convert(owner, uint256), "owner"
    assert (head >> 160) & M4 == USER_ACTIVE, "status"


@internal
@view
def _new_expiry() -> uint256:
    expires: uint256 = block.timestamp + LIFETIME
    assert expires <= M32, "full"
    return expires


@internal
@view
def _owned(owner: address, number: uint256) -> uint256:
    """Return the head of an active record of this owner."""
    head: uint256 = self.records[number].head
    assert head & M160 == convert(owner, uint256), "owner"
    assert (head >> 160) & M4 == ACTIVE, "status"
    return head


@internal
def _end(number: uint256, head: uint256):
    """End an active record; the deposit is for the caller to pay back, behind all changes."""
    assert block.timestamp + LIFETIME >= (head >> 224) + HOLD, "hold"
    version: uint256 = ((head >> 168) & M24) + 1
    assert version <= M24, "version"
    kept: uint256 = (head & M160) | ((head >> 192) << 192)
    self.records[number].head = kept | (ENDED << 160) | (version << 168)
    log NameEnded(number=number)


@internal
def _return(head: uint256):
    """
    Pay the deposit of a replaced record back, if there was one. It goes with 2,300 gas and whatever comes of
    it: who lost a name must not be able to stop who gets it.
    """
    if head != 0:
        to: address = convert(convert(head & M160, uint160), address)
        done: bool = raw_call(to, b"", value=self.deposit, gas=0, revert_on_failure=False)


@external
@payable
def register(name: bytes32, user: uint256) -> uint256:
    """
    @notice Take a name for a user. It must be free: never taken, released, or expired for 30 days; or be the
            caller's already, for another user; or be this very user's, from when the record had another owner.
    @param name 3 to 31 of a-z, 0-9 and single hyphens inside, zeros behind it.
    @param user Number of the user's record, owned by the caller, without another live name.
    @return Number of the new record: 1, 2, 3 ..., never used again.
    @dev With the deposit as value. What this replaces ends, and its deposit goes back to its owner by a call
         with 2,300 gas; an account that cannot take that has to `release` in time.
    """
    assert msg.value == self.deposit, "amount"
    self._check(name)
    self._check_user(msg.sender, user)
    caller: uint256 = convert(msg.sender, uint256)

    own: uint256 = self.held[user]
    own_head: uint256 = 0
    if own != 0:
        own_head = self.records[own].head
        if (own_head >> 160) & M4 != ACTIVE:
            own_head = 0
        else:
            is_live: bool = block.timestamp <= own_head >> 224
            assert own_head & M160 != caller or not is_live, "one"
            self._end(own, own_head)

    old: uint256 = self.numbers[name]
    old_head: uint256 = 0
    if old != 0 and old != own:
        old_head = self.records[old].head
        if (old_head >> 160) & M4 != ACTIVE:
            old_head = 0
        else:
            is_over: bool = block.timestamp > (old_head >> 224) + GRACE
            assert is_over or old_head & M160 == caller, "taken"
            self._end(old, old_head)

    number: uint256 = self.name_count + 1
    assert number <= M32, "full"
    expires: uint256 = self._new_expiry()
    self.name_count = number
    self.records[number] = Record(
        head=caller | (ACTIVE << 160) | (1 << 168) | (user << 192) | (expires << 224), name=name
    )
    self.numbers[name] = number
    self.held[user] = number
    log NameSet(number=number, user=user, owner=msg.sender, name=name, expires=expires)
    self._return(own_head)
    self._return(old_head)
    return number


@external
def renew(number: uint256):
    """
    @notice Keep a name for a year from now; also when it has expired, as long as nobody else has taken it.
    @param number The record, owned by the caller, of a user that the caller still owns.
    """
    head: uint256 = self._owned(msg.sender, number)
    self._check_user(msg.sender, (head >> 192) & M32)
    version: uint256 = ((head >> 168) & M24) + 1
    assert version <= M24, "version"
    expires: uint256 = self._new_expiry()
    kept: uint256 = head & (M160 | (M4 << 160) | (M32 << 192))
    self.records[number].head = kept | (version << 168) | (expires << 224)
    log NameRenewed(number=number, expires=expires)


@external
def release(number: uint256):
    """
    @notice Give a name up, a week after it was registered or renewed at the earliest, and take the deposit back.
    @param number The record, owned by the caller.
    """
    self._end(number, self._owned(msg.sender, number))
    # Behind all changes: whoever is called here finds a record that has ended.
    raw_call(msg.sender, b"", value=self.deposit)


# ------------------------------------------------------------------ reading


@external
@view
def record(number: uint256) -> Record:
    """
    @notice A whole record.
    @param number The record.
    @return Its two words; zeros for one that does not exist.
    """
    return self.records[number]


@external
@view
def versions(first: uint256, n: uint256) -> DynArray[uint256, MAX_VERSION_WORDS]:
    """
    @notice Status and version of a run of records, to see what changed since the last reading.
    @param first Number of the first record, from 1.
    @param n At most so many records, at most 2,400.
    @return 32 bits a record, status 4 | zero 4 | version 24, eight records a word, the first in the lowest bits.
    """
    assert first > 0 and n <= MAX_VERSIONS, "page"
    out: DynArray[uint256, MAX_VERSION_WORDS] = []
    count: uint256 = self.name_count
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


@external
@view
def page(first: uint256, n: uint256) -> DynArray[bytes32, MAX_WORDS]:
    """
    @notice A run of records.
    @param first Number of the first record, from 1.
    @param n At most so many records, at most 400.
    @return Two words each: head, name; of ended records too.
    """
    assert first > 0 and n <= MAX_PAGE, "page"
    out: DynArray[bytes32, MAX_WORDS] = []
    count: uint256 = self.name_count
    for i: uint256 in range(MAX_PAGE):
        number: uint256 = first + i
        if i == n or number > count:
            break
        out.append(convert(self.records[number].head, bytes32))
        out.append(self.records[number].name)
    return out
