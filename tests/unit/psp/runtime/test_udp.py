"""The UDP socket (psp/runtime/udp.py): real sockets on loopback."""

import errno
import select
import socket

import pytest

from psp.errors import ConfigError, LocalProtocolError
from psp.runtime.udp import SO_RXQ_OVFL, SOL_UDP, UdpSocket
from psp.sansio import MAX_TRAIN, Address, Train

SO_NO_CHECK = 11
"""From asm-generic/socket.h."""

LOOPBACK: Address = ("127.0.0.1", 0)
SIZE = 1_232


@pytest.fixture
def make():
    opened = []

    def opener(address=LOOPBACK, **options):
        opened.append(UdpSocket(address, **options))
        return opened[-1]

    yield opener
    for udp in opened:
        udp.close()


def set_option(udp, option, value):
    """Set an option through a second handle of the same socket."""
    with socket.fromfd(udp.fileno(), socket.AF_INET, socket.SOCK_DGRAM) as handle:
        handle.setsockopt(socket.SOL_SOCKET, option, value)


def refuse(error):
    def call(*_):
        raise error

    return call


def datagrams(count, size=SIZE):
    return [bytes([number]) * size for number in range(count)]


def receive_all(udp, expected):
    """Read until ``expected`` datagrams came, as (sizes of trains, datagrams)."""
    trains: list[int] = []
    packets: list[bytes] = []
    poll = select.poll()
    poll.register(udp.fileno(), select.POLLIN)
    while len(packets) < expected:
        assert poll.poll(5_000), f"{len(packets)} of {expected} datagrams arrived"
        while (batch := udp.receive_batch()) is not None:
            view, size, _ = batch
            cut = [bytes(view[i : i + size]) for i in range(0, len(view), size)]
            trains.append(len(cut))
            packets += cut
    return trains, packets


@pytest.mark.parametrize("gso", [True, False])
@pytest.mark.parametrize("gro", [True, False])
def test_train_arrives_whole_with_and_without_kernel_help(make, gso, gro):
    sender, receiver = make(gso=gso), make(gro=gro)
    sent = datagrams(MAX_TRAIN)

    taken = sender.send(Train(receiver.local_address, sent, MAX_TRAIN))

    _, received = receive_all(receiver, MAX_TRAIN)
    assert taken == MAX_TRAIN
    assert received == sent
    assert sender.stats.sent == receiver.stats.received == MAX_TRAIN


def test_kernel_moves_a_train_in_one_call_each_way(make):
    sender, receiver = make(), make()
    if not (sender.is_gso and receiver.is_gro):
        pytest.skip("this kernel has no UDP GSO or GRO")

    sender.send(Train(receiver.local_address, datagrams(MAX_TRAIN), MAX_TRAIN))

    trains, _ = receive_all(receiver, MAX_TRAIN)
    assert trains == [MAX_TRAIN]
    assert sender.stats.send_calls == receiver.stats.receive_calls == 1


def test_packets_may_be_cut_into_any_parts(make):
    sender, receiver = make(), make()
    whole = b"".join(datagrams(4))

    sender.send(
        Train(receiver.local_address, [whole[:16], whole[16:1300], whole[1300:]], 4)
    )

    assert receive_all(receiver, 4)[1] == datagrams(4)


def test_ipv6_carries_trains_too(make):
    try:
        sender, receiver = make(("::1", 0)), make(("::1", 0))
    except ConfigError:
        pytest.skip("no IPv6 here")

    sender.send(Train(receiver.local_address, datagrams(3), 3))

    poll = select.poll()
    poll.register(receiver.fileno(), select.POLLIN)
    poll.poll(5_000)
    view, size, source = receiver.receive_batch()
    assert bytes(view[:size]) == datagrams(1)[0]
    assert source == sender.local_address


def test_refused_trains_leave_singly_and_then_gso_is_given_up(make, capsys):
    sender, receiver = make(), make(gro=False)
    if not sender.is_gso:
        pytest.skip("this kernel has no UDP GSO")
    # Linux refuses GSO where it may not compute checksums; single datagrams it takes.
    set_option(sender, SO_NO_CHECK, 1)

    sender.send(Train(receiver.local_address, datagrams(2), 2))

    assert sender.is_gso
    assert sender.stats.gso_refused == 1
    assert receive_all(receiver, 2)[1] == datagrams(2)
    for _ in range(15):
        sender.send(Train(receiver.local_address, datagrams(2), 2))
    assert not sender.is_gso
    assert sender.send(Train(receiver.local_address, datagrams(2), 2)) == 2
    assert sender.stats.gso_refused == 16
    assert capsys.readouterr().err.count("trains_given_up") == 1


def test_bad_destination_does_not_end_gso(make):
    sender = make()
    was_gso = sender.is_gso

    for _ in range(40):
        assert sender.send(Train(("127.0.0.1", 0), datagrams(2), 2)) == 0

    assert sender.is_gso is was_gso
    assert sender.stats.errors["EINVAL"] == 80
    assert sender.stats.dropped_error == 80


@pytest.mark.parametrize("host", ["::1", "localhost", "", "example.org"])
def test_no_name_is_looked_up_and_no_other_family_tried(make, host):
    sender = make()

    assert sender.send(Train((host, 9), datagrams(2), 2)) == 0
    assert sender.stats.dropped_destination == 2


@pytest.mark.parametrize("gso", [True, False])
def test_full_send_buffer_drops_and_counts(make, monkeypatch, gso):
    sender, receiver = make(gso=gso), make()
    # Loopback never fills a send buffer, so the kernel's answer is played.
    monkeypatch.setattr(socket.socket, "sendmsg", refuse(BlockingIOError()))

    assert sender.send(Train(receiver.local_address, datagrams(3), 3)) == 0

    assert sender.stats.dropped_full == 3
    assert sender.stats.sent == 0


@pytest.mark.parametrize("name", ["EPERM", "ENOBUFS", "ECONNREFUSED"])
@pytest.mark.parametrize("count", [1, 3])
def test_errors_are_counted_by_name(make, monkeypatch, name, count):
    sender = make()
    error = OSError(getattr(errno, name), "")
    monkeypatch.setattr(socket.socket, "sendmsg", refuse(error))

    sender.send(Train(sender.local_address, datagrams(count), count))

    assert sender.stats.errors[name] >= 1
    assert sender.stats.dropped_error == count
    assert sender.stats.gso_refused == 0


def test_flood_of_errors_is_one_line_of_log(make, monkeypatch, capsys):
    sender = make()
    monkeypatch.setattr(socket.socket, "sendmsg", refuse(OSError(errno.EUSERS, "")))

    for _ in range(1_000):
        sender.send(Train(sender.local_address, datagrams(1), 1))

    assert capsys.readouterr().err.count("udp_error") == 1


def test_error_while_receiving_is_counted_and_ends_the_drain(make, monkeypatch):
    receiver = make()
    error = OSError(errno.ECONNREFUSED, "")
    monkeypatch.setattr(socket.socket, "recvmsg_into", refuse(error))

    assert receiver.receive_batch() is None
    assert receiver.stats.errors["ECONNREFUSED"] == 1


def test_kernel_without_the_options_is_served_too(make, monkeypatch):
    original = socket.socket.setsockopt

    def setsockopt(self, level, option, value):
        if level == SOL_UDP or option == SO_RXQ_OVFL:
            raise OSError(errno.ENOPROTOOPT, "")
        original(self, level, option, value)

    monkeypatch.setattr(socket.socket, "setsockopt", setsockopt)

    udp = make()

    assert not udp.is_gso
    assert not udp.is_gro


@pytest.mark.parametrize(
    ("parts", "packets"),
    [([bytes(10)], 0), ([bytes(10)], 3), ([bytes(51)], 51), ([bytes(10)], -1)],
)
def test_malformed_train_is_our_bug(make, parts, packets):
    sender = make()

    with pytest.raises(LocalProtocolError, match="datagrams"):
        sender.send(Train(sender.local_address, parts, packets))


def test_empty_datagram_is_an_empty_train(make):
    sender, receiver = make(), make()

    sender.send(Train(receiver.local_address, [b""], 1))

    poll = select.poll()
    poll.register(receiver.fileno(), select.POLLIN)
    poll.poll(5_000)
    view, size, _ = receiver.receive_batch()
    assert (len(view), size) == (0, 1)


def test_nothing_to_receive_is_none(make):
    assert make().receive_batch() is None


def test_kernel_drops_are_counted(make):
    sender, receiver = make(), make()
    set_option(receiver, socket.SO_RCVBUF, 8_192)
    for _ in range(100):
        sender.send(Train(receiver.local_address, datagrams(4), 4))

    received = 0
    while receiver.receive_batch() is not None:
        received += 1
    # The kernel reports the drops with the first datagram that comes after them.
    sender.send(Train(receiver.local_address, datagrams(1), 1))
    receive_all(receiver, 1)

    assert receiver.stats.kernel_drops > 0


def test_backlog_grows_with_what_waits_and_ends_with_it(make):
    sender, receiver = make(), make()
    set_option(receiver, socket.SO_RCVBUF, 300_000)
    told = [receiver.backlog()]
    for _ in range(3):
        sender.send(Train(receiver.local_address, datagrams(50), 50))
        told.append(receiver.backlog())
    while receiver.receive_batch() is not None:
        pass

    assert told == sorted(set(told))
    assert told[0] == receiver.backlog() == 0.0
    assert 0.2 < told[-1] <= 1.0


def test_backlog_of_a_full_buffer_is_one_at_most(make):
    sender, receiver = make(), make()
    set_option(receiver, socket.SO_RCVBUF, 8_192)
    for _ in range(100):
        sender.send(Train(receiver.local_address, datagrams(4), 4))

    assert 0.5 < receiver.backlog() <= 1.0


@pytest.mark.parametrize("answer", [b"", b"\0\0\0\1", bytes(8), OSError(1, "no")])
def test_backlog_is_nothing_where_the_kernel_does_not_tell(make, monkeypatch, answer):
    udp = make()

    def getsockopt(*_):
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(socket.socket, "getsockopt", getsockopt)

    assert udp.backlog() == 0.0


def test_busy_port_says_which_and_what_to_do(make):
    port = make().local_address[1]

    with pytest.raises(ConfigError) as error:
        make(("127.0.0.1", port), setting="--port")

    assert str(error.value) == (
        f"port {port} on 127.0.0.1 is in use; choose another with --port"
    )


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("localhost", 1), "'localhost' is not a numeric IP address; correct --port"),
        (("127.0.0.1", 65_536), "port 65536 is not within 0 … 65535"),
        (("192.0.2.1", 4_000), "192.0.2.1 is not an address of this machine"),
    ],
)
def test_bad_address_is_explained(make, address, text):
    with pytest.raises(ConfigError, match=text):
        make(address, setting="--port")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EACCES, "port 443 on 127.0.0.1 needs a privilege this process lacks"),
        (errno.EIO, "cannot listen on port 443 of 127.0.0.1: no; see --port"),
    ],
)
def test_other_trouble_is_explained_too(make, monkeypatch, number, text):
    monkeypatch.setattr(socket.socket, "bind", refuse(OSError(number, "no")))

    with pytest.raises(ConfigError, match=text):
        make(("127.0.0.1", 443), setting="--port")


def test_family_the_kernel_lacks_is_explained(make, monkeypatch):
    monkeypatch.setattr(socket, "socket", refuse(OSError(errno.EAFNOSUPPORT, "no v6")))

    with pytest.raises(ConfigError, match="no socket for ::1: no v6"):
        make(("::1", 0))


def test_buffers_have_a_size_where_the_kernel_tells_no_limit(make, monkeypatch):
    monkeypatch.setattr("pathlib.Path.read_text", refuse(OSError()))

    udp = make()

    with socket.fromfd(udp.fileno(), socket.AF_INET, socket.SOCK_DGRAM) as handle:
        assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > 212_992


def test_close_gives_the_port_back(make):
    first = make()
    first.close()
    first.close()

    assert make(first.local_address).local_address == first.local_address
