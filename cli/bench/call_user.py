"""One user of the measured calls, a whole client in a process of its own."""

import asyncio
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from aiortc import MediaStreamTrack, RTCRtpSender

from cli.bench.call_media import Arrival, MeasuredTrack, Receiving
from cli.bench.child import Child, answer_calls, cpu_seconds, run_child
from cli.bench.place import Place
from psp.client.api import Client, connect
from psp.client.calls.established import EstablishedCall
from psp.client.config import ClientConfig
from psp.client.ready_circuits import COUNT
from psp.errors import PspError
from psp.media.bitrate import video_bitrate
from psp.media.config import MediaConfig
from psp.media.description_message import packed, unpacked
from psp.media.peer_connection import PipePeerConnection
from psp.media.sender import PipeSender
from psp.netdoc.contact_card import ContactCard
from psp.units import Seconds

MEDIA_WITHIN = 15.0
"""Seconds from an open session to the first frame; else the call counts as failed."""
WARM_WITHIN = 60.0
"""Seconds until the circuits stand ready."""
_LOOK_EVERY = 0.1
CALLED_WITHIN = 20.0
"""Seconds that the callee waits for a call."""


class NoMediaError(PspError):
    """No call or no frame has come in time."""


@dataclass(frozen=True, slots=True)
class SetUp:
    """How a call began at one end; seconds of the monotonic clock.

    Attributes:
        opened: When the app had the session.
        connected: When it could send media.
        first_video: When it had the first frame.
        first_audio: When it had the first packet.
        round_trip: Seconds, as the session knew it by then; 0 for not yet.
    """

    opened: float
    connected: float
    first_video: float
    first_audio: float
    round_trip: float

    @property
    def first_media(self) -> float:
        """When it had either."""
        return min(self.first_video, self.first_audio)


@dataclass(frozen=True, slots=True)
class Called:
    """How a call came about; seconds of the monotonic clock.

    Attributes:
        looked: When the look-up began.
        began: When the call itself began.
        steps: When each step had been done that a client speaks of.
        set_up: The rest, at the caller.
    """

    looked: float
    began: float
    steps: dict[str, float]
    set_up: SetUp


@dataclass(frozen=True, slots=True)
class Heard:
    """What came at one end, and what this end sent.

    Attributes:
        video: Frames that came.
        audio: Packets that came.
        bad: Frames of both that were not what was sent.
        sent_video: Frames sent.
        sent_audio: Packets sent.
        sent_octets: Bytes of both.
        seconds: For how long.
        counters: Of the tracks and of the session, by name.
        cpu: Seconds that this process used.
    """

    video: list[Arrival]
    audio: list[Arrival]
    bad: int
    sent_video: int
    sent_audio: int
    sent_octets: int
    seconds: float
    counters: dict[str, float]
    cpu: float


class _Call:
    """A session with media on it, both ways."""

    def __init__(self, established: EstablishedCall, bitrate: float) -> None:
        self.opened = time.monotonic()
        self.session = established.session
        self.legs = established.legs
        self.connection = PipePeerConnection(
            self.session, MediaConfig(decodes=False, linger=Seconds(0.1))
        )
        self.video = MeasuredTrack("video", bitrate)
        self.audio = MeasuredTrack("audio")
        self.receiving: dict[str, Receiving] = {}
        self.complete = asyncio.Event()
        self.connected = self.opened
        self.connection.on("connectionstatechange", self._on_state)
        self.connection.on("track", self._on_track)

    def add_tracks(self) -> None:
        """Send what is measured."""
        sender = self.connection.addTrack(self.video)
        self.connection.addTrack(self.audio)
        transceiver = self.connection.getTransceivers()[0]
        transceiver.setCodecPreferences(
            [
                each
                for each in RTCRtpSender.getCapabilities("video").codecs
                if each.mimeType.lower() in {"video/vp8", "video/rtx"}
            ]
        )
        session = self.session
        self.video.limit = lambda: video_bitrate(session.bitrate, audio=1, video=1)
        if isinstance(sender, PipeSender):
            statistics = sender.statistics
            self.video.key_frames_wanted = lambda: statistics.key_frames_forced

    async def first_media(self) -> SetUp:
        """Wait until video and audio have come."""
        try:
            async with asyncio.timeout(MEDIA_WITHIN):
                await self.complete.wait()
                for each in self.receiving.values():
                    await each.first.wait()
        except TimeoutError:
            raise NoMediaError(f"no frame within {MEDIA_WITHIN:.0f} s") from None
        return SetUp(
            self.opened,
            self.connected,
            self.receiving["video"].arrivals[0].came,
            self.receiving["audio"].arrivals[0].came,
            self.session.round_trip,
        )

    async def close(self) -> None:
        """Hang up."""
        self.video.stop()
        self.audio.stop()
        for each in self.receiving.values():
            each.stop()
        await self.connection.close()

    def _on_state(self) -> None:
        if self.connection.connectionState == "connected":
            self.connected = time.monotonic()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self.receiving[track.kind] = Receiving(track)
        if len(self.receiving) == 2:
            self.complete.set()


class _User:
    """What the parent can ask for, by name."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._call: _Call | None = None

    async def announce(self) -> str:
        """Be reachable; return the contact card."""
        await self._client.announce()
        return self._client.contact_card.encode()

    async def warm_up(self) -> None:
        """Wait until the circuits that are kept ready are ready."""
        parts = self._client._parts  # noqa: SLF001 - apps have no use for them
        async with asyncio.timeout(WARM_WITHIN):
            await parts.spares.wait_until_ready()
            wanted = COUNT * len(parts._ready_kinds())  # noqa: SLF001
            while len(parts.ready) < wanted:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(_LOOK_EVERY)

    async def call(self, card: str, bitrate: float) -> Called:
        """Look up and call."""
        steps: dict[str, float] = {}

        def note(step: str) -> None:
            steps.setdefault(step.replace(" ", "_"), time.monotonic())

        self._client.on_call_step(note)
        whom = ContactCard.decode(card)
        looked = time.monotonic()
        found = await self._client.lookup(whom)
        began = time.monotonic()
        call = await self._client.establish(whom, found=found)
        self._call = here = _Call(call, bitrate)
        here.add_tracks()
        connection = here.connection
        await connection.setLocalDescription(await connection.createOffer())
        here.session.send_message(packed(connection.localDescription))
        answer = unpacked(await here.session.receive_message())
        await connection.setRemoteDescription(answer)
        return Called(looked, began, steps, await here.first_media())

    async def answer(self, bitrate: float) -> SetUp:
        """Take the next call at once."""
        try:
            async with asyncio.timeout(CALLED_WITHIN):
                established = await self._client.accept_call()
        except TimeoutError:
            raise NoMediaError(f"no call within {CALLED_WITHIN:.0f} s") from None
        self._call = here = _Call(established, bitrate)
        connection = here.connection
        offer = unpacked(await here.session.receive_message())
        here.add_tracks()
        await connection.setRemoteDescription(offer)
        await connection.setLocalDescription(await connection.createAnswer())
        here.session.send_message(packed(connection.localDescription))
        return await here.first_media()

    async def talk(self, seconds: float) -> Heard:
        """Let the call go on for so long; return what came."""
        here = self._open_call()
        receiving = here.receiving.values()
        for each in receiving:
            each.arrivals.clear()
            each.bad = 0
        sent = here.video.sent, here.audio.sent, here.video.octets + here.audio.octets
        used = cpu_seconds()
        await asyncio.sleep(seconds)
        return Heard(
            here.receiving["video"].arrivals,
            here.receiving["audio"].arrivals,
            sum(each.bad for each in receiving),
            here.video.sent - sent[0],
            here.audio.sent - sent[1],
            here.video.octets + here.audio.octets - sent[2],
            seconds,
            self._counters(here),
            cpu_seconds() - used,
        )

    async def hang_up(self) -> None:
        """End the call, if there is one."""
        if self._call is not None:
            call, self._call = self._call, None
            await call.close()

    def _open_call(self) -> _Call:
        if self._call is None:
            raise NoMediaError("there is no call")
        return self._call

    def _counters(self, call: _Call) -> dict[str, float]:
        ((_, video), *_) = call.connection.received_tracks
        ((_, sender), *_) = call.connection.sent_tracks
        return {
            "packets": video.packets,
            "recovered": video.recovered,
            "lost": video.lost,
            "asked": video.nacks,
            "key_frames_asked": video.key_frame_requests,
            "retransmitted": sender.retransmitted,
            "round_trip": call.session.round_trip,
            "bitrate": call.session.bitrate,
            "session_dropped": call.session.sending.dropped,
            "hops": len(call.legs.legs[min(call.legs.legs)].path),
        }


class UserProcess(Child):
    """The child; use as a context manager."""

    def __init__(
        self, name: str, config: ClientConfig, key: Path, place: Place
    ) -> None:
        """Start it and wait until its client runs."""
        super().__init__(_run, config, key, place, name=name)
        self.receive()


def _run(pipe: Connection, config: ClientConfig, key: Path, place: Place) -> None:
    run_child(pipe, lambda: _serve(pipe, config, key), place)


async def _serve(pipe: Connection, config: ClientConfig, key: Path) -> None:
    async with connect(config, identity=key) as client:
        pipe.send("ready")
        await answer_calls(pipe, _User(client))
