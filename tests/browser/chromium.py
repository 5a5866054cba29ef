"""A real browser, driven over its DevTools protocol; no library in between."""

import asyncio
import base64
import itertools
import shutil
from contextlib import asynccontextmanager

import aiohttp
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: make browser installs it"
)


_LOADED = "Page.loadEventFired"


class Tab:
    """One page of the browser."""

    def __init__(self, socket):
        self._socket = socket
        self._numbers = itertools.count(1)
        self._is_loaded = False

    async def send(self, method, **params):
        """Have the browser do something; return what came of it."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            said = await self._socket.receive_json()
            self._is_loaded |= said.get("method") == _LOADED
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]

    async def open(self, url):
        """Go to an address, and wait until it is loaded."""
        await self.send("Page.enable")
        self._is_loaded = False
        await self.send("Page.navigate", url=url)
        while not self._is_loaded:
            said = await self._socket.receive_json()
            self._is_loaded = said.get("method") == _LOADED

    async def value(self, expression):
        """Evaluate a script in the page; a promise is waited for."""
        result = await self.send(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def wait_for(self, condition, seconds=20):
        """Wait until a script is true in the page, or fail with what is shown there."""
        script = f"""new Promise((resolve) => {{
            const until = Date.now() + {seconds * 1000};
            const look = () => (
              ({condition}) ? resolve("yes")
              : Date.now() > until ? resolve(document.body.innerText)
              : setTimeout(look, 20));
            look(); }})"""
        shown = await self.value(script)
        assert shown == "yes", f"never {condition}; the page shows:\n{shown}"

    async def screenshot(self, path):
        """Save what the page looks like, PNG."""
        result = await self.send("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(result["data"]))


@asynccontextmanager
async def browser_tab(folder):
    """Start a browser with a fresh profile in a folder of the test's; yield its tab."""
    profile = folder / "profile"
    process = await asyncio.create_subprocess_exec(
        *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu"),
        *("--no-first-run", "--disable-dev-shm-usage", "--window-size=760,480"),
        *("--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
    )
    reading = None
    try:
        async with asyncio.timeout(40):
            port = await _debugging_port(process)
        # Read on, lest the browser stops at a full pipe.
        reading = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [page for page in await answer.json() if page["type"] == "page"]
            url = pages[0]["webSocketDebuggerUrl"]
            async with session.ws_connect(url, max_msg_size=1 << 26) as socket:
                yield Tab(socket)
    finally:
        process.kill()
        await process.wait()
        if reading is not None:
            await reading


async def _debugging_port(process):
    async for line in process.stderr:
        if b"DevTools listening on" in line:
            return int(line.split(b":")[2].split(b"/")[0])
    raise EOFError("the browser ended before it listened")
