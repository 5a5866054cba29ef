"""Event streams to readers that are slow, stuck or gone (psp/gateway/streams.py)."""

import asyncio

import pytest

import psp.gateway.streams
from psp.client.lookups.lookup_result import PresenceState
from psp.testing.presence_client import presence_event
from tests.unit.psp.gateway.rig import TOKEN, card_of, read_events


async def until_open(program, count):
    """Ask how many streams are open until it is so many."""
    async with asyncio.timeout(10):
        while (await program.ask("GET", "/v1/status")).body["streams"] != count:
            pass


async def raw_stream(program):
    """A reader that does not read: a socket with the smallest buffer there is."""
    port = int(program.gateway.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    writer.write(
        f"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
    )
    await writer.drain()
    return reader, writer


@pytest.mark.parametrize("settings", [{"max_streams": 2}])
async def test_only_so_many_streams_are_open_and_one_that_ends_makes_room(
    program, monkeypatch
):
    monkeypatch.setattr(psp.gateway.streams, "_LOOK_EVERY", 0.01)
    async with program.stream("/v1/events"), program.stream("/v1/calls/incoming"):
        refused = await program.ask("GET", "/v1/events")
        assert (refused.status, refused.problem) == (429, "too-many-streams")

    await until_open(program, 0)
    async with program.stream("/v1/events") as answer:
        assert answer.status == 200


async def test_a_reader_that_goes_is_noticed_without_an_event(program, monkeypatch):
    monkeypatch.setattr(psp.gateway.streams, "_LOOK_EVERY", 0.01)
    _, writer = await raw_stream(program)
    await until_open(program, 1)

    writer.close()
    await writer.wait_closed()

    await until_open(program, 0)


async def test_a_stuck_reader_is_cut_off_and_others_are_served(program, monkeypatch):
    monkeypatch.setattr(psp.gateway.streams, "WRITE_WITHIN", 0.2)
    program.befriend("alice")
    await program.ask("POST", "/v1/watches", {"who": ["alice"]})
    queue = program.client.watches[0]
    stats = program.gateway.stats
    _, writer = await raw_stream(program)
    await until_open(program, 1)

    async def talk():
        number = 0
        while stats.streams_stuck == 0:
            number += 1
            queue.put_nowait(
                presence_event(
                    card_of("alice"), PresenceState.ONLINE, status=f"{number:0>100000}"
                )
            )
            await asyncio.sleep(0.002)

    await asyncio.wait_for(talk(), 20)
    async with program.stream("/v1/events") as answer:
        (event,) = await read_events(answer, 1)
    writer.close()

    assert event["data"]["state"] == "online"
    assert stats.streams_stuck == 1


@pytest.mark.parametrize("settings", [{"heartbeat": 0.02}])
async def test_a_quiet_stream_has_signs_of_life(program):
    async with program.stream("/v1/events") as answer:
        lines = [await answer.content.readline() for _ in range(4)]

    assert lines == [b"retry: 2000\n", b"\n", b": still here\n", b"\n"]
