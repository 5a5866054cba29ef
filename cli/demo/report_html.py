"""The demo's report as one self-contained page: no script, no outside file."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from cli.demo import chain_picture

Report = Mapping[str, Any]
"""The demo's JSON report, as `cli.demo.report` builds it."""

_STYLE = """
:root { --ink: #1c2430; --soft: #5c6b80; --line: #d5dce6; --ok: #187a48; --bad: #b3261e;
  --a: #2257c4; --b: #9a4d00; --r: #6a3fb5; --paper: #ffffff; --back: #f4f6f9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf2; --soft: #9fb0c6;
  --line: #35404f; --ok: #57c98a; --bad: #ff8a80; --a: #86abff; --b: #f0a868;
  --r: #c3a6ff; --paper: #1b222c; --back: #11161d; } }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 0 0 .75rem; }
p { margin: .25rem 0 1rem; color: var(--soft); }
section { background: var(--paper); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1.1rem 1.25rem; margin: 1rem 0; }
.verdict { font-weight: 700; } .ok { color: var(--ok); } .bad { color: var(--bad); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } th + th, td.n { text-align: right;
  font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--ink);
  font: 12px system-ui, sans-serif; } svg .soft { fill: var(--soft); }
code { font-size: .9em; }
"""


def render(report: Report) -> str:
    """Return the page."""
    verdict = (
        '<span class="verdict ok">the call worked</span>'
        if report["ok"]
        else '<span class="verdict bad">the call did not reach its goals</span>'
    )
    failures = "".join(f"<li>{escape(text)}</li>" for text in report["failures"])
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>PSP demo</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>PSP demo: {verdict}</h1>",
        f"<p>{_summary(report)}</p>",
        f"<ul class='bad'>{failures}</ul>" if failures else "",
        _section("The path of the call", _PATH_TEXT, path_picture(report)),
        _section("Setting up", _SETUP_TEXT, timeline_picture(report["timeline"])),
        _section("Latency of each frame", _LATENCY_TEXT, latency_picture(report)),
        _section("Who keeps the directory", chain_picture.TEXT, _chain(report)),
        _section("Figures", "", figures_table(report)),
        "</main></body></html>",
    ]
    return "".join(parts)


def _chain(report: Report) -> str:
    if "chain" not in report:
        return "<p>This network has no chain: trusted partners name its nodes.</p>"
    return chain_picture.stake_picture(report["chain"])


def _summary(report: Report) -> str:
    return (
        f"Version {escape(str(report['version']))} · {report['relays']} relays of "
        f"{report['relays']} operators, {report['discovery_nodes']} of them discovery "
        f"nodes · {escape(str(report['input']))}"
    )


_PATH_TEXT = (
    "Each relay knows only its neighbours. The rendezvous sees two circuits and neither "
    "end; the second leg stands by and takes over when a relay of the first dies."
)
_SETUP_TEXT = "Milliseconds since Bob asked for Alice by her contact card."
_LATENCY_TEXT = (
    "From the moment a frame is stamped at its sender to the moment it is decoded at "
    "the other end: encoding, seven links, decoding."
)


def _section(title: str, text: str, body: str) -> str:
    paragraph = f"<p>{text}</p>" if text else ""
    return f"<section><h2>{title}</h2>{paragraph}{body}</section>"


def path_picture(report: Report) -> str:
    """Return the legs of the call as a drawing, one row each."""
    rows = []
    legs = report["legs"] or [
        {"alice": report["alice"]["path"], "bob": report["bob"]["path"]}
    ]
    for number, leg in enumerate(legs):
        rows.append(_path_row(leg["alice"], leg["bob"], 46 + 92 * number, number))
    height = 92 * len(rows) + 20
    return (
        f"<svg viewBox='0 0 960 {height}' role='img' "
        f"aria-label='Path of the call'>{''.join(rows)}</svg>"
    )


def _path_row(alice: Sequence[str], bob: Sequence[str], y: int, number: int) -> str:
    # Both paths end at the rendezvous: Alice's hops, the rendezvous, Bob's backwards.
    names = ["Alice", *alice, *reversed(bob[:-1]), "Bob"]
    colours = (
        ["var(--a)"] * len(alice)
        + ["var(--r)"]
        + ["var(--b)"] * (len(names) - len(alice) - 1)
    )
    roles = _roles(len(alice), len(bob))
    step = 900 / max(1, len(names) - 1)
    dash = "" if number == 0 else " stroke-dasharray='5 5'"
    line = f"<line x1='30' y1='{y}' x2='930' y2='{y}' stroke='var(--line)'"
    out = [f"{line} stroke-width='3'{dash}/>"]
    for index, (name, colour, role) in enumerate(
        zip(names, colours, roles, strict=True)
    ):
        x = 30 + step * index
        out.append(
            f"<circle cx='{x:.0f}' cy='{y}' r='11' fill='var(--paper)' "
            f"stroke='{colour}' stroke-width='4'/>"
            f"<text x='{x:.0f}' y='{y + 30}' text-anchor='middle'>"
            f"{escape(name[:8])}</text>"
            f"<text class='soft' x='{x:.0f}' y='{y - 20}' text-anchor='middle'>"
            f"{role}</text>"
        )
    return "".join(out)


def _roles(alice: int, bob: int) -> list[str]:
    names = {1: ["guard"], 2: ["guard", "middle"], 3: ["guard", "layer 2", "middle"]}
    near = names.get(alice - 1, ["relay"] * (alice - 1))
    far = names.get(bob - 1, ["relay"] * (bob - 1))
    return ["", *near, "rendezvous", *reversed(far), ""]


def timeline_picture(timeline: Sequence[Mapping[str, Any]]) -> str:
    """Return what happened when, one line each."""
    if not timeline:
        return "<p>Nothing was recorded.</p>"
    end = max(float(entry["ms"]) for entry in timeline) or 1.0
    rows = []
    for index, entry in enumerate(timeline):
        y, x = 18 + 24 * index, 250 + 640 * float(entry["ms"]) / end
        colour = "var(--a)" if entry["who"] == "alice" else "var(--b)"
        rows.append(
            f"<text x='0' y='{y + 4}'>{escape(str(entry['who']).title())}: "
            f"{escape(str(entry['what']))}</text>"
            f"<line x1='250' y1='{y}' x2='{x:.1f}' y2='{y}' stroke='var(--line)'/>"
            f"<circle cx='{x:.1f}' cy='{y}' r='5' fill='{colour}'/>"
            f"<text class='soft' x='{x + 9:.1f}' y='{y + 4}'>{entry['ms']:.0f} ms</text>"
        )
    height = 24 * len(timeline) + 12
    return (
        f"<svg viewBox='0 0 960 {height}' role='img' "
        f"aria-label='Timeline'>{''.join(rows)}</svg>"
    )


def latency_picture(report: Report) -> str:
    """Return latency against time, both directions."""
    series = report["latency_series"]
    points = [point for name in ("bob", "alice") for point in series.get(name, [])]
    if not points:
        return "<p>No frame arrived.</p>"
    end = max(point[0] for point in points) or 1.0
    top = max(50.0, *(point[1] for point in points)) * 1.05
    grid = "".join(
        f"<line x1='60' x2='940' y1='{240 - 210 * part:.0f}' y2='{240 - 210 * part:.0f}' "
        f"stroke='var(--line)'/><text class='soft' x='52' y='{244 - 210 * part:.0f}' "
        f"text-anchor='end'>{top * part:.0f} ms</text>"
        for part in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    dots = "".join(
        f"<circle cx='{60 + 880 * at / end:.1f}' cy='{240 - 210 * ms / top:.1f}' "
        f"r='1.8' fill='{colour}'/>"
        for name, colour in (("bob", "var(--b)"), ("alice", "var(--a)"))
        for at, ms in series.get(name, [])
    )
    killed = report.get("killed") or {}
    mark = ""
    if "at_s" in killed:
        x = 60 + 880 * min(1.0, float(killed["at_s"]) / end)
        mark = (
            f"<line x1='{x:.0f}' x2='{x:.0f}' y1='24' y2='240' stroke='var(--bad)'/>"
            f"<text x='{x + 4:.0f}' y='22'>killed: {escape(str(killed['role']))}</text>"
        )
    return (
        "<svg viewBox='0 0 960 280' role='img' aria-label='Latency'>"
        f"{grid}{dots}{mark}<text class='soft' x='60' y='268'>0 s</text>"
        f"<text class='soft' x='940' y='268' text-anchor='end'>{end:.0f} s</text>"
        "<text x='340' y='268'><tspan fill='var(--b)'>● what Bob saw</tspan>  "
        "<tspan fill='var(--a)'>● what Alice saw</tspan></text></svg>"
    )


def figures_table(report: Report) -> str:
    """Return the figures of both directions side by side."""
    first_frame = report["first_frame_ms"]
    rows = [
        ("look-up", f"{report['lookup_ms']:.0f} ms", ""),
        ("call set up", f"{report['call_setup_ms']:.0f} ms", ""),
        ("first frame", "none" if first_frame is None else f"{first_frame:.0f} ms", ""),
    ]
    there, back = report["video"], report["video_back"]
    rows += [
        (f"video {name}", str(there[name]), str(back[name]))
        for name in ("sent", "received", "decoded", "damaged")
    ]
    rows.append(
        (
            "longest gap in the video",
            f"{there['longest_gap_ms']} ms",
            f"{back['longest_gap_ms']} ms",
        )
    )
    rows += [
        (
            f"latency {name}",
            f"{there['latency_ms'][name]:.0f} ms",
            f"{back['latency_ms'][name]:.0f} ms",
        )
        for name in ("p50", "p95", "max")
    ]
    rows += [
        (f"audio {name}", str(report["audio"][name]), str(report["audio_back"][name]))
        for name in ("sent", "received", "lost")
    ]
    rows += [
        ("cells forwarded by all relays", str(report["relay_cells_forwarded"]), ""),
        ("cells dropped by all relays", str(report["relay_cells_dropped"]), ""),
    ]
    body = "".join(
        f"<tr><td>{escape(name)}</td><td class='n'>{escape(there)}</td>"
        f"<td class='n'>{escape(back)}</td></tr>"
        for name, there, back in rows
    )
    return (
        "<table><thead><tr><th></th><th>Alice to Bob</th><th>Bob to Alice</th></tr>"
        f"</thead><tbody>{body}</tbody></table>"
    )
