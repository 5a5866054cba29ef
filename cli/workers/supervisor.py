"""The parent: starts the workers of a node, starts again those that die, ends them all.

::

    starting --Ready--> serving --died--> waits (1 s … 60 s) --> starting
       |  cannot start the first time, or is worker 0 and must be set up anew
       +--> the node ends, with the worker's exit code

A worker that dies takes its own circuits with it; the others go on. Without worker 0
nobody reads the registry: a node whose worker 0 does not come up again ends.
"""

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from structlog.typing import FilteringBoundLogger

from cli.exit_codes import ExitCode
from cli.node_config import MetricsConfig, NodeConfig
from cli.worker_shares import check_cores
from cli.workers.channel import Message, Ready, Report, frame
from cli.workers.families import merged
from cli.workers.members import MembersMessage
from cli.workers.process import WorkerProcess, how_it_ended
from psp.entropy import Entropy
from psp.errors import PspError
from psp.runtime.entropy import SystemEntropy
from psp.runtime.metrics import MetricsServer, coarse
from psp.runtime.supervisor import Supervisor, SupervisorConfig
from psp.units import Seconds

STOP_WITHIN = Seconds(12.0)
"""More than a worker's own supervisor takes for its two closing steps."""
RESTARTING = SupervisorConfig(closing_time=Seconds(15.0))
FAILED_STARTS = 5
"""Starts of worker 0 in a row that came to nothing, after which the node ends."""


class WorkerDiedError(PspError):
    """A worker's process has ended by itself."""


@dataclass(slots=True, eq=False)
class _Worker:
    """One worker, over any number of processes.

    Attributes:
        number: Which.
        process: The present one; None between two.
        is_serving: Whether it does.
        has_served: Whether any process of it did.
        report: What it has last said of itself; None before.
        starts: How often a process was started.
        failed_starts: Starts in a row that came to nothing.
    """

    number: int
    process: WorkerProcess | None = None
    is_serving: bool = False
    has_served: bool = False
    report: Report | None = None
    starts: int = 0
    failed_starts: int = 0


class Workers(Collector):
    """All workers of one node, and their metrics under one address.

    Attributes:
        metrics: The metrics server; None when switched off.
    """

    def __init__(
        self,
        count: int,
        command: Sequence[str],
        metrics: MetricsConfig,
        *,
        log: FilteringBoundLogger,
        entropy: Entropy,
        restarting: SupervisorConfig = RESTARTING,
    ) -> None:
        """Prepare; call in a running loop. Nothing is started yet.

        Args:
            count: How many.
            command: Starts one, with ``--worker NUMBER`` appended.
            metrics: Where metrics are served.
            log: Where to log.
            entropy: For back-off.
            restarting: How soon a worker is started again.
        """
        self._command = list(command)
        self._config = metrics
        self._log = log
        self._supervisor = Supervisor(log, entropy, restarting)
        self._workers = [_Worker(number) for number in range(count)]
        self._members: bytes | None = None
        self._members_known = asyncio.Event()
        self._code: int = ExitCode.OK
        self.metrics: MetricsServer | None = None

    async def run(self) -> int:
        """Run the node until a signal; return the exit code.

        Raises:
            ConfigError: If the metrics port is taken.
        """
        if self._config.enabled:
            registry = CollectorRegistry()
            registry.register(self)
            clock = asyncio.get_running_loop().time
            self.metrics = MetricsServer(registry, self.checks, clock)
            await self.metrics.start((self._config.host, self._config.port))
            self._supervisor.on_close("metrics", self.metrics.close)
        for worker in self._workers:
            name = f"worker {worker.number}"
            self._supervisor.add(name, partial(self._keep, worker))
        await self._supervisor.run(owns_process=True)
        return self._code

    def checks(self) -> dict[str, bool]:
        """Return what healthy means, by name."""
        checks: dict[str, bool] = {}
        for worker in self._workers:
            checks[f"worker_{worker.number}"] = worker.is_serving
            if worker.report is not None:
                checks |= worker.report.checks
        return checks

    def collect(self) -> Iterable[Metric]:
        """Yield what the parent knows of the workers, then what they say themselves."""
        up = GaugeMetricFamily(
            "psp_worker_is_up", "1 while the worker serves", labels=["worker"]
        )
        resident = GaugeMetricFamily(
            "psp_worker_resident_bytes",
            "Memory of the worker's process",
            labels=["worker"],
        )
        restarts = CounterMetricFamily(
            "psp_worker_restarts",
            "Times the worker was started again",
            labels=["worker"],
        )
        families = {}
        for worker in self._workers:
            labels = [str(worker.number)]
            up.add_metric(labels, float(worker.is_serving))
            restarts.add_metric(labels, max(0, worker.starts - 1))
            if worker.report is not None:
                resident.add_metric(labels, coarse(worker.report.resident_bytes))
                families[worker.number] = worker.report.families
        yield from (up, resident, restarts)
        yield from merged(families)

    async def _keep(self, worker: _Worker) -> None:
        """Run one process of a worker until it ends.

        Raises:
            WorkerDiedError: If it is to be started again.
        """
        if worker.number:
            await self._members_known.wait()
        worker.starts += 1
        worker.process = process = await WorkerProcess.start(
            [*self._command, "--worker", str(worker.number)]
        )
        try:
            if worker.number and self._members is not None:
                process.tell(self._members)
            while (message := await process.next_message()) is not None:
                self._take(worker, message)
        finally:
            has_started, worker.is_serving = worker.is_serving, False
            worker.process = worker.report = None
            code = await process.end(STOP_WITHIN)
        worker.failed_starts = 0 if has_started else worker.failed_starts + 1
        self._judge(worker, code)

    def _take(self, worker: _Worker, message: Message) -> None:
        match message:
            case Ready():
                worker.is_serving = worker.has_served = True
                if all(each.is_serving for each in self._workers):
                    self._log.info("all_workers_serve", workers=len(self._workers))
            case Report():
                worker.report = message
            case MembersMessage() if worker.number == 0:
                self._members = frame(message)
                self._members_known.set()
                for other in self._workers[1:]:
                    if other.process is not None:
                        other.process.tell(self._members)
            case _:
                self._log.error("worker_message_unexpected", worker=worker.number)

    def _judge(self, worker: _Worker, code: int) -> None:
        """Decide what the end of a process means for the node."""
        how = how_it_ended(code)
        is_first = worker.number == 0
        must_be_set_up = code == ExitCode.CONFIG and (is_first or not worker.has_served)
        cannot_start = is_first and (
            (code > 0 and not worker.has_served)
            or worker.failed_starts >= FAILED_STARTS
        )
        if must_be_set_up or cannot_start:
            self._log.error("worker_cannot_start", worker=worker.number, how=how)
            self._code = code if code > 0 else ExitCode.FAILED
            self._supervisor.stop()
            return
        raise WorkerDiedError(f"worker {worker.number}: {how}")


async def run_workers(
    config: NodeConfig, command: Sequence[str], log: FilteringBoundLogger
) -> int:
    """Run all workers of a node until a signal; return the exit code.

    Args:
        config: The node's settings.
        command: Starts one of them, with ``--worker NUMBER`` appended.
        log: Where to log.

    Raises:
        ConfigError: If there are too many for this host, or the metrics port is taken.
    """
    warning = check_cores(config.workers, len(os.sched_getaffinity(0)))
    if warning is not None:
        log.warning("too_many_workers", text=warning)
    workers = Workers(
        config.workers, command, config.metrics, log=log, entropy=SystemEntropy()
    )
    return await workers.run()
