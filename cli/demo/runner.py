"""Runs the demo: starts everything, places the call, stops everything, reports."""

import asyncio
import json
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cli.demo.clip import make_clip
from cli.demo.events import last, legs, steps
from cli.demo.founding import Founding, found_network, replay_epoch, start_chain
from cli.demo.media_file import probe
from cli.demo.plan import NetworkPlan, free_ports
from cli.demo.processes import (
    Process,
    ProcessError,
    keep_events,
    stop_all,
)
from cli.demo.report import Findings, Report, build
from cli.demo.report_chain import ChainFindings, Replayed
from cli.demo.report_html import render
from cli.demo.roles import KillRole
from cli.output import err
from cli.settings_file import to_toml
from psp.errors import ConfigError
from psp.runtime import keyfiles
from psp.runtime.entropy import SystemEntropy

START_WITHIN = 30.0
ANNOUNCE_WITHIN = 30.0
CALL_WITHIN = 30.0
_AFTER = 1.5
"""Seconds after the last frame was sent, for what is still under way."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line asked for.

    Attributes:
        input_file: What Alice plays; None for the clip.
        duration: Seconds.
        kill: Which relay to kill in mid-call; None for none.
        out_dir: Where results go.
        base_port: First UDP port; None for any.
        relays: How many relays.
        codec: Video codec, vp8 or h264.
        epoch_length: Seconds for which discovery nodes are elected.
        lookup_every: Seconds between Bob's look-ups in the call; 0 for none.
        stop_chain: Whether to kill the chain in mid-call.
    """

    input_file: Path | None
    duration: float
    kill: KillRole | None
    out_dir: Path
    base_port: int | None
    relays: int
    codec: str
    epoch_length: int = 60
    lookup_every: float = 0.0
    stop_chain: bool = False


@dataclass(slots=True)
class _Stage:
    """What is running.

    Attributes:
        founding: The network.
        chain: The chain's process.
        relays: Relay processes, by node id in hex.
        alice: The callee.
        bob: The caller.
    """

    founding: Founding
    chain: Process | None = None
    relays: dict[str, Process] = field(default_factory=dict)
    alice: Process | None = None
    bob: Process | None = None

    def all(self) -> list[Process]:
        """Return every process, users first."""
        first = [each for each in (self.alice, self.bob) if each is not None]
        last = [self.chain] if self.chain is not None else []
        return [*first, *self.relays.values(), *last]

    @property
    def plan(self) -> NetworkPlan:
        """The processes and their settings."""
        return self.founding.plan


async def run_demo(options: DemoOptions, *, quiet: bool) -> Report:
    """Run the whole demo and write its results; return the report.

    Raises:
        InputError: If the input file cannot be played.
        ConfigError: If a port is taken or a folder cannot be written.
        ProcessError: If a process fails.
    """
    ports = await asyncio.to_thread(_check, options)
    _interrupt_cleanly()
    folder = Path(tempfile.mkdtemp(prefix="psp-demo-"))
    try:
        with _progress(quiet=quiet) as progress:
            report = await _run(options, folder, ports, progress)
    except BaseException as error:
        _keep_logs(folder, options.out_dir)
        if isinstance(error, ProcessError):
            logs = options.out_dir / "logs"
            raise ProcessError(f"{error}; the logs are in {logs}") from None
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def _check(options: DemoOptions) -> list[int]:
    """See, before anything is started, that it can work; return ports that are free."""
    if options.input_file is not None:
        probe(options.input_file)
    try:
        options.out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--out {options.out_dir} cannot be made ({error.strerror}); choose another"
        ) from None
    return free_ports(options.relays, options.base_port)


async def _run(
    options: DemoOptions, folder: Path, ports: Sequence[int], progress: Progress
) -> Report:
    task = progress.add_task("founding a chain, registering relays", total=8)
    clip = folder / "clip.mp4"
    founding = await _prepare(folder, ports, clip, options)
    stage = _Stage(founding)
    try:
        progress.update(task, advance=1, description="starting the chain")
        stage.chain = await start_chain(founding)
        progress.update(task, advance=1, description="starting relays")
        await _start_relays(stage)
        progress.update(task, advance=1, description="starting Alice and Bob")
        await _start_users(stage, options, clip)
        progress.update(task, advance=1, description="Alice registers her presence")
        findings = await _call(stage, options, progress, task)
        progress.update(task, advance=1, description="stopping")
    finally:
        await stop_all(stage.all())
        for number, process in enumerate(stage.relays.values()):
            keep_events(process, folder / f"relay-{number:02}.events.log")
    findings.relay_stops = [
        event
        for process in stage.relays.values()
        for event in process.events
        if event["event"] == "relay_stopped"
    ]
    report = build(findings)
    await asyncio.to_thread(_write, report, options.out_dir, folder)
    progress.update(task, advance=1, description="done")
    return report


async def _prepare(
    folder: Path, ports: Sequence[int], clip: Path, options: DemoOptions
) -> Founding:
    """Found the network and write every file that its processes are started with."""
    founding = await found_network(
        folder,
        ports,
        ["alice", "bob"],
        epoch_length=options.epoch_length,
        entropy=SystemEntropy(),
        unix_now=time.time(),
    )
    await asyncio.to_thread(_write_settings, founding.plan, clip)
    return founding


def _write_settings(plan: NetworkPlan, clip: Path) -> None:
    entropy = SystemEntropy()
    for number, relay in enumerate(plan.relays):
        _relay_settings(plan.folder, number).write_text(to_toml(relay.config))
    for name, identity in plan.users.items():
        secret = identity.key.seed + identity.discovery_secret
        keyfiles.create(plan.folder / name / "identity.key", secret, entropy=entropy)
        settings_file = plan.folder / name / "client.toml"
        settings_file.write_text(to_toml(plan.client_config(name)))
    make_clip(clip)


def _relay_settings(folder: Path, number: int) -> Path:
    return folder / f"relay-{number:02}" / "relay.toml"


async def _start_relays(stage: _Stage) -> None:
    folder = stage.plan.folder
    for number, relay in enumerate(stage.plan.relays):
        settings_file = _relay_settings(folder, number)
        arguments = ["relay", "run", str(settings_file), "--log-json"]
        arguments.append("--end-with-parent")
        log = folder / f"relay-{number:02}.log"
        process = await Process.start(f"relay {number}", arguments, log)
        stage.relays[relay.node_id.hex()] = process
    await asyncio.gather(
        *(
            process.wait_for("relay_started", START_WITHIN)
            for process in stage.relays.values()
        )
    )


async def _start_users(stage: _Stage, options: DemoOptions, clip: Path) -> None:
    stage.alice = await _start_user(
        stage, "alice", options.input_file or clip, options, None
    )
    stage.bob = await _start_user(
        stage, "bob", clip, options, stage.plan.folder / "received.mkv"
    )
    await asyncio.gather(
        stage.alice.wait_for("ready", START_WITHIN),
        stage.bob.wait_for("ready", START_WITHIN),
    )


async def _start_user(
    stage: _Stage, name: str, media: Path, options: DemoOptions, record: Path | None
) -> Process:
    folder = stage.plan.folder
    arguments = ["demo-peer", "--seconds", str(options.duration)]
    arguments += ["--codec", options.codec]
    if options.lookup_every:
        arguments += ["--lookup-every", str(options.lookup_every)]
    if record is not None:
        arguments += ["--record", str(record)]
    # A file may be called anything, also "-x".
    arguments += ["--", str(folder), name, str(media)]
    return await Process.start(name.title(), arguments, folder / f"{name}.log")


async def _call(
    stage: _Stage, options: DemoOptions, progress: Progress, task: TaskID
) -> Findings:
    alice, bob = stage.alice, stage.bob
    if alice is None or bob is None:
        raise AssertionError("users are started first")
    alice.tell("announce")
    card = (await alice.wait_for("announced", ANNOUNCE_WITHIN))["card"]
    progress.update(task, advance=1, description="Bob looks Alice up and calls")
    dialled_at = time.monotonic()
    bob.tell(f"call {card}")
    await asyncio.gather(
        alice.wait_for("first_frame", CALL_WITHIN),
        bob.wait_for("first_frame", CALL_WITHIN),
    )
    progress.update(
        task, advance=1, description=f"in the call, {options.duration:.0f} s"
    )
    killed, killed_at = await _kill_in_mid_call(stage, options)
    chain_stopped_at = time.monotonic() if options.stop_chain else 0.0
    await asyncio.gather(
        alice.wait_for("played", options.duration + START_WITHIN),
        bob.wait_for("played", options.duration + START_WITHIN),
    )
    await asyncio.sleep(_AFTER)
    alice.tell("stop")
    bob.tell("stop")
    await asyncio.gather(
        alice.wait_for("report", START_WITHIN), bob.wait_for("report", START_WITHIN)
    )
    return Findings(
        input=str(options.input_file.name if options.input_file else "the demo's clip"),
        is_default_clip=options.input_file is None,
        relays=len(stage.relays),
        discovery_nodes=stage.founding.chain.seats,
        alice={event["event"]: event for event in alice.events},
        bob={event["event"]: event for event in bob.events},
        steps=steps(alice, bob),
        legs=legs(alice, bob),
        dialled_at=dialled_at,
        relay_stops=[],
        killed=killed,
        kill_role=options.kill,
        killed_at=killed_at,
        chain=ChainFindings(
            stage.founding.chain,
            [relay.node_id.hex() for relay in stage.plan.relays],
            [event for event in bob.events if event["event"] == "epoch"],
            chain_stopped_at,
            await _replay(stage, bob),
        ),
    )


async def _kill_in_mid_call(
    stage: _Stage, options: DemoOptions
) -> tuple[str | None, float]:
    await asyncio.sleep(options.duration / 2)
    if options.stop_chain and stage.chain is not None:
        stage.chain.kill()
    if options.kill is None or stage.alice is None or stage.bob is None:
        return None, 0.0
    alice = last(stage.alice, "in_call")["path"]
    bob = last(stage.bob, "in_call")["path"]
    point = last(stage.bob, "set_up")["presence_point"]
    victim = options.kill.relay(alice, bob, point)
    stage.relays[victim].kill()
    return victim, time.monotonic()


async def _replay(stage: _Stage, bob: Process) -> Replayed | None:
    """Draw the last list again from the chain's data; None if the chain is gone."""
    epochs = [event for event in bob.events if event["event"] == "epoch"]
    if stage.chain is None or not stage.chain.is_running or not epochs:
        return None
    return await replay_epoch(stage.founding, int(epochs[-1]["epoch"]))


def _write(report: Report, out_dir: Path, folder: Path) -> None:
    (out_dir / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    (out_dir / "report.html").write_text(render(report))
    received = folder / "received.mkv"
    if received.exists():
        shutil.copyfile(received, out_dir / "received.mkv")
    _keep_logs(folder, out_dir)


def _keep_logs(folder: Path, out_dir: Path) -> None:
    """Copy the logs, which hold no secrets, for whoever wants to know why."""
    logs = out_dir / "logs"
    with suppress(OSError):
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True, exist_ok=True)
        for log in folder.glob("*.log"):
            if log.stat().st_size:
                shutil.copyfile(log, logs / log.name)


def _interrupt_cleanly() -> None:
    """Have SIGTERM end the demo as Ctrl-C does: through every ``finally``.

    Only the first signal counts: a second one must not cut the stopping short, which
    would leave relays behind. Stopping takes `STOP_WITHIN` at most.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    signals = (signal.SIGINT, signal.SIGTERM)

    def interrupt() -> None:
        for number in signals:
            loop.add_signal_handler(number, lambda: None)
        if task is not None:
            task.cancel()

    for number in signals:
        loop.add_signal_handler(number, interrupt)


def _progress(*, quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        console=err,
        disable=quiet,
    )
