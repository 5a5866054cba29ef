"""The far end's description, cleaned."""

import pytest

from psp.errors import RemoteProtocolError
from psp.media.peer_connection import PipePeerConnection
from psp.media.remote_sdp import (
    MAX_SDP_BYTES,
    clean_description,
    is_pseudo_candidate,
)
from psp.testing.media import MemoryPipe, PatternTrack, ToneTrack

FOREIGN = (
    "a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
    "a=candidate:1 1 udp 2130706431 abcd.local 5000 typ host",
    "a=candidate:1 1 tcp 1 0.0.0.0 9 typ host tcptype active",
    "a=candidate:1 1 udp 1 0.0.0.0 9 typ srflx raddr 192.0.2.1 rport 9",
    "a=candidate:",
)


async def offer() -> str:
    pipe, _ = MemoryPipe.pair()
    connection = PipePeerConnection(pipe)
    connection.addTrack(ToneTrack())
    connection.addTrack(PatternTrack())
    connection.createDataChannel("chat")
    await connection.setLocalDescription()
    sdp = connection.localDescription.sdp
    await connection.close()
    return sdp


async def test_our_own_offer_passes_and_names_its_sources():
    sdp = await offer()

    remote = clean_description(sdp)

    assert remote.sdp == sdp
    assert remote.candidates_refused == 0
    assert len(remote.ssrcs) == 3


async def test_foreign_candidates_are_taken_out_and_counted():
    sdp = await offer()

    remote = clean_description(sdp + "".join(f"{line}\r\n" for line in FOREIGN))

    assert remote.candidates_refused == len(FOREIGN)
    assert remote.sdp == sdp


@pytest.mark.parametrize("line", FOREIGN)
def test_foreign_candidate_is_no_pseudo_candidate(line):
    assert not is_pseudo_candidate(line)


async def test_description_without_bounds_is_refused():
    sdp = await offer()
    section = sdp[sdp.index("m=audio") :]

    with pytest.raises(RemoteProtocolError, match="characters"):
        clean_description(sdp + "a=x\r\n" * (MAX_SDP_BYTES // 5))
    with pytest.raises(RemoteProtocolError, match="sections"):
        clean_description(sdp + section * 3)
    with pytest.raises(RemoteProtocolError, match="sources"):
        clean_description(
            sdp + "".join(f"a=ssrc:{ssrc} cname:x\r\n" for ssrc in range(100))
        )


@pytest.mark.parametrize("sdp", ["", "m=", "v=0\r\nm=video x y z\r\n", "\0" * 50])
def test_nonsense_is_a_protocol_error_or_empty(sdp):
    try:
        remote = clean_description(sdp)
    except RemoteProtocolError:
        return
    assert remote.ssrcs == set()
