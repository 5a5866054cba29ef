import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from discovery.symbol.client import GatewayClient
from discovery.symbol.rest import MAX_ANSWER_BYTES, GatewayError
from psp.errors import ConfigError
from psp.runtime.rpc import new_session
from psp.units import Seconds


@asynccontextmanager
async def gateway(handle, **settings):
    """A client of a gateway whose every request ``handle(request)`` answers."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    try:
        async with new_session(1) as session:
            yield GatewayClient(f"http://{host}:{port}/secret/", session, **settings)
    finally:
        await runner.cleanup()


async def test_path_and_parameters_arrive_and_the_body_comes_back():
    seen = []

    async def handle(request):
        seen.append((request.path, dict(request.query), dict(request.headers)))
        return web.Response(body=b'{"height": [1, 0]}')

    async with gateway(handle) as client:
        body = await client.get("/metadata", {"scopedMetadataKey": "83C9"})

    assert body == b'{"height": [1, 0]}'
    ((path, query, headers),) = seen
    assert (path, query) == ("/secret/metadata", {"scopedMetadataKey": "83C9"})
    assert headers["User-Agent"] == "psp"
    assert headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [301, 404, 409, 500, 503])
async def test_anything_but_a_success_is_an_error(status):
    async def handle(request):
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with gateway(handle) as client:
        with pytest.raises(GatewayError, match=f"status {status}"):
            await client.get("/chain/info", {})


async def test_the_largest_answer_is_taken_and_a_larger_one_is_not():
    sizes = iter([MAX_ANSWER_BYTES, MAX_ANSWER_BYTES + 1])

    async def handle(request):
        return web.Response(body=bytes(next(sizes)))

    async with gateway(handle) as client:
        assert len(await client.get("/metadata", {})) == MAX_ANSWER_BYTES
        with pytest.raises(GatewayError, match=f"more than {MAX_ANSWER_BYTES} bytes"):
            await client.get("/metadata", {})


async def test_a_gateway_that_stalls_is_given_up():
    is_over = asyncio.Event()

    async def handle(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await is_over.wait()
        return response

    async with gateway(handle, timeout=Seconds(0.2)) as client:
        with pytest.raises(GatewayError, match="no answer within"):
            await client.get("/chain/info", {})
        is_over.set()


async def test_a_dead_gateway_is_an_error_that_does_not_name_it():
    async with new_session(1) as session:
        client = GatewayClient("http://127.0.0.1:1/secret", session)
        with pytest.raises(GatewayError, match="cannot be reached") as caught:
            await client.get("/chain/info", {})

    assert "secret" not in str(caught.value)
    assert "secret" not in repr(client)


async def test_a_url_that_is_none_is_refused():
    async with new_session(1) as session:
        with pytest.raises(ConfigError, match="http"):
            GatewayClient("gateway.example.org", session)
