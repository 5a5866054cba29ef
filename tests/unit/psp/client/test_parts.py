"""What runs in the background of a client goes on whatever the disk says."""

import asyncio
import errno

import pytest

import psp.client.parts
from psp.errors import ConfigError
from psp.testing.simloop import run_simulation
from tests.sim.rig import town


@pytest.mark.timeout(60)
def test_a_full_disk_ends_no_task(tmp_path, monkeypatch):
    monkeypatch.setattr(psp.client.parts, "_SAVE_EVERY", 1.0)
    tries = []

    def full(*_):
        tries.append(errno.ENOSPC)
        raise ConfigError("no space left on device")

    async def main(hub):
        async with town(hub, tmp_path, seed=21) as place:
            alice = place.clients["alice"]
            await alice.announce()
            await alice.withdraw()
            with monkeypatch.context() as disk:
                disk.setattr(alice._parts.outfit.state, "save", full)
                disk.setattr(alice._parts.missed, "remove_absence", full)
                await alice.announce()
                await asyncio.sleep(5.0)
            return [task.done() for task in alice._parts._tasks]

    assert not any(run_simulation(main, seed=21))
    assert len(tries) > 4
