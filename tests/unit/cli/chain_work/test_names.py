"""What is said of names before anything is paid (cli/chain_work/names.py)."""

from types import SimpleNamespace

import pytest

from cli.chain_work.names import (
    NamesLook,
    check_free,
    check_name,
    check_release,
    find_contract,
    own_name,
    state_of,
    user_for_name,
)
from cli.chain_work.nodes import NotRegisteredError
from cli.chain_work.standing import TakenError
from cli.chain_work.users import NamedUser
from discovery.transactions.wallet import address_text
from psp.crypto.keys import SigningKey
from psp.directory.chain.names import (
    GRACE,
    HOLD,
    LIFETIME,
    NameStatus,
    read_names,
    split_names,
)
from psp.directory.chain.users import UserStatus, read_users, split_users
from psp.errors import ConfigError, DecodeError
from psp.testing.chain import OWNER, name_words, user_words
from psp.testing.directory import LOOPBACK, START

KEYS = [SigningKey(bytes([n]) * 32) for n in range(1, 5)]
OTHER = b"\x0b" * 20
NOBODY = b"\x0c" * 20
EXPIRES = START + LIFETIME
DAY = 86_400


def look_at(*records, users=None, now=START):
    """Two users of ours (1, 2), one of somebody else's (3)."""
    owners = (OWNER, OWNER, OTHER)
    words = users or [
        user_words(key, owner=owner) for key, owner in zip(KEYS, owners, strict=False)
    ]
    listed = read_users(LOOPBACK, split_users(b"".join(words)))
    names = read_names(split_names(b"".join(records)), listed, now)
    return NamesLook(SimpleNamespace(), listed, names, 10**16)


ENDED = NameStatus.ENDED


@pytest.mark.parametrize(
    "records",
    [
        [],
        [name_words("other", 3, owner=OTHER)],
        [name_words("alice", 3, owner=OTHER, status=ENDED)],
        [name_words("alice", 3, owner=OTHER, expires=START - GRACE - 1)],
        # ours already, for another user of ours, or for this one and expired
        [name_words("alice", 2, expires=EXPIRES - HOLD)],
        [name_words("alice", 1, expires=START - 1)],
        [name_words("older", 1, expires=START - 1)],
        # came with the user, whom somebody else has had
        [name_words("alice", 1, owner=OTHER, expires=EXPIRES - HOLD)],
    ],
)
def test_what_the_contract_gives_is_let_through(records):
    check_free(look_at(*records), "alice", 1, OWNER, START)


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ([name_words("alice", 3, owner=OTHER)], r"alice is taken, by user 3, until 20"),
        (
            [name_words("alice", 3, owner=OTHER, expires=START - DAY)],
            "alice expired at .* and is kept for its owner until",
        ),
        ([name_words("other", 1)], "has the name other already.*psp name release"),
        ([name_words("alice", 1)], "has the name alice already.*psp name renew"),
        ([name_words("alice", 2)], "of alice that this ends has to stay until"),
        (
            [name_words("older", 1, owner=OTHER, expires=EXPIRES - HOLD + DAY)],
            "of older that this ends has to stay until",
        ),
    ],
)
def test_what_it_refuses_is_said_first_and_how_long(records, sentence):
    with pytest.raises(TakenError, match=f"{sentence}.*Nothing was sent"):
        check_free(look_at(*records), "alice", 1, OWNER, START)


def test_the_only_user_of_the_account_gets_the_name():
    assert user_for_name(look_at(), None, OTHER) == 3
    with pytest.raises(ConfigError, match="which of the users 1, 2"):
        user_for_name(look_at(), None, OWNER)
    with pytest.raises(NotRegisteredError, match="has no user"):
        user_for_name(look_at(), None, NOBODY)


def test_a_named_user_has_to_be_ours_and_to_count():
    copied = [user_words(KEYS[0], owner=OTHER), user_words(KEYS[0])]
    revoked = [user_words(KEYS[0], status=UserStatus.REVOKED)]

    assert user_for_name(look_at(), NamedUser(2), OWNER) == 2
    assert user_for_name(look_at(), NamedUser(identity=KEYS[1].public), OWNER) == 2
    with pytest.raises(ConfigError, match="belongs to"):
        user_for_name(look_at(), NamedUser(3), OWNER)
    with pytest.raises(TakenError, match=r"user 2 does not count .*lower number"):
        user_for_name(look_at(users=copied), NamedUser(2), OWNER)
    with pytest.raises(NotRegisteredError):
        user_for_name(look_at(users=revoked), None, OWNER)


def test_only_its_owner_finds_a_name_to_change():
    look = look_at(name_words("alice", 1), name_words("gone", 2, status=ENDED))

    assert own_name(look, "alice", OWNER).number == 1
    with pytest.raises(ConfigError, match=r"belongs to 0x0A0A.*use its owner's wallet"):
        own_name(look, "alice", OTHER)
    for name in ("nobody", "gone"):
        with pytest.raises(NotRegisteredError, match=f"nobody has the name {name}"):
            own_name(look, name, OWNER)


def test_a_name_is_given_up_after_a_week():
    (record,) = split_names(name_words("alice", 1))

    check_release(record, START + HOLD)
    with pytest.raises(TakenError, match="can be given up from 20"):
        check_release(record, START + HOLD - 1)


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (name_words("alice", 1), "counts"),
        (name_words("other", 1), "free: nobody has ever registered it"),
        (name_words("alice", 1, status=ENDED), "free: it was given up"),
        (name_words("alice", 1, expires=START - 1), "does not count: expired"),
        (name_words("alice", 1, expires=START - GRACE - 1), "free: it expired"),
        (name_words("alice", 9), "does not count: its user's record does not count"),
        (name_words("alice", 3), "does not count: its user's record belongs to"),
    ],
)
def test_how_a_name_stands_is_said_in_words(words, state):
    assert state_of(look_at(words), "alice").startswith(state)


def test_a_record_is_shown_to_programs():
    look = look_at(name_words("alice", 1), name_words("bob", 3))

    shown = [look.figures(record) for record in look.names.listed]

    assert shown[0] == {
        "number": 1,
        "name": "alice",
        "user": 1,
        "id": KEYS[0].public.hex(),
        "owner": address_text(OWNER),
        "expires": EXPIRES,
        "counts": True,
        "reason": "",
    }
    assert (shown[1]["id"], shown[1]["counts"]) == ("", False)


def test_names_as_people_type_them():
    assert check_name("Alice") == "alice"
    assert check_name("@alice") == "alice"
    with pytest.raises(DecodeError, match="3 to 31 characters"):
        check_name("al")


def test_the_contract_is_in_the_settings_or_named(tmp_path):
    path = tmp_path / "network.toml"
    table = f'[membership]\nchain_id = 7\nregistry = "{"11" * 20}"\n'
    path.write_text(table)
    address = "0x" + "22" * 20

    assert find_contract(None, address) == b"\x22" * 20
    assert find_contract(path, address) == b"\x22" * 20
    for settings in (None, path):
        with pytest.raises(ConfigError, match="founded without names has none"):
            find_contract(settings, None)
    with pytest.raises(ConfigError):
        find_contract(None, "0x22")
    path.write_text(f'{table}names = "{"33" * 20}"\n')
    assert find_contract(path, None) == b"\x33" * 20
    path.write_text(f'{table}names = "33"\n')
    with pytest.raises(ConfigError, match=r"membership\.names"):
        find_contract(path, None)
