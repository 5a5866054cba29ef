"""RTCP receiver reports and aiortc's statistics for one received track (RFC 3550)."""

import datetime as dt
import time

from aiortc import clock
from aiortc.rtcrtpreceiver import RTCRtpSynchronizationSource, StreamStatistics
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket, RtpPacket
from aiortc.stats import (
    RTCInboundRtpStreamStats,
    RTCRemoteOutboundRtpStreamStats,
    RTCStatsReport,
)

from psp.media.stats import TrackStats

_RECENT = 10.0
_FRACTION = 1 << 16
"""Delays in reports count 1/65,536 of a second."""


class ReceptionReports:
    """Keeps what reports about one track need.

    Bounded by the SSRCs that the session description names: the gate lets no other in.
    """

    def __init__(self, kind: str) -> None:
        self._heard_at: float | None = None
        self._kind = kind
        self._streams: dict[int, StreamStatistics] = {}
        self._sender_reports: dict[int, tuple[RtcpSrPacket, float]] = {}

    def hear(self, packet: RtpPacket, clock_rate: int) -> None:
        """Count one packet as it came, retransmissions under their own SSRC."""
        stream = self._streams.get(packet.ssrc)
        if stream is None:
            stream = self._streams[packet.ssrc] = StreamStatistics(clock_rate)
        stream.add(packet)
        self._heard_at = time.monotonic()

    def sources(self, media_ssrc: int) -> list[RTCRtpSynchronizationSource]:
        """Return the media stream's source if it was heard in the last ten seconds."""
        if self._heard_at is None:
            return []
        age = time.monotonic() - self._heard_at
        if age > _RECENT:
            return []
        heard = clock.current_datetime() - dt.timedelta(seconds=age)
        return [RTCRtpSynchronizationSource(timestamp=heard, source=media_ssrc)]

    def hear_sender(self, packet: RtcpSrPacket) -> None:
        """Remember a sender report."""
        self._sender_reports[packet.ssrc] = (packet, time.monotonic())

    def receiver_report(self, own_ssrc: int | None) -> RtcpRrPacket | None:
        """Return the next report, or None while there is nothing to report."""
        if own_ssrc is None or not self._streams:
            return None
        reports = [
            RtcpReceiverInfo(
                ssrc=ssrc,
                fraction_lost=stream.fraction_lost,
                packets_lost=stream.packets_lost,
                highest_sequence=stream.max_seq or 0,
                jitter=stream.jitter,
                lsr=self._last_sender_report(ssrc),
                dlsr=self._delay_since(ssrc),
            )
            for ssrc, stream in self._streams.items()
        ]
        return RtcpRrPacket(ssrc=own_ssrc, reports=reports)

    def _last_sender_report(self, ssrc: int) -> int:
        if ssrc not in self._sender_reports:
            return 0
        report, _ = self._sender_reports[ssrc]
        return (report.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF

    def _delay_since(self, ssrc: int) -> int:
        if ssrc not in self._sender_reports:
            return 0
        delay = time.monotonic() - self._sender_reports[ssrc][1]
        return int(delay * _FRACTION) if delay < _FRACTION else 0

    def stats_report(
        self, track: TrackStats, media_ssrc: int, transport_id: str
    ) -> RTCStatsReport:
        """Return aiortc's statistics; ``packetsLost`` counts what was given up."""
        report = RTCStatsReport()
        stream = self._streams.get(media_ssrc)
        if stream is not None:
            report.add(
                RTCInboundRtpStreamStats(
                    timestamp=clock.current_datetime(),
                    type="inbound-rtp",
                    id=f"inbound-rtp_{id(self)}",
                    ssrc=media_ssrc,
                    kind=self._kind,
                    transportId=transport_id,
                    packetsReceived=stream.packets_received,
                    packetsLost=track.lost,
                    jitter=stream.jitter,
                )
            )
        if media_ssrc in self._sender_reports:
            report.add(self._sender_stats(media_ssrc, transport_id))
        return report

    def _sender_stats(
        self, media_ssrc: int, transport_id: str
    ) -> RTCRemoteOutboundRtpStreamStats:
        info = self._sender_reports[media_ssrc][0].sender_info
        return RTCRemoteOutboundRtpStreamStats(
            timestamp=clock.current_datetime(),
            type="remote-outbound-rtp",
            id=f"remote-outbound-rtp_{id(self)}",
            ssrc=media_ssrc,
            kind=self._kind,
            transportId=transport_id,
            packetsSent=info.packet_count,
            bytesSent=info.octet_count,
            remoteTimestamp=clock.datetime_from_ntp(info.ntp_timestamp),
        )
