"""The list of names: their one spelling, what proves the list, which of them count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.keys import SigningKey
from psp.directory.chain import layout
from psp.directory.chain.layout import WORD, mapping_slot
from psp.directory.chain.names import (
    MAX_NAMES,
    NameDoubt,
    NameStatus,
    NamesTrie,
    is_name,
    join_names,
    name_word,
    normalised,
    read_names,
    split_names,
)
from psp.directory.chain.trie import storage_root
from psp.directory.chain.users import UserStatus, read_users, split_users
from psp.errors import DecodeError
from psp.testing.chain import OWNER, USERS, name_words, user_words
from psp.testing.directory import LOOPBACK, START

ALICE, BOB, CAROL = (SigningKey(bytes([n]) * 32) for n in (1, 2, 3))
OTHER = b"\x0b" * 20
DEPOSIT = 10**16

GOOD = ["abc", "0-9", "a" * 31, "a-b-c", "007"]
BAD = [
    *("", "a", "ab", "-ab", "ab-", "a--b", "xn--a", "---", "a" * 32, "a_b", "a.b"),
    *(
        "a b",
        " ab",
        "ab ",
        "ab\n",
        "ab\0",
        "\0ab",
        "abé",
        "\u0430bc",
        "a\u200db",
        "①23",
    ),
    *("\u212aing", "\u017fam", "\uff21\uff22\uff23", "ab\x7f", "abc\ud800"),
]


def users_of(*records):
    return read_users(LOOPBACK, split_users(b"".join(records)))


USERS_LIST = users_of(user_words(ALICE), user_words(BOB), user_words(CAROL))


def read(*records, users=USERS_LIST, now=START):
    return read_names(split_names(b"".join(records)), users, now)


# -- form


@pytest.mark.parametrize("name", GOOD)
def test_a_name_has_one_spelling(name):
    assert is_name(name)
    assert normalised(name) == normalised(name.upper()) == name
    assert name_word(name.upper()) == name.encode().ljust(32, b"\0")


@pytest.mark.parametrize("text", BAD)
def test_nothing_else_is_a_name_in_any_spelling(text):
    """Also letters of other alphabets whose small form is an ASCII letter."""
    assert not is_name(text)
    with pytest.raises(DecodeError, match="3 to 31 characters of a-z"):
        normalised(text)


def test_large_letters_are_a_name_only_when_made_small():
    assert not is_name("Alice")
    assert normalised("Alice") == "alice"


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_refused(text):
    try:
        name = normalised(text)
    except DecodeError:
        assert not is_name(text)
        return
    assert is_name(name)
    (record,) = split_names(name_words(name, 1))
    assert record.name == name


def test_what_is_refused_is_shown_in_ascii_and_short():
    with pytest.raises(DecodeError) as caught:
        normalised("\u0430" * 1_000)

    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 400


# -- records


def test_a_record_is_read_word_by_word():
    words = name_words("alice", 7, expires=START + 5, version=9)

    (record,) = split_names(words)

    assert (record.number, record.name, record.user) == (1, "alice", 7)
    assert (record.owner, record.expires, record.version) == (OWNER, START + 5, 9)
    assert record.status is NameStatus.ACTIVE
    assert record.summary == 9 << 8 | 1
    assert record.word == name_word("alice")
    assert join_names([record]) == words


@given(st.binary(max_size=200))
def test_any_bytes_are_a_list_or_refused(data):
    try:
        listed = split_names(data)
    except DecodeError:
        return
    names = read_names(listed, USERS_LIST, START)
    assert names.listing == data
    assert len(names.verdicts) == len(listed)
    assert all(record.name == "" or is_name(record.name) for record in listed)
    NamesTrie(USERS, DEPOSIT).root(listed)


def test_a_page_counts_from_its_first_number():
    listed = split_names(name_words("abc", 1) + name_words("abd", 2), first=41)

    assert [record.number for record in listed] == [41, 42]


def test_too_long_a_list_is_refused():
    with pytest.raises(DecodeError, match="list of names"):
        split_names(bytes(64 * (MAX_NAMES + 1)))


# -- which count


def test_a_name_is_its_users_and_back():
    names = read(name_words("alice", 1), name_words("bob", 2))

    assert names.users == {"alice": ALICE.public, "bob": BOB.public}
    assert names.names == {ALICE.public: "alice", BOB.public: "bob"}
    assert names.verdicts == (ALICE.public, BOB.public)
    assert not names.refused


@pytest.mark.parametrize(
    ("words", "doubt"),
    [
        (name_words("alice", 1, status=NameStatus.ENDED), NameDoubt.ENDED),
        (name_words("alice", 1, expires=START - 1), NameDoubt.EXPIRED),
        (name_words("alice", 0), NameDoubt.USER),
        (name_words("alice", 4), NameDoubt.USER),
        (name_words("alice", 2**32 - 1), NameDoubt.USER),
        (name_words("alice", 1, owner=OTHER), NameDoubt.OWNER),
        *((name_words(bad, 1), NameDoubt.FORM) for bad in (b"Alice", b"ab", b"\xff")),
        *((name_words(bad, 1), NameDoubt.FORM) for bad in (b"ab\0c", b"\0abc", b"")),
    ],
)
def test_why_a_name_does_not_count(words, doubt):
    names = read(words)

    assert names.verdicts == (doubt,)
    assert names.refused == {doubt: 1}
    assert not names.users
    assert not names.names


def test_a_name_counts_to_its_last_second():
    words = name_words("alice", 1, expires=START)

    assert read(words, now=START).users == {"alice": ALICE.public}
    assert not read(words, now=START + 1).users


def test_a_name_goes_with_its_users_record():
    words = name_words("alice", 1)
    revoked = users_of(user_words(ALICE, status=UserStatus.REVOKED))
    moved = users_of(user_words(ALICE, owner=OTHER))
    rotated = users_of(user_words(BOB, version=2))
    copied = users_of(user_words(ALICE, owner=OTHER), user_words(ALICE))

    assert read(words, users=revoked).verdicts == (NameDoubt.USER,)
    assert read(words, users=moved).verdicts == (NameDoubt.OWNER,)
    assert read(words, users=rotated).users == {"alice": BOB.public}
    assert read(name_words("alice", 2), users=copied).verdicts == (NameDoubt.USER,)


def test_an_identity_that_is_not_signed_for_has_no_name():
    forged = bytearray(user_words(ALICE))
    forged[-1] ^= 1

    assert read(name_words("alice", 1), users=users_of(bytes(forged))).verdicts == (
        NameDoubt.USER,
    )


def test_of_two_the_lower_number_counts():
    names = read(
        name_words("alice", 1),
        name_words("other", 1),
        name_words("alice", 2),
        name_words("bob", 2),
    )

    assert names.users == {"alice": ALICE.public, "bob": BOB.public}
    assert names.refused == {NameDoubt.DOUBLE: 2}


def test_a_name_that_does_not_count_is_in_nobodys_way():
    names = read(
        name_words("alice", 1, status=NameStatus.ENDED),
        name_words("alice", 2, owner=OTHER),
        name_words("alice", 3),
    )

    assert names.users == {"alice": CAROL.public}


def test_the_newest_record_of_a_name_is_found():
    names = read(
        name_words("alice", 1, status=NameStatus.ENDED), name_words("alice", 2)
    )

    assert names.newest("Alice").number == 2
    assert names.newest("nobody") is None
    with pytest.raises(DecodeError):
        names.newest("no name")


# -- the root


def words_of(listed):
    """Return every word of the storage, from the contract's own description of it."""
    words = {layout.NAMES_USERS: int.from_bytes(USERS), layout.NAMES_DEPOSIT: DEPOSIT}
    words[layout.NAMES_COUNT] = len(listed)
    for record in listed:
        base = mapping_slot(layout.NAMES_RECORDS, record.number)
        name = int.from_bytes(record.word)
        words[base] = int.from_bytes(record.raw[:WORD])
        words[base + 1] = name
        words[mapping_slot(layout.NAMES_NUMBERS, name)] = record.number
        words[mapping_slot(layout.NAMES_HELD, record.user)] = record.number
    return words


RECORDS = st.builds(
    name_words,
    st.sampled_from(["abc", "abd", "xyz"]),
    st.integers(0, 3),
    status=st.sampled_from(NameStatus),
    version=st.integers(1, 3),
)


@given(st.lists(st.lists(RECORDS, max_size=6), min_size=1, max_size=4))
def test_the_root_is_that_of_the_words_after_whatever_was_read_before(lists):
    """A liar's list may come before the true one: nothing of it must stay."""
    trie = NamesTrie(USERS, DEPOSIT)
    for records in lists:
        listed = split_names(b"".join(records))
        assert trie.root(listed) == storage_root(words_of(listed).items())


def test_a_root_is_another_for_every_change_of_the_list():
    base = (name_words("alice", 1), name_words("bob", 2))
    others = [
        base[:1],
        (*base, name_words("carol", 3)),
        base[::-1],
        (name_words("alice", 2), name_words("bob", 1)),
        (name_words("alice", 1, version=2), base[1]),
        (name_words("alice", 1, status=NameStatus.ENDED), base[1]),
        (name_words("alice", 1, expires=START), base[1]),
        (name_words("alice", 1, owner=OTHER), base[1]),
        (name_words("alicf", 1), base[1]),
    ]
    roots = {
        NamesTrie(USERS, DEPOSIT).root(split_names(b"".join(records)))
        for records in [base, *others]
    }

    assert len(roots) == 1 + len(others)
    listed = split_names(b"".join(base))
    assert NamesTrie(OTHER, DEPOSIT).root(listed) not in roots
    assert NamesTrie(USERS, DEPOSIT + 1).root(listed) not in roots
