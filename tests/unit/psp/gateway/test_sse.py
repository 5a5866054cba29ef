"""How events are written (psp/gateway/sse.py)."""

import pytest

from psp.errors import LocalProtocolError
from psp.gateway.sse import encode_event


def test_an_event_is_three_lines_and_an_empty_one():
    assert encode_event("1f-7", "presence", b'{"a":1}') == (
        b'id: 1f-7\nevent: presence\ndata: {"a":1}\n\n'
    )


@pytest.mark.parametrize(
    "parts",
    [
        ("1\n", "presence", b"{}"),
        ("1\0", "presence", b"{}"),
        ("1", "pre\rsence", b"{}"),
        ("1", "presence", b"{\n}"),
        ("1", "presence", b"{\r}"),
    ],
)
def test_nothing_in_an_event_can_begin_another(parts):
    with pytest.raises(LocalProtocolError):
        encode_event(*parts)
