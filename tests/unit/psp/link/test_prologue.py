"""The prologue is the bytes of SPEC.md section 1."""

from psp.link.prologue import link_prologue
from psp.wire.network import Network


def test_the_prologue_names_protocol_version_network_and_port() -> None:
    prologue = link_prologue(Network(7, b"r" * 20), 443)

    assert prologue == b"psp-link-v1\x01" + (7).to_bytes(8) + b"r" * 20 + b"\x01\xbb"
