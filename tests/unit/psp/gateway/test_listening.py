"""Listening with a bound on connections (psp/gateway/listening.py)."""

import asyncio

import psp.gateway.listening


async def test_one_connection_too_many_is_closed_and_the_others_go_on(
    program, monkeypatch
):
    monkeypatch.setattr(psp.gateway.listening, "MAX_CONNECTIONS", 3)
    port = int(program.gateway.url.rpartition(":")[2])
    await program.ask("GET", "/healthz")  # keeps one connection

    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    refused = await reader.read()
    served = await program.ask("GET", "/healthz")

    for _, each in [*held, (reader, writer)]:
        each.close()
        await each.wait_closed()
    while (await _try(port)) == b"":
        pass  # until the server has seen that they are gone

    assert refused == b""
    assert served.status == 200


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
