"""How events are written on a stream (server-sent events, WHATWG HTML §9.2). Pure."""

from psp.errors import LocalProtocolError

CONTENT_TYPE = "text/event-stream"
HEARTBEAT = b": still here\n\n"
"""A comment: readers ignore it, and a dead connection is found out."""

RETRY_MILLISECONDS = 2_000
"""After which a browser connects again; our choice."""
OPENING = f"retry: {RETRY_MILLISECONDS}\n\n".encode()


def encode_event(identifier: str, kind: str, data: bytes) -> bytes:
    """Return one event as it is written.

    Raises:
        LocalProtocolError: If a line end would make it two.
    """
    if any(end in part for part in (identifier, kind) for end in "\r\n\0") or any(
        end in data for end in (b"\r", b"\n")
    ):
        raise LocalProtocolError("an event's parts are on one line each")
    return f"id: {identifier}\nevent: {kind}\ndata: ".encode() + data + b"\n\n"
