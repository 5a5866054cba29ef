"""The contact book on the command line (cli/commands/presence_contacts.py)."""

import json

import pytest

from cli.exit_codes import ExitCode
from cli.settings_file import to_toml
from psp.client.config import ClientConfig
from psp.netdoc.contact_card import ContactCard
from psp.runtime.locks import try_lock
from psp.runtime.membership import MembershipConfig


@pytest.fixture
def person(psp, tmp_path):
    """Make somebody with a key and settings; returns what runs their commands."""

    def make(name):
        folder = tmp_path / name
        folder.mkdir(mode=0o700)
        config = ClientConfig(
            MembershipConfig(31337, "ab" * 20, partners=("cd" * 32,)), folder / "state"
        )
        settings = folder / "client.toml"
        settings.write_text(to_toml(config))
        key = folder / "user.key"
        assert psp("user", "create", key).code == 0

        def run(command, *arguments, stdin=b"", identity=True):
            own = ["--identity", key] if identity else []
            return psp(
                *("presence", "contacts", command, *arguments),
                *("--settings", settings, *own),
                stdin=stdin,
            )

        run.folder, run.name = folder, name
        return run

    return make


def introduce(one, other):
    """Have one invite the other, who adds the card."""
    card = one("invite", other.name, "--name", "One").out.encode()
    return other("add", one.name, stdin=card)


def test_a_card_goes_from_one_book_to_the_other(person):
    alice, bob = person("alice"), person("bob")

    added = introduce(alice, bob)
    listed = bob("list")
    plain = json.loads(bob("show", "ALICE", "--json").out)

    assert added.code == 0
    assert "no: compare the words" in added.out
    assert "alice" in listed.out
    assert "personal" in listed.out
    assert plain["name"] == "alice"
    assert plain["card_name"] == "One"
    assert not plain["is_verified"]


def test_both_see_the_same_words_and_say_so(person, monkeypatch):
    alice, bob = person("alice"), person("bob")
    introduce(alice, bob)
    introduce(bob, alice)

    words = bob("words", "alice").out
    same = alice("words", "bob").out
    wrong = alice("verify", "bob", "--words", "zoo " * 12)
    right = alice("verify", "bob", "--words", words)
    asked = bob("verify", "alice", stdin=b"y\n")

    assert words == same
    assert len(words.split()) == 12
    assert wrong.code == ExitCode.FAILED
    assert "not the words" in wrong.err
    assert [right.code, asked.code] == [0, 0]
    assert json.loads(bob("list", "--json").out)["is_verified"]


def test_words_that_differ_are_not_verified(person):
    alice, bob = person("alice"), person("bob")
    introduce(alice, bob)

    answer = bob("verify", "alice", stdin=b"n\n")

    assert answer.code == ExitCode.FAILED
    assert "do not trust" in answer.err
    assert not json.loads(bob("list", "--json").out)["is_verified"]


def test_a_revoked_contact_leaves_fresh_cards_for_the_others(person):
    alice = person("alice")
    before = {name: alice("invite", name).out.strip() for name in ("bob", "carol")}

    revoked = alice("revoke", "bob", "--json")
    fresh = json.loads(revoked.out)

    assert fresh["name"] == "carol"
    old, new = (ContactCard.decode(card) for card in (before["carol"], fresh["card"]))
    assert new.ticket_key == old.ticket_key
    assert new.secret != old.secret
    assert alice("show", "bob").code == ExitCode.INPUT


def test_a_contact_whose_calls_alone_are_stopped_can_still_look(person):
    alice = person("alice")
    alice("invite", "bob")

    answer = alice("revoke", "bob", "--keep-secret")

    assert (answer.code, answer.out) == (0, "")
    assert "can still see when you are on line" in answer.err


def test_a_renamed_contact_has_the_new_name_only(person):
    alice = person("alice")
    alice("invite", "bob")

    renamed = alice("rename", "bob", "Robert")

    assert "Robert" in renamed.out
    assert alice("show", "bob").code == ExitCode.INPUT
    assert "not known: no card yet" in alice("show", "robert").out


@pytest.mark.parametrize(
    "command", [["show"], ["add"], ["words"], ["verify"], ["invite"], ["revoke"]]
)
def test_a_card_among_the_arguments_is_refused_and_not_repeated(person, command):
    alice = person("alice")
    card = alice("invite", "bob").out.strip()

    answer = alice(*command, card)

    assert answer.code == ExitCode.USAGE
    assert "standard input" in answer.err
    assert card not in answer.err + answer.out


@pytest.mark.parametrize(
    "stdin", [b"", b"\n", b"nonsense\n", b"\xff\xfe\n", b"psp://abc\nnonsense\n"]
)
def test_what_is_no_card_is_one_sentence(person, stdin):
    answer = person("alice")("add", "bob", stdin=stdin)

    assert answer.code == ExitCode.INPUT
    assert "contact card" in answer.err


def test_a_damaged_card_and_a_taken_name_are_told(person):
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    introduce(alice, bob)
    card = carol("invite", "bob").out.strip()

    damaged = bob("add", "carol", stdin=f"{card[:-2]}aa\n".encode())
    taken = bob("add", "Alice", stdin=f"{card}\n".encode())

    assert [damaged.code, taken.code] == [ExitCode.INPUT] * 2
    assert "typing error" in damaged.err
    assert "another identity" in taken.err


def test_what_needs_a_key_says_so(person):
    for command in ("invite", "words", "verify"):
        answer = person(command)(command, "bob", identity=False)

        assert answer.code == ExitCode.CONFIG
        assert "--identity" in answer.err


def test_two_programs_do_not_share_a_book(person):
    alice = person("alice")
    alice("invite", "bob")

    with try_lock(alice.folder / "state" / "client.lock"):
        answer = alice("list")

    assert answer.code == ExitCode.CONFIG
    assert "another psp program uses" in answer.err
