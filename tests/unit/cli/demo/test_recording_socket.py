"""Remembering whom a socket talked to (cli/demo/recording_socket.py)."""

import asyncio

from cli.demo.recording_socket import RecordingSocket
from psp.sansio import Train
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation


def test_addresses_of_both_directions_are_remembered_and_traffic_passes():
    async def main(hub: SimHub):
        inner = hub.socket(("10.0.0.1", 1))
        recording = RecordingSocket(inner)
        friend, stranger = hub.socket(("10.0.0.2", 2)), hub.socket(("10.0.0.3", 3))
        heard: list[tuple[bytes, tuple[str, int]]] = []

        def read() -> None:
            while (batch := recording.receive_batch()) is not None:
                heard.append((bytes(batch[0]), batch[2]))

        recording.start_reading(asyncio.get_running_loop(), read)
        sent = recording.send(Train(friend.local_address, [b"hello"], 1))
        stranger.send(Train(inner.local_address, [b"hi"], 1))
        await asyncio.sleep(1.0)
        recording.stop_reading()
        stranger.send(Train(inner.local_address, [b"too late"], 1))
        await asyncio.sleep(1.0)
        return sent, heard, recording.remotes

    assert run_simulation(main) == (
        1,
        [(b"hi", ("10.0.0.3", 3))],
        {("10.0.0.2", 2), ("10.0.0.3", 3)},
    )
