"""Counters of one peer connection: the pipe's drops by reason, each track's losses.

aiortc keys inbound statistics by receiver, so that a retransmission stream overwrites
the numbers of the media stream; these are our own.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class PipeStats:
    """Datagrams through one pipe, and why some did not pass.

    Attributes:
        sent: Handed to the pipe.
        received: Let in by the gate.
        oversize: Of ours, longer than the pipe takes.
        bad_length: Arrived empty or longer than the pipe takes.
        bad_first_byte: Arrived, neither DTLS nor SRTP.
        unknown_source: RTP from an SSRC the session description does not name.
        rtcp_flood: RTCP above the rate cap.
        rtcp_source_flood: RTCP from more unnamed SSRCs than a peer needs.
        overflow: Oldest datagrams dropped from a full receive queue.
        malformed: RTP, RTCP or SCTP on which aiortc's parser failed.
        data_flood: SCTP beyond the bytes one association may hold.
        candidates_refused: ICE candidates other than the pipe's own.
        faults: Set-up steps that failed on what the peer described.
    """

    sent: int = 0
    received: int = 0
    oversize: int = 0
    bad_length: int = 0
    bad_first_byte: int = 0
    unknown_source: int = 0
    rtcp_flood: int = 0
    rtcp_source_flood: int = 0
    overflow: int = 0
    malformed: int = 0
    data_flood: int = 0
    candidates_refused: int = 0
    faults: int = 0


@dataclass(slots=True)
class TrackStats:
    """One received track.

    Attributes:
        packets: Media packets that arrived, retransmissions included.
        recovered: Packets that were missing and came after all.
        lost: Packets given up.
        late: Packets that came after they were given up, or twice.
        malformed: Payloads that do not follow the codec's format.
        frames: Whole frames released, in order.
        skipped: Whole frames withheld because an earlier one was missing.
        damaged: Frames the decoder refused.
        dropped: Frames dropped from a full queue because the reader is slow.
        nacks: Sequence numbers asked for again.
        key_frame_requests: Picture loss indications sent.
    """

    packets: int = 0
    recovered: int = 0
    lost: int = 0
    late: int = 0
    malformed: int = 0
    frames: int = 0
    skipped: int = 0
    damaged: int = 0
    dropped: int = 0
    nacks: int = 0
    key_frame_requests: int = 0


@dataclass(slots=True)
class SenderStats:
    """One sent track.

    Attributes:
        retransmitted: Packets sent again on request.
        retransmissions_refused: Requests above the rate cap.
        key_frames_forced: Key frames made on request.
        key_frames_refused: Requests sooner than the encoder's pause.
    """

    retransmitted: int = 0
    retransmissions_refused: int = 0
    key_frames_forced: int = 0
    key_frames_refused: int = 0
