"""The far end's session description, cleaned before aiortc sees it.

A candidate in it would be an address to send to, and a ``.local`` one a name to resolve
by multicast. None is ever used, and all but the pipe's own are taken out and counted.
"""

from typing import NamedTuple

from aiortc.sdp import SessionDescription

from psp.errors import RemoteProtocolError
from psp.media.ice import PSEUDO_HOST, PSEUDO_PORT

MAX_SDP_BYTES = 32 * 1024
"""Ten times an offer with audio, video and data."""

MAX_SECTIONS = 8
MAX_SOURCES = 4 * MAX_SECTIONS

_CANDIDATE = "a=candidate:"


class RemoteDescription(NamedTuple):
    """A description that aiortc's parser took.

    Attributes:
        sdp: Without foreign candidates.
        ssrcs: The sources it names; RTP from others is not let in.
        candidates_refused: How many were taken out.
    """

    sdp: str
    ssrcs: set[int]
    candidates_refused: int


def is_pseudo_candidate(line: str) -> bool:
    """Tell whether an ``a=candidate:`` line is the one that stands for the pipe."""
    words = line.removeprefix(_CANDIDATE).split()
    return words[4:8] == [PSEUDO_HOST, str(PSEUDO_PORT), "typ", "host"] and (
        len(words) == 8
    )


def clean_description(sdp: str) -> RemoteDescription:
    """Check and clean a remote description.

    Raises:
        RemoteProtocolError: It is too long, has too many parts or does not parse.
    """
    if len(sdp) > MAX_SDP_BYTES:
        raise RemoteProtocolError(
            f"session description has {len(sdp)} characters, at most {MAX_SDP_BYTES}"
        )
    kept = []
    refused = 0
    for line in sdp.splitlines():
        if line.startswith(_CANDIDATE) and not is_pseudo_candidate(line):
            refused += 1
        else:
            kept.append(line)
    clean = "\r\n".join(kept) + "\r\n"
    return RemoteDescription(clean, _sources(clean), refused)


def _sources(sdp: str) -> set[int]:
    try:
        sections = SessionDescription.parse(sdp).media
    except Exception as error:
        raise RemoteProtocolError("session description does not parse") from error
    if len(sections) > MAX_SECTIONS:
        raise RemoteProtocolError(
            f"session description has {len(sections)} sections, at most {MAX_SECTIONS}"
        )
    ssrcs = {source.ssrc for section in sections for source in section.ssrc}
    if len(ssrcs) > MAX_SOURCES:
        raise RemoteProtocolError(
            f"session description names {len(ssrcs)} sources, at most {MAX_SOURCES}"
        )
    return ssrcs
