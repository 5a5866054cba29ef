"""Being announced as one thing at a time (psp/client/announcing/announcing.py)."""

import asyncio

import pytest

from psp.testing.simloop import run_simulation
from tests.sim.rig import town


@pytest.mark.timeout(60)
def test_who_withdraws_while_the_secret_changes_is_off_line(tmp_path):
    async def main(hub):
        async with town(hub, tmp_path, seed=21) as place:
            alice, bob = place.clients["alice"], place.clients["bob"]
            alice.contacts.add(bob.contact_card, "bob")
            await alice.announce()
            revoking = asyncio.create_task(alice.contacts.revoke("bob"))
            await asyncio.sleep(0.01)
            assert not revoking.done()
            await alice.withdraw()
            await revoking
            await asyncio.sleep(5)
            return alice._parts.presence.announcer, alice.status().presence_points

    assert run_simulation(main, seed=21) == (None, 0)


@pytest.mark.timeout(60)
def test_of_two_revocations_at_once_the_secret_of_the_later_one_counts(tmp_path):
    async def main(hub):
        users = ("alice", "bob", "carol", "dave")
        async with town(hub, tmp_path, seed=21, users=users) as place:
            alice, *others = place.clients.values()
            for name, other in zip(users[1:], others, strict=True):
                alice.contacts.add(other.contact_card, name)
            await alice.announce()
            _, fresh = await asyncio.gather(
                alice.contacts.revoke("bob"), alice.contacts.revoke("carol")
            )
            kept = alice.contacts._file.load()[1]
            others[2].contacts.add(fresh["dave"], "alice")
            await alice.announce()
            found = await others[2].lookup("alice")
            return alice.contact_card.secret == kept, found.points

    is_kept, points = run_simulation(main, seed=21)

    assert is_kept
    assert points
