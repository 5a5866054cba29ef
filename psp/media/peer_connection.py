"""An aiortc ``RTCPeerConnection`` whose only transport is a pipe.

Everything an app knows of aiortc works: tracks, data channels, statistics, events. What
does not exist is ICE: no socket, no candidate, no STUN, no name look-up (R-SEC-4).

One transport carries everything, from the first track or data channel on. aiortc makes
it lazily and, when a data channel comes before the tracks, stops it again while it
"bundles"; here every section counts as bundled from the start, so any order works.
"""

# ruff: noqa: SLF001 - the hooks are aiortc's private names, see aiortc_names.

import math
from collections.abc import Callable

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSctpTransport,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidAccessError, InvalidStateError
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceTransport

from psp.errors import LocalProtocolError, RemoteProtocolError
from psp.media import shifted_clock
from psp.media.aiortc_names import check_aiortc
from psp.media.bitrate import PacedPipe, video_bitrate
from psp.media.config import MediaConfig
from psp.media.dtls import PipeDtlsTransport
from psp.media.ice import PipeConnection, PipeGatherer
from psp.media.mtu import configure_mtu
from psp.media.pipe import DatagramPipe
from psp.media.receiver import PipeReceiver
from psp.media.remote_sdp import clean_description, is_pseudo_candidate
from psp.media.sender import PipeSender
from psp.media.stats import PipeStats, SenderStats, TrackStats

check_aiortc()
shifted_clock.install()

_DEFAULT = MediaConfig()
_EITHER_BEGINS, _WE_BEGIN = "a=setup:actpass", "a=setup:active"
"""RFC 5763 section 5 has offers be ``actpass``, for far ends that know better. Here both
ends are ours."""


class PipePeerConnection(RTCPeerConnection):
    """A peer connection over ``pipe``, which it owns: closing one closes the other.

    To be made inside a running event loop.
    """

    _RTCPeerConnection__certificates: list[RTCCertificate]
    _RTCPeerConnection__dtlsTransports: set[RTCDtlsTransport]
    _RTCPeerConnection__iceTransports: set[RTCIceTransport]
    _RTCPeerConnection__sctp: RTCSctpTransport | None
    _RTCPeerConnection__stream_id: str
    _RTCPeerConnection__transceivers: list[RTCRtpTransceiver]
    _RTCPeerConnection__updateConnectionState: Callable[[], None]
    _RTCPeerConnection__updateIceConnectionState: Callable[[], None]
    _RTCPeerConnection__updateIceGatheringState: Callable[[], None]

    def __init__(self, pipe: DatagramPipe, config: MediaConfig = _DEFAULT) -> None:
        configure_mtu(config.pipe_mtu)
        self._clock_offset = shifted_clock.random_offset()
        with shifted_clock.offset_by(self._clock_offset):
            super().__init__(
                RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
            )
        self._config = config
        self._pipe = pipe
        self._connection = PipeConnection(pipe, config)
        self._dtls = self._make_transport()

    # -- what is ours to tell

    @property
    def pipe_stats(self) -> PipeStats:
        """Datagrams through the pipe, and why some did not pass."""
        return self._connection.stats

    @property
    def received_tracks(self) -> list[tuple[str, TrackStats]]:
        """Kind and counters of each track that is or may be received."""
        return [
            (transceiver.kind, transceiver.receiver.statistics)
            for transceiver in self.getTransceivers()
            if isinstance(transceiver.receiver, PipeReceiver)
        ]

    @property
    def sent_tracks(self) -> list[tuple[str, SenderStats]]:
        """Kind and counters of each track that is or may be sent."""
        return [
            (transceiver.kind, transceiver.sender.statistics)
            for transceiver in self.getTransceivers()
            if isinstance(transceiver.sender, PipeSender)
        ]

    async def close(self) -> None:
        """End the call: say goodbye, wait for that to leave, close the pipe."""
        await super().close()
        await self._dtls.stop()
        await self._dtls.transport.stop()

    # -- descriptions

    async def createOffer(self) -> RTCSessionDescription:  # noqa: N802
        """Make an offer; its ``o=`` line has this connection's clock.

        The first one says that we begin the DTLS handshake, so that the answer need not
        be waited for.
        """
        with shifted_clock.offset_by(self._clock_offset):
            offer = await super().createOffer()
        if not self._dtls.is_new:
            return offer
        return RTCSessionDescription(
            sdp=offer.sdp.replace(_EITHER_BEGINS, _WE_BEGIN), type=offer.type
        )

    async def createAnswer(self) -> RTCSessionDescription:  # noqa: N802
        """Make an answer; its ``o=`` line has this connection's clock."""
        with shifted_clock.offset_by(self._clock_offset):
            return await super().createAnswer()

    async def setLocalDescription(  # noqa: N802
        self,
        sessionDescription: RTCSessionDescription | None = None,  # noqa: N803
    ) -> None:
        """Apply our description; an offer that says so begins the DTLS handshake.

        Raises:
            LocalProtocolError: It came to hold an address; aiortc is not what we think.
        """
        await super().setLocalDescription(sessionDescription)
        for line in self.localDescription.sdp.splitlines():
            if line.startswith("a=candidate:") and not is_pseudo_candidate(line):
                await self.close()
                raise LocalProtocolError("local description holds a real candidate")
        is_offer = self.localDescription.type == "offer"
        if is_offer and _WE_BEGIN in self.localDescription.sdp and self._dtls.is_new:
            self._dtls.begin()

    async def setRemoteDescription(  # noqa: N802
        self,
        sessionDescription: RTCSessionDescription,  # noqa: N803
    ) -> None:
        """Apply the far end's description.

        Raises:
            RemoteProtocolError: It is malformed, too large or impossible to meet.
            InvalidStateError: It comes at the wrong moment.
        """
        remote = clean_description(sessionDescription.sdp)
        self.pipe_stats.candidates_refused += remote.candidates_refused
        self._connection.gate.name_sources(remote.ssrcs)
        try:
            await super().setRemoteDescription(
                RTCSessionDescription(sdp=remote.sdp, type=sessionDescription.type)
            )
        except (InvalidStateError, InvalidAccessError):
            raise
        except Exception as error:
            raise RemoteProtocolError("session description cannot be met") from error

    async def addIceCandidate(self, candidate: RTCIceCandidate | None) -> None:  # noqa: N802
        """Refuse and count: there is no path but the pipe."""
        if candidate is not None:
            self.pipe_stats.candidates_refused += 1

    # -- hooks that aiortc calls by its private names

    async def _RTCPeerConnection__connect(self) -> None:  # noqa: N802
        shifted_clock.set_offset(self._clock_offset)  # in this task and its children
        try:
            await super()._RTCPeerConnection__connect()  # type: ignore[misc]
            if self._dtls.state == "connected":
                self._connection.release_media()
        except ConnectionError:
            return  # the transport's state says so
        except Exception:  # noqa: BLE001 - set-up from what a stranger described
            self.pipe_stats.faults += 1
            await self.close()

    def _RTCPeerConnection__createDtlsTransport(self) -> RTCDtlsTransport:  # noqa: N802
        ice = self._dtls.transport
        if ice not in self._RTCPeerConnection__iceTransports:
            self._RTCPeerConnection__iceTransports.add(ice)
            self._RTCPeerConnection__dtlsTransports.add(self._dtls)
            self._RTCPeerConnection__updateIceGatheringState()
            self._RTCPeerConnection__updateIceConnectionState()
            self._RTCPeerConnection__updateConnectionState()
        return self._dtls

    def _RTCPeerConnection__createSctpTransport(self) -> None:  # noqa: N802
        super()._RTCPeerConnection__createSctpTransport()  # type: ignore[misc]
        sctp = self._RTCPeerConnection__sctp
        if sctp is not None:
            sctp._bundled = True

    def _RTCPeerConnection__createTransceiver(  # noqa: N802
        self, direction: str, kind: str, sender_track: MediaStreamTrack | None = None
    ) -> RTCRtpTransceiver:
        transport = self._RTCPeerConnection__createDtlsTransport()
        sender = PipeSender(
            sender_track or kind, transport, self._video_bitrate, self._dropped
        )
        receiver = PipeReceiver(
            kind, transport, self._config, self._connection.round_trip
        )
        receiver._set_rtcp_ssrc(sender._ssrc)
        sender._stream_id = self._RTCPeerConnection__stream_id
        transceiver = RTCRtpTransceiver(
            direction=direction, kind=kind, sender=sender, receiver=receiver
        )
        transceiver._bundled = True
        self._RTCPeerConnection__transceivers.append(transceiver)
        return transceiver

    def _video_bitrate(self) -> float:
        if not isinstance(self._pipe, PacedPipe):
            return math.inf
        sent = [
            transceiver.kind
            for transceiver in self.getTransceivers()
            if transceiver.direction in {"sendrecv", "sendonly"}
        ]
        audio, video = sent.count("audio"), sent.count("video")
        return video_bitrate(self._pipe.bitrate, audio, video)

    def _dropped(self) -> int:
        pipe = self._pipe
        return pipe.sending.dropped if isinstance(pipe, PacedPipe) else 0

    def _make_transport(self) -> PipeDtlsTransport:
        gatherer = PipeGatherer(self._connection)
        gatherer.on("statechange", self._RTCPeerConnection__updateIceGatheringState)
        ice = RTCIceTransport(gatherer)
        ice.on("statechange", self._RTCPeerConnection__updateIceConnectionState)
        ice.on("statechange", self._RTCPeerConnection__updateConnectionState)
        certificates = self._RTCPeerConnection__certificates
        dtls = PipeDtlsTransport(ice, certificates, self._connection, self._config)
        dtls.on("statechange", self._RTCPeerConnection__updateConnectionState)
        return dtls
