"""Listening with a bound on connections (psp/gateway/listening.py)."""

import asyncio

import psp.gateway.listening


async def test_who_has_no_token_cannot_keep_out_who_has(program, monkeypatch):
    monkeypatch.setattr(psp.gateway.listening, "MAX_CONNECTIONS", 3)
    port = int(program.gateway.url.rpartition(":")[2])

    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
    served = await program.ask("GET", "/v1/status")
    more = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
    again = await program.ask("GET", "/v1/status")  # over the same connection
    oldest = await asyncio.wait_for(held[0][0].read(), 1)

    for _, writer in held + more:
        writer.close()
    assert (served.status, again.status, oldest) == (200, 200, b"")


async def test_one_connection_too_many_is_closed_and_the_others_go_on(
    program, monkeypatch
):
    monkeypatch.setattr(psp.gateway.listening, "MAX_CONNECTIONS", 2)
    port = int(program.gateway.url.rpartition(":")[2])

    streams = [program.stream("/v1/events") for _ in range(2)]
    for stream in streams:
        assert (await stream.__aenter__()).status == 200
    refused = await _try(port)
    for stream in streams:
        await stream.__aexit__(None, None, None)
    while (await _try(port)) == b"":
        pass  # until the server has seen that they are gone

    assert refused == b""


async def _try(port):
    """Ask over a new connection; an empty answer means that it was refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
