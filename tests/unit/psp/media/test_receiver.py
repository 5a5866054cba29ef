"""The receiver, fed by hand."""

import asyncio

import pytest
from aiortc.codecs import CODECS, HEADER_EXTENSIONS
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import (
    RTCRtpDecodingParameters,
    RTCRtpReceiveParameters,
    RTCRtpRtxParameters,
)
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import RtcpByePacket, RtpPacket, wrap_rtx
from aiortc.stats import RTCStatsReport

from psp.media.codec import is_key_frame
from psp.media.config import MediaConfig
from psp.media.peer_connection import PipePeerConnection
from psp.media.receiver import MAX_TRACK_QUEUE, PipeReceiver
from psp.testing.media import MemoryPipe
from psp.units import Seconds

SSRC, RTX_SSRC = 11, 12
KEY = b"\x10\x10\x00\x00\x9d\x01\x2a" + bytes(10)
DELTA = b"\x10\x11" + bytes(10)


class FakeTransport(RTCDtlsTransport):
    """Takes what the receiver sends."""

    state = "connected"
    _stats_id = "transport"

    def __init__(self) -> None:  # nothing of the real one
        self.sent: asyncio.Queue[bytes] = asyncio.Queue()

    async def _send_rtp(self, data: bytes) -> None:
        self.sent.put_nowait(data)

    def _register_rtp_receiver(self, receiver, parameters) -> None:
        pass

    def _unregister_rtp_receiver(self, receiver) -> None:
        pass

    def _get_stats(self):
        return RTCStatsReport()


def is_feedback(data: bytes) -> bool:
    return data[1] in (205, 206)


async def receiver(kind: str, *, decodes: bool = False, test=is_key_frame):
    transport = FakeTransport()
    config = MediaConfig(
        decodes=decodes, audio_patience=Seconds(0.05), key_frame_test=test
    )
    made = PipeReceiver(kind, transport, config, lambda: Seconds(0.04))
    made._track = RemoteStreamTrack(kind)
    made._set_rtcp_ssrc(5)
    codecs = CODECS[kind][:2]
    payload_type = codecs[0].payloadType
    assert payload_type is not None
    encoding = RTCRtpDecodingParameters(ssrc=SSRC, payloadType=payload_type)
    if kind == "video":
        encoding.rtx = RTCRtpRtxParameters(ssrc=RTX_SSRC)
    await made.receive(
        RTCRtpReceiveParameters(
            codecs=codecs,
            headerExtensions=HEADER_EXTENSIONS[kind],
            encodings=[encoding],
        )
    )
    return made, transport, payload_type


def rtp(payload_type, number, payload, *, stamp=960):
    return RtpPacket(
        payload_type=payload_type,
        sequence_number=number,
        timestamp=number * stamp,
        ssrc=SSRC,
        payload=payload,
        marker=1,
    )


async def test_audio_delay_after_loss_does_not_last():
    made, _, opus = await receiver("audio")

    for number in range(10):
        if number != 3:
            await made._handle_rtp_packet(rtp(opus, number, b"%d" % number), 0)
    heard = [bytes(await made.track.recv()) for _ in range(9)]
    await made._handle_rtp_packet(rtp(opus, 10, b"10"), 0)

    assert heard == [b"%d" % number for number in range(10) if number != 3]
    assert bytes(made.track._queue.get_nowait()) == b"10"
    assert made.statistics.lost == 1
    await made.stop()


async def test_lost_video_packet_is_asked_for_without_further_packets():
    made, transport, vp8 = await receiver("video")
    await made._handle_rtp_packet(rtp(vp8, 0, KEY), 0)
    await made._handle_rtp_packet(rtp(vp8, 2, DELTA), 0)

    assert is_feedback(await transport.sent.get())
    lost = wrap_rtx(rtp(vp8, 1, DELTA), vp8 + 1, 900, RTX_SSRC)
    await made._handle_rtp_packet(lost, 0)

    packets = [await made.track.recv() for _ in range(3)]
    assert [packet.pts for packet in packets] == [0, 960, 1920]
    assert [packet.is_keyframe for packet in packets] == [True, False, False]
    assert made.statistics.recovered == 1
    await made.stop()


async def test_slow_reader_loses_the_oldest_audio():
    made, _, opus = await receiver("audio")

    for number in range(MAX_TRACK_QUEUE["audio"] + 5):
        await made._handle_rtp_packet(rtp(opus, number, b"%d" % number), 0)

    assert bytes(await made.track.recv()) == b"5"
    assert made.statistics.dropped == 5
    await made.stop()


async def test_slow_reader_of_encoded_video_gets_no_frame_without_its_reference():
    made, _, vp8 = await receiver("video")
    await made._handle_rtp_packet(rtp(vp8, 0, KEY), 0)

    for number in range(1, MAX_TRACK_QUEUE["video"] + 5):
        await made._handle_rtp_packet(rtp(vp8, number, DELTA), 0)

    assert made.statistics.dropped == 1
    assert made.statistics.skipped == 4
    await made.stop()


@pytest.mark.parametrize("end", ["bye", "disconnect", "stop"])
async def test_every_end_ends_the_track_once(end):
    made, _, opus = await receiver("audio", decodes=True)

    if end == "bye":
        await made._handle_rtcp_packet(RtcpByePacket(sources=[SSRC]))
    elif end == "disconnect":
        made._handle_disconnect()
    await made.stop()

    with pytest.raises(MediaStreamError):
        await made.track.recv()
    await made._handle_rtp_packet(rtp(opus, 0, b"late"), 0)
    assert made.track._queue.empty()


async def test_malformed_payload_and_stray_retransmissions_are_ignored():
    made, _, vp8 = await receiver("video")

    await made._handle_rtp_packet(rtp(vp8, 0, b"\x90"), 0)
    stray = wrap_rtx(rtp(vp8, 1, KEY), vp8 + 1, 900, 999)
    await made._handle_rtp_packet(stray, 0)
    await made._handle_rtp_packet(rtp(127, 2, KEY), 0)
    probe = wrap_rtx(rtp(vp8, 1, KEY), vp8 + 1, 901, RTX_SSRC)
    probe.payload = b"\0"
    await made._handle_rtp_packet(probe, 0)

    assert made.statistics.malformed == 1
    assert made.statistics.frames == 0
    await made.stop()


async def test_damaged_frame_makes_the_receiver_ask_for_a_key_frame():
    made, transport, vp8 = await receiver(
        "video", decodes=True, test=lambda codec, data: True
    )

    await made._handle_rtp_packet(rtp(vp8, 0, b"\x10\x00nonsense"), 0)
    while not is_feedback(await transport.sent.get()):
        pass

    assert made.statistics.damaged == 1
    assert made.statistics.key_frame_requests == 1
    await made.stop()


async def test_key_frame_can_be_asked_for_on_behalf_of_somebody_else():
    made, transport, vp8 = await receiver("video")
    await made._handle_rtp_packet(rtp(vp8, 0, KEY), 0)

    await made.request_key_frame()

    assert is_feedback(transport.sent.get_nowait())
    await made.stop()


async def test_statistics_and_sources_are_the_media_streams():
    made, _, vp8 = await receiver("video")
    await made._handle_rtp_packet(rtp(vp8, 0, KEY), 0)

    report = await made.getStats()

    assert [stat.ssrc for stat in report.values()] == [SSRC]
    assert [source.source for source in made.getSynchronizationSources()] == [SSRC]
    assert made.transport.state == "connected"
    await made.stop()


async def test_receivers_of_a_peer_connection_are_ours():
    near, _ = MemoryPipe.pair()
    connection = PipePeerConnection(near)

    made = connection.addTransceiver("video").receiver
    await connection.close()

    assert isinstance(made, PipeReceiver)
