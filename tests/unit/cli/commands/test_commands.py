"""Setting up a network by hand: psp relay, trusted and user (cli/commands)."""

import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.exit_codes import ExitCode
from cli.settings_file import to_toml
from psp.client.config import ClientConfig
from psp.netdoc.contact_card import ContactCard
from psp.runtime.membership import MembershipConfig

REGISTRY = "0x" + "ab" * 20
NETWORK = ["--chain-id", "31337", "--registry", REGISTRY]


@dataclass
class Office:
    """A partner's desk: keys, one relay's entry, one user, and the signed file."""

    folder: Path
    entry: Path
    relay_id: str
    partner: str
    user_id: str

    @property
    def file(self) -> Path:
        return self.folder / "registry.json"

    def sign(self, psp, *more):
        return psp(
            "trusted",
            "sign",
            self.folder / "partner.key",
            self.file,
            *("--node", self.entry),
            *NETWORK,
            *("--sequence", "3"),
            *more,
        )

    def settings(self, **changed) -> Path:
        fields = {
            "chain_id": 31337,
            "registry": REGISTRY[2:],
            "file": self.file,
            "partners": (self.partner,),
            **changed,
        }
        path = self.folder / "client.toml"
        config = ClientConfig(MembershipConfig(**fields), self.folder / "state")
        path.write_text(to_toml(config))
        return path


def init(psp, folder: Path, *changed: str):
    values = {"--endpoint": "192.0.2.1:443", "--operator": "cd" * 20}
    values |= dict(zip(changed[::2], changed[1::2], strict=True))
    options = [part for option in values.items() for part in option]
    return psp("relay", "init", folder, *NETWORK, *options)


@pytest.fixture
def office(psp, tmp_path) -> Office:
    folder = tmp_path / "office"
    folder.mkdir(mode=0o700)
    made = init(psp, folder / "relay")
    entry = folder / "relay.json"
    entry.write_text(made.out)
    partner = psp("trusted", "keygen", folder / "partner.key")
    user = psp("user", "create", folder / "user.key")
    assert [ran.code for ran in (made, partner, user)] == [ExitCode.OK] * 3
    return Office(
        folder,
        entry,
        json.loads(made.out)["id"],
        partner.out.strip(),
        user.out.strip(),
    )


def test_keys_are_private_and_never_overwritten(psp, office):
    for key in ("relay/identity.key", "relay/onion.key", "partner.key", "user.key"):
        mode = stat.S_IMODE((office.folder / key).stat().st_mode)
        assert mode == 0o600

    assert init(psp, office.folder / "relay").code == ExitCode.CONFIG
    again = psp("user", "create", office.folder / "user.key")

    assert again.code == ExitCode.CONFIG
    assert "exists" in again.err


def test_an_entry_names_a_port_for_each_worker(psp, tmp_path):
    made = init(psp, tmp_path / "relay", "--workers", "3")

    entry = json.loads(made.out)
    assert entry["endpoints"] == [f"192.0.2.1:{port}" for port in (443, 444, 445)]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--workers", "7", "--endpoint", "[2001:db8::1]:443"), "a record has 1 … 128"),
        (("--workers", "2", "--endpoint", "192.0.2.1:65535"), "take a first port of"),
    ],
)
def test_more_workers_than_an_entry_has_room_for_are_refused(
    psp, tmp_path, options, sentence
):
    ran = init(psp, tmp_path / "relay", *options)

    assert ran.code == ExitCode.CONFIG
    assert sentence in " ".join(ran.err.split())
    assert not (tmp_path / "relay").exists()


def test_the_signed_file_is_what_a_client_uses(psp, office):
    signed = office.sign(
        psp, "--discovery", office.relay_id, "--user", office.user_id, "--days", "2"
    )
    shown = psp("user", "status", "--settings", office.settings(), "--json")

    assert signed.code == ExitCode.OK
    assert "1 relays, 1 users; valid 2 days" in signed.err
    assert shown.code == ExitCode.OK
    figures = json.loads(shown.out)
    assert 2 * 86_400 - 60 < figures.pop("expires_in_s") <= 2 * 86_400
    assert figures == {
        "source": "trusted",
        "sequence": 3,
        "registry": "file 3 of the trusted partners, fresh",
        "relays": 1,
        "discovery_nodes": 1,
        "trusted_nodes": 0,
    }


def test_status_is_a_table_for_people(psp, office):
    office.sign(psp)

    ran = psp("user", "status", "--settings", office.settings())

    assert ran.code == ExitCode.OK
    assert "discovery_nodes" in ran.out


def test_a_card_names_the_user_and_the_network(psp, office):
    ran = psp(
        "user",
        "card",
        office.folder / "user.key",
        *("--settings", office.settings(), "--name", "Alice"),
    )

    card = ContactCard.decode(ran.out.strip())
    assert ran.code == ExitCode.OK
    assert card.identity.hex() == office.user_id
    assert card.name == "Alice"
    assert card.network.chain_id == 31337


def test_a_public_identity_has_no_secret(psp, office):
    psp("user", "create", office.folder / "public.key", "--public")
    ran = psp(
        "user", "card", office.folder / "public.key", "--settings", office.settings()
    )

    assert ContactCard.decode(ran.out.strip()).secret == bytes(32)


def test_a_key_under_a_passphrase_asks_for_it(psp, office, monkeypatch):
    words = iter(["open", "open", "open", "wrong"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(words))
    key = office.folder / "locked.key"

    made = psp("user", "create", key, "--passphrase")
    opened = psp("user", "card", key, "--settings", office.settings())
    refused = psp("user", "card", key, "--settings", office.settings())

    assert [made.code, opened.code, refused.code] == [0, 0, ExitCode.CONFIG]
    assert "passphrase" in refused.err


def test_passphrases_that_differ_make_no_key(psp, tmp_path, monkeypatch):
    words = iter(["one", "two"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(words))

    ran = psp("user", "create", tmp_path / "keys" / "user.key", "--passphrase")

    assert ran.code == ExitCode.USAGE
    assert not (tmp_path / "keys" / "user.key").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--endpoint", "example.org:443"),
        ("--endpoint", "192.0.2.1"),
        ("--endpoint", "192.0.2.1:\u00b2"),
        ("--endpoint", "192.0.2.1:65536"),
        ("--endpoint", "192.0.2.1:0"),
        ("--operator", "zz" * 20),
        ("--operator", "ab"),
    ],
)
def test_a_bad_value_of_a_relay_is_repeated_with_what_is_wanted(
    psp, tmp_path, option, value
):
    ran = init(psp, tmp_path / "relay", option, value)

    assert ran.code == ExitCode.CONFIG
    assert option in ran.err
    assert not (tmp_path / "relay").exists()


def test_a_chain_id_out_of_range_is_a_wrong_command_line(psp, tmp_path):
    ran = init(psp, tmp_path / "relay", "--chain-id", "-1")

    assert ran.code == ExitCode.USAGE


def test_what_cannot_be_signed_is_said(psp, office):
    entry = office.folder / "other.json"
    entry.write_text("{}")
    cases = {
        "is not a relay's entry": ["--node", entry],
        "other.toml is not a relay's entry": ["--node", office.folder / "other.toml"],
        "64 hex digits": ["--user", "abc"],
        "nothing was signed": ["--discovery", "00" * 32],
    }

    for text, options in cases.items():
        ran = office.sign(psp, *options)
        assert ran.code == ExitCode.CONFIG, ran.err
        assert text in ran.err
    assert not office.file.exists()


def test_a_file_that_cannot_be_written_is_named(psp, office):
    office.folder.joinpath("registry.json").mkdir()

    ran = office.sign(psp)

    assert ran.code == ExitCode.CONFIG
    assert "registry.json cannot be written" in ran.err


def test_a_users_key_is_not_a_partners(psp, office):
    ran = psp(
        "trusted",
        "sign",
        office.folder / "user.key",
        office.file,
        *("--node", office.entry, "--sequence", "1"),
        *NETWORK,
    )

    assert ran.code == ExitCode.CONFIG
    assert "user.key holds 64 bytes" in ran.err


def test_a_partners_key_is_not_a_users(psp, office):
    ran = psp(
        "user", "card", office.folder / "partner.key", "--settings", office.settings()
    )

    assert ran.code == ExitCode.CONFIG
    assert "something else than a user" in ran.err


def test_a_key_that_others_may_read_is_refused_with_the_cure(psp, office):
    key = office.folder / "user.key"
    key.chmod(0o644)

    ran = psp("user", "card", key, "--settings", office.settings())

    assert ran.code == ExitCode.CONFIG
    assert f"run: chmod 0600 {key}" in ran.err


def test_a_setting_that_does_not_exist_is_named_with_the_nearest(psp, office):
    office.sign(psp)
    path = office.settings()
    path.write_text(path.read_text().replace("bind =", "bnd ="))

    ran = psp("user", "status", "--settings", path)

    assert ran.code == ExitCode.CONFIG
    assert "bnd" in ran.err
    assert "bind" in ran.err


def test_the_environment_overrides_a_setting(psp, office, monkeypatch):
    office.sign(psp)
    monkeypatch.setenv("PSP_MEMBERSHIP_FILE", str(office.folder / "elsewhere.json"))

    ran = psp("user", "status", "--settings", office.settings())

    assert ran.code == ExitCode.CONFIG
    assert "elsewhere.json cannot be read" in ran.err


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"partners": ("00",)}, "membership.partners"),
        ({"registry": "zz"}, "membership.registry"),
        ({"threshold": 2}, "membership.threshold is 2"),
        ({"chain_id": 5}, "registry.json"),
    ],
)
def test_membership_that_cannot_be_is_named(psp, office, changed, text):
    office.sign(psp)

    ran = psp("user", "status", "--settings", office.settings(**changed))

    assert ran.code == ExitCode.CONFIG
    assert text in ran.err


@pytest.mark.parametrize("card", [b"", b"nonsense\n", b"\xff\xfe\n"])
def test_a_card_that_is_none_is_one_sentence(psp, office, card):
    office.sign(psp)

    ran = psp("user", "lookup", "--settings", office.settings(), stdin=card)

    assert ran.code == ExitCode.INPUT
    assert "contact card" in ran.err


def test_a_sample_of_a_relays_settings_is_toml_with_every_key(psp):
    ran = psp("relay", "sample-settings")

    assert ran.code == ExitCode.OK
    assert "[membership]" in ran.out
    assert "[keys]" in ran.out
    assert "# port = 9464" in ran.out


def test_a_variable_that_sets_nothing_is_told_to_the_operator():
    settings = Path(__file__).parents[4] / "deploy" / "config" / "relay.toml"
    misspelt = "PSP_RELAY_BANDWITH_BYTES_PER_S"

    # A process of its own: a relay sets up logs for the whole process.
    ran = subprocess.run(
        [sys.executable, "-m", "cli.main", "relay", "run", settings, "--workers", "0"],
        env=os.environ | {misspelt: "5"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == ExitCode.CONFIG
    assert f"name={misspelt}" in ran.stderr
    assert "workers = 0: use 1 to 16" in ran.stderr
