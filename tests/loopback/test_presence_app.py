"""The sample app in deploy/examples: a process of its own, on real sockets."""

import asyncio
import sys
from pathlib import Path

import pytest

import psp.testing

_APP = Path(__file__).parents[2] / "deploy" / "examples" / "presence_app.py"
_MOST_LINES = 40


async def _line(app):
    line = (await app.stdout.readline()).decode().strip()
    assert line, "the app has ended"
    return line


async def _start(net, friend):
    """Start the app as bob, with a settings file and a key file of his own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        _APP,
        *net.files("bob"),
        friend,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.timeout(60)
async def test_the_sample_app_looks_up_watches_and_calls():
    async with psp.testing.network(loopback=True) as net:
        alice = await net.client("alice")
        await alice.announce(status="in the garden")
        app = await _start(net, alice.contacts.invite("bob"))
        try:
            looked_up, told = await _line(app), await _line(app)
            session = await alice.accept()
            heard = await session.receive_message()
            session.send_message(b"hello from alice")
            answered = await _line(app)
            code = await app.wait()
        finally:
            if app.returncode is None:
                app.kill()
                await app.wait()

    assert looked_up == "alice is online"
    assert told == "alice: online in the garden"
    assert heard == b"hello from an app"
    assert session.peer == net.identity("bob").user_id
    assert answered == "hello from alice"
    assert code == 0


@pytest.mark.timeout(30)
async def test_the_sample_app_says_what_is_wrong():
    async with psp.testing.network(loopback=True) as net:
        app = await _start(net, "nobody")
        _, errors = await app.communicate()

    assert errors.decode() == "error: no contact is called 'nobody'\n"
    assert app.returncode == 1


async def test_the_sample_app_says_how_it_is_started():
    app = await asyncio.create_subprocess_exec(
        sys.executable, _APP, "client.toml", stderr=asyncio.subprocess.PIPE
    )
    _, errors = await app.communicate()

    assert app.returncode == 1
    assert "python presence_app.py client.toml bob.key alice" in errors.decode()
    assert "Traceback" not in errors.decode()


def test_the_sample_app_is_short_and_needs_psp_only():
    lines = _APP.read_text().splitlines()

    assert len(lines) <= _MOST_LINES
    imports = {line for line in lines if line.startswith(("import ", "from "))}
    assert imports == {"import asyncio", "import sys", "import psp"}
