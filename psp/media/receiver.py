"""A receiver for a path that loses packets, in the place of aiortc's.

It has the interface of ``RTCRtpReceiver`` and feeds the same ``MediaStreamTrack``, but
neither its jitter buffer nor its way of asking for what is missing; those are
`psp.media.assembly` and `psp.media.audio_order`. All queues are bounded: the decoder's
refuses new frames when full, the track's drops its oldest.
"""

# ruff: noqa: SLF001 - aiortc has no public interface between transport and receiver.

import asyncio
import secrets
from collections.abc import Coroutine

from aiortc import RTCRtpReceiver
from aiortc.codecs import depayload, is_rtx
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RTCRtpSynchronizationSource
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    RtpPacket,
    pack_remb_fci,
    unwrap_rtx,
)
from aiortc.stats import RTCStatsReport
from av.frame import Frame

from psp.media.assembly import EncodedFrame, FrameAssembler, VideoPacket
from psp.media.audio_order import AudioOrder
from psp.media.codec import opening
from psp.media.config import MediaConfig
from psp.media.decoder import DecoderThread
from psp.media.encoded import EncodedPacket, encoded_packet
from psp.media.pipe import RoundTrip
from psp.media.reports import ReceptionReports
from psp.media.stats import TrackStats
from psp.units import Monotonic

MAX_TRACK_QUEUE = {"audio": 50, "video": 30}
"""Frames waiting for ``track.recv()``: one second. When full the oldest goes."""

_TIMER_SLACK = 0.002
"""Seconds a timer may be late: saves setting it anew for every packet."""


class PipeReceiver(RTCRtpReceiver):
    """Receives one track.

    Attributes:
        statistics: What came and what did not.
    """

    def __init__(
        self,
        kind: str,
        transport: RTCDtlsTransport,
        config: MediaConfig,
        round_trip: RoundTrip,
    ) -> None:
        super().__init__(kind, transport)
        self.statistics = TrackStats()
        self._kind = kind
        self._config = config
        self._dtls = transport
        self._codecs: dict[int, RTCRtpCodecParameters] = {}
        self._media_of_rtx: dict[int, int] = {}
        self._media_ssrc = 0
        self._own_ssrc: int | None = None
        self._video = FrameAssembler(self.statistics, config.video_patience, round_trip)
        self._audio = AudioOrder(self.statistics, config.audio_patience)
        self._codec: RTCRtpCodecParameters | None = None
        self._bandwidth = RemoteBitrateEstimator() if kind == "video" else None
        self._reports = ReceptionReports(kind)
        self._decoder: DecoderThread | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._is_started = False
        self._is_ended = False

    # -- interface of RTCRtpReceiver

    @property
    def transport(self) -> RTCDtlsTransport:
        """The transport the track comes by."""
        return self._dtls

    def setTransport(self, transport: RTCDtlsTransport) -> None:  # noqa: N802
        """Receive over another transport."""
        self._dtls = transport

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Start receiving what the session description names."""
        if self._is_started or self._is_ended:
            return
        self._is_started = True
        for codec in parameters.codecs:
            if codec.payloadType is not None:
                self._codecs[codec.payloadType] = codec
        for encoding in parameters.encodings:
            self._media_ssrc = encoding.ssrc
            if encoding.rtx:
                self._media_of_rtx[encoding.rtx.ssrc] = encoding.ssrc
        if self._config.decodes:
            self._decoder = DecoderThread(
                f"{self._kind}-decoder",
                self._push_decoded,
                self._on_damage,
                self._end_track,
            )
        self._dtls._register_rtp_receiver(self, parameters)
        self._spawn(self._report_regularly())

    async def stop(self) -> None:
        """Stop for good; the track ends."""
        if self._is_started:
            self._dtls._unregister_rtp_receiver(self)
        self._end()
        if self._decoder is not None:
            await self._decoder.join()

    async def getStats(self) -> RTCStatsReport:  # noqa: N802
        """Return aiortc's report, with the media stream's own numbers."""
        report = self._reports.stats_report(
            self.statistics, self._media_ssrc, self._dtls._stats_id
        )
        report.update(self._dtls._get_stats())
        return report

    def getSynchronizationSources(  # noqa: N802
        self,
    ) -> list[RTCRtpSynchronizationSource]:
        """Return the media stream's SSRC if it was heard in the last ten seconds."""
        return self._reports.sources(self._media_ssrc)

    def _set_rtcp_ssrc(self, ssrc: int) -> None:
        self._own_ssrc = ssrc

    def _handle_disconnect(self) -> None:
        self._end()

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket):
            self._reports.hear_sender(packet)
        elif isinstance(packet, RtcpByePacket):
            self._end()

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        codec = self._codecs.get(packet.payload_type)
        if not self._enabled or self._is_ended or codec is None:
            return
        await self._estimate_bandwidth(packet, arrival_time_ms)
        self._reports.hear(packet, codec.clockRate)
        self.statistics.packets += 1
        if is_rtx(codec):
            original = self._unwrap(packet, codec)
            if original is None:
                return
            packet, codec = original
        try:
            data = depayload(codec, packet.payload) if packet.payload else b""
        except ValueError:
            self.statistics.malformed += 1
            return
        self._codec = codec
        now = self._now()
        if self._kind == "audio":
            self._audio.add(packet.sequence_number, packet.timestamp, data, now)
        else:
            self._add_video(packet, data, codec, now)
        await self._advance()

    # -- packets to frames

    def _unwrap(
        self, packet: RtpPacket, codec: RTCRtpCodecParameters
    ) -> tuple[RtpPacket, RTCRtpCodecParameters] | None:
        media_ssrc = self._media_of_rtx.get(packet.ssrc)
        apt = codec.parameters.get("apt")
        if media_ssrc is None or not isinstance(apt, int) or apt not in self._codecs:
            return None
        if len(packet.payload) < 2:  # padding, sent to probe the path
            return None
        return unwrap_rtx(packet, apt, media_ssrc), self._codecs[apt]

    def _add_video(
        self,
        packet: RtpPacket,
        data: bytes,
        codec: RTCRtpCodecParameters,
        now: Monotonic,
    ) -> None:
        self._video.add(
            VideoPacket(
                packet.sequence_number,
                packet.timestamp,
                bool(packet.marker),
                opening(codec.name, packet.payload, self._config.key_frame_test),
                data,
            ),
            now,
        )

    async def _advance(self) -> None:
        """Release what is ready, ask for what is not, and set the timer."""
        now = self._now()
        if self._kind == "audio":
            for frame in self._audio.advance(now):
                self._release(frame, is_key=True)
            self._set_timer(self._audio.next_timeout())
            return
        for frame in self._video.advance(now):
            name = self._codec.name if self._codec else ""
            is_key = self._config.key_frame_test(name, frame.data)
            if self._video.accept(is_key=is_key):
                self._release(frame, is_key=is_key)
        await self._ask(now)
        self._set_timer(self._video.next_timeout())

    def _release(self, frame: EncodedFrame, *, is_key: bool) -> None:
        if self._codec is None:
            return
        if not self._config.decodes:
            self._push(encoded_packet(self._codec, frame, is_key=is_key))
        elif self._decoder is not None and not self._decoder.submit(
            self._codec, frame, is_key=is_key
        ):
            self.statistics.dropped += 1
            self._video.require_key_frame()

    def _push_decoded(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._push(frame)

    def _push(self, item: Frame | EncodedPacket) -> None:
        if self._track is None:
            return
        queue = self._track._queue
        while queue.qsize() >= MAX_TRACK_QUEUE[self._kind]:
            queue.get_nowait()
            self.statistics.dropped += 1
            if not self._config.decodes:
                self._video.require_key_frame()
        queue.put_nowait(item)

    def _on_damage(self) -> None:
        self.statistics.damaged += 1
        self._video.require_key_frame()
        self._on_timer()

    # -- feedback

    async def _ask(self, now: Monotonic) -> None:
        missing = self._video.requests(now)
        if missing and self._own_ssrc is not None:
            request = RtcpRtpfbPacket(
                fmt=RTCP_RTPFB_NACK, ssrc=self._own_ssrc, media_ssrc=self._media_ssrc
            )
            request.lost = missing
            await self._send(request)
        if self._video.wants_key_frame(now) and self._own_ssrc is not None:
            # Never to the retransmission stream, which browsers probe on first.
            await self._send(
                RtcpPsfbPacket(
                    fmt=RTCP_PSFB_PLI, ssrc=self._own_ssrc, media_ssrc=self._media_ssrc
                )
            )

    async def request_key_frame(self) -> None:
        """Ask the sender for a key frame, on behalf of somebody further on."""
        self._video.require_key_frame()
        await self._ask(self._now())

    async def _estimate_bandwidth(self, packet: RtpPacket, arrival_ms: int) -> None:
        send_time = packet.extensions.abs_send_time
        if self._bandwidth is None or send_time is None or self._own_ssrc is None:
            return
        estimate = self._bandwidth.add(
            abs_send_time=send_time,
            arrival_time_ms=arrival_ms,
            payload_size=len(packet.payload) + packet.padding_size,
            ssrc=packet.ssrc,
        )
        if estimate is not None:
            await self._send(
                RtcpPsfbPacket(
                    fmt=RTCP_PSFB_APP,
                    ssrc=self._own_ssrc,
                    media_ssrc=0,
                    fci=pack_remb_fci(*estimate),
                )
            )

    async def _report_regularly(self) -> None:
        while not self._is_ended:
            # RFC 3550 section 6.2: spread over 0.5 … 1.5 of the interval.
            await asyncio.sleep(0.5 + secrets.randbelow(1000) / 1000)
            report = self._reports.receiver_report(self._own_ssrc)
            if report is not None:
                await self._send(report)

    async def _send(self, packet: AnyRtcpPacket) -> None:
        try:
            await self._dtls._send_rtp(bytes(packet))
        except ConnectionError:
            return  # the transport's end is reported by the transport

    # -- timers and the end

    def _now(self) -> Monotonic:
        return Monotonic(asyncio.get_running_loop().time())

    def _set_timer(self, when: Monotonic | None) -> None:
        if self._timer is not None:
            if when is not None and abs(self._timer_at - when) < _TIMER_SLACK:
                return
            self._timer.cancel()
            self._timer = None
        if when is not None and not self._is_ended:
            loop = asyncio.get_running_loop()
            self._timer_at = when
            self._timer = loop.call_at(when + _TIMER_SLACK / 2, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if not self._is_ended:
            self._spawn(self._advance())

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end(self) -> None:
        if self._is_ended:
            return
        self._is_ended = True
        self._set_timer(None)
        for task in list(self._tasks):
            task.cancel()
        if self._decoder is not None:
            self._decoder.end()  # the track ends behind what is still to be decoded
        else:
            self._end_track()

    def _end_track(self) -> None:
        if self._track is not None:
            self._track._queue.put_nowait(None)
