"""psp bench call: calls between two users, from the first packet to a minute of video.

A whole network runs, 20 relays and two clients with their real settings. Each call
begins as an app's does, by a look-up and `Client.establish`; the callee answers at once.
Circuits that clients keep ready are ready. Both ends send video and audio without codecs
(`cli.bench.call_media`).
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cli.bench.call_media import (
    FRAME_RATE,
    PACKET_RATE,
    Arrival,
    buffer_needed,
    play,
)
from cli.bench.call_network import CallNetwork, CallPlaces
from cli.bench.call_user import CALLED_WITHIN, MEDIA_WITHIN, Called, Heard, SetUp
from cli.bench.child import ChildError, answers, watch
from psp.client.calls.introduction_gate import GateConfig

Say = Callable[[str], None]
Figures = dict[str, float]

_PATIENCE = CALLED_WITHIN + MEDIA_WITHIN + 60.0
_BETWEEN_CALLS = 1.0
"""Seconds in which the circuits of the last call are closed and others made ready."""
_CALM = GateConfig().calm
_MINUTE = 60.5
"""Strangers ring without work so often in a minute; it is not work that is measured."""
_SETTLES = 10.0
"""Seconds in which the sender finds out what the path bears, before what is measured."""

GOALS = {
    "open_ms_p50": "≤ 1,400 on a path of 40 ms links",
    "first_media_ms_p50": "≤ 2,500 on a path of 40 ms links",
    "failures": "0",
    "video_freezes": "0",
}


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is measured.

    Attributes:
        calls: Set up and ended again.
        seconds: Of the long call.
        bitrate: Of its video, both ways, bits per second.
        first_bitrate: The same of the other calls: what aiortc's encoders begin with.
        buffer: Seconds of the playout buffer that freezes are counted behind.
    """

    calls: int = 20
    seconds: float = 60.0
    bitrate: float = 2.5e6
    first_bitrate: float = 0.5e6
    buffer: float = 0.5


FULL = Amount()
QUICK = Amount(calls=3, seconds=5.0)


def run(
    amount: Amount,
    *,
    places: CallPlaces | None = None,
    say: Say,
    figures: Figures | None = None,
) -> Figures:
    """Measure; ``figures`` is filled as it goes, so that an end half-way leaves some.

    Args:
        amount: How much.
        places: Where relays and users run; None for loopback.
        say: Told how it goes.
        figures: Where the figures go.

    Raises:
        PspError: If the network does not start, or no call succeeds.
    """
    figures = {} if figures is None else figures
    figures["load_before"] = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="psp-call-") as folder:
        say("starting the network")
        home = Path(folder) / "network"
        with CallNetwork(home, places or CallPlaces()) as network:
            card = cast("str", network.callee.ask(("announce", ()), _PATIENCE))
            _set_ups(network, card, amount, say, figures)
            _long_call(network, card, amount, say, figures)
    figures["load_after"] = os.getloadavg()[0]
    return figures


def _set_ups(
    network: CallNetwork, card: str, amount: Amount, say: Say, figures: Figures
) -> None:
    times: dict[str, list[float]] = {}
    figures["calls"], figures["failures"] = 0, 0
    for number in range(amount.calls):
        say(f"call {number + 1} of {amount.calls}")
        try:
            took = _call(network, card, amount.first_bitrate)
        except ChildError as error:
            watch(network.children, 0.0)  # or it is not the call that failed
            say(str(error))
            figures["failures"] += 1
        else:
            for name, seconds in took.items():
                times.setdefault(name, []).append(seconds * 1_000)
        figures["calls"] += 1
        _hang_up(network)
    for name, series in times.items():
        figures[f"{name}_ms_p50"] = statistics.median(series)
        figures[f"{name}_ms_p95"] = _quantile(series, 0.95)
        figures[f"{name}_ms_max"] = max(series)


def _call(network: CallNetwork, card: str, bitrate: float) -> dict[str, float]:
    """Make one call; return seconds from its beginning, by what had happened then."""
    earlier = network.calls[-_CALM:]
    pause = _BETWEEN_CALLS
    if len(earlier) == _CALM:
        pause = max(pause, earlier[0] + _MINUTE - time.monotonic())
    watch(network.children, pause)
    for user in (network.callee, network.caller):
        user.ask(("warm_up", ()), _PATIENCE)
    network.calls.append(time.monotonic())
    network.callee.send(("answer", (bitrate,)))
    network.caller.send(("call", (card, bitrate)))
    failed: ChildError | None = None
    said = []
    for user in (network.caller, network.callee):
        try:
            said.append(user.receive(_PATIENCE))
        except ChildError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    called, callee = cast("Called", said[0]), cast("SetUp", said[1])
    caller, began = called.set_up, called.began
    return {
        "lookup": began - called.looked,
        **{step: when - began for step, when in called.steps.items()},
        "caller_open": caller.opened - began,
        "open": max(caller.opened, callee.opened) - began,
        "caller_connected": caller.connected - began,
        "callee_connected": callee.connected - began,
        "callee_first_video": callee.first_video - began,
        "caller_first_video": caller.first_video - began,
        "first_video": max(caller.first_video, callee.first_video) - began,
        "first_media": max(each.first_media for each in (caller, callee)) - began,
        "first_audio": max(caller.first_audio, callee.first_audio) - began,
        "round_trip": max(caller.round_trip, callee.round_trip),
    }


def _long_call(
    network: CallNetwork, card: str, amount: Amount, say: Say, figures: Figures
) -> None:
    say(f"a call of {amount.seconds:.0f} s")
    _call(network, card, amount.bitrate)
    users = [network.caller, network.callee]
    watch(users, _SETTLES)
    relays = network.relays.cpu()
    for user in users:
        user.send(("talk", (amount.seconds,)))
    heard = answers(users, within=amount.seconds + _PATIENCE)
    figures["relays_cpu_share"] = (network.relays.cpu() - relays) / amount.seconds
    figures["playout_buffer_ms"] = amount.buffer * 1_000
    for name, end in zip(("caller", "callee"), heard, strict=True):
        figures |= _judge(name, cast("Heard", end), amount)
    for name in ("video_freezes", "video_longest_ms", "video_buffer_needed_ms"):
        figures[name] = max(figures[f"caller_{name}"], figures[f"callee_{name}"])
    _hang_up(network)


def _judge(name: str, heard: Heard, amount: Amount) -> Figures:
    """Return what one end saw and heard.

    Raises:
        ChildError: If it was nothing.
    """
    if not heard.video or not heard.audio:
        raise ChildError(f"nothing came to the {name}: {heard.counters}")
    playout = play(heard.video, amount.buffer)
    delays = [(each.came - each.sent) * 1_000 for each in heard.video]
    voice = [(each.came - each.sent) * 1_000 for each in heard.audio]
    found: Figures = {
        "video_freezes": playout.freezes,
        "video_longest_ms": playout.longest * 1_000,
        "video_buffer_needed_ms": buffer_needed(heard.video) * 1_000,
        "video_ms_p50": statistics.median(delays),
        "video_ms_p99": _quantile(delays, 0.99),
        "video_missing": _missing(heard.video),
        "video_frames": len(heard.video),
        "audio_ms_p50": statistics.median(voice),
        "audio_ms_p99": _quantile(voice, 0.99),
        "audio_loss": _missing(heard.audio) / (heard.seconds * PACKET_RATE),
        "bad": heard.bad,
        "sent_mbit_s": heard.sent_octets * 8e-6 / heard.seconds,
        "sent_share": heard.sent_video / (heard.seconds * FRAME_RATE),
        "cpu_share": heard.cpu / heard.seconds,
        **heard.counters,
    }
    return {f"{name}_{key}": float(value) for key, value in found.items()}


def _missing(arrivals: Sequence[Arrival]) -> int:
    numbers = {each.number for each in arrivals}
    return max(numbers) - min(numbers) + 1 - len(numbers)


def _hang_up(network: CallNetwork) -> None:
    for user in (network.caller, network.callee):
        user.ask(("hang_up", ()), _PATIENCE)


def _quantile(series: Sequence[float], share: float) -> float:
    return sorted(series)[min(len(series) - 1, int(len(series) * share))]
