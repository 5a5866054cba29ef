"""Waits until a friend is on line, then calls and says hello.

python presence_app.py client.toml bob.key alice           # a contact's name, or
python presence_app.py client.toml bob.key psp://aeb…      # a card, added first
"""

import asyncio
import sys

import psp


async def main(settings: str, key_file: str, friend: str) -> None:
    """Call a friend once."""
    async with psp.connect(settings, identity=key_file) as client:
        if friend.startswith("psp://"):
            friend = client.contacts.add(friend).name
        found = await client.lookup(friend)
        print(f"{friend} is {found.state}", flush=True)
        async with client.watch([friend]) as watch:
            async for event in watch:
                print(f"{event.name}: {event.state} {event.status}", flush=True)
                if event.state is psp.PresenceState.ONLINE:
                    break
        session = await client.call(friend)
        session.send_message(b"hello from an app")
        print((await session.receive_message()).decode(), flush=True)
        session.close()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except psp.PspError as error:
        sys.exit(f"error: {error}")
