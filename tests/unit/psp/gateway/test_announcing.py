"""The announcement over HTTP (psp/gateway/announcing.py)."""

import pytest

from psp.errors import ConfigError


async def test_a_user_is_announced_changed_and_withdrawn(program):
    before = await program.ask("GET", "/v1/announcement")
    announced = await program.ask(
        "PUT",
        "/v1/announcement",
        {"status": "in the garden", "capabilities": ["video", "audio"]},
    )
    gone = await program.ask("DELETE", "/v1/announcement")
    after = await program.ask("GET", "/v1/announcement")

    assert announced.status == 200
    assert announced.body == {
        "is_announced": True,
        "points": 3,
        "visibility": "contacts",
        "status": "in the garden",
        "capabilities": ["audio", "video"],
        "warning": "",
    }
    assert (gone.status, gone.body) == (204, b"")
    assert before.body == after.body
    assert not after.body["is_announced"]


async def test_public_presence_comes_with_its_warning(program):
    answer = await program.ask("PUT", "/v1/announcement", {"visibility": "public"})

    assert program.client.announced["visibility"] == "public"
    assert answer.body["warning"] == (
        "Public presence: anybody can find you, and anybody can list when you are on "
        "line."
    )


async def test_what_the_client_refuses_changes_nothing(program, monkeypatch):
    async def refuse(**_):
        raise ConfigError("this identity is not registered")

    monkeypatch.setattr(program.client, "announce", refuse)
    answer = await program.ask("PUT", "/v1/announcement", {})
    shown = await program.ask("GET", "/v1/announcement")

    assert (answer.status, answer.problem) == (409, "not-possible")
    assert not shown.body["is_announced"]


@pytest.mark.parametrize(
    "body",
    [
        {"visibility": "everybody"},
        {"capabilities": [""]},
        {"capabilities": ["x"] * 33},
        {"status": "x" * 181},
        {"status": None},
    ],
)
async def test_an_announcement_that_makes_no_sense_is_refused(program, body):
    answer = await program.ask("PUT", "/v1/announcement", body)

    assert (answer.status, answer.problem) == (400, "bad-request")
    assert program.client.announced is None
