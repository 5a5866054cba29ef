"""The peer connection: order of set-up, descriptions, and the end."""

import asyncio
import datetime as dt
from types import SimpleNamespace

import aiortc.clock
import pytest
from aiortc import MediaStreamTrack, RTCIceCandidate, RTCSessionDescription
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamError

from psp.errors import LocalProtocolError, RemoteProtocolError
from psp.media.bitrate import video_bitrate
from psp.media.config import MediaConfig
from psp.media.ice import PipeConnection
from psp.media.peer_connection import PipePeerConnection
from psp.testing.media import (
    MemoryPipe,
    PatternTrack,
    ToneTrack,
    Weather,
    negotiate,
    until_state,
)
from psp.units import Seconds

QUICK = MediaConfig(linger=Seconds(0.01))


def pair(config=QUICK, weather=Weather()):  # noqa: B008 - frozen
    near, far = MemoryPipe.pair(weather)
    return PipePeerConnection(near, config), PipePeerConnection(far, config), near, far


async def until_ended(track) -> None:
    try:
        while True:
            await track.recv()
    except MediaStreamError:
        return


async def echo(caller, callee) -> str:
    """Send a word over a data channel and back."""
    answered = asyncio.get_running_loop().create_future()

    @callee.on("datachannel")
    def on_channel(channel):
        channel.on("message", channel.send)

    channel = caller.createDataChannel("chat")
    channel.on("open", lambda: channel.send("hello"))
    channel.on("message", answered.set_result)
    await negotiate(caller, callee)
    word: str = await answered
    return word


@pytest.mark.parametrize("data_channel_first", [True, False])
async def test_max_bundle_order_of_tracks_and_data_channel_does_not_matter(
    data_channel_first,
):
    caller, callee, _, _ = pair()
    received = asyncio.get_running_loop().create_future()
    callee.on("track", received.set_result)
    if data_channel_first:
        early = caller.createDataChannel("early")
        caller.addTrack(ToneTrack())
    else:
        caller.addTrack(ToneTrack())
        early = caller.createDataChannel("early")
    opened = asyncio.Event()
    early.on("open", opened.set)

    word = await echo(caller, callee)
    await opened.wait()
    frame = await (await received).recv()

    assert word == "hello"
    assert frame.samples == 960
    await caller.close()
    await callee.close()


async def test_data_channel_works_without_any_track():
    caller, callee, _, _ = pair()

    assert await echo(caller, callee) == "hello"

    await caller.close()
    await callee.close()


async def test_local_description_holds_nothing_but_the_pseudo_address():
    caller, callee, _, _ = pair()
    caller.addTrack(ToneTrack())
    callee.addTrack(ToneTrack())
    caller.createDataChannel("chat")

    await negotiate(caller, callee)

    for connection in (caller, callee):
        sdp = connection.localDescription.sdp
        hosts = {line.split()[-1] for line in sdp.splitlines() if "IN IP4" in line}
        candidates = [line for line in sdp.splitlines() if "a=candidate" in line]
        assert hosts == {"0.0.0.0"}
        assert {line.split(" ", 1)[1] for line in candidates} == {
            "1 udp 1 0.0.0.0 9 typ host"
        }
    await caller.close()
    await callee.close()


async def test_real_local_candidate_ends_the_connection(monkeypatch):
    caller, _, near, _ = pair()
    caller.addTrack(ToneTrack())
    (candidate,) = PipeConnection(MemoryPipe.pair()[0], QUICK).local_candidates
    candidate.host = "192.0.2.1"

    monkeypatch.setattr(PipeConnection, "local_candidates", [candidate])

    with pytest.raises(LocalProtocolError, match="candidate"):
        await caller.setLocalDescription()
    assert near.is_closed


async def test_foreign_candidates_are_counted_and_never_used():
    caller, callee, _, _ = pair()
    caller.addTrack(ToneTrack())
    await caller.setLocalDescription()
    offer = caller.localDescription
    leak = "a=candidate:1 1 udp 2130706431 abcd.local 5000 typ host\r\n"

    await callee.setRemoteDescription(RTCSessionDescription(offer.sdp + leak, "offer"))
    await callee.addIceCandidate(
        RTCIceCandidate(1, "1", "192.0.2.1", 5000, 1, "udp", "host", sdpMid="0")
    )
    await callee.addIceCandidate(None)

    assert callee.pipe_stats.candidates_refused == 2
    assert "abcd.local" not in callee.remoteDescription.sdp
    await caller.close()
    await callee.close()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=fingerprint:sha-256", "a=x:"),
        ("a=ice-ufrag", "a=x"),
        ("a=rtcp-mux", "a=x"),
        ("opus/48000/2", "unknown/1/1"),
        ("m=audio", "m=audio x"),
        ("a=mid:0", "a=mid:"),
        ("a=ssrc:", "a=ssrc:x"),
        ("BUNDLE 0", "BUNDLE 9"),
    ],
)
async def test_impossible_offer_is_a_protocol_error_or_a_failed_call(old, new):
    caller, callee, _, _ = pair()
    caller.addTrack(ToneTrack())
    await caller.setLocalDescription()
    bad = caller.localDescription.sdp.replace(old, new)

    try:
        await callee.setRemoteDescription(RTCSessionDescription(bad, "offer"))
        await callee.setLocalDescription()
    except (RemoteProtocolError, InvalidStateError):
        pass

    await caller.close()
    await callee.close()
    assert callee.connectionState == "closed"


async def test_description_at_the_wrong_moment_is_our_mistake():
    caller, callee, _, _ = pair()
    caller.addTrack(ToneTrack())
    await negotiate(caller, callee)

    with pytest.raises(InvalidStateError):
        await caller.setRemoteDescription(callee.localDescription)

    await caller.close()
    await callee.close()


async def test_end_of_the_pipe_closes_the_connection_and_ends_the_tracks():
    caller, callee, near, _ = pair()
    caller.addTrack(ToneTrack())
    received = asyncio.get_running_loop().create_future()
    callee.on("track", received.set_result)
    await negotiate(caller, callee)
    track = await received
    await track.recv()

    near.close()
    await until_state(callee, "closed")

    await until_ended(track)
    await caller.close()


async def test_goodbye_arrives_before_the_pipe_closes():
    weather = Weather(delay=Seconds(0.05))
    caller, callee, near, _ = pair(MediaConfig(linger=Seconds(0.2)), weather)
    caller.addTrack(ToneTrack())
    received = asyncio.get_running_loop().create_future()
    callee.on("track", received.set_result)
    await negotiate(caller, callee)
    track = await received
    await track.recv()

    closing = asyncio.ensure_future(caller.close())
    await until_ended(track)

    assert not near.is_closed
    await closing
    assert near.is_closed
    await callee.close()


async def test_silent_peer_is_given_up():
    config = MediaConfig(
        liveness_timeout=Seconds(0.2), keep_alive=Seconds(0.05), linger=Seconds(0.0)
    )
    caller, callee, near, far = pair(config)
    assert await echo(caller, callee) == "hello"

    near.drop = far.drop = lambda data: True

    await until_state(caller, "closed")
    await until_state(callee, "closed")


async def test_quiet_peer_is_kept_alive():
    config = MediaConfig(
        liveness_timeout=Seconds(0.3), keep_alive=Seconds(0.05), linger=Seconds(0.0)
    )
    caller, callee, near, _ = pair(config)
    assert await echo(caller, callee) == "hello"
    before = near.sent

    arrived = asyncio.Event()

    def watch(data: bytes) -> bool:
        if near.sent > before + 10:
            arrived.set()
        return False

    near.drop = watch
    await arrived.wait()

    assert caller.connectionState == callee.connectionState == "connected"
    await caller.close()
    await callee.close()


async def test_unused_connection_closes_its_pipe():
    caller, callee, near, far = pair()

    await caller.close()
    await caller.close()
    await callee.close()

    assert near.is_closed
    assert far.is_closed


async def test_counters_of_tracks_are_told_by_kind():
    caller, callee, _, _ = pair()
    caller.addTrack(ToneTrack())
    caller.addTrack(PatternTrack())
    tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    callee.on("track", tracks.put_nowait)
    await negotiate(caller, callee)
    for _ in range(2):
        await (await tracks.get()).recv()

    kinds = {kind: stats.packets > 0 for kind, stats in callee.received_tracks}

    assert kinds["video"]
    assert [kind for kind, _ in caller.sent_tracks] == ["audio", "video"]
    assert callee.pipe_stats.received > 0
    await caller.close()
    await callee.close()


async def test_ntp_clock_in_descriptions_and_reports_is_not_ours_nor_shared():
    caller, callee, _, _ = pair()
    caller.addTrack(ToneTrack())
    callee.addTrack(ToneTrack())
    await negotiate(caller, callee)
    real = aiortc.clock.datetime_to_ntp(dt.datetime.now(dt.UTC)) >> 32

    origins = [
        int(each.localDescription.sdp.split("o=- ")[1].split()[0])
        for each in (caller, callee)
    ]
    # Sender reports come every 0.5 … 1.5 seconds.
    receiver = callee.getTransceivers()[0].receiver
    heard: list[dt.datetime] = []
    while not heard:
        await receiver.track.recv()
        heard = [
            stat.remoteTimestamp
            for stat in (await receiver.getStats()).values()
            if stat.type == "remote-outbound-rtp"
        ]

    assert all(abs(origin - real) > 5 for origin in origins)
    assert abs(origins[0] - origins[1]) > 5
    reported = aiortc.clock.datetime_to_ntp(heard[0]) >> 32
    assert abs(reported - origins[0]) < 5
    await caller.close()
    await callee.close()


async def test_video_keeps_to_what_a_paced_pipe_bears_beside_audio():
    near, _ = MemoryPipe.pair()
    near.bitrate, near.sending = 2_000_000, SimpleNamespace(dropped=3)
    connection = PipePeerConnection(near, QUICK)
    audio = connection.addTrack(ToneTrack())
    video = connection.addTrack(PatternTrack())

    limit = video._limit()

    assert limit == video_bitrate(2_000_000, audio=1, video=1) == audio._limit()
    assert video._dropped() == 3
    await connection.close()
