"""Records of nodes: who may write what, and what becomes of them."""

import pytest

from psp.crypto.keccak import keccak256
from tests.chain.chains import ETHER
from tests.chain.deployment import (
    ACTIVE,
    NOBODY,
    RETIRED,
    REVOKED,
    ZERO,
    Deployment,
    Head,
    endpoints,
    record,
    signature,
    word,
)

OPERATOR, STRANGER = 4, 5


def stored(deployed, number):
    """Return a record as `record` makes it."""
    _, identity, onion, sig, packed = deployed.book.functions.record(number).call()
    return identity, onion, sig, packed


def test_registered_node_is_stored_with_its_stake(deployed):
    receipt = deployed.send(
        "register", *record("a", words=2), sender=1, value=3 * ETHER
    )

    owner = deployed.chain.accounts[1]
    epoch = deployed.epoch()
    assert deployed.head(1) == Head(owner.lower(), ACTIVE, 2, 1, epoch, epoch)
    assert stored(deployed, 1) == record("a", words=2)
    assert deployed.read("votes", owner, 1) == 3 * ETHER
    assert deployed.chain.balance(deployed.relays.address) == 3 * ETHER
    identity, onion, *_ = record("a")
    assert deployed.events("NodeSet", receipt) == [
        {
            "number": 1,
            "owner": owner,
            "version": 1,
            "identity": identity,
            "onion": onion,
        }
    ]
    assert deployed.events("Vote", receipt) == [
        {
            "voter": owner,
            "number": 1,
            "amount": 3 * ETHER,
            "added": True,
            "epoch": epoch,
        }
    ]


def test_numbers_run_from_one(deployed):
    assert [deployed.register(n, sender=n) for n in range(3)] == [1, 2, 3]
    deployed.send("retire", 2, sender=1)
    assert deployed.register("next") == 4


def test_words_of_a_record_lie_where_readers_look_for_them(deployed):
    deployed.register("a")
    deployed.register("b", words=3)
    identity, onion, sig, packed = record("b", words=3)

    book, chain = deployed.book.address, deployed.chain
    start = keccak256((2).to_bytes(32, "big"), (2).to_bytes(32, "big"))
    first = int.from_bytes(start, "big")
    words = [chain.slot(book, first + n).to_bytes(32, "big") for n in range(9)]

    assert Head.of(int.from_bytes(words[0], "big")) == deployed.head(2)
    assert words[1:] == [identity, onion, *sig, *packed]
    assert chain.slot(book, 0) == int(deployed.relays.address, 16)
    assert chain.slot(book, 1) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({0: ZERO}, "empty"),
        ({1: ZERO}, "empty"),
        ({3: [ZERO] * 4}, "empty"),
        ({3: [word("x"), ZERO, word("y"), ZERO]}, "gap"),
        ({3: [ZERO, word("x"), ZERO, ZERO]}, "gap"),
    ],
    ids=str,
)
def test_record_that_no_reader_takes_is_refused(deployed, change, reason):
    number = deployed.register("a")
    fields = list(record("b"))
    for index, value in change.items():
        fields[index] = value

    assert deployed.refusal("register", *fields, value=ETHER) == reason
    assert deployed.refusal("update", number, *fields) == reason


def test_stake_below_the_smallest_is_refused(deployed):
    assert deployed.refusal("register", *record("a"), value=ETHER - 1) == "stake"


def test_weight_of_more_than_96_bits_is_refused(deployed):
    """No node may wrap round: money that a test chain can make out of nothing."""
    whale = deployed.chain.accounts[9]
    before = deployed.chain.balance(whale)
    deployed.chain.rpc("anvil_setBalance", whale, hex(2**97))

    try:
        fields = record("a")
        assert deployed.refusal("register", *fields, sender=9, value=2**96) == "large"
        number = deployed.register("a", sender=9, stake=2**96 - 2)
        assert deployed.refusal("vote", number, sender=9, value=2) == "large"
        deployed.send("vote", number, sender=9, value=1)
    finally:
        deployed.chain.rpc("anvil_setBalance", whale, hex(before))


def test_update_changes_all_and_counts_versions(deployed):
    number = deployed.register("a", words=3)
    registered = deployed.epoch()
    deployed.next_epoch()

    receipt = deployed.send("update", number, *record("b", words=1))

    head = deployed.head(number)
    assert (head.version, head.words, head.status) == (2, 1, ACTIVE)
    assert (head.registered, head.onion_epoch) == (registered, registered + 1)
    assert stored(deployed, number) == record("b", words=1)
    assert [event["version"] for event in deployed.events("NodeSet", receipt)] == [2]


def test_update_with_the_same_onion_key_keeps_its_age(deployed):
    number = deployed.register("a")
    registered = deployed.epoch()
    deployed.next_epoch()
    identity, onion, sig, _ = record("a")

    deployed.send("update", number, identity, onion, sig, endpoints("new", words=4))

    assert deployed.head(number).onion_epoch == registered
    assert deployed.head(number).words == 4
    assert stored(deployed, number) == (identity, onion, sig, endpoints("new", words=4))


def test_onion_key_is_rotated_alone(deployed):
    number = deployed.register("a", words=2)
    before = deployed.head(number)
    epoch = deployed.next_epoch()
    identity, _, _, packed = record("a", words=2)

    receipt = deployed.send("rotate_onion", number, word("new"), signature("new"))

    head = deployed.head(number)
    assert (head.version, head.onion_epoch) == (2, epoch)
    assert (head.owner, head.words, head.registered, head.status) == (
        before.owner,
        before.words,
        before.registered,
        before.status,
    )
    fields = (identity, word("new"), signature("new"), packed)
    assert stored(deployed, number) == fields
    (event,) = deployed.events("NodeSet", receipt)
    assert (event["identity"], event["onion"]) == (identity, word("new"))
    same = deployed.refusal("rotate_onion", number, ZERO, signature("new"))
    assert same == "empty"


def test_only_the_owner_changes_a_node(deployed):
    number = deployed.register("a", sender=0)

    for name, args in [
        ("update", record("b")),
        ("rotate_onion", (word("b"), signature("b"))),
        ("set_operator", (deployed.chain.accounts[STRANGER],)),
        ("retire", ()),
        ("revoke", ()),
    ]:
        assert deployed.refusal(name, number, *args, sender=STRANGER) == "owner"


def test_operator_rotates_and_nominates_and_nothing_else(chain):
    deployed = Deployment.deploy(chain, self_only=True, sortition=False)
    number = deployed.register("a", sender=0)
    operator = chain.accounts[OPERATOR]
    receipt = deployed.send("set_operator", number, operator)
    deployed.next_epoch()

    event = {"number": number, "operator": operator}
    assert deployed.events("OperatorSet", receipt) == [event]
    assert deployed.read("operators", number) == operator
    deployed.send("rotate_onion", number, word("b"), signature("b"), sender=OPERATOR)
    (event,) = deployed.events(
        "NodeSet", deployed.send("rotate_onion", number, word("c"), signature("c"))
    )
    assert event["owner"] == chain.accounts[0]
    assert deployed.refusal("nominate", number, sender=STRANGER) == "refused"
    deployed.send("nominate", number, sender=OPERATOR)
    for name, args in [
        ("update", record("b")),
        ("set_operator", (operator,)),
        ("retire", ()),
        ("revoke", ()),
    ]:
        assert deployed.refusal(name, number, *args, sender=OPERATOR) == "owner"
    assert deployed.refusal("unvote", number, 1, sender=OPERATOR) == "amount"

    deployed.send("set_operator", number, NOBODY)
    rotation = ("rotate_onion", number, word("b"), signature("b"))
    assert deployed.refusal(*rotation, sender=OPERATOR) == "owner"


def test_retired_node_leaves_its_head_only(deployed):
    number = deployed.register("a", words=4, sender=1)
    deployed.send("set_operator", number, deployed.chain.accounts[OPERATOR], sender=1)

    receipt = deployed.send("retire", number, sender=1)

    head = deployed.head(number)
    assert (head.status, head.words, head.version) == (RETIRED, 0, 1)
    assert head.owner == deployed.chain.accounts[1].lower()
    assert stored(deployed, number) == (ZERO, ZERO, [ZERO] * 2, [ZERO] * 4)
    assert deployed.read("operators", number) == NOBODY
    event = {"number": number, "status": RETIRED}
    assert deployed.events("NodeEnded", receipt) == [event]


def test_revoked_node_stays_as_a_tombstone(deployed):
    number = deployed.register("a", words=2, sender=1)

    receipt = deployed.send("revoke", number, sender=1)

    head = deployed.head(number)
    assert (head.status, head.words, head.version) == (REVOKED, 2, 1)
    assert stored(deployed, number) == record("a", words=2)
    event = {"number": number, "status": REVOKED}
    assert deployed.events("NodeEnded", receipt) == [event]


@pytest.mark.parametrize("end", ["retire", "revoke"])
def test_ended_node_is_over(deployed, end):
    number = deployed.register("a")
    deployed.send(end, number)

    for name, args in [
        ("update", record("b")),
        ("rotate_onion", (word("b"), signature("b"))),
        ("set_operator", (deployed.chain.accounts[OPERATOR],)),
        ("retire", ()),
        ("revoke", ()),
    ]:
        assert deployed.refusal(name, number, *args) == "status"
    assert deployed.refusal("vote", number, value=1) == "status"


def test_node_that_does_not_exist_has_no_owner(deployed):
    deployed.register("a")

    for number in (0, 2, 2**32 + 1, 2**256 - 1):
        assert deployed.refusal("retire", number) == "status"
        assert deployed.refusal("vote", number, value=1) == "status"
        assert deployed.book.functions.head(number).call() == 0


def test_book_is_written_by_its_keeper_only(deployed):
    deployed.register("a")
    owner = deployed.chain.accounts[0]
    book = deployed.book.functions

    for call in [
        book.add(owner, 4, *record("b")),
        book.replace(1, 4, *record("b")),
        book.rotate(1, 4, word("b"), signature("b")),
        book.end(1, RETIRED),
    ]:
        assert deployed.chain.refusal(call) == "keeper"


def test_versions_end_before_they_wrap(anvil):
    """An own book, whose deployer keeps it, and a head written over to be full."""
    chain = anvil
    book = chain.deploy("NodeBook")
    owner = chain.accounts[0]
    chain.send(book.functions.add(owner, 4, *record("a")))
    slot = keccak256((2).to_bytes(32, "big"), (1).to_bytes(32, "big"))
    full = book.functions.head(1).call() | (2**24 - 2) << 168
    chain.rpc(
        "anvil_setStorageAt",
        book.address,
        "0x" + slot.hex(),
        "0x" + full.to_bytes(32, "big").hex(),
    )
    rotation = book.functions.rotate(1, 5, word("b"), signature("b"))

    assert Head.of(book.functions.head(1).call()).version == 2**24 - 1
    assert chain.refusal(rotation) == "version"
    assert chain.refusal(book.functions.replace(1, 5, *record("b"))) == "version"
    assert chain.refusal(book.functions.end(1, 4)) == "status"
    chain.send(book.functions.end(1, REVOKED))
