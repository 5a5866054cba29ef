import asyncio
import gzip
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from psp.errors import ConfigError
from psp.runtime.rpc import (
    RpcEndpoint,
    RpcError,
    RpcLimits,
    RpcUnavailableError,
    check_url,
    new_session,
)
from psp.units import Seconds

QUICK = RpcLimits(max_bytes=10_000, timeout=Seconds(5), retries=1, pause=Seconds(0))


@asynccontextmanager
async def endpoint(answer, limits=QUICK):
    """An endpoint whose every request is answered by ``answer(request, body)``."""
    asked = []

    async def handle(request):
        asked.append(json.loads(await request.read()))
        return await answer(request, asked[-1])

    app = web.Application()
    app.router.add_post("/secret", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    try:
        async with new_session(1) as session:
            url = f"http://{host}:{port}/secret"
            yield RpcEndpoint(url, session, limits=limits), asked
    finally:
        await runner.cleanup()


def text(data, **settings):
    async def answer(request, asked):
        return web.Response(body=data, **settings)

    return answer


def result(value):
    async def answer(request, asked):
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "result": value})

    return answer


async def test_a_question_gets_its_answer():
    async with endpoint(result("0x10")) as (rpc, asked):
        answer = await rpc.call("eth_blockNumber", "latest", True)  # noqa: FBT003

    assert answer == "0x10"
    assert asked[0]["method"] == "eth_blockNumber"
    assert asked[0]["params"] == ["latest", True]
    assert rpc.bytes_received > 0


async def test_a_null_is_an_answer():
    async with endpoint(result(None)) as (rpc, _):
        assert await rpc.call("eth_getBlockByHash") is None


async def test_a_refusal_is_passed_on_and_not_asked_twice():
    async def answer(request, asked):
        fault = {"code": 3, "message": "reverted\x1b[31m" + "x" * 500, "data": "0x01"}
        return web.json_response({"id": asked["id"], "error": fault})

    async with endpoint(answer) as (rpc, asked):
        with pytest.raises(RpcError) as caught:
            await rpc.call("eth_call")

    assert (caught.value.code, caught.value.data) == (3, "0x01")
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) <= 200
    assert len(asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[" * 5_000,
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"id": 1}',
        b'{"id": 99, "result": 1}',
        b'{"id": 1, "error": 5}',
        b'{"id": 1, "error": {"code": "x", "message": 1}}',
    ],
)
async def test_what_is_no_answer_makes_the_endpoint_unavailable(body):
    async with endpoint(text(body)) as (rpc, asked):
        with pytest.raises(RpcUnavailableError):
            await rpc.call("eth_chainId")

    assert len(asked) == 2  # once more


async def test_an_answer_above_the_limit_is_cut_off():
    async with endpoint(result("x" * 20_000)) as (rpc, _):
        with pytest.raises(RpcUnavailableError, match="more than 10000 bytes"):
            await rpc.call("eth_call")


async def test_a_packed_bomb_does_not_go_off():
    bomb = gzip.compress(bytes(50 << 20))
    headers = {"Content-Encoding": "gzip"}

    async with endpoint(text(bomb, headers=headers)) as (rpc, _):
        with pytest.raises(RpcUnavailableError, match="more than 10000 bytes"):
            await rpc.call("eth_call")


async def test_a_packed_answer_is_unpacked():
    async def answer(request, asked):
        assert request.headers["Accept-Encoding"] == "gzip"
        body = json.dumps({"id": asked["id"], "result": "0x" + "00" * 2000}).encode()
        packed = gzip.compress(body)
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with endpoint(answer) as (rpc, _):
        assert await rpc.call("eth_call") == "0x" + "00" * 2000
        assert rpc.bytes_received < 500


async def test_false_gzip_is_no_answer():
    headers = {"Content-Encoding": "gzip"}

    async with endpoint(text(b"not packed", headers=headers)) as (rpc, _):
        with pytest.raises(RpcUnavailableError):
            await rpc.call("eth_call")


async def test_a_slow_endpoint_is_given_up():
    never = asyncio.Event()

    async def answer(request, asked):
        await never.wait()
        return web.Response()

    limits = RpcLimits(timeout=Seconds(0.05), retries=0)
    async with endpoint(answer, limits) as (rpc, _):
        with pytest.raises(RpcUnavailableError, match="no answer within"):
            await rpc.call("eth_call")
        never.set()


async def test_a_dead_endpoint_is_unavailable_and_its_url_is_not_told():
    async with new_session(1) as session:
        rpc = RpcEndpoint("http://127.0.0.1:9/api-key", session, limits=QUICK)
        with pytest.raises(RpcUnavailableError) as caught:
            await rpc.call("eth_call")

    assert "api-key" not in str(caught.value)
    assert "api-key" not in repr(rpc)
    assert "127.0.0.1" not in str(caught.value)


async def test_a_redirection_is_not_followed():
    async def answer(request, asked):
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async with endpoint(answer) as (rpc, _):
        with pytest.raises(RpcUnavailableError):
            await rpc.call("eth_call")


@pytest.mark.parametrize(
    "url", ["", "no-scheme/KEY", "ftp://host/KEY", "http://", "http:///KEY"]
)
def test_what_is_no_url_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigError, match=r"membership\.rpc") as caught:
        check_url(url, "membership.rpc")
    assert "KEY" not in str(caught.value)


def test_a_url_is_kept_as_it_is():
    assert check_url("https://a.example/key", "x") == "https://a.example/key"
