"""How an identity stands before a record is paid for (cli/chain_work/standing.py)."""

import pytest

from cli.chain_work.standing import TakenError, check_free, standing
from psp.crypto.keys import SigningKey
from psp.directory.chain.records import NodeStatus
from psp.directory.chain.users import UserStatus
from psp.testing.chain import MemoryContracts, node_words, user_words
from psp.testing.entropy import SeededEntropy

KEY = SigningKey.from_seed(b"\x07" * 32)
OURS, THEIRS = b"\x01" * 20, b"\x02" * 20


def nodes(*records):
    """A book of some strangers and these."""
    contracts = MemoryContracts.with_nodes(SeededEntropy("standing"), 2)
    contracts.nodes += records
    return contracts.view(1).nodes


def users(*records):
    contracts = MemoryContracts.with_nodes(SeededEntropy("standing"), 1, users=2)
    contracts.users += records
    return contracts.view(1).users


def copy_of(words):
    """The same record under another signature."""
    return words[:96] + b"\x01" * 64 + words[160:]


def test_an_identity_that_nobody_has_entered_is_free():
    stands = standing(nodes(), KEY.public)

    assert (stands.counting, stands.signed, stands.copies) == (None, (), 0)
    check_free(stands, OURS, kind="relay")


def test_copies_without_a_signature_do_not_matter(capsys):
    stands = standing(nodes(copy_of(node_words(KEY, owner=THEIRS))), KEY.public)

    check_free(stands, OURS, kind="relay")

    assert stands.copies == 1
    assert stands.counting is None
    assert "1 others have entered this identity" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "verb"), [("relay", "psp relay update"), ("user", "psp user rotate")]
)
def test_what_is_ours_already_is_changed_not_entered_again(kind, verb):
    listed = nodes(node_words(KEY, owner=OURS))
    if kind == "user":
        listed = users(user_words(KEY, owner=OURS))

    with pytest.raises(TakenError, match=f"as number 3; {verb} changes it"):
        check_free(standing(listed, KEY.public), OURS, kind=kind)


def test_what_another_has_entered_counts_and_ours_would_not(capsys):
    stands = standing(users(user_words(KEY, owner=THEIRS)), KEY.public)

    with pytest.raises(
        TakenError, match=r"as number 3 of 0x0202.*Nothing was sent; --a"
    ):
        check_free(stands, OURS, kind="user")
    check_free(stands, OURS, kind="user", is_forced=True)

    assert "warning: this identity is registered already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "listed",
    [
        nodes(node_words(KEY, owner=THEIRS, status=NodeStatus.REVOKED)),
        users(user_words(KEY, owner=THEIRS, status=UserStatus.REVOKED)),
    ],
)
def test_a_revoked_identity_is_dead_for_everybody_and_cannot_be_forced(listed):
    stands = standing(listed, KEY.public)

    with pytest.raises(TakenError, match="never counts again"):
        check_free(stands, OURS, kind="relay", is_forced=True)


def test_a_revocation_that_it_has_not_signed_kills_nothing():
    words = copy_of(node_words(KEY, owner=THEIRS, status=NodeStatus.REVOKED))

    check_free(standing(nodes(words), KEY.public), OURS, kind="relay")


def test_of_two_signed_records_the_lower_number_counts():
    first, second = node_words(KEY, owner=THEIRS), node_words(KEY, owner=OURS)

    stands = standing(nodes(first, second), KEY.public)

    assert stands.counting.number == 3
    assert [record.number for record in stands.signed] == [3, 4]
    assert stands.owned_by(OURS).number == 4
