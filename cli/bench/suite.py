"""All benchmarks in one run: each part by itself, what is measured kept at once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.bench import history, page
from cli.bench.history import Measured, Run
from cli.bench.parts import PARTS, Part, Say
from psp.errors import ConfigError

PAGE = "index.html"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left.

    Attributes:
        run: All figures.
        earlier: The runs it is compared with, oldest first.
        result: The JSON file.
        page: The HTML file.
    """

    run: Run
    earlier: list[Run]
    result: Path
    page: Path


def chosen_parts(names: Sequence[str]) -> list[Part]:
    """Return the parts with these names, all for none, in the suite's own order.

    Raises:
        ConfigError: If there is no such part.
    """
    known = {part.name for part in PARTS}
    for name in names:
        if name not in known:
            choice = ", ".join(part.name for part in PARTS)
            raise ConfigError(f"there is no part {name!r}; choose from {choice}")
    return [part for part in PARTS if not names or part.name in names]


def run_suite(
    parts: Sequence[Part], folder: Path, *, is_quick: bool, say: Say
) -> Outcome:
    """Run the parts one after the other; a part that fails does not stop the others.

    Everything measured is in ``folder`` after each part, and after an interruption, too:
    `KeyboardInterrupt` is raised again once what there is has been written.
    """
    run = history.new_run(is_quick=is_quick)
    if run.load > run.machine.cores / 2:
        say(
            f"the machine is busy (load {run.load:.1f}): absolute figures will be worse "
            "than they could be; trust the ratios"
        )
    earlier = history.comparable(run, history.load(folder))
    _write(run, earlier, folder)
    try:
        for place, part in enumerate(parts, 1):
            say(f"[{place}/{len(parts)}] {part.name}: {part.title.lower()}")
            _measure(part, run, say)
            _write(run, earlier, folder)
        run.is_complete = all(map(_is_whole, run.parts.values()))
    finally:
        outcome = _write(run, earlier, folder)
    return outcome


def _measure(part: Part, run: Run, say: Say) -> None:
    """Measure one part; whatever ends it early is noted, an interruption raised again."""
    figures: dict[str, object] = {}
    started = time.monotonic()
    error: str | None = "interrupted"
    try:
        part.run(run.is_quick, say, figures)
        error = None
    except Exception as failure:  # noqa: BLE001 - the other parts are still of use
        error = f"{type(failure).__name__}: {failure}"
        say(f"{part.name} ended early: {error}")
    finally:
        seconds = round(time.monotonic() - started, 1)
        run.parts[part.name] = Measured(figures, seconds, error)


def _is_whole(measured: Measured) -> bool:
    """Return whether a part ran to its end, by its own word where it gives one."""
    return measured.error is None and measured.figures.get("is_complete", True) is True


def _write(run: Run, earlier: list[Run], folder: Path) -> Outcome:
    result = history.save(folder, run)
    target = folder / PAGE
    target.write_text(page.render(run, [*earlier, run]), "utf-8")
    return Outcome(run, earlier, result, target)
