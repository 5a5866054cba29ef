"""Which user is meant (cli/chain_work/users.py)."""

import pytest

from cli.chain_work.nodes import NotRegisteredError
from cli.chain_work.users import NamedUser, figures_of, own_number, verdict_on
from psp.crypto.keys import SigningKey
from psp.directory.chain.users import UserStatus
from psp.errors import ConfigError
from psp.testing.chain import MemoryContracts, user_words
from psp.testing.entropy import SeededEntropy

FIRST, SECOND = (SigningKey.from_seed(bytes([i]) * 32) for i in (1, 2))
OURS, THEIRS = b"\x01" * 20, b"\x02" * 20
REVOKED = UserStatus.REVOKED


def users(*records):
    contracts = MemoryContracts.with_nodes(SeededEntropy("users"), 1)
    contracts.users += records
    return contracts.view(1).users


LIST = users(
    user_words(FIRST, owner=OURS),
    user_words(FIRST, owner=THEIRS),
    user_words(SECOND, owner=OURS, status=REVOKED),
    user_words(SECOND, owner=THEIRS),
    user_words(FIRST, owner=OURS)[:64] + b"\x01" * 64,
)


def test_a_user_is_named_by_number_or_id():
    assert own_number(LIST, NamedUser.parse("1"), OURS) == 1
    assert own_number(LIST, NamedUser.parse(FIRST.public.hex()), OURS) == 1
    assert own_number(LIST, NamedUser(identity=FIRST.public), THEIRS) == 2


def test_what_is_anothers_ended_or_missing_is_said():
    with pytest.raises(ConfigError, match="user 4 belongs to 0x0202"):
        own_number(LIST, NamedUser(4), OURS)
    with pytest.raises(ConfigError, match="user 3 was revoked already"):
        own_number(LIST, NamedUser(3), OURS)
    with pytest.raises(NotRegisteredError):
        own_number(LIST, NamedUser(9), OURS)


def test_each_record_has_a_verdict():
    verdicts = [verdict_on(LIST, record) for record in LIST.listed]

    assert verdicts == [
        "",
        "identity registered under a lower number",
        "revoked",
        "identity revoked under another number",
        "not signed by its identity",
    ]


def test_programs_get_a_record_with_its_verdict():
    figures = figures_of(LIST.listed[1], "double")

    assert figures["number"] == 2
    assert figures["id"] == FIRST.public.hex()
    assert figures["counts"] is False
    assert figures["reason"] == "double"
