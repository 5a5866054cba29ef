"""Playing in real time."""

import asyncio

import pytest
from aiortc.mediastreams import MediaStreamError

from cli.demo.clip import make_clip
from cli.demo.media_file import InputError
from cli.demo.player import Player
from cli.demo.stamp import clock_ms, latency_ms, read_stamp


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    make_clip(path, 1)
    return path


async def frames_of(track):
    frames = []
    while True:
        try:
            frames.append(await track.recv())
        except MediaStreamError:
            return frames


async def test_tracks_play_side_by_side_in_real_time(clip):
    loop = asyncio.get_running_loop()
    player = Player(clip, duration=1.5)
    start = loop.time()

    video, audio = await asyncio.gather(
        frames_of(player.video), frames_of(player.audio)
    )

    assert 1.4 <= loop.time() - start < 2.5
    assert abs(len(video) + player.video.left_out - 45) <= 2
    assert len(audio) == 75
    assert [frame.pts for frame in audio] == [number * 960 for number in range(75)]
    stamps = [frame.pts for frame in video]
    assert stamps == sorted(set(stamps))
    await player.wait()
    await player.stop()


async def test_every_picture_carries_its_number_and_the_moment_it_left(clip):
    player = Player(clip, duration=0.5)

    for number in range(5):
        stamp = read_stamp(await player.video.recv())
        assert stamp is not None
        assert stamp.counter == number
        assert latency_ms(stamp, clock_ms()) < 1000
    await player.stop()


async def test_pictures_can_be_left_as_they_are(clip):
    player = Player(clip, stamps=False)

    assert read_stamp(await player.video.recv()) is None
    assert abs(player.seconds - 1.0) < 0.1
    await player.stop()


async def test_stopping_ends_tracks_and_threads(clip):
    player = Player(clip, duration=100.0)
    await player.audio.recv()

    await player.stop()

    with pytest.raises(MediaStreamError):
        await player.video.recv()
    with pytest.raises(MediaStreamError):
        await player.audio.recv()


async def test_decoding_does_not_block_the_loop(clip):
    player = Player(clip, duration=1.0)
    loop = asyncio.get_running_loop()
    longest = 0.0

    async def watch():
        nonlocal longest
        while True:
            before = loop.time()
            await asyncio.sleep(0.005)
            longest = max(longest, loop.time() - before)

    watching = asyncio.ensure_future(watch())
    await asyncio.gather(frames_of(player.video), frames_of(player.audio))
    watching.cancel()

    assert longest < 0.25
    await player.stop()


async def test_file_that_cannot_be_played_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Player(tmp_path / "missing.mp4")
