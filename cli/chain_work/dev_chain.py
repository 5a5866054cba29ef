"""A development chain in the foreground."""

import asyncio
import signal
from collections.abc import Callable

from discovery.devchain.config import DevChainConfig
from discovery.devchain.service import DevChain


async def serve(config: DevChainConfig, on_start: Callable[[DevChain], None]) -> None:
    """Serve a chain until SIGINT or SIGTERM.

    Args:
        config: The chain.
        on_start: Told once it is served, by this process or by the one that has its
            file.

    Raises:
        ConfigError: If it cannot be served.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    chain = DevChain(config)
    await chain.start()
    try:
        on_start(chain)
        await stop.wait()
    finally:
        await chain.close()
