"""Runs a relay: alone, or as one of several workers.

A worker's channel to the parent is standard input, one end of a socket pair. When it closes the
worker ends in good order, whatever became of the parent.
"""

import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from dataclasses import replace

from prometheus_client.registry import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from cli.assembly import RelayNode
from cli.exit_codes import ExitCode
from cli.node_config import NodeConfig
from cli.workers.channel import Message, Ready, Report, frame, read_message
from cli.workers.families import families_of
from cli.workers.members import Members, MembersMessage, members_message
from cli.workers.node import WorkerNode
from psp.errors import ConfigError
from psp.runtime.entropy import SystemEntropy
from psp.runtime.supervisor import OnFailure, Supervisor
from psp.units import Seconds

REPORT_EVERY = Seconds(5.0)
"""Metrics are served up to 10 seconds old as it is."""

_STDIN = 0
_NOT_STARTED = "--worker is what psp relay run --workers starts; leave it out"


class ParentChannel:
    """The worker's end of the channel."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls) -> "ParentChannel":
        """Take standard input.

        Raises:
            ConfigError: If somebody else than the parent has started this process.
        """
        try:
            channel = os.dup(_STDIN)
        except OSError:
            raise ConfigError(_NOT_STARTED) from None
        if not stat.S_ISSOCK(os.fstat(channel).st_mode):
            os.close(channel)
            raise ConfigError(_NOT_STARTED)
        sock = socket.socket(fileno=channel)
        sock.settimeout(0)
        return cls(*await asyncio.open_unix_connection(sock=sock))

    def tell(self, message: Message) -> None:
        """Send something; to a parent that is gone it is lost, and we end anyway."""
        if not self._writer.is_closing():
            self._writer.write(frame(message))

    async def members(self) -> Members | None:
        """Return the next state of the membership; None when the parent has closed.

        Raises:
            DecodeError: If the parent sends anything else.
        """
        message = await read_message(self._reader)
        if isinstance(message, MembersMessage):
            return Members.from_message(message)
        return None


async def run_alone(config: NodeConfig, log: FilteringBoundLogger) -> int:
    """Run a relay that is one process until a signal; return the exit code.

    Raises:
        ConfigError: If it cannot start.
        TaskFailedError: If what it cannot do without has failed.
    """
    node = await RelayNode.open(config, log)
    supervisor = _supervise(node, log)
    await node.start()
    await supervisor.run(owns_process=True)
    return ExitCode.OK


async def run_worker(config: NodeConfig, number: int, log: FilteringBoundLogger) -> int:
    """Run one worker until the parent closes the channel, or a signal.

    Returns:
        The exit code.

    Raises:
        ConfigError: If it cannot start; the text names the worker.
        TaskFailedError: If what it cannot do without has failed.
    """
    channel = await ParentChannel.open()
    try:
        if number == 0:
            await _run_first(config, channel, log)
        else:
            await _run_further(config, number, channel, log)
    except ConfigError as error:
        raise ConfigError(f"worker {number}: {error}") from None
    return ExitCode.OK


async def _run_first(
    config: NodeConfig, channel: ParentChannel, log: FilteringBoundLogger
) -> None:
    node = await RelayNode.open(
        replace(config, metrics=replace(config.metrics, enabled=False)), log
    )

    def tell_members() -> None:
        channel.tell(members_message(node.registry.nodes()))

    async def take(_: Members) -> None:
        """Nobody tells the first worker who is a member."""

    node.on_members = tell_members
    await node.start()
    tell_members()
    channel.tell(Ready(config.listen.port))
    supervisor = _supervise(node, log)
    await _serve(supervisor, channel, take, node.collectors, node.checks)


async def _run_further(
    config: NodeConfig,
    number: int,
    channel: ParentChannel,
    log: FilteringBoundLogger,
) -> None:
    members = await channel.members()
    if members is None:
        return
    node = WorkerNode(config, number, members, log=log)
    node.start()
    channel.tell(Ready(node.port))
    supervisor = Supervisor(log, SystemEntropy())
    supervisor.on_close("relay", node.stop)

    async def take(members: Members) -> None:
        node.take_members(members)

    await _serve(supervisor, channel, take, node.collectors, dict)


def _supervise(node: RelayNode, log: FilteringBoundLogger) -> Supervisor:
    supervisor = Supervisor(log, SystemEntropy())
    supervisor.on_close("relay", node.stop)
    supervisor.add("own key", node.watch_own_key, on_failure=OnFailure.STOP)
    return supervisor


async def _serve(
    supervisor: Supervisor,
    channel: ParentChannel,
    take: Callable[[Members], Awaitable[None]],
    collectors: CollectorRegistry,
    checks: Callable[[], dict[str, bool]],
) -> None:
    async def listen() -> None:
        while (members := await channel.members()) is not None:
            await take(members)
        supervisor.stop()

    async def report() -> None:
        while True:
            channel.tell(Report(families_of(collectors), checks(), resident_bytes()))
            await asyncio.sleep(REPORT_EVERY)

    supervisor.add("parent", listen, on_failure=OnFailure.STOP)
    supervisor.add("report", report)
    await supervisor.run(owns_process=True)


def resident_bytes() -> int:
    """Return how much memory this process holds; 0 where that is not told."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            pages = int(file.read().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
