"""``python -m discovery.devchain``: a development chain as a process of its own."""

import argparse
import asyncio
from pathlib import Path

from discovery.devchain.config import CHAIN_ID, DevChainConfig
from discovery.devchain.service import run_until_signal
from psp.units import Seconds, UnixTime


def main() -> None:
    """Read the arguments and serve until told to stop."""
    defaults = DevChainConfig()
    parser = argparse.ArgumentParser(prog="python -m discovery.devchain")
    parser.add_argument("path", nargs="?", type=Path, help="chain file; none: memory")
    parser.add_argument("--chain-id", type=int, default=CHAIN_ID)
    parser.add_argument("--block-time", type=float, default=0.0, help="0: instant")
    parser.add_argument("--genesis-time", type=int, default=None)
    parser.add_argument("--finality", type=int, default=0)
    parser.add_argument("--endpoints", type=int, default=1)
    parser.add_argument("--port", type=int, action="append", default=[])
    parser.add_argument("--host", default=defaults.host)
    parser.add_argument(
        "--ends-with-stdin", action="store_true", help="stop when standard input closes"
    )
    given = parser.parse_args()
    genesis = given.genesis_time
    config = DevChainConfig(
        path=given.path,
        chain_id=given.chain_id,
        block_time=Seconds(given.block_time),
        genesis_time=None if genesis is None else UnixTime(genesis),
        finality=given.finality,
        endpoints=given.endpoints,
        ports=tuple(given.port),
        host=given.host,
    )
    asyncio.run(run_until_signal(config, ends_with_stdin=given.ends_with_stdin))


if __name__ == "__main__":
    main()
