"""A node behind TCP ports: HTTP in, one thread that answers.

The thread is there so that a long view does not stop the loop it is served from; it is
the only one that touches the node.
"""

import asyncio
import gzip
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from aiohttp import web

from discovery.devchain.dispatch import Dispatcher
from discovery.devchain.node import DevNode
from psp.errors import ConfigError
from psp.units import Seconds

Result = TypeVar("Result")

Report = Callable[[str, Exception], None]
"""Told where our own code failed, and how."""


class ChainServer:
    """Serves one node on any number of ports."""

    def __init__(self, make_node: Callable[[], DevNode], report: Report) -> None:
        """Nothing happens before `start`.

        Args:
            make_node: Called in the thread that will answer.
            report: Told of faults.
        """
        self._make_node = make_node
        self._report = report
        self._worker = ThreadPoolExecutor(1, "devchain")
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None
        self._node: DevNode | None = None

    @property
    def node(self) -> DevNode:
        """The node, once started; only `in_worker` may use its methods."""
        if self._node is None:
            raise RuntimeError("the server is not started")
        return self._node

    async def start(
        self, host: str, ports: Sequence[int], *, strict: bool
    ) -> list[str]:
        """Open the node and listen.

        Args:
            host: The address.
            ports: One for each endpoint; 0 for any.
            strict: Whether a port that is taken is an error; else another one is used.

        Returns:
            The URLs.

        Raises:
            ConfigError: See `strict`.
        """
        try:
            self._node = await self.in_worker(self._make_node)
            app = web.Application(client_max_size=self._node.limits.body)
            app.router.add_post("/", self._on_post)
            self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
            await self._runner.setup()
            runner = self._runner
            return [await _listen(runner, host, port, strict=strict) for port in ports]
        except BaseException:
            await self.close()
            raise

    def mine_every(self, seconds: Seconds) -> None:
        """Make blocks from now on."""
        self._tasks.append(asyncio.create_task(self._mine_for_ever(seconds)))

    async def close(self) -> None:
        """Stop listening, finish what is being answered and close the node."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        if self._node is not None:
            await self.in_worker(self._node.close)
        self._worker.shutdown()

    async def answer(self, body: bytes) -> bytes:
        """Answer a request, or a batch."""
        dispatcher = Dispatcher(self.node, self._report)
        return await self.in_worker(partial(dispatcher.answer, body))

    async def in_worker(self, function: Callable[[], Result]) -> Result:
        """Run a function in the thread that has the node."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, function)

    async def _on_post(self, request: web.Request) -> web.Response:
        answer = await self.answer(await request.read())
        headers = {}
        accepted = request.headers.get("Accept-Encoding", "")
        if "gzip" in accepted and len(answer) >= self.node.limits.compress_from:
            answer = await self.in_worker(partial(gzip.compress, answer, 1))
            headers["Content-Encoding"] = "gzip"
        return web.Response(
            body=answer, headers=headers, content_type="application/json"
        )

    async def _mine_for_ever(self, seconds: Seconds) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.in_worker(self.node.mine)
            except Exception as error:  # noqa: BLE001 - the supervisor of block making
                self._report("block", error)


async def _listen(runner: web.AppRunner, host: str, port: int, *, strict: bool) -> str:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if strict:
            raise ConfigError(f"cannot listen on port {port}: {error}") from error
        return await _listen(runner, host, 0, strict=True)
    bound = runner.addresses[-1]
    return f"http://{bound[0]}:{bound[1]}"
