"""The table of ratios, for people."""

from typing import Any

from cli.output import print_facts, print_table
from tests.bench.peers.headline import HEADLINES, PEERS


def print_comparison(figures: dict[str, Any]) -> None:
    """Print what `Comparison.as_json` returns."""
    columns = ["psp / other in brackets", *PEERS]
    rows = [
        [
            headline.text,
            *(
                _cell(
                    figures[headline.name][peer],
                    figures["ratios"][headline.name].get(peer),
                )
                for peer in PEERS
            ),
        ]
        for headline in HEADLINES
    ]
    partial = "" if figures["is_complete"] else ", INCOMPLETE: interrupted"
    print_table(f"psp bench peers, {figures['network']}{partial}", columns, rows)
    floor = figures["floor"]
    facts = [
        ("floor, CPU-s per GB", _text(floor["relay_cpu_s_per_gb"])),
        ("psp / floor", _text(floor["ratio"])),
        *((f"tor's best {name}", chosen["tor"]) for name, chosen in _chosen(figures)),
        *((f"no figures: {peer}", why) for peer, why in figures["errors"].items()),
        ("load before and after", str(figures["machine"]["load"])),
    ]
    print_facts("in this run", facts)


def _chosen(figures: dict[str, Any]) -> list[tuple[str, dict[str, str]]]:
    best = figures["best_settings"]
    return [(name, chosen) for name, chosen in best.items() if "tor" in chosen]


def _cell(value: float | None, ratio: float | None) -> str:
    return _text(value) if ratio is None else f"{_text(value)} ({ratio:.2f})"


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}"
