"""DTLS flights in datagrams that fit, and parsers that fail without harm."""

import asyncio
import datetime as dt
import itertools
import random
import struct

import pytest
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import State
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from psp.media.config import MediaConfig
from psp.media.dtls import MAX_DATA_HELD, MAX_UNSENT, split_records
from psp.media.flights import COPY_AFTER
from psp.media.mtu import configure_mtu
from psp.media.peer_connection import PipePeerConnection
from psp.media.pipe import PIPE_MTU
from psp.testing.media import MemoryPipe, Weather, kind_of, negotiate, until_state
from psp.testing.simloop import run_simulation
from psp.units import Seconds

QUICK = MediaConfig(linger=Seconds(0.0))


def record(size: int, kind: int = 22) -> bytes:
    return struct.pack("!B12xH", kind, 0)[:11] + struct.pack("!H", size) + bytes(size)


@given(st.lists(st.integers(0, 900), max_size=12))
def test_flight_is_split_between_records(sizes):
    records = [record(size) for size in sizes]

    datagrams = split_records(b"".join(records), 1000)

    assert b"".join(datagrams) == b"".join(records)
    assert all(len(datagram) <= 1000 for datagram in datagrams)
    ends = {sum(map(len, records[:at])) for at in range(len(records) + 1)}
    at = 0
    for datagram in datagrams:
        at += len(datagram)
        assert at in ends


@given(st.binary(max_size=100))
def test_any_bytes_are_split_without_loss(data):
    assert b"".join(split_records(data, 50)) == data


def test_dtls_13_record_is_not_cut():
    data = record(20) + b"\x2f" + bytes(200)

    assert b"".join(split_records(data, 100)) == data
    assert len(split_records(data, 100)) == 2


def large_certificate() -> RTCCertificate:
    """A certificate of 6 kB."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "large")])
    now = dt.datetime.now(dt.UTC)
    padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(6000))
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(padding, critical=False)
    )
    return RTCCertificate(key, builder.sign(key, hashes.SHA256()))


@pytest.mark.parametrize("mtu", [PIPE_MTU, 500])
async def test_handshake_with_a_certificate_of_6_kb_fits_the_pipe(mtu, monkeypatch):
    monkeypatch.setattr(RTCCertificate, "generateCertificate", large_certificate)
    config = MediaConfig(pipe_mtu=mtu, linger=Seconds(0.0))
    near, far = MemoryPipe.pair()
    caller, callee = PipePeerConnection(near, config), PipePeerConnection(far, config)
    caller.createDataChannel("chat")

    await negotiate(caller, callee)
    await until_state(caller, "connected")
    await until_state(callee, "connected")

    assert max(near.sizes.values()) <= mtu
    assert max(far.sizes.values()) <= mtu
    assert caller.pipe_stats.oversize == 0
    await caller.close()
    await callee.close()
    configure_mtu(PIPE_MTU)


DELAY = 0.25


def times_to_connect(drop=lambda number: False):
    """Return seconds until either end can send media, in virtual time.

    Offer and answer take as long as datagrams. ``drop`` is asked which datagrams of the
    handshake are lost, by their number.
    """

    async def main(_):
        loop = asyncio.get_running_loop()
        near, far = MemoryPipe.pair(Weather(delay=Seconds(DELAY)))
        numbers = itertools.count()
        near.drop = far.drop = lambda data: (
            kind_of(data) == "handshake" and drop(next(numbers))
        )
        config = MediaConfig(linger=Seconds(0.0), decodes=False)  # no threads
        caller = PipePeerConnection(near, config)
        callee = PipePeerConnection(far, config)
        channel = caller.createDataChannel("chat")
        caller.addTransceiver("audio")
        heard = loop.create_future()
        callee.on("datachannel", lambda other: other.on("message", heard.set_result))
        channel.on("open", lambda: channel.send("hello"))
        connected = {}
        for name, each in (("caller", caller), ("callee", callee)):
            waiting = asyncio.create_task(until_state(each, "connected"))
            waiting.add_done_callback(
                lambda _, name=name: connected.setdefault(name, loop.time())
            )
        await caller.setLocalDescription(await caller.createOffer())
        await asyncio.sleep(DELAY)
        await callee.setRemoteDescription(caller.localDescription)
        await callee.setLocalDescription(await callee.createAnswer())
        await asyncio.sleep(DELAY)
        await caller.setRemoteDescription(callee.localDescription)
        assert await heard == "hello"
        await caller.close()
        await callee.close()
        return connected["caller"], connected["callee"]

    return run_simulation(main)


def test_offerer_sends_media_after_one_round_trip_and_the_other_half_later():
    assert times_to_connect() == pytest.approx((2 * DELAY, 3 * DELAY), abs=0.01)


@pytest.mark.parametrize("lost", range(4))
def test_a_lost_flight_costs_less_than_a_round_trip(lost):
    caller, callee = times_to_connect(lambda number: number == lost)

    assert caller <= 2 * DELAY + COPY_AFTER + 0.01
    assert callee <= 3 * DELAY + COPY_AFTER + 0.01


async def test_data_sent_before_the_handshake_ends_is_kept_within_bounds():
    connection, dtls = await dtls_with(DataReceiver(1 << 20))
    with pytest.raises(ConnectionError):
        await dtls._send_data(b"x")
    dtls._set_state(State.CONNECTED)

    for _ in range(MAX_UNSENT + 5):
        await dtls._send_data(b"x")

    assert len(dtls._unsent) == MAX_UNSENT
    await connection.close()


async def test_handshake_survives_bad_weather():
    near, far = MemoryPipe.pair(Weather(delay=Seconds(0.01), loss=0.2), seed=5)
    caller, callee = PipePeerConnection(near, QUICK), PipePeerConnection(far, QUICK)
    caller.createDataChannel("chat")

    await negotiate(caller, callee)
    await until_state(caller, "connected")
    await until_state(callee, "connected")

    assert near.lost + far.lost > 0
    await caller.close()
    await callee.close()


async def test_handshake_that_nobody_answers_fails():
    near, far = MemoryPipe.pair()
    config = MediaConfig(handshake_timeout=Seconds(0.1), linger=Seconds(0.0))
    caller, callee = PipePeerConnection(near, config), PipePeerConnection(far, config)
    caller.createDataChannel("chat")
    near.drop = far.drop = lambda data: True

    await negotiate(caller, callee)

    await until_state(caller, "failed")
    await until_state(callee, "failed")
    await caller.close()
    await callee.close()


class DataReceiver:
    """Stands for an SCTP association, which may hold too much or fail."""

    def __init__(self, window: int, error: Exception | None = None) -> None:
        self._advertised_rwnd = window
        self.error = error
        self.taken: list[bytes] = []

    async def _handle_data(self, data: bytes) -> None:
        self.taken.append(data)
        if self.error is not None:
            raise self.error


async def dtls_with(receiver: DataReceiver):
    near, _ = MemoryPipe.pair()
    connection = PipePeerConnection(near, QUICK)
    dtls = connection.addTransceiver("audio").receiver.transport
    dtls._register_data_receiver(receiver)
    return connection, dtls


async def test_failing_sctp_parser_is_counted_and_the_call_goes_on():
    connection, dtls = await dtls_with(DataReceiver(1 << 20, AssertionError("chunk")))

    await dtls._data_receiver._handle_data(b"x")

    assert connection.pipe_stats.malformed == 1
    await connection.close()


async def test_association_that_holds_too_much_gets_nothing_more():
    receiver = DataReceiver((1 << 20) - MAX_DATA_HELD - 1)
    connection, dtls = await dtls_with(receiver)

    await dtls._data_receiver._handle_data(b"x")

    assert receiver.taken == []
    assert connection.pipe_stats.data_flood == 1
    dtls._unregister_data_receiver(receiver)
    assert dtls._data_receiver is None
    await connection.close()


async def test_any_rtp_and_rtcp_bytes_are_survived():
    connection, dtls = await dtls_with(DataReceiver(1 << 20))
    weather = random.Random(3)

    for _ in range(3000):
        data = bytes([weather.randrange(128, 192), weather.randrange(256)])
        data += weather.randbytes(weather.randrange(60))
        await dtls._handle_rtp_data(data, 0)
        await dtls._handle_rtcp_data(data)

    assert connection.connectionState == "new"
    await connection.close()
