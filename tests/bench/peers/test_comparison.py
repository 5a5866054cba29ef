"""Which figures stand for whom, and what becomes of a run that fails or is stopped."""

import contextlib
import json

import pytest

from cli.commands import bench
from psp.errors import PspError
from tests.bench.net.network import NotPossibleError
from tests.bench.peers import __main__ as program
from tests.bench.peers import ipv8, run
from tests.bench.peers.amounts import QUICK
from tests.bench.peers.figures import Builds, Bulk, PeerError, Voice, quantile
from tests.bench.peers.headline import compare
from tests.bench.peers.measuring import Measured, measure
from tests.bench.peers.report import print_comparison


class Steady:
    """A peer that always measures the same."""

    def build(self, count):
        return Builds((0.004,) * (count - 1), 1)

    def bulk(self, streams, seconds):
        return Bulk(round(streams * seconds * 1e6), seconds, 0.005 * streams * seconds)

    def voice(self, seconds, beside):
        packets = round(seconds * 50)
        trip = 0.010 if beside else 0.002
        return Voice(packets, (trip,) * (packets - 1), 5.0 if beside else None)


def measured(setting, *, counts=True, cpu=None, speed=None):
    figures = {"relay_cpu_s_per_gb": cpu, "mb_s": speed}
    return Measured(setting, counts, {"bulk_many": figures})


def test_figures_of_a_peer_come_from_what_it_did():
    into = Measured("steady")

    measure(Steady(), QUICK, into, lambda _: None)

    assert into.get("build", "p50_ms") == pytest.approx(4)
    assert into.get("build", "failures") == 1
    assert into.get("bulk_one", "relay_cpu_s_per_gb") == pytest.approx(5)
    assert into.get("bulk_many", "mb_s") == pytest.approx(8)
    assert into.voice_added_ms("same") == pytest.approx(8)
    assert into.voice_loss("other") == pytest.approx(1 / 75)


def test_a_peer_is_compared_by_its_best_setting_that_counts():
    results = {
        "psp": [measured("1", cpu=2.0, speed=90.0), measured("2", cpu=4.0, speed=70.0)],
        "tor": [
            measured("slow", cpu=9.0, speed=10.0),
            measured("lean", cpu=4.0, speed=50.0),
            measured("fast", cpu=5.0, speed=80.0),
            measured("old", counts=False, cpu=3.0, speed=100.0),
        ],
    }

    compared = compare(results)

    assert compared["relay_cpu_s_per_gb"] == {
        "psp": 3.0,
        "tor": 4.0,
        "ipv8_python": None,
        "ipv8_rust": None,
    }
    assert compared["ratios"]["relay_cpu_s_per_gb"]["tor"] == 0.75
    assert compared["ratios"]["relay_cpu_s_per_gb"]["ipv8_rust"] is None
    assert compared["best_settings"]["relay_cpu_s_per_gb"]["tor"] == "lean"
    assert compared["throughput_mb_s"]["tor"] == 80.0
    assert compared["best_settings"]["throughput_mb_s"]["tor"] == "fast"


def test_quantile_of_nothing_is_nothing():
    assert quantile((), 0.5) is None
    assert quantile((3.0, 1.0, 2.0), 0.5) == 2.0


@pytest.fixture
def without_processes(monkeypatch):
    """Replace everything that starts processes; PSP is steady, and nothing else is there."""

    def ours(places, amount, into, say):
        measure(Steady(), amount, into, say)

    monkeypatch.setattr(run, "measure_psp", ours)
    monkeypatch.setattr(run, "find_tor", lambda: None)
    monkeypatch.setattr(run, "find_spec", lambda name: None)
    monkeypatch.setattr(run, "floor_figures", lambda: {"relay_cpu_s_per_gb": 1.4})
    return monkeypatch


def test_peers_that_are_not_installed_have_no_figures_but_a_reason(without_processes):
    comparison = run.Comparison(QUICK, lambda _: None)

    comparison.run()

    figures = comparison.as_json()
    assert set(figures["errors"]) == {"tor", "ipv8_python", "ipv8_rust"}
    assert figures["relay_cpu_s_per_gb"]["psp"] == pytest.approx(5)
    assert figures["relay_cpu_s_per_gb"]["tor"] is None
    assert figures["floor"]["ratio"] == pytest.approx(5 / 1.4)
    assert figures["is_complete"] is True


def test_a_peer_that_fails_keeps_its_figures_and_the_next_is_measured(
    without_processes, capsys
):
    class Failing(Steady):
        def bulk(self, streams, seconds):
            raise PeerError("the relay fell over")

    @contextlib.contextmanager
    def running(places, *, is_rust, ramp):
        yield Steady() if is_rust else Failing()

    without_processes.setattr(run, "find_spec", lambda name: name)
    without_processes.setattr(ipv8, "running_ipv8", running)
    comparison = run.Comparison(QUICK, lambda _: None)

    comparison.run()

    figures = comparison.as_json()
    assert figures["errors"]["ipv8_python"] == "the relay fell over"
    assert figures["circuit_build_p50_ms"]["ipv8_python"] == pytest.approx(4)
    assert figures["throughput_mb_s"]["ipv8_python"] is None
    assert figures["throughput_mb_s"]["ipv8_rust"] == pytest.approx(8)
    print_comparison(figures)
    assert "the relay fell over" in capsys.readouterr().out


def test_interrupted_it_prints_what_there_is_and_says_so(without_processes, capsys):
    class Interrupted(Steady):
        def voice(self, seconds, beside):
            raise KeyboardInterrupt

    def ours(places, amount, into, say):
        measure(Interrupted(), amount, into, say)

    without_processes.setattr(run, "measure_psp", ours)
    without_processes.setattr("sys.argv", ["peers", "--quick", "--json"])

    code = program.main()

    figures = json.loads(capsys.readouterr().out)
    assert code == 130
    assert figures["is_complete"] is False
    assert figures["throughput_mb_s"]["psp"] == pytest.approx(8)
    assert figures["voice_loss"]["psp"] is None


def test_without_namespaces_wan_says_what_is_missing(without_processes, capsys):
    @contextlib.contextmanager
    def refused(names):
        raise NotPossibleError("network namespaces need root")
        yield

    without_processes.setattr(run, "impaired", refused)
    without_processes.setattr("sys.argv", ["peers", "--wan"])

    assert program.main() == 1
    assert "need root" in capsys.readouterr().err


def test_outside_of_a_checkout_the_command_says_where_it_belongs(monkeypatch, tmp_path):
    monkeypatch.setattr("cli.commands.bench_checkout._ROOT", tmp_path)
    monkeypatch.setattr("os.execv", None)

    with pytest.raises(PspError, match="run it in a checkout"):
        bench.peers()
