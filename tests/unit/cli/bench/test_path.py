"""The benchmark of a whole path measures what it says; everything is tiny here."""

import os
import signal

import pytest

from cli.bench import path
from cli.bench.child import ChildError
from cli.bench.path_rig import PathRig, Places
from cli.bench.place import Place

TINY = path.Amount(
    circuits=3,
    bulk_seconds=0.4,
    voice_seconds=0.6,
    idle_circuits=8,
    sessions=4,
    settle=0.0,
)


@pytest.mark.timeout(120)
def test_every_figure_of_a_path_is_measured():
    lines: list[str] = []

    figures = path.run(TINY, say=lines.append)

    assert figures["build_circuits"] == 3
    assert figures["build_failures"] == 0
    assert 0 < figures["build_ms_p50"] <= figures["build_ms_p95"]
    for direction in ("up", "down", "down_8_sessions"):
        assert figures[f"{direction}_mb_s"] > 0
        assert 0 <= figures[f"{direction}_loss"] < 1
        for name in ("relay_1", "relay_2", "relay_3", "client", "server"):
            assert figures[f"{direction}_cpu_s_per_gb_{name}"] > 0
    for beside in ("idle", "same_session", "other_session", "flood"):
        assert figures[f"voice_{beside}_packets"] == 30
    for beside in ("idle", "same_session", "other_session"):
        assert 0 <= figures[f"voice_{beside}_loss"] < 1
        assert (
            0 < figures[f"voice_{beside}_p50_ms"] <= figures[f"voice_{beside}_p99_ms"]
        )
    assert {"bytes_per_circuit_relay_2", "bytes_per_session_server"} <= set(figures)
    assert len(lines) >= 9


@pytest.mark.timeout(60)
def test_death_of_a_relay_is_told_and_what_was_measured_stays():
    figures: dict[str, float] = {}
    victims: list[int] = []

    with PathRig(Places(), lambda _: None) as rig:
        figures |= path.build(rig, 2)
        rig.connect(rig.pair)
        victims += [child.pid for child in rig.children]
        os.kill(rig.relays[1].pid, signal.SIGKILL)

        with pytest.raises(ChildError, match=r"relay 2 .*was ended by SIGKILL"):
            path.voice(rig, 20.0, "idle", None)

    assert figures["build_circuits"] == 2
    assert not any(_is_running(pid) for pid in victims)


def test_place_that_does_not_exist_is_told_of_whom():
    places = Places(client=Place("10.0.0.1", "nowhere"))

    with pytest.raises(ChildError, match=r"the client .*'nowhere'"):
        path.run(TINY, places=places)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
