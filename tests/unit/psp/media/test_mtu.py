"""Sizes derived from the pipe's."""

import aiortc.codecs.h264
import aiortc.codecs.vpx
import aiortc.rtcrtpsender
import aiortc.rtcsctptransport
import pytest

from psp.errors import ConfigError
from psp.media.mtu import MIN_MTU, configure_mtu
from psp.media.pipe import PIPE_MTU


def test_sizes_of_a_pipe_of_1080_bytes():
    configure_mtu(PIPE_MTU)

    assert aiortc.codecs.vpx.PACKET_MAX == 1030
    assert aiortc.codecs.h264.PACKET_MAX == 1030
    assert aiortc.rtcsctptransport.USERDATA_MAX_LENGTH == 1012
    assert vars(aiortc.rtcrtpsender)["RTP_HISTORY_SIZE"] == 1024


def test_pipe_too_small_for_a_handshake_is_refused():
    with pytest.raises(ConfigError, match="399"):
        configure_mtu(MIN_MTU - 1)
