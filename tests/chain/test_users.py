"""The users' registry: whoever owns a record, or signed for it, changes it."""

import random
from dataclasses import dataclass

import pytest
from eth_account import Account

from psp.crypto.keccak import keccak256
from tests.chain.chains import Chain
from tests.chain.deployment import ACTIVE, NOBODY, REVOKED, ZERO, signature, word

OWNER, OTHER, SPONSOR = 1, 2, 3

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FAR = 2**63


@dataclass
class Users:
    """A Users contract of this test's own."""

    chain: Chain

    def __post_init__(self):
        self.contract = self.chain.deploy("Users")

    def send(self, name, *args, sender=OWNER):
        return self.chain.send(getattr(self.contract.functions, name)(*args), sender)

    def refusal(self, name, *args, sender=OWNER):
        call = getattr(self.contract.functions, name)(*args)
        return self.chain.refusal(call, sender)

    def read(self, name, *args):
        return getattr(self.contract.functions, name)(*args).call()

    def register(self, label, sender=OWNER):
        """Register a user; return the number."""
        self.send("register", word("user", label), signature(label), sender=sender)
        return self.read("user_count")

    def event(self, name, receipt):
        """Return the arguments of the only event in a receipt."""
        (log,) = receipt["logs"]
        return dict(getattr(self.contract.events, name)().process_log(log)["args"])

    def head(self, number):
        """Return owner, status, version and time of a record, and what is not zero."""
        value = self.read("user", number)[0]
        return (
            f"0x{value & (2**160 - 1):040x}",
            (value >> 160) & 15,
            (value >> 168) & 0xFFFFFF,
            (value >> 192) & (2**64 - 1),
            (value >> 164) & 15,
        )


@pytest.fixture
def users(chain):
    return Users(chain)


def test_registered_user_is_stored(users):
    receipt = users.send("register", word("a"), signature("a"))

    owner = users.chain.accounts[OWNER]
    now = users.chain.now()
    assert users.head(1) == (owner.lower(), ACTIVE, 1, now, 0)
    assert users.read("user", 1)[1:] == (word("a"), signature("a"))
    assert users.event("UserSet", receipt) == {
        "number": 1,
        "owner": owner,
        "version": 1,
        "identity": word("a"),
    }
    assert users.register("b", sender=OTHER) == 2
    assert users.refusal("register", ZERO, signature("a")) == "empty"


def test_words_of_a_record_lie_where_readers_look_for_them(users):
    for label in "ab":
        users.register(label)

    address, chain = users.contract.address, users.chain
    start = keccak256((1).to_bytes(32, "big"), (2).to_bytes(32, "big"))
    first = int.from_bytes(start, "big")
    words = [chain.slot(address, first + n) for n in range(4)]

    head, identity, sig = users.read("user", 2)
    assert words == [head, *(int.from_bytes(part, "big") for part in (identity, *sig))]
    assert chain.slot(address, 0) == 2


def test_identity_is_rotated(users):
    number = users.register("a")
    users.chain.wait(100)

    receipt = users.send("rotate", number, word("b"), signature("b"))

    owner, now = users.chain.accounts[OWNER], users.chain.now()
    assert users.head(number) == (owner.lower(), ACTIVE, 2, now, 0)
    assert users.read("user", number)[1:] == (word("b"), signature("b"))
    assert users.event("UserSet", receipt)["version"] == 2
    assert users.refusal("rotate", number, ZERO, signature("b")) == "empty"


def test_revoked_user_stays_as_a_tombstone(users):
    number = users.register("a")
    users.chain.wait(100)

    receipt = users.send("revoke", number)

    owner, now = users.chain.accounts[OWNER], users.chain.now()
    assert users.head(number) == (owner.lower(), REVOKED, 1, now, 0)
    assert users.read("user", number)[1:] == (word("user", "a"), signature("a"))
    assert users.event("UserRevoked", receipt) == {"number": number}
    for name, args in [
        ("rotate", (word("b"), signature("b"))),
        ("revoke", ()),
        ("move", (users.chain.accounts[OTHER], signature("b"))),
    ]:
        assert users.refusal(name, number, *args) == "status"


def test_user_moves_to_another_account(users):
    number = users.register("a")
    to = users.chain.accounts[OTHER]

    receipt = users.send("move", number, to, signature("moved"))

    assert users.head(number)[:3] == (to.lower(), ACTIVE, 2)
    assert users.read("user", number)[1:] == (word("user", "a"), signature("moved"))
    assert users.event("UserMoved", receipt) == {"number": number, "owner": to}
    assert users.refusal("revoke", number) == "owner"
    assert (
        users.refusal("move", number, NOBODY, signature("x"), sender=OTHER) == "empty"
    )
    users.send("revoke", number, sender=OTHER)


def test_only_the_owner_changes_a_user(users):
    number = users.register("a")

    for target in (number, number + 1, 0):
        for name, args in [
            ("rotate", (word("b"), signature("b"))),
            ("revoke", ()),
            ("move", (users.chain.accounts[OTHER], signature("b"))),
        ]:
            assert users.refusal(name, target, *args, sender=OTHER) == "owner"


def test_listings_hold_four_words_of_each(users):
    for label in "abcde":
        users.register(label)
    users.send("revoke", 2)
    users.send("rotate", 3, word("new"), signature("new"))

    def words(number):
        head, identity, sig = users.read("user", number)
        return [head.to_bytes(32, "big"), identity, *sig]

    def joined(*numbers):
        return [part for number in numbers for part in words(number)]

    assert users.read("page", 1, 400) == joined(1, 2, 3, 4, 5)
    assert users.read("page", 2, 2) == joined(2, 3)
    assert users.read("page", 6, 400) == users.read("page", 1, 0) == []
    assert users.read("users_of", [5, 1, 5]) == joined(5, 1, 5)
    assert users.read("users_of", [9]) == [ZERO] * 4
    heads = [users.read("user", number)[0] for number in range(1, 6)]
    fields = [(head >> 160) & 0xFFFFFFFF for head in heads]
    packed = sum(field << 32 * n for n, field in enumerate(fields))
    assert users.read("versions", 1, 2400) == [packed]
    assert users.read("versions", 4, 9) == [fields[3] | fields[4] << 32]
    assert users.read("versions", 6, 9) == []


# ------------------------------------------------------------------ sponsored

TYPES = {
    "Set": [
        {"name": "number", "type": "uint256"},
        {"name": "identity", "type": "bytes32"},
        {"name": "sigR", "type": "bytes32"},
        {"name": "sigS", "type": "bytes32"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]
}


class Holder:
    """An account without money that signs what others send."""

    def __init__(self, users, label="holder"):
        self.users = users
        self.key = Account.from_key(word("key", label))
        self.address = self.key.address

    def signed(self, number, identity, sig, *, nonce, deadline=FAR, **domain):
        """Return the arguments of `set_for`."""
        chain_id = self.users.chain.w3.eth.chain_id
        usual = {
            "name": "PSPUsers",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": self.users.contract.address,
        }
        signed = self.key.sign_typed_data(
            domain_data=usual | domain,
            message_types=TYPES,
            message_data={
                "number": number,
                "identity": identity,
                "sigR": sig[0],
                "sigS": sig[1],
                "nonce": nonce,
                "deadline": deadline,
            },
        )
        r, s = (part.to_bytes(32, "big") for part in (signed.r, signed.s))
        return [self.address, number, identity, sig, deadline, signed.v, r, s]


@pytest.fixture
def holder(users):
    return Holder(users)


def test_sponsor_registers_rotates_and_revokes_for_an_owner(users, holder):
    def send(*args, nonce):
        signed = holder.signed(*args, nonce=nonce)
        return users.send("set_for", *signed, sender=SPONSOR)

    receipt = send(0, word("a"), signature("a"), nonce=0)

    assert users.head(1)[:3] == (holder.address.lower(), ACTIVE, 1)
    assert users.event("UserSet", receipt)["owner"] == holder.address
    assert users.chain.balance(holder.address) == 0

    send(1, word("b"), signature("b"), nonce=1)
    assert users.read("user", 1)[1:] == (word("b"), signature("b"))

    receipt = send(1, ZERO, [ZERO, ZERO], nonce=2)
    assert users.head(1)[:3] == (holder.address.lower(), REVOKED, 2)
    assert users.event("UserRevoked", receipt) == {"number": 1}
    assert users.read("nonces", holder.address) == 3


def test_signature_is_used_once(users, holder):
    once = holder.signed(0, word("a"), signature("a"), nonce=0)
    users.send("set_for", *once, sender=SPONSOR)

    assert users.refusal("set_for", *once, sender=SPONSOR) == "signature"
    ahead = holder.signed(0, word("a"), signature("a"), nonce=2)
    assert users.refusal("set_for", *ahead) == "signature"


def test_signature_ends_with_its_deadline(users, holder):
    deadline = users.chain.now() + 300
    args = (0, word("a"), signature("a"))
    signed = holder.signed(*args, nonce=0, deadline=deadline)
    users.chain.go_to(deadline)
    assert users.contract.functions.set_for(*signed).call() == 1

    users.chain.go_to(deadline + 1)

    assert users.refusal("set_for", *signed) == "late"


def test_mirrored_signature_is_refused(users, holder):
    signed = holder.signed(0, word("a"), signature("a"), nonce=0)
    *args, v, r, s = signed
    mirrored = SECP256K1_ORDER - int.from_bytes(s, "big")

    refused = [*args, 55 - v, r, mirrored.to_bytes(32, "big")]

    assert users.refusal("set_for", *refused) == "malleable"
    users.send("set_for", *signed)


def test_signature_holds_for_what_was_signed_only(users, holder):
    users.send("set_for", *holder.signed(0, word("a"), signature("a"), nonce=0))
    signed = holder.signed(1, word("b"), signature("b"), nonce=1)
    changes = {
        0: users.chain.accounts[SPONSOR],
        1: 0,
        2: word("c"),
        3: signature("c"),
        4: FAR - 1,
        5: 55 - signed[5],
        6: word("r"),
    }

    for index, value in changes.items():
        changed = [*signed]
        changed[index] = value
        assert users.refusal("set_for", *changed, sender=SPONSOR) == "signature"
    for v in (0, 1, 26, 29, 255):
        assert users.refusal("set_for", *signed[:5], v, *signed[6:]) == "signature"
    nobody = [NOBODY, *signed[1:5], 29, *signed[6:]]
    assert users.refusal("set_for", *nobody) == "signature"


@pytest.mark.parametrize(
    "domain",
    [
        {"name": "Users"},
        {"version": "2"},
        {"chainId": 1},
        {"verifyingContract": "0x" + "11" * 20},
    ],
    ids=str,
)
def test_signature_for_another_contract_is_refused(users, holder, domain):
    signed = holder.signed(0, word("a"), signature("a"), nonce=0, **domain)

    assert users.refusal("set_for", *signed) == "signature"


def test_signer_changes_his_own_records_only(users, holder):
    number = users.register("a", sender=OTHER)

    for identity in (word("b"), ZERO):
        signed = holder.signed(number, identity, signature("b"), nonce=0)
        assert users.refusal("set_for", *signed, sender=OTHER) == "owner"
    nothing = holder.signed(0, ZERO, signature("b"), nonce=0)
    assert users.refusal("set_for", *nothing) == "empty"
    assert users.read("nonces", holder.address) == 0


def test_nonces_of_owners_are_apart(users):
    source = random.Random(3)
    holders = [Holder(users, n) for n in range(3)]
    used = [0, 0, 0]

    for n in range(9):
        which = source.randrange(3)
        args = (0, word(n), signature(n))
        signed = holders[which].signed(*args, nonce=used[which])
        users.send("set_for", *signed, sender=SPONSOR)
        used[which] += 1

    assert [users.read("nonces", holder.address) for holder in holders] == used
    assert users.read("user_count") == 9
