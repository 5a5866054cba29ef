"""A renamed hook stops the import instead of opening sockets."""

import aiortc
import pytest

from psp.media.aiortc_names import VERSION, check_aiortc, missing_names


def test_installed_aiortc_has_every_name():
    assert missing_names() == []
    check_aiortc()


def test_missing_name_is_named():
    gone = "_RTCPeerConnection__gone"

    missing = missing_names(
        attributes=((aiortc.RTCPeerConnection, (gone, "close")),),
        stored=((aiortc.RTCPeerConnection, (gone,)),),
    )

    assert missing == [f"RTCPeerConnection.{gone}", f"RTCPeerConnection().{gone}"]


def test_another_version_is_refused():
    with pytest.raises(ImportError, match=r"1\.17\.0"):
        check_aiortc("1.17.0")


def test_renamed_hook_fails_the_check(monkeypatch):
    monkeypatch.delattr(
        aiortc.RTCPeerConnection, "_RTCPeerConnection__createDtlsTransport"
    )

    with pytest.raises(ImportError, match="createDtlsTransport"):
        check_aiortc(VERSION)
