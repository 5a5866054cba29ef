"""What the demo found out, as one JSON-able dictionary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psp
from cli.demo.report_chain import ChainFindings, chain_report
from cli.demo.roles import KillRole

Report = dict[str, Any]

MIN_DECODED = 0.98
MAX_AUDIO_LOST = 0.01
MAX_FIRST_FRAME_MS = 5000
MAX_GAP_MS = 2000
"""Goal for the longest freeze when a relay dies; without a death it is reported only."""
MAX_POINTS = 600
"""Latency samples kept for the picture, per direction."""


@dataclass(slots=True)
class Findings:
    """Everything the demo collected while it ran.

    Attributes:
        input: What Alice played, in words.
        is_default_clip: Whether that is the clip with the tone.
        relays: How many relays ran.
        discovery_nodes: How many of them are discovery nodes.
        alice: Alice's events, by name (the last one of each).
        bob: Bob's.
        steps: What either said of each step of setting up.
        dialled_at: When Bob was told to call, on the machine's monotonic clock.
        relay_stops: The last line of every relay that stopped in good order.
        legs: The legs that both sides had, oldest first.
        killed: The relay that was killed, if one was.
        kill_role: In which role.
        killed_at: When, on the same clock.
        chain: What happened on the chain; None for a network without one.
        failures: What went wrong, in words.
    """

    input: str
    is_default_clip: bool
    relays: int
    discovery_nodes: int
    alice: Mapping[str, Mapping[str, Any]]
    bob: Mapping[str, Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]
    dialled_at: float
    relay_stops: Sequence[Mapping[str, Any]]
    legs: Sequence[Mapping[str, Any]] = ()
    killed: str | None = None
    kill_role: KillRole | None = None
    killed_at: float = 0.0
    chain: ChainFindings | None = None
    failures: list[str] = field(default_factory=list)


def build(findings: Findings) -> Report:
    """Return the report, with `ok` and why not."""
    alice, bob = findings.alice, findings.bob
    seen_by_bob, seen_by_alice = bob["report"], alice["report"]
    first_frame = bob.get("first_frame", {}).get("at")
    report: Report = {
        "ok": False,
        "failures": findings.failures,
        "version": psp.__version__,
        "input": findings.input,
        "relays": findings.relays,
        "discovery_nodes": findings.discovery_nodes,
        "lookup_ms": _rounded(bob["set_up"]["lookup_ms"]),
        "call_setup_ms": _rounded(bob["set_up"]["call_setup_ms"]),
        "first_frame_ms": _since(first_frame, findings.dialled_at),
        "alice": {
            "path": alice["in_call"]["path"],
            "remote_endpoints": seen_by_alice["remotes"],
            "presence_points": alice["announced"]["points"],
        },
        "bob": {
            "path": bob["in_call"]["path"],
            "remote_endpoints": seen_by_bob["remotes"],
        },
        "rendezvous": bob["in_call"]["path"][-1],
        "presence_point": bob["set_up"]["presence_point"],
        "legs": list(findings.legs),
        "legs_lost": seen_by_bob["legs_lost"],
        "data_channel": seen_by_bob["data_channel"],
        "video": _video(seen_by_alice, seen_by_bob),
        "video_back": _video(seen_by_bob, seen_by_alice),
        "audio": _audio(seen_by_alice, seen_by_bob),
        "audio_back": _audio(seen_by_bob, seen_by_alice),
        "relay_cells_forwarded": _total(findings, _FORWARDED),
        "relay_cells_dropped": _total(findings, _DROPPED),
        "timeline": _timeline(findings),
        "latency_series": {
            "bob": _series(seen_by_bob["latencies"]),
            "alice": _series(seen_by_alice["latencies"]),
        },
    }
    if findings.killed is not None and findings.kill_role is not None:
        report["killed"] = {
            "role": findings.kill_role.value,
            "node": findings.killed,
            "at_s": round(findings.killed_at - (first_frame or 0.0), 2),
        }
    if findings.chain is not None:
        chain = chain_report(findings.chain, seen_by_alice, seen_by_bob)
        report["chain"] = chain.fields
        report["failures"] += chain.failures
    _judge(report, findings)
    report["ok"] = not report["failures"]
    return report


_FORWARDED = ("cells_forward", "cells_backward", "cells_spliced")
_DROPPED = ("cells_dropped",)


def table_rows(report: Report) -> list[list[str]]:
    """Return the short table for people."""
    there, back = report["video"], report["video_back"]
    waits = " / ".join(
        f"{report[name] or 0:.0f}"
        for name in ("lookup_ms", "call_setup_ms", "first_frame_ms")
    )
    rows = [["look-up / call set-up / first frame, ms", waits, ""]]
    rows += [
        [f"video frames {name}", str(there[name]), str(back[name])]
        for name in ("sent", "decoded", "damaged")
    ]
    latency = [
        f"{way['latency_ms']['p50']} / {way['latency_ms']['p95']} / "
        f"{way['latency_ms']['max']}"
        for way in (there, back)
    ]
    rows.append(["latency p50 / p95 / max, ms", *latency])
    gaps = [str(way["longest_gap_ms"]) for way in (there, back)]
    rows.append(["longest gap, ms", *gaps])
    sound = [
        f"{way['sent']} / {way['lost']}"
        for way in (report["audio"], report["audio_back"])
    ]
    rows.append(["audio frames sent / lost", *sound])
    rows.append(
        [
            "cells forwarded / dropped by all relays",
            f"{report['relay_cells_forwarded']} / {report['relay_cells_dropped']}",
            "",
        ]
    )
    if "chain" in report:
        rows.append(
            ["discovery nodes elected on chain", *_chain_words(report["chain"])]
        )
    if "killed" in report:
        rows.append(["relay killed in mid-call", report["killed"]["role"], ""])
    return rows


def _chain_words(chain: Mapping[str, Any]) -> tuple[str, str]:
    proven = "proven by both" if chain["verified"] else "NOT proven"
    return f"{len(chain['elected'])} in epoch {chain['epoch']}", proven


def _video(sender: Mapping[str, Any], receiver: Mapping[str, Any]) -> Report:
    media = receiver["media"]
    return {
        "sent": sender["sent_frames"],
        "received": receiver["received"].get("video", 0),
        "decoded": media["frames"] - media["damaged"],
        "damaged": media["damaged"],
        "disordered": media["disordered"],
        "latency_ms": {
            "p50": media["latency_p50_ms"],
            "p95": media["latency_p95_ms"],
            "max": media["latency_max_ms"],
        },
        "longest_gap_ms": media["longest_gap_ms"],
    }


def _audio(sender: Mapping[str, Any], receiver: Mapping[str, Any]) -> Report:
    media = receiver["media"]
    return {
        "sent": sender["sent_audio"],
        "received": media["audio_frames"],
        "lost": media["audio_lost"],
        "tone_hz": round(media["tone_hz"], 1),
        "has_tone": media["has_tone"],
    }


def _judge(report: Report, findings: Findings) -> None:
    failures = report["failures"]
    for video, audio, way, has_tone in (
        ("video", "audio", "Alice to Bob", findings.is_default_clip),
        ("video_back", "audio_back", "Bob to Alice", True),
    ):
        seen, heard = report[video], report[audio]
        if findings.killed is None:
            _judge_quality(failures, seen, heard, way)
        elif seen["longest_gap_ms"] > MAX_GAP_MS:
            failures.append(f"{way}: a gap of {seen['longest_gap_ms']} ms")
        _judge_content(failures, seen, heard, way, has_tone=has_tone)
    _judge_first_frame(failures, report["first_frame_ms"])
    for who, side in (("Alice", findings.alice), ("Bob", findings.bob)):
        if side["report"]["session_closed"]:
            failures.append(f"{who}'s session did not survive")


def _judge_quality(
    failures: list[str], seen: Mapping[str, Any], heard: Mapping[str, Any], way: str
) -> None:
    if seen["decoded"] < MIN_DECODED * seen["sent"] or not seen["sent"]:
        failures.append(f"{way}: {seen['decoded']} of {seen['sent']} frames decoded")
    if heard["lost"] > MAX_AUDIO_LOST * heard["sent"] or not heard["received"]:
        failures.append(f"{way}: {heard['lost']} of {heard['sent']} audio frames lost")


def _judge_content(
    failures: list[str],
    seen: Mapping[str, Any],
    heard: Mapping[str, Any],
    way: str,
    *,
    has_tone: bool,
) -> None:
    if seen["damaged"]:
        failures.append(f"{way}: {seen['damaged']} damaged frames")
    if seen["disordered"]:
        failures.append(f"{way}: the counter fell {seen['disordered']} times")
    if has_tone and not heard["has_tone"]:
        failures.append(f"{way}: no 440 Hz tone, but {heard['tone_hz']} Hz")


def _judge_first_frame(failures: list[str], first_frame_ms: float | None) -> None:
    if first_frame_ms is None:
        failures.append("no frame arrived")
    elif first_frame_ms > MAX_FIRST_FRAME_MS:
        failures.append(f"the first frame took {first_frame_ms:.0f} ms")


def _timeline(findings: Findings) -> list[Report]:
    return [
        {
            "who": step["who"],
            "what": step["what"],
            "ms": round((step["at"] - findings.dialled_at) * 1000, 1),
        }
        for step in sorted(findings.steps, key=lambda step: step["at"])
        if step["at"] >= findings.dialled_at
    ]


def _series(points: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    step = max(1, -(-len(points) // MAX_POINTS))
    return list(points[::step])


def _total(findings: Findings, names: Sequence[str]) -> int:
    return sum(
        int(line.get(name, 0)) for line in findings.relay_stops for name in names
    )


def _since(at: float | None, start: float) -> float | None:
    return None if at is None else _rounded((at - start) * 1000)


def _rounded(milliseconds: float) -> float:
    return round(milliseconds, 1)
