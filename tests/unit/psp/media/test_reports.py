"""Receiver reports and statistics."""

from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket, RtpPacket

from psp.media.reports import ReceptionReports
from psp.media.stats import TrackStats

MEDIA, RTX, OWN = 7, 8, 9


def heard(*sequences: int, ssrc: int = MEDIA) -> list[RtpPacket]:
    return [
        RtpPacket(payload_type=96, sequence_number=at, timestamp=at * 3000, ssrc=ssrc)
        for at in sequences
    ]


def reports() -> ReceptionReports:
    made = ReceptionReports("video")
    for packet in (*heard(1, 2, 4), *heard(100, ssrc=RTX)):
        made.hear(packet, 90000)
    return made


def sender_report() -> RtcpSrPacket:
    info = RtcpSenderInfo(
        ntp_timestamp=0x1234567890ABCDEF,
        rtp_timestamp=1,
        packet_count=5,
        octet_count=500,
    )
    return RtcpSrPacket(ssrc=MEDIA, sender_info=info)


def test_report_tells_what_was_lost_of_each_stream():
    report = reports().receiver_report(OWN)

    assert report is not None
    assert [(r.ssrc, r.packets_lost) for r in report.reports] == [(MEDIA, 1), (RTX, 0)]


def test_report_answers_the_sender_report():
    made = reports()
    made.hear_sender(sender_report())

    report = made.receiver_report(OWN)

    assert report is not None
    assert report.reports[0].lsr == 0x567890AB
    assert report.reports[1].lsr == 0


def test_nothing_heard_is_nothing_to_report():
    assert ReceptionReports("video").receiver_report(OWN) is None
    assert reports().receiver_report(None) is None
    assert ReceptionReports("video").sources(MEDIA) == []


def test_retransmissions_do_not_overwrite_the_media_streams_statistics():
    made = reports()
    made.hear_sender(sender_report())

    report = made.stats_report(TrackStats(lost=1), MEDIA, "transport")

    inbound = [value for value in report.values() if value.type == "inbound-rtp"]
    outbound = [v for v in report.values() if v.type == "remote-outbound-rtp"]
    assert [(i.ssrc, i.packetsReceived, i.packetsLost) for i in inbound] == [
        (MEDIA, 3, 1)
    ]
    assert outbound[0].packetsSent == 5


def test_source_heard_lately_is_listed():
    (source,) = reports().sources(MEDIA)

    assert source.source == MEDIA
