"""psp user delegate (cli/commands/user_delegate.py)."""

import asyncio
import json
import time

import pytest

from cli.exit_codes import ExitCode
from cli.settings_file import to_toml
from psp.client.config import ClientConfig
from psp.client.contacts.contact_file import ContactFile
from psp.client.contacts.contacts import ContactBook
from psp.client.identities.delegation import DelegatedIdentity
from psp.client.identities.identity_file import load_identity, open_identity
from psp.crypto.kdf import Label
from psp.netdoc.contact_card import ContactCard
from psp.runtime.membership import MembershipConfig
from psp.testing.entropy import SeededEntropy


@pytest.fixture
def home(psp, tmp_path):
    """A folder with an identity and settings."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    assert psp("user", "create", folder / "user.key").code == ExitCode.OK
    membership = MembershipConfig(
        chain_id=31337,
        registry="ab" * 20,
        file=folder / "registry.json",
        partners=("cd" * 32,),
    )
    config = ClientConfig(membership, folder / "state")
    (folder / "client.toml").write_text(to_toml(config))
    return folder


def delegate(psp, home, *more):
    return psp(
        "user",
        "delegate",
        home / "user.key",
        *("--settings", home / "client.toml", "--out", home / "host.key"),
        *more,
    )


def card_of(psp, home, key):
    ran = psp("user", "card", home / key, "--settings", home / "client.toml")
    assert ran.code == ExitCode.OK
    return ContactCard.decode(ran.out.strip())


def opened(path, passphrase=None):
    return asyncio.run(open_identity(path, passphrase=passphrase))


def test_a_host_gets_keys_for_some_days(psp, home):
    ran = delegate(psp, home, "--days", "3", "--name", "Alice", "--json")

    made = opened(home / "host.key")
    assert ran.code == ExitCode.OK
    assert isinstance(made, DelegatedIdentity)
    assert json.loads(ran.out) == {
        "file": str(home / "host.key"),
        "ends": made.ends,
        "public": False,
    }
    assert 3 * 86_400 - 60 < made.ends - time.time() <= 3 * 86_400
    assert made.display_name == "Alice"
    assert made.public_days == {}


def test_people_read_when_the_keys_end(psp, home):
    ran = delegate(psp, home, "--public")

    assert "UTC" in ran.out
    assert opened(home / "host.key").public_days


def test_either_file_gives_the_same_card(psp, home):
    delegate(psp, home)

    assert card_of(psp, home, "host.key") == card_of(psp, home, "user.key")


def test_the_secret_in_use_is_that_of_the_contact_book(psp, home):
    identity = asyncio.run(load_identity(home / "user.key"))
    network = card_of(psp, home, "user.key").network
    old = identity.discovery_secret
    book = ContactBook(
        ContactFile(
            home / "state" / "contacts.json",
            identity.sealing_key(Label.CONTACT_BOOK),
            network,
            SeededEntropy(1),
        ),
        network,
        identity,
        entropy=SeededEntropy(2),
        unix_time=time.time,
    )
    book.invite("Mallory")
    asyncio.run(book.revoke("Mallory"))

    delegate(psp, home)

    made = opened(home / "host.key")
    assert made.discovery_secret == identity.discovery_secret != old
    assert card_of(psp, home, "host.key") == card_of(psp, home, "user.key")


def test_keys_are_made_by_the_identity_alone_and_never_overwritten(psp, home):
    delegate(psp, home)

    again = delegate(psp, home)
    second = psp(
        "user",
        "delegate",
        home / "host.key",
        *("--settings", home / "client.toml", "--out", home / "more.key"),
    )

    assert again.code == second.code == ExitCode.CONFIG
    assert "exists" in again.err
    assert "identity key itself" in second.err


@pytest.mark.parametrize("days", ["0", "32", "many"])
def test_days_out_of_range_are_a_wrong_command_line(psp, home, days):
    assert delegate(psp, home, "--days", days).code == ExitCode.USAGE


def test_the_new_file_may_have_a_passphrase_of_its_own(psp, home, monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda _: "words")

    assert delegate(psp, home, "--passphrase").code == ExitCode.OK
    assert opened(home / "host.key", "words")


def test_passphrases_that_differ_make_no_file(psp, home, monkeypatch):
    answers = iter(["words", "other words"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))

    assert delegate(psp, home, "--passphrase").code == ExitCode.USAGE
    assert not (home / "host.key").exists()
