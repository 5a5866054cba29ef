"""The network of `tests.bench.net` delays and loses what it says, and leaves nothing."""

import socket
import statistics
import subprocess
import sys
import time
from itertools import pairwise

import pytest

from psp.runtime.udp import UdpSocket
from tests.bench.net.network import (
    NAMESPACES,
    Impairment,
    Network,
    NotPossibleError,
)

PORT = 7
SIZE = 1_232
TRAIN = 50
TRAINS = 100


@pytest.fixture
def network():
    try:
        with Network(["one", "other"], seed=1) as network:
            yield network
    except NotPossibleError as error:
        pytest.skip(str(error))


def socket_in(network, name):
    with network.inside(name):
        return UdpSocket((network.place(name).host, PORT))


def numbered(first, count):
    return b"".join(
        number.to_bytes(4) * (SIZE // 4) for number in range(first, first + count)
    )


def waiting_at(udp):
    """Return the datagrams that wait at a socket."""
    received = []
    while (batch := udp.receive_batch()) is not None:
        data, size, _ = batch
        received += [bytes(data[at : at + size]) for at in range(0, len(data), size)]
    return received


def receive_all(udp, quiet=0.3):
    """Return the datagrams that come until none has come for a while."""
    received = []
    last = time.monotonic()
    while time.monotonic() - last < quiet:
        if came := waiting_at(udp):
            received += came
            last = time.monotonic()
        time.sleep(0.001)
    return received


def send_trains(network, impairment):
    """Send trains from one to the other; return what came and the receiver's counters."""
    network.impair(impairment)
    one, other = socket_in(network, "one"), socket_in(network, "other")
    received = []
    try:
        for number in range(TRAINS):
            data = numbered(number * TRAIN, TRAIN)
            one.send(((network.place("other").host, PORT), [data], TRAIN))
            time.sleep(0.001)
            received += waiting_at(other)
        return received + receive_all(other), other.stats
    finally:
        one.close()
        other.close()


def test_a_round_trip_takes_twice_the_delay(network):
    network.impair(Impairment(delay=0.04))
    one, other = socket_in(network, "one"), socket_in(network, "other")
    took = []
    for _ in range(20):
        began = time.monotonic()
        for sender, receiver, to in ((one, other, "other"), (other, one, "one")):
            sender.send(((network.place(to).host, PORT), [b"ping"], 1))
            while receiver.receive_batch() is None:
                time.sleep(0.0001)
        took.append(time.monotonic() - began)
    one.close()
    other.close()

    assert min(took) >= 0.08
    assert statistics.median(took) < 0.12


def test_packets_of_a_train_are_lost_one_by_one(network):
    received, stats = send_trains(network, Impairment(delay=0.01, loss=0.1))

    counts = network.counts()
    assert counts.lost + counts.carried == TRAINS * TRAIN
    assert (counts.full, counts.refused, counts.overrun) == (0, 0, 0)
    assert 0.08 < counts.lost / (TRAINS * TRAIN) < 0.12
    assert len(received) == counts.carried
    numbers = [int.from_bytes(each[:4]) for each in received]
    assert all(
        each == number.to_bytes(4) * (SIZE // 4)
        for each, number in zip(received, numbers, strict=True)
    )
    assert all(first < second for first, second in pairwise(numbers))
    assert stats.receive_calls <= TRAINS, "trains stay together"


def test_one_seed_loses_the_same_packets(network):
    lossy = Impairment(loss=0.1)
    first, _ = send_trains(network, lossy)
    with Network(["one", "other"], seed=1) as again:
        assert send_trains(again, lossy)[0] == first
    with Network(["one", "other"], seed=2) as unlike:
        assert send_trains(unlike, lossy)[0] != first


def test_jitter_lets_packets_overtake_each_other(network):
    received, _ = send_trains(network, Impairment(jitter=0.01))

    assert len(received) == TRAINS * TRAIN
    assert received != sorted(received)


def test_a_rate_drops_what_does_not_fit_its_queue(network):
    received, _ = send_trains(network, Impairment(rate=8e6, queue=0.05))

    counts = network.counts()
    assert len(received) + counts.full == TRAINS * TRAIN
    assert counts.full > len(received)


def test_one_direction_can_be_unlike_the_other(network):
    network.impair(Impairment(loss=1.0), "one", "other")
    one, other = socket_in(network, "one"), socket_in(network, "other")
    one.send(((network.place("other").host, PORT), [b"lost"], 1))
    other.send(((network.place("one").host, PORT), [b"comes"], 1))

    assert receive_all(one) == [b"comes"]
    assert receive_all(other) == []
    one.close()
    other.close()


def test_tcp_crosses_it(network):
    network.impair(Impairment(delay=0.001, loss=0.01))
    with network.inside("other"):
        listener = socket.create_server((network.place("other").host, PORT))
    with network.inside("one"):
        client = socket.create_connection((network.place("other").host, PORT), 10)
    with listener, client:
        server, _ = listener.accept()
        with server:
            client.sendall(b"x" * 100_000)
            client.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: server.recv(65_536), b""))

    assert received == b"x" * 100_000


def test_a_command_runs_inside_and_ends_with_the_network():
    try:
        with Network(["one"], seed=1) as network:
            place = network.place("one")
            shown = subprocess.run(
                network.command("one", "ip", "-brief", "address", "show", "psp0"),
                check=True,
                capture_output=True,
                text=True,
            )
            waiting = subprocess.Popen(network.command("one", "sleep", "600"))
    except NotPossibleError as error:
        pytest.skip(str(error))

    assert place.host in shown.stdout
    assert waiting.wait(10) != 0
    assert not (NAMESPACES / place.netns).exists()


def test_what_a_killed_run_left_is_removed_at_the_next_start(network):
    program = (
        "import os, signal\n"
        "from tests.bench.net.network import Network\n"
        "network = Network(['one'], seed=1).__enter__()\n"
        "print(network.place('one').netns, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    left = NAMESPACES / killed.stdout.strip()
    assert left.exists()

    with Network(["one"], seed=1):
        assert not left.exists()


def test_it_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NotPossibleError, match="no ip and cc and nsenter"):
        Network(["one"], seed=1).__enter__()
