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


def encoded(count: int) -> list[EncodedFrame]:
    """Return a key frame and what follows it."""
    encoder = Vp8Encoder()
    frames = []
    for number in range(count):
        frame = av.VideoFrame(320, 180, "yuv420p")
        frame.pts, frame.time_base = number * 3000, fractions.Fraction(1, 90000)
        payloads, _ = encoder.encode(frame)
        data = b"".join(map(vp8_depayload, payloads))
        frames.append(EncodedFrame(number * 3000, data))
    return frames


def key_frame() -> EncodedFrame:
    return encoded(1)[0]


async def test_frames_come_back_in_the_loop_without_a_picture_type():
    done = asyncio.get_running_loop().create_future()
    decoder = DecoderThread("test", done.set_result, ignore, ignore)

    assert decoder.submit(VP8, key_frame(), is_key=True)
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

    decoder.submit(VP8, EncodedFrame(0, b"\x00nonsense"), is_key=True)
    decoder.submit(VP8, key_frame(), is_key=True)

    assert await events.get() == "damage"
    assert len(await events.get()) == 1
    decoder.end()
    await decoder.join()
    assert await events.get() == "end"


async def test_nothing_is_decoded_behind_a_damaged_frame_before_a_key_frame():
    seen: list[int | None] = []
    decoder = DecoderThread(
        "test", lambda frames: seen.extend(f.pts for f in frames), ignore, ignore
    )
    key, _, third, fourth = encoded(4)

    decoder.submit(VP8, key, is_key=True)
    decoder.submit(VP8, EncodedFrame(3000, b"\x01nonsense"), is_key=False)
    decoder.submit(VP8, third, is_key=False)
    decoder.submit(VP8, key._replace(timestamp=9000), is_key=True)
    decoder.submit(VP8, fourth._replace(timestamp=12000), is_key=False)
    decoder.end()
    await decoder.join()

    assert seen == [0, 9000, 12000]


async def test_full_queue_refuses_and_the_end_still_fits():
    decoder = DecoderThread("test", ignore, ignore, ignore)
    frame = key_frame()

    taken = sum(
        decoder.submit(VP8, frame, is_key=True) for _ in range(100 * MAX_WAITING)
    )
    decoder.end()
    decoder.end()
    await decoder.join()

    assert taken < 100 * MAX_WAITING
    assert not decoder.submit(VP8, frame, is_key=True)
