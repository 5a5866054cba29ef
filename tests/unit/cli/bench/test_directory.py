"""The benchmark of the directory measures what it says; sizes are tiny here."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from cli.bench import chain_registry, directory
from cli.bench.chain_blocks import BlockMaker
from cli.bench.chain_registry import BenchRegistry
from cli.bench.reader_process import ReaderError, ReaderProcess
from cli.exit_codes import ExitCode
from discovery.devchain.process import ChainError, running_devchain
from psp.errors import ConfigError
from psp.testing.entropy import SeededEntropy
from psp.wire.network import Network

NODES = 48


def ignore(what):
    pass


@pytest.fixture(scope="module")
def figures():
    return directory.run(NODES, starts=1)


@pytest.fixture(scope="module")
def embedded():
    with running_devchain() as chain:
        yield chain


@contextmanager
def registry(chain, name, seats=4):
    with BlockMaker(chain) as blocks:
        entropy = SeededEntropy(name)
        yield BenchRegistry(blocks, seats=seats, entropy=entropy, say=ignore)


@pytest.mark.timeout(90)
def test_figures_tell_of_every_goal(figures):
    assert {
        "read_s",
        "verify_s",
        "root_s",
        "elected_s",
        "bytes",
        "wire_bytes",
        "bootstrap_bytes",
        "steady_day_bytes",
        "election_gas",
        "nominate_gas",
        "devchain_start_s",
        "devchain_rss_mb",
        "reader_rss_mb",
    } <= figures.keys()
    assert all(v > 0 for k, v in figures.items() if k.endswith(("_s", "_mb", "bytes")))


@pytest.mark.timeout(90)
def test_every_node_is_read_verified_and_proven_to_be_all(figures):
    assert (figures["chain"], figures["nodes"]) == ("embedded", NODES)
    assert figures["nodes_counted"] == NODES
    assert figures["elected"] == directory.SEATS
    assert figures["completeness"] == "proven"


@pytest.mark.timeout(90)
def test_parts_make_their_sums(figures):
    assert figures["elected_s"] <= figures["read_s"] <= figures["first_reading_s"]
    assert figures["bootstrap_bytes"] == (
        figures["bootstrap_chain_bytes"] + figures["bootstrap_descriptor_bytes"]
    )
    assert figures["steady_day_bytes"] == pytest.approx(
        figures["day_look_bytes"]
        + figures["day_epoch_bytes"]
        + figures["day_descriptor_bytes"]
    )
    # A record has 160 random bytes that no compression makes smaller.
    assert figures["bytes"] > 160 * NODES


def test_too_few_nodes_for_an_election_are_refused():
    with pytest.raises(ConfigError, match="--nodes is 3"):
        directory.run(3)


@pytest.mark.timeout(60)
def test_only_changed_records_are_read_again(embedded):
    with registry(embedded, "changes") as contracts:
        contracts.fill(NODES)
        contracts.elect()
        contracts.begin_epoch()
        urls = [embedded.url] * 3
        with ReaderProcess(contracts.network, 2, urls) as reader:
            assert reader.first().nodes == NODES
            contracts.settle()
            nothing = reader.next()
            contracts.rotate(2)
            contracts.settle()
            some = reader.next()
            whole = reader.weigh()

    assert nothing.packed < some.packed < whole.packed
    # The listing is proven: nobody was asked for a second one.
    assert whole.packed_once == whole.packed


@pytest.mark.timeout(60)
def test_election_that_is_not_the_draw_ends_the_benchmark(embedded, monkeypatch):
    with registry(embedded, "draw") as contracts:
        contracts.fill(6)
        monkeypatch.setattr(chain_registry, "elect", lambda *_, **__: [1, 2, 3, 99, 4])

        with pytest.raises(ChainError, match="the elected nodes are not"):
            contracts.elect()


def test_reader_says_why_it_cannot_read(capfd):
    nowhere = Network(31_337, bytes(20))

    reading = ReaderProcess(nowhere, 1, ["http://127.0.0.1:9"])
    with reading as reader, pytest.raises(ReaderError):
        reader.first()

    assert "endpoint" in capfd.readouterr().err


@pytest.mark.timeout(60)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_benchmark_leaves_no_process_behind(how):
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "bench", "directory", "--nodes=1000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    with process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any("of 1000 nodes" in line for line in lines)
        process.send_signal(how)
        process.wait()

    assert process.returncode == ExitCode.INTERRUPTED
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
