"""Looking many users up (psp/client/lookups/many.py)."""

import asyncio

import pytest

from psp.client.errors import WrongNetworkError
from psp.client.lookups.lookup import PresenceState
from psp.client.lookups.many import LookupQueue, look_up_many
from psp.ids import UserId
from psp.netdoc.contact_card import ContactCard
from psp.path.selection import Purpose
from psp.wire.network import Network
from tests.unit.psp.client.lookups.gateways import (
    NOON,
    Alice,
    Gateways,
    at_noon,
    make_lookup,
)

STRANGE = ContactCard(Network(1, bytes(20)), UserId(bytes(32)), bytes(32))


def test_a_hundred_stay_below_the_guards_limits():
    async def main(hub):
        gateways = Gateways()
        people = [Alice(str(number)) for number in range(100)]
        lookup = make_lookup(hub, gateways)
        most, begun = 0, []

        async def watch():
            nonlocal most
            while True:
                most = max(most, len(gateways.builder.open_for(Purpose.LOOKUP)))
                begun.append(len(gateways.builder.opened))
                await asyncio.sleep(1.0)

        watching = asyncio.create_task(watch())
        results = await look_up_many(lookup, [person.card for person in people])
        watching.cancel()
        begun.append(len(gateways.builder.opened))
        return results, most, begun

    results, most, begun = at_noon(main)

    # Two each and no more, although most wait for their turn: 60 at once, 2.5 a second.
    assert begun[-1] == 200
    assert 50 < len(begun) < 65
    assert len(results) == 100
    assert {result.state for result in results} == {PresenceState.OFFLINE}
    assert most <= 8
    # The guard's bucket: 90 at once, and three a second.
    for start in range(len(begun)):
        for end in range(start, len(begun)):
            assert begun[end] - begun[start] <= 90 + 3 * (end - start)


def test_results_come_in_order_and_errors_in_their_places():
    async def main(hub):
        gateways, alice, bob = Gateways(), Alice(), Alice("bob")
        gateways.give(alice.agreed_record(gateways.point, NOON))
        queue = LookupQueue(make_lookup(hub, gateways))
        found = await queue.find_many([bob.card, STRANGE, alice.card])
        with pytest.raises(WrongNetworkError):
            await queue.find(STRANGE)
        return found

    off, error, on = at_noon(main)

    assert (off.state, on.state) == (PresenceState.OFFLINE, PresenceState.ONLINE)
    assert isinstance(error, WrongNetworkError)
