"""The decoding thread."""

import asyncio
import fractions
from typing import Any

import av
from aiortc.codecs import CODECS
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload
from av.video.frame import PictureType

from psp.media.assembly import EncodedFrame
from psp.media.decoder import MAX_WAITING, DecoderThread

VP8 = CODECS["video"][0]


def ignore(*_: object) -> None:
    """Take no notice."""


def key_frame() -> EncodedFrame:
    frame = av.VideoFrame(320, 180, "yuv420p")
    frame.pts, frame.time_base = 0, fractions.Fraction(1, 90000)
    payloads, _ = Vp8Encoder().encode(frame)
    return EncodedFrame(0, b"".join(map(vp8_depayload, payloads)))


async def test_frames_come_back_in_the_loop_without_a_picture_type():
    done = asyncio.get_running_loop().create_future()
    decoder = DecoderThread("test", done.set_result, ignore, ignore)

    assert decoder.submit(VP8, key_frame())
    (frame,) = await done
    decoder.end()
    await decoder.join()

    assert (frame.width, frame.height) == (320, 180)
    assert frame.pict_type == PictureType.NONE


async def test_damage_is_reported_and_decoding_goes_on():
    events: asyncio.Queue[Any] = asyncio.Queue()
    decoder = DecoderThread(
        "test",
        events.put_nowait,
        lambda: events.put_nowait("damage"),
        lambda: events.put_nowait("end"),
    )

    decoder.submit(VP8, EncodedFrame(0, b"\x00nonsense"))
    decoder.submit(VP8, key_frame())

    assert await events.get() == "damage"
    assert len(await events.get()) == 1
    decoder.end()
    await decoder.join()
    assert await events.get() == "end"


async def test_full_queue_refuses_and_the_end_still_fits():
    decoder = DecoderThread("test", ignore, ignore, ignore)
    frame = key_frame()

    taken = sum(decoder.submit(VP8, frame) for _ in range(100 * MAX_WAITING))
    decoder.end()
    decoder.end()
    await decoder.join()

    assert taken < 100 * MAX_WAITING
    assert not decoder.submit(VP8, frame)
