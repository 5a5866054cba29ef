"""What the demo says of a call, as JSON, table and page (cli/demo/report*.py)."""

import json
from dataclasses import replace

import pytest

from cli.demo.report import MAX_POINTS, Findings, build, table_rows
from cli.demo.report_html import latency_picture, render, timeline_picture
from cli.demo.roles import KillRole

ALICE, BOB = ["a1", "a2", "a3", "r"], ["b1", "b2", "r"]


def side(path: list[str], **changed: object) -> dict[str, dict[str, object]]:
    """Return the events of one user of a good call."""
    media = {
        "frames": 100,
        "damaged": 0,
        "disordered": 0,
        "latency_p50_ms": 20,
        "latency_p95_ms": 30,
        "latency_max_ms": 40,
        "longest_gap_ms": 60,
        "audio_frames": 500,
        "audio_lost": 0,
        "tone_hz": 440.2,
        "has_tone": True,
    }
    report = {
        "sent_frames": 100,
        "sent_audio": 500,
        "received": {"video": 100},
        "remotes": ["127.0.0.1:1"],
        "legs_lost": 0,
        "data_channel": True,
        "latencies": [[number / 30, 20] for number in range(100)],
        "session_closed": False,
        "media": {k: changed.pop(k, v) for k, v in media.items()},
    }
    report |= changed
    return {
        "in_call": {"path": path},
        "announced": {"points": ["p1", "p2", "p3"]},
        "set_up": {"lookup_ms": 50.04, "call_setup_ms": 90.0, "presence_point": "p2"},
        "first_frame": {"at": 10.5},
        "report": report,
    }


def findings(alice: dict | None = None, bob: dict | None = None, **more) -> Findings:
    return Findings(
        **{
            "input": "the <demo>'s clip",
            "is_default_clip": True,
            "relays": 12,
            "discovery_nodes": 4,
            "alice": alice or side(ALICE),
            "bob": bob or side(BOB),
            "steps": [
                {"who": "bob", "what": "looked up", "at": 10.1},
                {"who": "alice", "what": "too early", "at": 9.0},
            ],
            "dialled_at": 10.0,
            "relay_stops": [
                {"cells_forward": 5, "cells_backward": 6, "cells_dropped": 1},
                {"cells_spliced": 7},
            ],
            "failures": [],
            **more,
        }
    )


def test_a_good_call_is_ok_and_holds_every_documented_figure():
    report = build(findings())

    assert report["ok"] is True
    assert report["failures"] == []
    assert (report["lookup_ms"], report["call_setup_ms"]) == (50.0, 90.0)
    assert report["first_frame_ms"] == 500.0
    assert report["alice"]["presence_points"] == ["p1", "p2", "p3"]
    assert report["rendezvous"] == "r"
    assert report["relay_cells_forwarded"] == 18
    assert report["relay_cells_dropped"] == 1
    assert report["timeline"] == [{"who": "bob", "what": "looked up", "ms": 100.0}]
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize(
    ("bob", "alice", "text"),
    [
        ({"frames": 97}, {}, "Alice to Bob: 97 of 100 frames decoded"),
        ({}, {"frames": 0, "damaged": 0}, "Bob to Alice: 0 of 100"),
        ({"damaged": 1}, {}, "Alice to Bob: 1 damaged"),
        ({}, {"disordered": 2}, "Bob to Alice: the counter fell 2 times"),
        ({"audio_lost": 6}, {}, "Alice to Bob: 6 of 500 audio"),
        ({"has_tone": False}, {}, "no 440 Hz tone"),
        ({"session_closed": True}, {}, "Bob's session did not survive"),
        ({}, {"sent_frames": 0}, "0 frames decoded"),
    ],
)
def test_each_shortfall_is_a_failure_in_words(bob, alice, text):
    report = build(findings(side(ALICE, **alice), side(BOB, **bob)))

    assert report["ok"] is False
    assert any(text in failure for failure in report["failures"]), report["failures"]


def test_sound_of_ones_own_file_need_not_be_the_tone():
    mute = side(BOB, has_tone=False)

    assert build(findings(bob=mute, is_default_clip=False))["ok"] is True


def test_a_killed_relay_allows_losses_but_no_long_gap():
    killed = {"killed": "r", "kill_role": KillRole.RENDEZVOUS, "killed_at": 12.5}
    lossy = side(BOB, frames=60, longest_gap_ms=1999, audio_lost=100)
    frozen = side(BOB, longest_gap_ms=2001)

    report = build(findings(bob=lossy, **killed))

    assert report["ok"] is True
    assert report["killed"] == {"role": "rendezvous", "node": "r", "at_s": 2.0}
    assert "relay killed in mid-call" in [row[0] for row in table_rows(report)]
    assert build(findings(bob=frozen, **killed))["failures"] == [
        "Alice to Bob: a gap of 2001 ms"
    ]


def test_a_long_call_keeps_a_picture_of_bounded_size():
    many = side(BOB, latencies=[[number / 30, 20] for number in range(100_000)])

    report = build(findings(bob=many))

    assert len(report["latency_series"]["bob"]) <= MAX_POINTS


def test_the_page_is_whole_and_needs_nothing_from_outside():
    page = render(build(findings()))

    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>")
    assert "the call worked" in page
    assert "the &lt;demo&gt;&#x27;s clip" in page
    for outside in ("http://", "https://", "<script", "src=", "<link"):
        assert outside not in page


def test_a_call_without_a_frame_still_makes_a_report_and_a_page():
    bob = side(BOB, frames=0, latencies=[])
    del bob["first_frame"]
    alice = side(ALICE, latencies=[])
    found = replace(findings(alice, bob), steps=[])

    report = build(found)
    page = render(report)

    assert "no frame arrived" in report["failures"]
    assert report["first_frame_ms"] is None
    assert "did not reach its goals" in page
    assert "No frame arrived." in page
    assert table_rows(report)


def test_names_from_outside_are_escaped_in_the_pictures():
    hostile = "<img src=x>"
    report = build(findings())
    report["killed"] = {"role": hostile, "node": hostile, "at_s": 1.0}
    report["alice"]["path"] = [hostile] * 4
    timeline = [{"who": hostile, "what": hostile, "ms": 0.0}]

    for text in (render(report), timeline_picture(timeline), latency_picture(report)):
        assert hostile[:4] not in text
