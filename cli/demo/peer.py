"""One user of the demo: a process of its own that calls, or is called.

It is told what to do by lines on its standard input, and says what happens by lines of
JSON on its standard output, each with the time of the clock that all processes of one
machine share. Contact cards travel on these pipes only: they are secrets.

::

    stdin                       stdout
                                {"event": "announced", "card": …}
    call CARD                   {"event": "step", "what": …}
                                {"event": "in_call", "path": …}
    stop                        {"event": "report", …}
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from pathlib import Path

from aiortc import MediaStreamTrack, RTCRtpSender

from cli.demo.media_check import Sink
from cli.demo.player import Player
from cli.demo.recording_socket import RecordingSocket
from psp.client.api import Client, connect
from psp.client.calls.calls import EstablishedCall
from psp.client.config import ClientConfig
from psp.client.identities.identity_file import load_identity
from psp.client.lookups.lookup import PresenceState
from psp.media.description_message import packed, unpacked
from psp.media.peer_connection import PipePeerConnection
from psp.netdoc.contact_card import ContactCard
from psp.runtime import settings
from psp.runtime.chain_membership import ChainMembership
from psp.runtime.udp import UdpSocket

_GREETING = "hello over the data channel"


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """What one user is told at the start.

    Attributes:
        folder: Where the demo's files lie.
        name: Whose settings and identity to use.
        media: What to play.
        seconds: For how long.
        codec: Video codec to send, vp8 or h264.
        record: Where to write what is seen and heard; None for nowhere.
        lookup_every: Seconds between look-ups during the call; 0 for none.
    """

    folder: Path
    name: str
    media: Path
    seconds: float
    codec: str
    record: Path | None
    lookup_every: float = 0.0


@dataclass(slots=True)
class _Lookups:
    """Look-ups made during the call.

    Attributes:
        made: All of them.
        failed: Those that did not find the other on line.
        slowest_ms: Of those that did.
    """

    made: int = 0
    failed: int = 0
    slowest_ms: float = 0.0


class Peer:
    """Alice or Bob."""

    def __init__(
        self, client: Client, remotes: RecordingSocket, options: PeerOptions
    ) -> None:
        self._client = client
        self._remotes = remotes
        self._options = options
        self._sink = Sink(options.record)
        self._player: Player | None = None
        self._connection: PipePeerConnection | None = None
        self._call: EstablishedCall | None = None
        self._first_path: list[str] = []
        self._echoed = asyncio.Event()
        self._lookups = _Lookups()
        self._tasks: list[asyncio.Task[None]] = []

    async def announce(self) -> None:
        """Be reachable at three presence points."""
        started = time.monotonic()
        await self._client.announce(3)
        announcer = self._client.announcer
        points = announcer.points() if announcer is not None else []
        _say(
            "announced",
            card=self._client.contact_card.encode(),
            points=[point.node_id.hex() for point in points],
            took_ms=(time.monotonic() - started) * 1000,
        )

    async def call(self, card: str) -> None:
        """Look the other up and call."""
        self._client.on_call_step(lambda what: _say("step", what=what))
        started = time.monotonic()
        found = await self._client.lookup(ContactCard.decode(card))
        looked_up = time.monotonic()
        _say("step", what="looked up")
        call = await self._client.establish(ContactCard.decode(card), found=found)
        _say(
            "set_up",
            lookup_ms=(looked_up - started) * 1000,
            call_setup_ms=(time.monotonic() - looked_up) * 1000,
            presence_point=call.presence_point.hex() if call.presence_point else "",
        )
        connection = self._talk(call)
        if self._options.lookup_every:
            looking = self._keep_looking_up(ContactCard.decode(card))
            self._tasks.append(asyncio.create_task(looking))
        channel = connection.createDataChannel("greeting")
        channel.on("open", lambda: channel.send(_GREETING))
        channel.on("message", lambda _: self._echoed.set())
        await connection.setLocalDescription(await connection.createOffer())
        call.session.send_message(packed(connection.localDescription))
        answer = unpacked(await call.session.receive_message())
        await connection.setRemoteDescription(answer)

    async def answer(self) -> None:
        """Wait for a call and take it."""
        call = await self._client.accept_call()
        _say("step", what="call came in")
        offer = unpacked(await call.session.receive_message())
        connection = self._talk(call)
        connection.on(
            "datachannel",
            lambda channel: channel.on("message", channel.send),
        )
        await connection.setRemoteDescription(offer)
        await connection.setLocalDescription(await connection.createAnswer())
        call.session.send_message(packed(connection.localDescription))

    async def finish(self) -> None:
        """Report and hang up."""
        call, player, connection = self._call, self._player, self._connection
        if call is None or player is None or connection is None:
            _say("report", in_call=False, remotes=self._addresses(), chain=None)
            return
        report = await self._sink.finish()
        _say(
            "report",
            in_call=True,
            media=asdict(report),
            sent_frames=player.video.sent,
            left_out=player.video.left_out,
            sent_audio=player.audio.sent,
            received=_frames_received(connection),
            latencies=self._sink.latency_series(),
            path=self._first_path,
            legs=_paths(call),
            legs_lost=call.legs.lost,
            data_channel=self._echoed.is_set(),
            session_closed=call.session.closed.done(),
            remotes=self._addresses(),
            chain=_chain(self._client),
            lookups=asdict(self._lookups),
        )
        await player.stop()
        await connection.close()

    def _talk(self, call: EstablishedCall) -> PipePeerConnection:
        self._call = call
        player = self._player = Player(
            self._options.media, duration=self._options.seconds, filler="tone"
        )
        connection = self._connection = call.session.peer_connection()
        connection.addTrack(player.video)
        _prefer(connection, self._options.codec)
        connection.addTrack(player.audio)
        connection.on("track", self._heard)
        path = [node.node_id.hex() for node in call.legs.legs[0].path]
        self._first_path = path
        _say("in_call", path=path)
        self._tasks += [
            asyncio.create_task(self._watch(call)),
            asyncio.create_task(_wait_until_played(player)),
        ]
        return connection

    def _heard(self, track: MediaStreamTrack) -> None:
        self._sink.attach(track)

    async def _watch(self, call: EstablishedCall) -> None:
        await self._sink.on_picture.wait()
        _say("first_frame")
        legs: list[int] = []
        chain: dict[str, object] | None = None
        while not call.session.closed.done():
            now = _chain(self._client)
            if now is not None and (chain is None or now["epoch"] != chain["epoch"]):
                chain = now
                _say("epoch", **chain)
            if call.session.live_legs != legs:
                legs = call.session.live_legs
                _say("legs", legs=_paths(call), granted_kbit_per_s=call.granted)
            await asyncio.wait([call.session.closed], timeout=0.1)
        _say("session_closed", reason=call.session.closed.result().name.lower())

    async def _keep_looking_up(self, card: ContactCard) -> None:
        """Look the other up again and again: a change of discovery nodes must not show."""
        while True:
            await asyncio.sleep(self._options.lookup_every)
            started = time.monotonic()
            found = await self._client.lookup(card)
            self._lookups.made += 1
            if found.state is PresenceState.ONLINE:
                took = (time.monotonic() - started) * 1000
                self._lookups.slowest_ms = max(self._lookups.slowest_ms, took)
            else:
                self._lookups.failed += 1
                _say("lookup_failed", state=found.state.value, answers=found.answers)

    def _addresses(self) -> list[str]:
        return sorted(f"{host}:{port}" for host, port in self._remotes.remotes)


async def run_peer(options: PeerOptions) -> None:
    """Run one user until told to stop."""
    home = options.folder / options.name
    config = settings.load(ClientConfig, home / "client.toml")
    identity = await load_identity(home / "identity.key", display_name=options.name)
    udp = UdpSocket((config.bind, config.port))
    remotes = RecordingSocket(udp)
    try:
        async with connect(config, identity=identity, udp=remotes) as client:
            await _obey(Peer(client, remotes, options))
    finally:
        udp.close()


async def _wait_until_played(player: Player) -> None:
    await player.wait()
    _say("played")


async def _obey(peer: Peer) -> None:
    """Read commands until ``stop`` or the end of standard input."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    tasks: set[asyncio.Task[None]] = set()
    _say("ready")
    while line := (await reader.readline()).decode().strip():
        command, _, argument = line.partition(" ")
        match command:
            case "announce":
                work = _announce_and_answer(peer)
            case "call":
                work = peer.call(argument)
            case _:
                break
        task = asyncio.create_task(_report_failure(work))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    for task in tasks:
        task.cancel()
    await peer.finish()


async def _announce_and_answer(peer: Peer) -> None:
    await peer.announce()
    await peer.answer()


async def _report_failure(work: Awaitable[None]) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - the demo prints whatever went wrong
        _say("failed", error=f"{type(error).__name__}: {error}")


def _prefer(connection: PipePeerConnection, codec: str) -> None:
    """Offer one video codec and its retransmission format only."""
    wanted = {f"video/{codec}".lower(), "video/rtx"}
    codecs = [
        capability
        for capability in RTCRtpSender.getCapabilities("video").codecs
        if capability.mimeType.lower() in wanted
    ]
    for transceiver in connection.getTransceivers():
        if transceiver.kind == "video":
            transceiver.setCodecPreferences(codecs)


def _paths(call: EstablishedCall) -> dict[str, list[str]]:
    return {
        str(leg): [node.node_id.hex() for node in circuit.path]
        for leg, circuit in call.legs.legs.items()
    }


def _frames_received(connection: PipePeerConnection) -> dict[str, int]:
    """Return whole frames that came out of the network, before any decoder."""
    return {kind: statistics.frames for kind, statistics in connection.received_tracks}


def _chain(client: Client) -> dict[str, object] | None:
    """Return what a client knows of the chain; None if its registry is another."""
    membership = client.membership
    if not isinstance(membership, ChainMembership):
        return None
    view = membership.registry.view
    if view is None:
        return None
    return {
        "height": view.height,
        "epoch": view.state.list_epoch,
        "elected": [node.hex() for node in view.elected()],
        "verified": membership.is_verified,
        "source": membership.registry.source.value,
    }


def _say(event: str, **fields: object) -> None:
    line = json.dumps({"event": event, "at": time.monotonic(), **fields})
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
