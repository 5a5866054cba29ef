"""F20 for the media adapter: a call opens no INET socket and resolves no name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CALL = """
import asyncio, json, os, pathlib, socket, sys

seen = []

def hook(event, args):
    if event == "socket.__new__" and args[1] not in (socket.AF_UNIX, -1):
        seen.append([event, int(args[1])])
    elif event in ("socket.bind", "socket.connect", "socket.sendto", "socket.sendmsg"):
        if args[0].family != socket.AF_UNIX:
            seen.append([event, str(args[1:])])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname",
                   "socket.gethostbyaddr", "socket.getnameinfo"):
        seen.append([event, str(args)])

sys.addaudithook(hook)

def inet_descriptors():
    inodes = set()
    for name in ("udp", "udp6", "tcp", "tcp6", "raw", "raw6"):
        table = pathlib.Path("/proc/self/net", name)
        if table.exists():
            inodes |= {row.split()[9] for row in table.read_text().splitlines()[1:]}
    links = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            pass
    return [link for link in links
            if link.startswith("socket:[") and link[8:-1] in inodes]

from psp.media.peer_connection import PipePeerConnection
from psp.testing.media import MemoryPipe, PatternTrack, ToneTrack, negotiate

async def call():
    near, far = MemoryPipe.pair()
    caller, callee = PipePeerConnection(near), PipePeerConnection(far)
    channel = caller.createDataChannel("chat")
    caller.addTrack(ToneTrack())
    caller.addTrack(PatternTrack())
    callee.addTrack(ToneTrack())
    tracks = asyncio.Queue()
    caller.on("track", tracks.put_nowait)
    callee.on("track", tracks.put_nowait)
    opened = asyncio.Event()
    channel.on("open", opened.set)
    await negotiate(caller, callee)
    await opened.wait()
    for _ in range(3):
        await (await tracks.get()).recv()
    found = inet_descriptors()
    await caller.close()
    await callee.close()
    return found

LEAK

found = asyncio.run(call())
print(json.dumps({"seen": seen, "descriptors": found}))
"""

LEAKY = """
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(("127.0.0.1", 0))
"""


def run(script: str) -> dict[str, list[object]]:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        timeout=25,
    )
    found: dict[str, list[object]] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(not Path("/proc/self/net").is_dir(), reason="needs /proc")
def test_call_opens_no_inet_socket_and_resolves_no_name():
    assert run(CALL.replace("LEAK", "")) == {"seen": [], "descriptors": []}


def test_the_guard_sees_a_leak():
    assert len(run(CALL.replace("LEAK", LEAKY))["seen"]) == 2
