"""PSP beside them: `cli.bench.path` told in the words of `measuring`."""

import math
from collections.abc import Mapping

from cli.bench.path import build, throughput, voice
from cli.bench.path_rig import PathRig, Places
from cli.bench.place import Place
from tests.bench.peers.amounts import Amount
from tests.bench.peers.figures import STREAMS, median
from tests.bench.peers.measuring import Figures, Measured, Say

_BESIDE = {"same": "same_session", "other": "other_session"}


def measure_psp(
    places: Mapping[str, Place], amount: Amount, into: Measured, say: Say
) -> None:
    """Measure PSP; figures stand in ``into`` as they come.

    Raises:
        PspError: If a process fails; the text says which.
    """
    where = Places(
        relays=(places["guard"], places["middle"], places["exit"]),
        client=places["client"],
        server=places["exit"],
        other_client=places["other"],
        other_server=places["exit"],
    )
    with PathRig(where, lambda text: say(f"{into.setting}: {text}")) as rig:
        into.details["build"] = _build(build(rig, amount.builds))
        rig.connect(rig.pair)
        for name, sessions in (("bulk_one", 1), ("bulk_many", STREAMS)):
            rounds = [
                throughput(rig, amount.bulk_seconds, "down", sessions)
                for _ in range(amount.bulk_rounds)
            ]
            into.details[name] = _bulk(rounds, sessions)
        idle = voice(rig, amount.voice_seconds, "idle", None)
        into.details["voice_idle"] = _voice("idle", idle)
        base = idle["voice_idle_p50_ms"]
        for name, beside in _BESIDE.items():
            figures = voice(rig, amount.voice_seconds, beside, base)  # type: ignore[arg-type]
            into.details[f"voice_{name}"] = _voice(beside, figures)


def _build(figures: Mapping[str, float]) -> Figures:
    return {
        "p50_ms": _known(figures["build_ms_p50"]),
        "p95_ms": _known(figures["build_ms_p95"]),
        "failures": int(figures["build_failures"]),
        "of": int(figures["build_circuits"]),
    }


def _bulk(rounds: list[dict[str, float]], sessions: int) -> Figures:
    name = "down" if sessions == 1 else f"down_{sessions}_sessions"
    return {
        "streams": sessions,
        "mb_s": _median(rounds, f"{name}_mb_s"),
        "relay_cpu_s_per_gb": _median(rounds, f"{name}_cpu_s_per_gb_relay_2"),
        "loss": _median(rounds, f"{name}_loss"),
    }


def _voice(name: str, figures: Mapping[str, float]) -> Figures:
    sent = int(figures[f"voice_{name}_packets"])
    return {
        "p50_ms": _known(figures[f"voice_{name}_p50_ms"]),
        "p99_ms": _known(figures[f"voice_{name}_p99_ms"]),
        "sent": sent,
        "lost": round(figures[f"voice_{name}_loss"] * sent),
        "bulk_mb_s": figures.get(f"voice_{name}_bulk_mb_s"),
    }


def _median(rounds: list[dict[str, float]], name: str) -> float | None:
    return median([_known(one[name]) for one in rounds])


def _known(figure: float) -> float | None:
    """Return None for what the path's figures call NaN: of nothing."""
    return None if math.isnan(figure) else figure
