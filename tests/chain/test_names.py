"""Names of users: who gets one, for how long, and that the listing tells all there is."""

import pytest

from psp.crypto.keccak import keccak256
from psp.directory.chain import layout
from psp.directory.chain.json_values import bytes_up_to
from psp.directory.chain.names import (
    CODE_HASH,
    GRACE,
    HOLD,
    LIFETIME,
    NameStatus,
    name_word,
    split_names,
)
from tests.chain.deployment import NOBODY, signature
from tests.chain.naming import ALICE, BOB, DEPOSIT, Names, text
from tests.chain.sources import helper
from tests.chain.test_reading import deployed_json, raw

CAROL = 3


@pytest.fixture
def names(wandering):
    return Names(wandering)


def test_a_name_is_entered_as_readers_expect(names):
    user = names.user()
    before = names.chain.now()
    receipt = names.chain.send(
        names.call("register", text("alice"), user), ALICE, DEPOSIT
    )

    (record,) = names.check_root()
    assert (record.name, record.user) == ("alice", user)
    assert record.owner == raw(names.chain.accounts[ALICE])
    assert record.expires == names.chain.now() + LIFETIME
    assert names.chain.now() >= before
    assert (record.version, record.status) == (1, NameStatus.ACTIVE)
    assert names.event("NameSet", receipt) == {
        "number": 1,
        "user": user,
        "owner": names.chain.accounts[ALICE],
        "name": name_word("alice"),
        "expires": record.expires,
    }


def test_the_code_is_the_one_that_readers_know(names):
    proven = names.proven()

    assert proven.account.code_hash == CODE_HASH
    assert proven.words[layout.NAMES_USERS] == int.from_bytes(raw(names.users.address))
    assert proven.words[layout.NAMES_DEPOSIT] == DEPOSIT
    assert names.read("LIFETIME") == LIFETIME
    assert names.read("GRACE") == GRACE
    assert names.read("HOLD") == HOLD


@pytest.mark.parametrize(
    "changes", [{"users": NOBODY}, {"deposit": 0}, {"deposit": 2**96}]
)
def test_nonsense_is_not_founded(names, changes):
    usual = {"users": names.users.address, "deposit": DEPOSIT}
    with pytest.raises(AssertionError, match="reverted"):
        names.chain.deploy("Names", *(usual | changes).values())


GOOD = ["abc", "0-9", "a" * 31, "a-b-c-d", "007", "x1y", "zzz"]
BAD = [
    *("", "a", "ab", "-ab", "ab-", "a--b", "xn--a", "---", "Abc", "abC", "a_b", "a.b"),
    *("a b", "ab ", " ab", "ab/", "ab:", "ab`", "ab{", "ab@", "a" * 32, "ab\n"),
    *(b"ab\x00c", b"\x00abc", b"abc\x00\x00\x00d", b"abc" + bytes(28) + b"a"),
    *("abé", "\u0430bc", "ab\x7f", b"abc\xff", b"\xff" * 32, bytes(31) + b"a"),
]


@pytest.mark.parametrize("name", GOOD)
def test_every_name_of_the_form_is_taken(names, name):
    names.register(name, names.user())

    assert [record.name for record in names.listed()] == [name]


def test_no_other_form_is_taken(names):
    user = names.user()

    assert {bad: names.refusal(bad, user) for bad in BAD} == dict.fromkeys(BAD, "name")


def test_only_the_owner_of_an_active_user_takes_a_name(names):
    user = names.user()

    assert names.refusal("alice", user, sender=BOB) == "owner"
    assert names.refusal("alice", user + 1) == "owner"
    assert names.refusal("alice", 0) == "owner"
    assert names.refusal("alice", 2**32) == "status"
    assert names.refusal("alice", 2**256 - 1) == "status"
    assert names.refusal("alice", user, value=DEPOSIT - 1) == "amount"
    assert names.refusal("alice", user, value=DEPOSIT + 1) == "amount"
    names.chain.send(names.users.functions.revoke(user), ALICE)
    assert names.refusal("alice", user) == "status"


def test_a_user_has_one_name_and_a_name_one_user(names):
    alice, bob = names.user(), names.user(BOB)
    names.register("alice", alice)

    assert names.refusal("other", alice) == "one"
    assert names.refusal("alice", alice) == "one"
    assert names.refusal("alice", bob, sender=BOB) == "taken"
    names.chain.wait(HOLD)
    assert names.refusal("other", alice) == "one"
    assert names.refusal("alice", bob, sender=BOB) == "taken"
    assert len(names.check_root()) == 1


def test_a_deposit_stays_for_a_week_and_then_comes_back(names):
    number = names.register("alice", names.user())
    names.chain.wait(HOLD - 10)
    assert names.chain.refusal(names.call("release", number), ALICE) == "hold"
    names.chain.wait(10)
    assert names.chain.refusal(names.call("release", number), BOB) == "owner"
    before = names.chain.balance(names.chain.accounts[ALICE])

    receipt = names.send("release", number)

    fee = receipt["gasUsed"] * receipt["effectiveGasPrice"]
    after = names.chain.balance(names.chain.accounts[ALICE])
    assert after == before - fee + DEPOSIT
    assert names.event("NameEnded", receipt) == {"number": number}
    (record,) = names.check_root()
    assert record.status is NameStatus.ENDED
    assert names.chain.refusal(names.call("release", number), ALICE) == "status"
    assert names.chain.refusal(names.call("renew", number), ALICE) == "status"


def test_a_released_name_is_free_at_once(names):
    alice, bob = names.user(), names.user(BOB)
    number = names.register("alice", alice)
    names.chain.wait(HOLD)
    names.send("release", number)

    names.register("alice", bob, sender=BOB)
    names.register("other", alice)

    assert [(r.name, r.user) for r in names.check_root()] == [
        ("alice", alice),
        ("alice", bob),
        ("other", alice),
    ]


def test_an_expired_name_is_kept_for_its_owner_for_thirty_days(names):
    alice, bob = names.user(), names.user(BOB)
    number = names.register("alice", alice)
    expires = names.listed()[0].expires
    names.chain.go_to(expires + GRACE - 10)
    assert names.refusal("alice", bob, sender=BOB) == "taken"
    renewed = names.send("renew", number)

    (record,) = names.check_root()
    assert record.expires == names.chain.now() + LIFETIME
    assert record.version == 2
    assert names.event("NameRenewed", renewed) == {
        "number": number,
        "expires": record.expires,
    }
    names.chain.go_to(record.expires + GRACE + 1)
    before = names.chain.balance(names.chain.accounts[ALICE])
    names.register("alice", bob, sender=BOB)
    assert names.chain.balance(names.chain.accounts[ALICE]) == before + DEPOSIT
    assert names.chain.refusal(names.call("renew", number), ALICE) == "status"
    assert names.chain.refusal(names.call("release", number), ALICE) == "status"
    assert [r.status for r in names.check_root()] == [
        NameStatus.ENDED,
        NameStatus.ACTIVE,
    ]


def test_a_name_that_nobody_else_took_is_renewed_at_any_time(names):
    number = names.register("alice", names.user())
    names.chain.wait(LIFETIME + 2 * GRACE)

    names.send("renew", number)

    (record,) = names.check_root()
    assert record.expires == names.chain.now() + LIFETIME


def test_renewing_is_no_stock_and_keeps_the_deposit(names):
    number = names.register("alice", names.user())
    for _ in range(3):
        names.send("renew", number)

    (record,) = names.check_root()
    assert record.expires == names.chain.now() + LIFETIME
    names.chain.wait(HOLD - 10)
    assert names.chain.refusal(names.call("release", number), ALICE) == "hold"


def test_whoever_let_a_name_expire_may_take_another(names):
    user = names.user()
    names.register("alice", user)
    names.chain.wait(LIFETIME + 1)
    names.register("other", user)

    old, new = names.check_root()
    assert (old.status, new.status) == (NameStatus.ENDED, NameStatus.ACTIVE)
    assert names.read("numbers", name_word("alice")) == 1


def test_an_owner_moves_a_name_to_another_of_his_users(names):
    lost, fresh = names.user(), names.user()
    names.register("alice", lost)
    names.chain.send(names.users.functions.revoke(lost), ALICE)
    assert names.chain.refusal(names.call("renew", 1), ALICE) == "status"
    assert names.refusal("alice", fresh) == "hold"
    names.chain.wait(HOLD)

    names.register("alice", fresh)

    assert [(r.user, r.status) for r in names.check_root()] == [
        (lost, NameStatus.ENDED),
        (fresh, NameStatus.ACTIVE),
    ]


def test_a_name_can_be_registered_again_by_who_got_its_user(names):
    user = names.user()
    names.register("alice", user)
    to = names.chain.accounts[BOB]
    names.chain.send(names.users.functions.move(user, to, signature("moved")), ALICE)
    assert names.chain.refusal(names.call("renew", 1), ALICE) == "owner"
    assert names.chain.refusal(names.call("renew", 1), BOB) == "owner"
    assert names.refusal("alice", user, sender=CAROL) == "owner"
    assert names.refusal("alice", user, sender=BOB) == "hold"
    names.chain.wait(HOLD)

    before = names.chain.balance(names.chain.accounts[ALICE])
    names.register("alice", user, sender=BOB)

    assert names.chain.balance(names.chain.accounts[ALICE]) == before + DEPOSIT
    old, new = names.check_root()
    assert (old.status, new.owner) == (NameStatus.ENDED, raw(to))


def test_one_registration_can_end_two_records(names):
    """A user was moved away with its name; the new owner brings a name of his own."""
    moved, own = names.user(), names.user(BOB)
    names.register("alice", moved)
    names.register("bob", own, sender=BOB)
    to = names.chain.accounts[BOB]
    names.chain.send(names.users.functions.move(moved, to, signature("moved")), ALICE)
    names.chain.wait(HOLD)

    names.register("bob", moved, sender=BOB)

    assert [r.status for r in names.check_root()] == [
        NameStatus.ENDED,
        NameStatus.ENDED,
        NameStatus.ACTIVE,
    ]


# -- payees that are contracts


def clinger(names):
    """Return a contract that has the name ``alice``."""
    contract = names.chain.deploy_code(*helper("Clinger"))
    register = contract.functions.register(
        names.users.address, names.contract.address, text("alice")
    )
    names.chain.send(register, value=DEPOSIT)
    return contract


def test_an_owner_who_calls_back_is_paid_once(names):
    names.register("other", names.user())  # there is more money to take
    contract = clinger(names)
    names.chain.wait(HOLD)
    names.chain.send(contract.functions.refuse(is_refusing=True))
    assert names.chain.refusal(contract.functions.release()) == "no"
    assert names.balance() == 2
    names.chain.send(contract.functions.refuse(is_refusing=False))

    names.chain.send(contract.functions.release())

    assert contract.functions.again().call() == 1
    assert contract.functions.paid().call() == 0
    assert names.chain.balance(contract.address) == DEPOSIT
    assert names.balance() == 1
    names.check_root()


@pytest.mark.parametrize("is_refusing", [True, False])
def test_nobody_stops_the_next_owner_by_refusing_his_deposit(names, is_refusing):
    """It stays behind for ever then, as it does with a payee that wants much gas."""
    contract = clinger(names)
    names.chain.send(contract.functions.refuse(is_refusing=is_refusing))
    names.chain.wait(LIFETIME + GRACE + 1)

    names.register("alice", names.user())

    assert names.chain.balance(contract.address) == 0
    assert contract.functions.again().call() == 0
    assert names.balance() == 2
    assert [r.status for r in names.listed()] == [NameStatus.ENDED, NameStatus.ACTIVE]


# -- reading


def test_pages_and_versions_have_limits(names):
    for n in range(5):
        names.register(f"name-{n}", names.user())
    names.send("renew", 4)

    assert names.chain.refusal(names.call("page", 0, 1)) == "page"
    assert names.chain.refusal(names.call("page", 1, 401)) == "page"
    assert names.chain.refusal(names.call("versions", 0, 1)) == "page"
    assert names.chain.refusal(names.call("versions", 1, 2_401)) == "page"
    assert names.read("page", 6, 400) == names.read("versions", 6, 2_400) == []
    assert len(names.read("page", 2, 400)) == 2 * 4
    assert names.read("record", 3)[1] == text("name-2")
    assert names.read("record", 6) == (0, bytes(32))
    (versions,) = names.read("versions", 1, 2_400)
    listed = names.check_root()
    assert [record.summary for record in listed] == [
        (versions >> 32 * n) & 0xFFFFFFFF for n in range(5)
    ]


def test_the_calls_of_readers_are_those_of_the_contract(names):
    names.register("alice", names.user())

    def ask(data):
        request = {"to": names.contract.address, "data": "0x" + data.hex()}
        answer = names.chain.rpc("eth_call", request, "latest")
        return bytes_up_to(deployed_json(answer), 1 << 20)

    words = layout.decode_words(ask(layout.name_page_call(1, 400)), 800)
    versions = layout.decode_versions(ask(layout.name_versions_call(1, 1)), 1)

    assert split_names(words) == names.listed()
    assert versions == (names.listed()[0].summary,)
    assert keccak256(b"page(uint256,uint256)")[:4] == layout.PAGE


def test_gas_stays_below_a_ceiling(names):
    """Some per cent above what README.md of the contracts says."""
    users = [names.user() for _ in range(3)]
    used = {
        name: names.chain.send(
            names.call("register", text(name), user), ALICE, DEPOSIT
        )["gasUsed"]
        for name, user in zip(("abc", "a" * 31), users, strict=False)
    }
    used["renew"] = names.send("renew", 1)["gasUsed"]
    names.chain.wait(HOLD)
    used["release"] = names.send("release", 1)["gasUsed"]

    ceilings = {"abc": 160_000, "a" * 31: 150_000, "renew": 44_000, "release": 39_000}
    assert {name for name in used if used[name] > ceilings[name]} == set(), used
