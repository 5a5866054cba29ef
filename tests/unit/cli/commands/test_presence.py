"""psp presence lookup, watch and announce (cli/commands/presence.py)."""

import io
import json
import signal
import sys
from contextlib import asynccontextmanager

import pytest

from cli.commands import presence as commands
from cli.commands.client_options import Desk, read_cards
from cli.exit_codes import ExitCode
from cli.settings_file import to_toml
from psp.client.config import ClientConfig
from psp.client.errors import ClockError
from psp.client.lookups.lookup_result import PresenceState
from psp.client.watching.presence_event import WatchReason
from psp.runtime.membership import MembershipConfig
from psp.testing.entropy import SeededEntropy
from psp.testing.presence_client import (
    NOW,
    FakeCall,
    FakePresenceClient,
    looked_up,
    presence_event,
)
from tests.unit.psp.gateway.rig import card_of

ONLINE = looked_up(
    PresenceState.ONLINE,
    3,
    4,
    status="in the garden",
    capabilities=["video", "audio"],
    issued=int(NOW),
    is_confirmed=True,
)


@pytest.fixture
def client(monkeypatch, tmp_path):
    """The client that every command runs: nobody is asked."""
    (tmp_path / "state").mkdir(mode=0o700)
    client = FakePresenceClient(tmp_path / "state", SeededEntropy("cli"))
    for name in ("alice", "bob"):
        client.contacts.add(card_of(name).encode(), name)

    @asynccontextmanager
    async def connect(_):
        yield client

    monkeypatch.setattr(Desk, "connect", connect)
    return client


@pytest.fixture
def presence(psp, tmp_path):
    config = ClientConfig(
        MembershipConfig(31337, "ab" * 20, partners=("cd" * 32,)), tmp_path / "state"
    )
    settings, key = tmp_path / "client.toml", tmp_path / "keys" / "user.key"
    settings.write_text(to_toml(config))
    assert psp("user", "create", key).code == 0

    def run(command, *arguments, stdin=b"", identity=True):
        own = ["--identity", key] if identity else []
        return psp(
            *("presence", command, *arguments, "--settings", settings, *own),
            stdin=stdin,
        )

    return run


def test_contacts_are_looked_up_by_name(presence, client):
    client.known[card_of("alice").identity] = ONLINE

    both = presence("lookup", "alice", "bob")
    one = presence("lookup", "alice")

    alice, bob = (
        next(line for line in both.out.splitlines() if name in line)
        for name in ("alice", "bob")
    )
    for shown in ("online", "3", "in the garden", "audio, video", "2027-01-15"):
        assert shown in alice
    assert "offline" in bob
    assert [both.code, one.code] == [ExitCode.FAILED, ExitCode.OK]


def test_cards_come_on_standard_input_and_are_not_shown(presence, client):
    cards = [card_of("dave").encode(), card_of("alice").encode()]
    client.known[card_of("dave").identity] = ONLINE

    answer = presence("lookup", stdin="\n".join(cards).encode(), identity=False)

    assert "card 1" in answer.out
    assert "card 2" in answer.out
    assert not [card for card in cards if card in answer.out + answer.err]


@pytest.mark.parametrize("is_typed", [True, False], ids=["terminal", "pipe"])
def test_who_types_is_told_that_cards_are_waited_for(monkeypatch, capsys, is_typed):
    card = card_of("alice").encode()
    keyboard = io.StringIO(f"{card}\n")
    keyboard.isatty = lambda: is_typed
    monkeypatch.setattr(sys, "stdin", keyboard)

    assert read_cards() == [card]
    assert ("paste contact cards" in capsys.readouterr().err) == is_typed


def test_a_card_among_the_arguments_is_refused_and_not_repeated(presence, client):
    card = card_of("dave").encode()

    for command in ("lookup", "watch"):
        answer = presence(command, card)

        assert answer.code == ExitCode.USAGE
        assert card not in answer.err + answer.out


def test_json_is_one_object_a_line(presence, client):
    client.known[card_of("alice").identity] = ONLINE
    client.refused[card_of("bob").identity] = ClockError("86400 s behind")

    answer = presence("lookup", "alice", "bob", "nobody", "--json")

    alice, bob, nobody = map(json.loads, answer.out.splitlines())
    assert alice["presence"]["state"] == "online"
    assert alice["presence"]["points"] == 3
    assert bob["problem"]["type"] == "urn:psp:problem:clock"
    assert nobody["problem"]["type"] == "urn:psp:problem:unknown-contact"
    assert answer.code == ExitCode.INPUT


def test_each_trouble_is_a_sentence_and_the_others_are_shown(presence, client):
    client.known[card_of("alice").identity] = looked_up()

    answer = presence("lookup", "alice", "nobody")

    assert answer.code == ExitCode.INPUT
    assert "unknown" in answer.out
    assert "alice: too few nodes answered to tell; that is not off line" in answer.err
    assert "error: nobody: no contact is called 'nobody'" in answer.err


def test_a_watch_prints_a_line_for_each_event(presence, client, monkeypatch):
    told = [
        presence_event(card_of("alice"), PresenceState.OFFLINE),
        presence_event(
            card_of("alice"),
            PresenceState.ONLINE,
            status="here",
            capabilities=({"audio"}),
            reason=WatchReason.LOOKED_UP,
        ),
        presence_event(
            card_of("alice"), PresenceState.UNKNOWN, reason=WatchReason.GONE
        ),
    ]
    watch_with(client, told, monkeypatch)

    people = presence("watch", "alice")
    machines = presence("watch", "alice", "--json")

    assert [line.split("  ")[1:] for line in people.out.splitlines()] == [
        ["alice", "offline"],
        ["alice", "online", "here", "[audio]"],
        ["alice", "unknown", "(connection lost)"],
    ]
    assert "watching 1; Ctrl-C ends it" in people.err
    states = [json.loads(line)["state"] for line in machines.out.splitlines()]
    assert states == ["offline", "online", "unknown"]
    assert [people.code, machines.code] == [0, 0]


def watch_with(client, told, monkeypatch):
    """Let every watch of the client tell the same, and end."""

    async def events():
        for event in told:
            yield event

    @asynccontextmanager
    async def watch(_):
        yield events()

    monkeypatch.setattr(client, "watch", watch)


def test_a_watch_of_nobody_ends_at_once(presence, client):
    unknown = presence("watch", "alice", "nobody")
    damaged = presence("watch", stdin=b"psp://abc\n")

    assert [unknown.code, damaged.code] == [ExitCode.INPUT] * 2
    assert "error: nobody: no contact" in unknown.err
    assert "error: card 1:" in damaged.err


def test_an_announcement_shows_points_and_calls_until_it_is_ended(
    presence, client, monkeypatch
):
    async def incoming():
        yield FakeCall("alice")
        yield FakeCall()
        signal.raise_signal(signal.SIGINT)
        await client.calls.get()

    monkeypatch.setattr(client, "incoming", incoming)
    answer = presence(
        "announce", "--status", "here", "--can", "audio", "--can", "video"
    )
    said = [line.split("  ", 1)[1] for line in answer.out.splitlines()]

    assert answer.code == 0
    assert said == ["3 presence points", "alice is calling", "somebody is calling"]
    assert "you can be reached; Ctrl-C ends it" in answer.err
    assert "warning" not in answer.err
    assert client.announced == {
        "visibility": None,
        "status": "here",
        "capabilities": ["audio", "video"],
    }


def test_an_announcement_that_takes_long_says_what_it_waits_for(
    presence, client, monkeypatch
):
    monkeypatch.setattr(commands, "_LONG", 0.0)

    def status():
        signal.raise_signal(signal.SIGINT)
        return FakePresenceClient.status(client)

    client.gate.clear()
    monkeypatch.setattr(client, "status", status)
    answer = presence("announce")

    assert answer.code == ExitCode.FAILED
    assert "no presence point yet" in answer.err
    assert "ended before anybody could reach you" in answer.err
    assert "Ctrl-C ends it" not in answer.err


def test_an_announcement_for_machines_is_json(presence, client, monkeypatch):
    async def incoming():
        yield FakeCall("alice")
        signal.raise_signal(signal.SIGTERM)
        await client.calls.get()

    monkeypatch.setattr(client, "incoming", incoming)
    answer = presence("announce", "--json")
    points, call = map(json.loads, answer.out.splitlines())

    assert (points["event"], points["points"]) == ("points", 3)
    assert (call["event"], call["contact"]) == ("call", "alice")


def test_public_presence_is_warned_of(presence, client, monkeypatch):
    async def incoming():
        signal.raise_signal(signal.SIGINT)
        yield await client.calls.get()

    monkeypatch.setattr(client, "incoming", incoming)
    answer = presence("announce", "--public")

    assert (
        "warning: Public presence: anybody can find you, and anybody can list when you "
        "are on line."
    ) in answer.err
    assert client.announced["visibility"] == "public"


def test_an_announcement_needs_a_key(presence, client):
    answer = presence("announce", identity=False)

    assert answer.code == ExitCode.CONFIG
    assert "--identity" in answer.err
