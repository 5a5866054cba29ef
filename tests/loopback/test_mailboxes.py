"""Missed calls over real sockets: left, kept by relays, collected after a restart."""

import asyncio

import pytest

import psp.testing
from psp.client.errors import UserOfflineError
from psp.client.lookups.lookup import PresenceState

pytestmark = pytest.mark.timeout(60)


async def test_who_was_off_line_learns_who_called_over_real_sockets():
    async with psp.testing.network(loopback=True) as net:
        alice, bob = await net.client("alice"), await net.client("bob")
        await alice.announce(3)
        card = alice.contact_card
        await net.close_client("alice")
        found = await bob.lookup(card)
        assert found.state is PresenceState.OFFLINE
        with pytest.raises(UserOfflineError) as caught:
            await bob.call(card, found=found, notice="ring me")
        assert caught.value.was_noted

        alice = await net.client("alice")
        came = asyncio.Event()
        alice._parts.missed.on_missed = lambda _: came.set()
        await alice.announce(1)
        async with asyncio.timeout(30):
            await came.wait()

        (missed,) = alice.missed_calls()
        assert (missed.text, missed.caller) == ("ring me", bob.me.identity)
