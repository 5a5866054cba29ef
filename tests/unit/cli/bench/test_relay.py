"""The benchmarks measure what they say, on real relay processes; sizes are tiny here."""

import pytest

from cli.bench import circuit, floor, relay


@pytest.mark.timeout(60)
def test_relay_benchmark_moves_every_cell_and_reports_ratios():
    figures = relay.run(cells=2_000, circuits=32, settle=0.0)

    assert figures["cells"] == 6_500
    assert figures["circuits"] == 32
    assert figures["tampered"] == 40
    assert figures["us_per_cell"] > figures["gcm_us"]
    assert figures["batched_ratio"] > 1.0
    assert figures["unbatched_ratio"] > 1.0
    assert figures["flat_cost"] > 0
    assert "bytes_per_idle_circuit" in figures


@pytest.mark.timeout(60)
def test_without_circuits_what_needs_many_is_left_out():
    figures = relay.run(cells=2_000, circuits=0, settle=0.0)

    assert figures["batched_ratio"] > 1.0
    assert not {"flat_cost", "bytes_per_idle_circuit", "circuits"} & set(figures)


@pytest.fixture
def policed(monkeypatch):
    """Lose cells of the first stream, and have the relay say it dropped so many."""

    def lose(count):
        lost = 0
        prepare, usage = relay.Source.prepare, relay.RelayProcess.usage

        def prepare_some(self, cells):
            nonlocal lost
            dropped = 0 if lost else count
            lost += dropped
            prepare(self, cells[dropped:])

        def usage_with_lost(self):
            used = usage(self)
            used.counters["cells_policed"] += lost
            return used

        monkeypatch.setattr(relay.Source, "prepare", prepare_some)
        monkeypatch.setattr(relay.RelayProcess, "usage", usage_with_lost)

    return lose


@pytest.mark.timeout(60)
def test_a_few_cells_may_be_dropped_on_a_busy_machine(policed):
    policed(2)

    figures = relay.run(cells=2_000, circuits=0, settle=0.0)

    assert figures["batched_ratio"] > 1.0


@pytest.mark.timeout(60)
def test_a_machine_too_busy_to_measure_on_is_told_from_a_dead_path(policed):
    policed(40)

    with pytest.raises(
        relay.BenchError, match=r"dropped 4\d of .* cells: this machine"
    ):
        relay.run(cells=2_000, circuits=0, settle=0.0)


@pytest.mark.timeout(60)
def test_circuit_benchmark_builds_every_circuit():
    figures = circuit.run(circuits=5)

    assert figures["failures"] == 0
    assert 0 < figures["build_ms_p50"] <= figures["build_ms_p95"]


def test_floor_is_three_passes_and_a_share_of_two_calls():
    figures = floor.run(rounds=1)

    passes = 3 * figures["gcm_us"]
    assert figures["floor_us_per_cell"] == pytest.approx(
        passes + figures["train_us_per_packet"]
    )
    assert figures["unbatched_floor_us_per_cell"] > figures["floor_us_per_cell"]
