"""`connect`: from settings to a running client, and back out of it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from psp.client.client import Client
from psp.client.config import ClientConfig
from psp.client.context import ClientContext
from psp.client.identities.identity import Identity
from psp.client.identities.identity_file import open_identity
from psp.client.parts import ClientParts, Outfit
from psp.client.state import ClientState
from psp.client.state_folder import alone_in
from psp.directory.chain.alarms import AlarmConfig
from psp.directory.chain.looks import CLIENT_DAY_BYTES
from psp.entropy import Entropy
from psp.runtime import settings
from psp.runtime.chain_membership import Reader, open_membership
from psp.runtime.driver import TrainSocket
from psp.runtime.entropy import SystemEntropy
from psp.runtime.logs import logger
from psp.runtime.udp import UdpSocket


@asynccontextmanager
async def connect(
    config: ClientConfig | Path | str,
    *,
    identity: Identity | Path | str | None = None,
    passphrase: str | None = None,
    udp: TrainSocket | None = None,
    entropy: Entropy | None = None,
    unix_time: Callable[[], float] = time.time,
    log: FilteringBoundLogger | None = None,
) -> AsyncIterator[Client]:
    """Run a client for as long as the block lasts.

    One client at a time may use a ``state_dir``: two would undo each other's contacts.

    Args:
        config: Settings, or the path of a settings file (TOML); the environment
            overrides a file's.
        identity: Who this is, or the path of a key file with the identity or with keys
            made ahead for it; None can look up and call anonymously.
        passphrase: Of that key file, if it is protected by one.
        udp: A socket to use instead of one of its own; the caller closes it.
        entropy: Random bytes; None for the system's.
        unix_time: The wall clock.
        log: Where to log; None for the "client" logger.

    Raises:
        ConfigError: If a setting is wrong, a file is missing or damaged, or another
            program uses the ``state_dir``.

    ::

        >>> async with psp.connect(net.config("carol")) as client:
        ...     client.status().nodes
        12
    """
    if not isinstance(config, ClientConfig):
        config = await asyncio.to_thread(
            settings.load, ClientConfig, Path(config), os.environ
        )
    own: Identity | None
    if isinstance(identity, Path | str):
        own = await open_identity(Path(identity), passphrase=passphrase)
    else:
        own = identity
    with alone_in(config.state_dir):
        running = _run(
            config,
            own,
            udp=udp,
            entropy=entropy or SystemEntropy(),
            unix_time=unix_time,
            log=log or logger("client"),
        )
        async with running as client:
            yield client


@asynccontextmanager
async def _run(
    config: ClientConfig,
    own: Identity | None,
    *,
    udp: TrainSocket | None,
    entropy: Entropy,
    unix_time: Callable[[], float],
    log: FilteringBoundLogger,
) -> AsyncIterator[Client]:
    """Run a client whose folder nobody else uses."""
    state = ClientState(config.state_dir / "client.json", own, entropy)
    reader = Reader(
        config.state_dir,
        state.cache_key(config.state_dir / "cache.key"),
        reads_users=own is not None,
        reads_names=True,
        alarms=AlarmConfig(own_user=own.user_id if own else None),
        day_bytes=CLIENT_DAY_BYTES,
    )
    membership = await open_membership(
        config.membership,
        reader,
        unix_time=unix_time,
        entropy=entropy,
        log=log,
        lowest_sequence=state.registry_sequence,
    )
    context = ClientContext(membership.registry, entropy, unix_time, log)
    socket = None
    parts = None
    try:
        socket = (
            UdpSocket((config.bind, config.port), setting="the setting port or bind")
            if udp is None
            else udp
        )
        parts = ClientParts(Outfit(config, membership, context, socket, own, state))
        parts.start()
        yield Client(parts)
    finally:
        try:
            await (membership if parts is None else parts).close()
        finally:
            if isinstance(socket, UdpSocket) and udp is None:
                socket.close()
