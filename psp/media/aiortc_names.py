"""The private names of aiortc 1.16.0 this package leans on, checked at import.

A renamed hook would not fail by itself: aiortc would go on with its own transport,
gather the host's addresses and ask a STUN server. So a missing name stops the import.
"""

import aiortc
import aiortc.clock
import aiortc.codecs.h264
import aiortc.codecs.vpx
import aiortc.rtcdtlstransport
import aiortc.rtcicetransport
import aiortc.rtcpeerconnection
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import aiortc.rtcsctptransport

VERSION = "1.16.0"

ATTRIBUTES: tuple[tuple[object, tuple[str, ...]], ...] = (
    (aiortc.clock, ("current_datetime", "current_ms", "current_ntp_time")),
    (aiortc.codecs.vpx, ("PACKET_MAX",)),
    (aiortc.codecs.h264, ("PACKET_MAX",)),
    (aiortc.rtcrtpsender, ("RTP_HISTORY_SIZE",)),
    (aiortc.rtcsctptransport, ("SCTP_MAX_PACKET_LENGTH", "USERDATA_MAX_LENGTH")),
    (aiortc.rtcdtlstransport, ("datetime", "generate_certificate", "State")),
    (
        aiortc.rtcdtlstransport.RTCDtlsTransport,
        (
            "_do_handshake",
            "_handle_rtcp_data",
            "_handle_rtp_data",
            "_recv_next",
            "_register_data_receiver",
            "_register_rtp_receiver",
            "_register_rtp_sender",
            "_send_data",
            "_send_rtp",
            "_set_state",
            "_write_ssl",
        ),
    ),
    (
        aiortc.rtcpeerconnection.RTCPeerConnection,
        (
            "_RTCPeerConnection__connect",
            "_RTCPeerConnection__createDtlsTransport",
            "_RTCPeerConnection__createSctpTransport",
            "_RTCPeerConnection__createTransceiver",
            "_RTCPeerConnection__updateConnectionState",
            "_RTCPeerConnection__updateIceConnectionState",
            "_RTCPeerConnection__updateIceGatheringState",
        ),
    ),
    (
        aiortc.rtcrtpreceiver.RTCRtpReceiver,
        (
            "_handle_disconnect",
            "_handle_rtcp_packet",
            "_handle_rtp_packet",
            "_set_rtcp_ssrc",
        ),
    ),
    (
        aiortc.rtcrtpsender.RTCRtpSender,
        ("_next_encoded_frame", "_retransmit", "_send_keyframe"),
    ),
)
"""Names looked up on modules and classes."""

STORED: tuple[tuple[type, tuple[str, ...]], ...] = (
    (
        aiortc.rtcpeerconnection.RTCPeerConnection,
        (
            "_RTCPeerConnection__certificates",
            "_RTCPeerConnection__dtlsTransports",
            "_RTCPeerConnection__iceTransports",
            "_RTCPeerConnection__sctp",
            "_RTCPeerConnection__stream_id",
            "_RTCPeerConnection__transceivers",
        ),
    ),
    (
        aiortc.rtcdtlstransport.RTCDtlsTransport,
        (
            "_RTCDtlsTransport__local_certificate",
            "_RTCDtlsTransport__tx_bytes",
            "_RTCDtlsTransport__tx_packets",
            "_role",
            "_rtp_router",
            "_srtp_profiles",
            "_ssl",
            "_state",
            "_tx_srtp",
        ),
    ),
    (
        aiortc.rtcicetransport.RTCIceGatherer,
        ("_RTCIceGatherer__state", "_connection", "_remote_candidates_end"),
    ),
    (aiortc.rtcicetransport.RTCIceTransport, ("_connection", "_recv", "_send")),
    (aiortc.rtcrtpreceiver.RTCRtpReceiver, ("_enabled", "_track")),
    (
        aiortc.rtcrtpsender.RTCRtpSender,
        ("_RTCRtpSender__encoder", "_rtx_ssrc", "_ssrc", "_stream_id"),
    ),
    (aiortc.rtcrtpreceiver.RemoteStreamTrack, ("_queue",)),
    (aiortc.codecs.vpx.Vp8Encoder, ("codec",)),
    (aiortc.rtcsctptransport.RTCSctpTransport, ("_advertised_rwnd", "_bundled")),
)
"""Names that a class's constructor stores on the object."""


def missing_names(
    attributes: tuple[tuple[object, tuple[str, ...]], ...] = ATTRIBUTES,
    stored: tuple[tuple[type, tuple[str, ...]], ...] = STORED,
) -> list[str]:
    """Return the listed names that the installed aiortc does not have."""
    missing = [
        f"{getattr(owner, '__name__', owner)}.{name}"
        for owner, names in attributes
        for name in names
        if not hasattr(owner, name)
    ]
    for owner, names in stored:
        constructor = getattr(owner, "__init__")  # noqa: B009 - its code is read
        missing += [
            f"{owner.__name__}().{name}"
            for name in names
            if name not in constructor.__code__.co_names
        ]
    return missing


def check_aiortc(version: str = aiortc.__version__) -> None:
    """Refuse an aiortc other than the one this package was written against.

    Raises:
        ImportError: Names the version or what is gone.
    """
    missing = missing_names()
    if version != VERSION or missing:
        raise ImportError(
            f"psp.media needs aiortc {VERSION} and found {version}; "
            f"missing: {', '.join(missing) or 'nothing'}; refusing to run with ICE"
        )


check_aiortc()
