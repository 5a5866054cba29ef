"""A run of the suite as one self-contained page: no script, no outside file.

Each figure has a row: its value, its goal, the usual value of earlier runs, and a plot of
all runs that can be compared, this one last.
"""

from collections.abc import Sequence
from html import escape

from cli.bench.history import Run, comparable, usual
from cli.bench.parts import PARTS, Figure, Part

_WIDTH, _HEIGHT, _EDGE = 150.0, 34.0, 5.0
_PLOTTED = 40
"""Runs in one plot."""

_COMPARISON = (
    "Compared with {} earlier runs of the same form on the same machine. Machines have "
    "moods: trust ratios within a run before figures of different days."
)

_STYLE = """
:root { --ink: #1c2430; --soft: #5c6b80; --line: #d5dce6; --ok: #187a48; --bad: #b3261e;
  --a: #2257c4; --paper: #ffffff; --back: #f4f6f9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf2; --soft: #9fb0c6;
  --line: #35404f; --ok: #57c98a; --bad: #ff8a80; --a: #86abff; --paper: #1b222c;
  --back: #11161d; } }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 0 0 .6rem; }
p { margin: .25rem 0 1rem; color: var(--soft); }
section { background: var(--paper); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1.1rem 1.25rem; margin: 1rem 0; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.ok { color: var(--ok); } .bad { color: var(--bad); } .soft { color: var(--soft); }
svg { display: block; width: 150px; height: 34px; }
svg polyline { fill: none; stroke: var(--a); stroke-width: 1.5; }
svg line { stroke: var(--ok); stroke-dasharray: 3 3; }
svg circle { fill: var(--a); }
"""


def render(run: Run, runs: Sequence[Run]) -> str:
    """Return the page of ``run``; ``runs`` are all that are kept."""
    earlier = comparable(run, list(runs))
    state = "" if run.is_complete else "; <b class='bad'>incomplete</b>"
    form = "short form" if run.is_quick else "full form"
    machine = run.machine
    about = (
        f"{machine.processor}, {machine.cores} cores, {machine.system}, Python "
        f"{machine.python}; load {run.load:.1f} when it began"
    )
    sections = "".join(
        _section(part, run, earlier) for part in PARTS if part.name in run.parts
    )
    return "".join(
        (
            "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
            "<meta name='viewport' content='width=device-width'>",
            f"<title>PSP benchmarks</title><style>{_STYLE}</style></head><body><main>",
            "<h1>PSP benchmarks</h1>",
            f"<p>{escape(run.started)}, {form}{state}. {escape(about)}.<br>",
            f"{_COMPARISON.format(len(earlier))}</p>",
            sections,
            "</main></body></html>",
        )
    )


def shown(value: float | None) -> str:
    """Return a figure with as many digits as mean something."""
    if value is None:
        return "-"
    if value == int(value) and abs(value) < 1e12:
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _section(part: Part, run: Run, earlier: Sequence[Run]) -> str:
    measured = run.parts[part.name]
    rows = "".join(_row(part, figure, run, earlier) for figure in part.figures)
    error = (
        f"<p class='bad'>ended early: {escape(measured.error)}</p>"
        if measured.error
        else ""
    )
    head = (
        "<tr><th>figure</th><th class='n'>this run</th><th class='n'>goal</th>"
        "<th class='n'>usually</th><th class='n'>this / usual</th><th>runs</th></tr>"
    )
    return (
        f"<section><h2>{escape(part.title)}</h2>{error}<table>{head}{rows}</table>"
        f"<p>{escape(part.name)}, {measured.seconds:.0f} s</p></section>"
    )


def _row(part: Part, figure: Figure, run: Run, earlier: Sequence[Run]) -> str:
    value = run.figure(part.name, figure.key)
    before = usual(list(earlier), part.name, figure.key)
    verdict = ""
    if value is not None and (met := figure.meets(value)) is not None:
        verdict = "ok" if met else "bad"
    ratio = value / before if value is not None and before else None
    sign = "≤" if figure.is_better_low else "≥"
    goal = "" if figure.goal is None else f"{sign} {shown(figure.goal)}"
    values = [
        other.figure(part.name, figure.key) for other in (*earlier[-_PLOTTED:], run)
    ]
    unit = f" {escape(figure.unit)}" if figure.unit and value is not None else ""
    plot = _plot(
        [v for v in values if v is not None], figure.goal, is_new=value is not None
    )
    return (
        f"<tr><td>{escape(figure.title)}</td>"
        f"<td class='n {verdict}'>{shown(value)}{unit}</td>"
        f"<td class='n soft'>{goal}</td><td class='n soft'>{shown(before)}</td>"
        f"<td class='n'>{shown(ratio)}</td>"
        f"<td>{plot}</td></tr>"
    )


def _plot(values: Sequence[float], goal: float | None, *, is_new: bool) -> str:
    """Return a line through the values, a dot where this run's is, and the goal dashed."""
    if not values:
        return ""
    reach = [*values, *([] if goal is None else [goal])]
    low, high = min(reach), max(reach)
    span = (high - low) or 1.0

    def y(value: float) -> float:
        return _HEIGHT - _EDGE - (value - low) / span * (_HEIGHT - 2 * _EDGE)

    step = (_WIDTH - 2 * _EDGE) / max(1, len(values) - 1)
    points = [(_EDGE + step * place, y(value)) for place, value in enumerate(values)]
    line = " ".join(f"{x:.1f},{at:.1f}" for x, at in points)
    last_x, last_y = points[-1]
    dashes = (
        ""
        if goal is None
        else f"<line x1='0' x2='{_WIDTH:.0f}' y1='{y(goal):.1f}' y2='{y(goal):.1f}'/>"
    )
    # One value makes no line: it is a dot in any case.
    dot = f"<circle cx='{last_x:.1f}' cy='{last_y:.1f}' r='3'/>"
    shows_dot = is_new or len(values) == 1
    return (
        f"<svg viewBox='0 0 {_WIDTH:.0f} {_HEIGHT:.0f}' role='img' "
        f"aria-label='{len(values)} runs, {shown(min(values))} to "
        f"{shown(max(values))}'>{dashes}<polyline points='{line}'/>"
        f"{dot if shows_dot else ''}</svg>"
    )
