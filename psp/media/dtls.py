"""DTLS-SRTP over the pipe: sizes that fit, parsers that cannot take the call down.

aiortc reads OpenSSL's memory BIO once per write, up to 1,500 bytes. That joins a flight
into one datagram or cuts a record in half, after which the handshake never completes
(aiortc issues 365 and 828). Here the BIO is drained and split on record boundaries.

On a long path round trips count. The offerer is the DTLS client, says hello as it makes
its offer, and sends media behind its own Finished (RFC 7918): the far end is known by
then, and the pipe is authenticated anyway::

    offerer                       answerer
    offer, ClientHello ---------> reads both
               <----------------- answer, ServerHello … Done
    … Finished, media ----------> connected, takes media
               <----------------- Finished, media
"""

# ruff: noqa: SLF001 - aiortc has no public interface to its transports' insides.

import asyncio
import secrets
from collections.abc import Awaitable
from contextlib import suppress

from aiortc.rtcdtlstransport import (
    DataReceiver,
    RTCCertificate,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RtpReceiver,
    RtpSender,
    State,
)
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters
from aiortc.rtp import RtcpRrPacket
from OpenSSL import SSL

from psp.media.config import MediaConfig
from psp.media.flights import Flights
from psp.media.ice import PipeConnection
from psp.media.marking import Marker
from psp.media.pipe import is_rtcp
from psp.media.stats import PipeStats
from psp.wire.onion import Kind

_RECORD_HEADER = 13
"""DTLS 1.2: type 1, version 2, epoch 2, sequence 6, length 2 (RFC 6347 section 4.1)."""

_BIO_SIZE = 1 << 16
_YIELD_EVERY = 16
"""Packets sent in a row before other tasks get their turn: the pipe never makes a
sender wait, so a track of ready packets would starve the loop."""

MAX_UNSENT = 16
"""Datagrams of data channels that wait for the end of the handshake. When full the
newest goes: SCTP sends again what nobody acknowledges."""

MAX_DATA_HELD = 4 << 20
"""Bytes of unfinished messages one SCTP association may hold. aiortc advertises 1 MiB
and does not enforce it."""

_ADVERTISED_WINDOW = 1 << 20


def split_records(data: bytes, mtu: int) -> list[bytes]:
    """Group whole DTLS records into datagrams of at most ``mtu`` bytes.

    A single record above ``mtu`` gets a datagram of its own.
    """
    datagrams: list[bytes] = []
    current = b""
    at = 0
    while at < len(data):
        size = len(data) - at
        is_unified = data[at] & 0xE0 == 0x20  # DTLS 1.3 header: always the last one
        if not is_unified and size >= _RECORD_HEADER:
            length = int.from_bytes(data[at + 11 : at + 13], "big")
            size = min(size, _RECORD_HEADER + length)
        if current and len(current) + size > mtu:
            datagrams.append(current)
            current = b""
        current += data[at : at + size]
        at += size
    if current:
        datagrams.append(current)
    return datagrams


class PipeDtlsTransport(RTCDtlsTransport):
    """aiortc's DTLS transport with an MTU, a keep-alive and a way to mark packets."""

    _RTCDtlsTransport__local_certificate: RTCCertificate
    _RTCDtlsTransport__tx_bytes: int
    _RTCDtlsTransport__tx_packets: int

    def __init__(
        self,
        transport: RTCIceTransport,
        certificates: list[RTCCertificate],
        connection: PipeConnection,
        config: MediaConfig,
    ) -> None:
        super().__init__(transport, certificates)
        self._connection = connection
        self._config = config
        self._marker = Marker(config.key_frame_test)
        self._report_ssrc = secrets.randbits(32)
        self._in_a_row = 0
        self._keeper: asyncio.Task[None] | None = None
        self._begun: SSL.Connection | None = None
        self._flights = Flights(self._send_again, connection.round_trip)
        self._is_shaken = False
        self._unsent: list[bytes] = []

    # -- start and end

    @property
    def is_new(self) -> bool:
        """Whether no handshake has begun and nobody has said who is to begin it."""
        return self._begun is None and self._role == "auto"

    def begin(self) -> None:
        """Say hello as the DTLS client, before the far end's description is known.

        `start` goes on with this handshake if our role has turned out to be that.
        """
        context = self._RTCDtlsTransport__local_certificate._create_ssl_context(
            srtp_profiles=self._srtp_profiles
        )
        self._begun = ssl = SSL.Connection(context)
        ssl.set_connect_state()
        self._prepare(ssl)
        with suppress(SSL.WantReadError):
            ssl.do_handshake()
        hello = self._drain(ssl)
        for datagram in hello:
            self._send_again(datagram)
        self._flights.launch(hello)

    async def start(self, remoteParameters: RTCDtlsParameters) -> None:  # noqa: N803
        """Shake hands, then watch that the peer stays."""
        await super().start(remoteParameters)
        if self.state == "connected":
            self._keeper = asyncio.ensure_future(self._keep_alive())

    async def stop(self) -> None:
        """Say goodbye and stop watching."""
        if self._keeper is not None:
            self._keeper.cancel()
            self._keeper = None
        self._flights.end()
        await super().stop()

    async def _do_handshake(self) -> None:
        if self._begun is not None and self._role == "client":
            self._ssl = self._begun
        else:
            self._flights.end()
            self._prepare(self._require_ssl())
        try:
            async with asyncio.timeout(self._config.handshake_timeout):
                await self._shake_hands(self._require_ssl())
        except TimeoutError:
            self._set_state(State.FAILED)
        except (ConnectionError, SSL.Error):
            self._set_state(State.FAILED)
        if self._state == State.FAILED:
            self._flights.end()

    async def _shake_hands(self, ssl: SSL.Connection) -> None:
        """Go on until both ends know each other: a client needs no more than that."""
        while not self._is_shaken:
            try:
                ssl.do_handshake()
            except SSL.WantReadError:
                await self._write_ssl()
                if self._role == "client" and ssl.get_finished() is not None:
                    return
                await self._recv_next()
            else:
                await self._note_shaken()

    async def _note_shaken(self) -> None:
        self._is_shaken = self.encrypted = True
        if self._role == "client":
            self._flights.end()  # the server's last one may still be lost
        unsent, self._unsent = self._unsent, []
        for data in unsent:
            await super()._send_data(data)

    def _prepare(self, ssl: SSL.Connection) -> None:
        # Without this option OpenSSL asks the memory BIO and falls back to 228 bytes.
        ssl.set_options(SSL.OP_NO_QUERY_MTU)
        ssl.set_ciphertext_mtu(self._config.pipe_mtu)

    async def _keep_alive(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._config.handshake_timeout
        while not self._connection.is_closed:
            await asyncio.sleep(self._config.keep_alive / 2)
            now = loop.time()
            silence = now - self._connection.received_at
            is_stuck = not self._is_shaken and now > until
            if is_stuck or silence > self._config.liveness_timeout:
                self._connection.fail()
            elif now - self._connection.sent_at >= self._config.keep_alive:
                await self._send_empty_report()

    async def _send_empty_report(self) -> None:
        try:
            await self._send_rtp(bytes(RtcpRrPacket(ssrc=self._report_ssrc)))
        except ConnectionError:
            return

    # -- sending

    def _register_rtp_sender(
        self, sender: RtpSender, parameters: RTCRtpSendParameters
    ) -> None:
        rtx_ssrc: int = getattr(sender, "_rtx_ssrc", 0)
        kind: str = getattr(sender, "kind", "video")
        self._marker.learn(sender._ssrc, rtx_ssrc, kind, parameters.codecs[0].name)
        super()._register_rtp_sender(sender, parameters)

    async def _send_rtp(self, data: bytes) -> None:
        if self._state != State.CONNECTED:
            raise ConnectionError("not connected")
        if is_rtcp(data):
            self._connection.send_flagged(self._tx_srtp.protect_rtcp(data), Kind.PASS)
        else:
            flags = self._marker.flags(data)
            self._connection.send_flagged(self._tx_srtp.protect(data), flags)
        self._count_sent(len(data))
        self._in_a_row += 1
        if self._in_a_row % _YIELD_EVERY == 0:
            await asyncio.sleep(0)

    async def _send_data(self, data: bytes) -> None:
        if self._is_shaken:
            await super()._send_data(data)
        elif self._state != State.CONNECTED:
            raise ConnectionError("not connected")
        elif len(self._unsent) < MAX_UNSENT:
            self._unsent.append(data)

    async def _write_ssl(self) -> None:
        datagrams = self._drain(self._require_ssl())
        for datagram in datagrams:
            await self.transport._send(datagram)
            self._count_sent(len(datagram))
        if datagrams and not self._is_shaken:
            self._flights.launch(datagrams)

    def _drain(self, ssl: SSL.Connection) -> list[bytes]:
        """Return what OpenSSL has to send, as datagrams."""
        written = bytearray()
        while True:
            try:
                written += ssl.bio_read(_BIO_SIZE)
            except SSL.Error:
                return split_records(bytes(written), self._config.pipe_mtu)

    def _send_again(self, datagram: bytes) -> None:
        if not self._connection.is_closed:
            self._connection.send_flagged(datagram, Kind.PASS)
            self._count_sent(len(datagram))

    def _require_ssl(self) -> SSL.Connection:
        if self._ssl is None:
            raise ConnectionError("DTLS has not started")
        return self._ssl

    def _count_sent(self, size: int) -> None:
        self._RTCDtlsTransport__tx_bytes += size
        self._RTCDtlsTransport__tx_packets += 1

    # -- receiving: every parser of aiortc may raise anything on a stranger's bytes

    async def _recv_next(self) -> None:
        await super()._recv_next()
        if self._is_shaken or self._state != State.CONNECTED:
            return
        if self._require_ssl().get_peer_finished() is not None:
            await self._note_shaken()

    def _register_rtp_receiver(
        self, receiver: RtpReceiver, parameters: RTCRtpReceiveParameters
    ) -> None:
        super()._register_rtp_receiver(receiver, parameters)
        for encoding in parameters.encodings:
            # aiortc finds retransmissions by payload type, which two tracks may share.
            if encoding.rtx:
                self._rtp_router.ssrc_table[encoding.rtx.ssrc] = receiver

    def _register_data_receiver(self, receiver: DataReceiver) -> None:
        super()._register_data_receiver(
            _GuardedDataReceiver(receiver, self._connection.stats)
        )

    def _unregister_data_receiver(self, receiver: DataReceiver) -> None:
        guard = self._data_receiver
        if isinstance(guard, _GuardedDataReceiver) and guard.inner is receiver:
            self._data_receiver = None

    async def _handle_rtcp_data(self, data: bytes) -> None:
        await _guarded(super()._handle_rtcp_data(data), self._connection.stats)

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        work = super()._handle_rtp_data(data, arrival_time_ms)
        await _guarded(work, self._connection.stats)


class _GuardedDataReceiver:
    def __init__(self, inner: DataReceiver, stats: PipeStats) -> None:
        self.inner = inner
        self._stats = stats

    async def _handle_data(self, data: bytes) -> None:
        window: int = getattr(self.inner, "_advertised_rwnd", _ADVERTISED_WINDOW)
        if _ADVERTISED_WINDOW - window > MAX_DATA_HELD:
            self._stats.data_flood += 1
            return
        await _guarded(self.inner._handle_data(data), self._stats)


async def _guarded(work: Awaitable[None], stats: PipeStats) -> None:
    try:
        await work
    except ConnectionError:
        raise
    except Exception:  # noqa: BLE001 - the boundary to a parser that promises nothing
        stats.malformed += 1
