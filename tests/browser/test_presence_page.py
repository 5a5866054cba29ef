"""The example page in a real browser, and its script under node (deploy/examples)."""

import asyncio
import json
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from psp.client.gateway_config import GatewayConfig
from psp.client.lookups.lookup_result import PresenceState
from psp.gateway.service import Gateway
from psp.runtime.logs import logger
from psp.testing.entropy import SeededEntropy
from psp.testing.presence_client import FakePresenceClient, presence_event
from tests.browser.chromium import browser_tab, needs_chromium
from tests.unit.psp.gateway.rig import TOKEN, card_of

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
ONLINE, OFFLINE = PresenceState.ONLINE, PresenceState.OFFLINE

pytestmark = pytest.mark.timeout(90)


@asynccontextmanager
async def site():
    """Serve the folder of the examples, as ``python -m http.server`` does."""
    app = web.Application()
    app.router.add_static("/", EXAMPLES)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def gateway_for(folder, client, *origins, port=0):
    entropy = SeededEntropy("page")
    config = GatewayConfig(port=port, origins=origins)
    gateway = Gateway(client, config, TOKEN, entropy=entropy, log=logger("gateway"))
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.close()


@pytest.fixture
def client(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    client = FakePresenceClient(tmp_path / "state", SeededEntropy("page"))
    for name in ("alice", "bob"):
        client.contacts.add(card_of(name).encode(), name)
    return client


async def tell(client, name, state, status="", *capabilities):
    """Let the watch of the page tell something, once there is one."""
    async with asyncio.timeout(10):
        await client.watched.wait()
    client.watches[-1].put_nowait(
        presence_event(
            card_of(name),
            state,
            name=name,
            status=status,
            capabilities=capabilities,
        )
    )


def row(name):
    return (
        "[...document.querySelectorAll('#contacts li')]"
        f".find((row) => row.children[1].textContent === '{name}')"
    )


@needs_chromium
async def test_the_page_shows_who_is_there_and_what_changes(client, tmp_path):
    async with (
        site() as here,
        gateway_for(tmp_path, client, here) as gateway,
        browser_tab(tmp_path) as tab,
    ):
        await tab.open(f"{here}/presence.html#token={TOKEN}&base={gateway.url}")
        await tell(client, "alice", ONLINE, "in the garden", "audio", "video")
        await tell(client, "bob", OFFLINE)
        await tab.wait_for(f"{row('alice')}?.className === 'online'")
        await tab.wait_for(f"{row('bob')}?.className === 'offline'")
        await tab.screenshot(tmp_path / "page.png")
        said = await tab.value(f"{row('alice')}.children[3].textContent")
        address = await tab.value("location.href")

        # What a contact says is shown as text, whatever it looks like.
        await tell(client, "bob", ONLINE, "<img src=x onerror=\"document.title='!'\">")
        await tab.wait_for(f"{row('bob')}?.className === 'online'")
        images = await tab.value("document.images.length")
        title = await tab.value("document.title")
        number = await tab.value("document.querySelectorAll('#contacts li').length")

    assert said == "in the garden · audio, video"
    assert address == f"{here}/presence.html"
    assert (images, title, number) == (0, "Who is there", 2)


@needs_chromium
async def test_a_typed_token_serves_and_a_wrong_one_is_told(client, tmp_path):
    async with (
        site() as here,
        gateway_for(tmp_path, client, here) as gateway,
        browser_tab(tmp_path) as tab,
    ):
        await tab.open(f"{here}/presence.html")
        type_in = "document.getElementById('{}').value = '{}'"
        press = "document.querySelector('button').click()"
        await tab.value(type_in.format("base", gateway.url))
        await tab.value(type_in.format("token", "wrong-token-" + "x" * 30))
        await tab.value(press)
        trouble = "document.getElementById('trouble').textContent"
        await tab.wait_for(f"{trouble} !== ''")
        told = await tab.value(trouble)

        await tab.value(type_in.format("token", TOKEN))
        await tab.value(press)
        await tell(client, "alice", ONLINE)
        await tab.wait_for(f"{row('alice')}?.className === 'online'")
        after = await tab.value(trouble)

    assert told == "The token is missing or wrong"
    assert after == ""


@needs_chromium
async def test_the_browser_keeps_a_foreign_page_out_even_with_the_token(
    client, tmp_path
):
    async with (
        site() as here,
        site() as foreign,
        gateway_for(tmp_path, client, here) as gateway,
        browser_tab(tmp_path) as tab,
    ):
        await tab.open(f"{foreign}/presence.html#token={TOKEN}&base={gateway.url}")
        trouble = "document.getElementById('trouble').textContent"
        await tab.wait_for(f"{trouble} !== ''")
        told = await tab.value(trouble)
        rows = await tab.value("document.querySelectorAll('#contacts li').length")

    assert "gateway.origins" in told
    assert rows == 0
    assert gateway.stats.requests.total() == 0


NODE = """
const { Gateway, follow } = require(process.argv[1]);
const [base, token] = process.argv.slice(2);
const stop = new AbortController();
follow(new Gateway(base, token), ({ name, state, status }) => {
  console.log(JSON.stringify([name, state, status]));
  if (status === "bye") stop.abort();
}, stop.signal);
"""


async def test_the_script_goes_on_when_the_client_was_started_anew(client, tmp_path):
    """Under node: a browser's own way of connecting again is not in the way."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here")
    async with gateway_for(tmp_path, client) as gateway:
        port = int(gateway.url.rpartition(":")[2])
        process = await asyncio.create_subprocess_exec(
            *(node, "-e", NODE, str(EXAMPLES / "presence.js"), gateway.url, TOKEN),
            stdout=asyncio.subprocess.PIPE,
        )
        await tell(client, "alice", ONLINE, "here")
        lines = [json.loads(await process.stdout.readline()) for _ in range(3)]
    client.watched.clear()

    async with gateway_for(tmp_path, client, port=port):
        await tell(client, "alice", OFFLINE, "bye")
        async with asyncio.timeout(20):
            rest, _ = await process.communicate()

    assert lines == [
        ["alice", "asking", ""],
        ["bob", "asking", ""],
        ["alice", "online", "here"],
    ]
    assert json.loads(rest.splitlines()[-1]) == ["alice", "offline", "bye"]
    assert process.returncode == 0
