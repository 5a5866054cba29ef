"""What was wrong with the design of 2019 is not wrong here: one test for each fault.

The faults are those seen in its documents and its SDK. Each test attacks the mechanism
that stands in its place, in a whole network where that is possible.
"""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

import psp.testing
from psp.client.circuits import CircuitBuilder
from psp.client.lookups.lookup import PresenceState
from psp.crypto.blinding import Credential
from psp.crypto.keys import SigningKey
from psp.crypto.layer import EPOCH_BITS, OpeningLayer, SealingLayer
from psp.crypto.primitives import TAG_SIZE, sha256
from psp.directory.trusted import RegistryRefusedError, TrustedFileRegistry
from psp.errors import HandshakeError
from psp.netdoc import trusted_file
from psp.netdoc.presence_record import locations_at
from psp.path.selection import Purpose
from psp.testing.circuits import CircuitRig
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation
from psp.testing.weather import Weather
from psp.units import Seconds, UnixTime
from psp.wire.cell import HEADER
from psp.wire.onion import BLOCK_SIZE
from psp.wire.presence import IntroduceRequest
from psp.wire.relay_message import RelayCommand
from tests.unit.psp.crypto.test_session import make_initiator, make_responder

pytestmark = pytest.mark.timeout(120)

WEATHER = Weather(latency=Seconds(0.02))
HOUR = 3_600


def simulate(main, seed: int = 1):
    """Run ``main(net)`` in a network in virtual time."""

    async def inside(hub: SimHub):
        async with psp.testing.network(hub=hub, seed=seed) as net:
            return await main(net)

    return run_simulation(inside, seed=seed, weather=WEATHER)


def test_who_the_members_are_is_verified_by_every_client(tmp_path):
    """2019: the client took a discovery node's list without checking its signatures."""

    async def main(net):
        bob = await net.client("bob")
        data = (net.folder / "registry.json").read_bytes()
        anchor = net.config("bob").membership.anchor()
        now = UnixTime(int(net.unix_time()))
        body = TrustedFileRegistry.open(data, anchor, now)._file
        newer = replace(body, sequence=body.sequence + 1, users=frozenset())
        stranger = SigningKey.generate(SeededEntropy("stranger"))
        forged = trusted_file.encode(newer, [stranger])
        (partner,) = anchor.partners
        touched = data.replace(b'"sequence": 1', b'"sequence": 2')
        assert touched != data
        for lie in (
            forged,
            touched,
            forged.replace(stranger.public.hex().encode(), partner.hex().encode()),
        ):
            assert not bob.membership.take_file(lie)
            with pytest.raises(RegistryRefusedError):
                TrustedFileRegistry.open(lie, anchor, now)
        assert bob.membership.registry.sequence == body.sequence
        assert bob.membership.registry.has_user(net.identity("alice").user_id)

    simulate(main)


def test_a_key_of_the_dht_says_nothing_of_the_user():
    """2019: the plain identity was the key under which a user lay in the DHT."""

    async def main(net):
        alice = await net.client("alice")
        await alice.announce()
        identity, registry = net.identity("alice"), alice.membership.registry
        stores = [net.node(node).presence.records for node in net.discovery_nodes]
        places = {place for store in stores for place in store.locations()}
        assert places

        def at(secret: bytes, unix_now: float) -> set[bytes]:
            credential = Credential.derive(identity.user_id, secret)
            found = locations_at(credential, unix_now, registry.random_value)
            return set(found.values())

        now = net.unix_time()
        assert places <= at(identity.discovery_secret, now)
        assert not places & at(bytes(32), now)
        assert not places & at(b"\1" * 32, now)
        noon = now + 12 * HOUR
        today = at(identity.discovery_secret, noon)
        assert not today & at(identity.discovery_secret, noon + 24 * HOUR)
        assert not places & {identity.user_id[:20], sha256(identity.user_id)[:20]}

    simulate(main)


def test_no_bit_of_a_relayed_cell_can_be_changed_unnoticed():
    """2019: a 4-byte digest over a stream cipher that any relay could flip bits in."""
    rig = CircuitRig(3)
    circuit = rig.built(3)
    kept: list[bytes] = []

    def fate(passage):
        if passage.receiver == 2:
            kept.append(passage.cell)
        return []

    rig.fate = fate
    rig.send_blocks(circuit, [bytes(BLOCK_SIZE)])
    rig.run(Seconds(1))
    rig.fate = lambda passage: (
        [(0.0, passage.cell)] if passage.receiver < 2 else fate(passage)
    )
    rig.send_blocks(circuit, [bytes(BLOCK_SIZE)])
    rig.run(Seconds(1))
    (cell,) = kept
    hop = rig.relays[2].route.hop
    end = HEADER.size + BLOCK_SIZE

    assert TAG_SIZE == 16
    for position in range(HEADER.size, end, 7):
        changed = bytearray(cell)
        changed[position] ^= 0x10
        assert hop.open_forward(bytes(changed), rig.now) is None


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_join_proves_itself_by_a_code_over_all_that_was_said(number):
    """2019: the documents' rendezvous sent ``auth_input`` in place of its MAC.

    Whoever carries the session's handshake, as the rendezvous relay does, can neither
    finish it nor change a byte of it.
    """
    for position in range(0, 200, 13):

        def passed(message: bytes, which: int, at: int = position) -> bytes:
            if which != number:
                return message
            changed = bytearray(message)
            changed[at] ^= 1
            return bytes(changed)

        with pytest.raises(HandshakeError):
            shake_hands(passed)


def shake_hands(passed) -> None:
    initiator, responder = make_initiator(), make_responder()
    responder.read_1(passed(initiator.message_1, 1))
    initiator.read_2(passed(responder.write_2(), 2))
    responder.read_3(passed(initiator.write_3(), 3))


def test_an_introduction_rings_once_however_often_it_is_sent():
    """2019: what becomes of a message that comes again was not said anywhere."""

    async def main(net):
        alice, bob = await net.client("alice"), await net.client("bob")
        await alice.announce()
        rung: list[bytes] = []
        statuses: list[bytes] = []
        for node_id in net.relays:
            circuits = net.node(node_id).relay.circuits
            handler = circuits.handler(RelayCommand.INTRODUCE)

            async def twice(peer, data, handler=handler, circuits=circuits):
                first = await handler(peer, data)
                rung.append(IntroduceRequest.decode(data).sealed)
                again = replace(peer, key=peer.key + 1_000_000)
                statuses.append(await handler(again, data))
                return first

            circuits.serve(RelayCommand.INTRODUCE, twice)
        waiting = asyncio.create_task(alice.accept())
        await bob.call(alice.contact_card)
        await waiting

        further = asyncio.create_task(alice.accept())
        await asyncio.sleep(20)
        assert rung
        assert statuses
        assert all(status[0] != 0 for status in statuses), "delivered again"
        assert not further.done()
        further.cancel()

    simulate(main)


def test_keys_of_a_layer_are_given_up_as_it_is_used():
    """2019: the page on the ratchet was empty."""
    initiator, responder = make_initiator(), make_responder()
    responder.read_1(initiator.message_1)
    initiator.read_2(responder.write_2())
    responder.read_3(initiator.write_3())
    sealing = SealingLayer(initiator.keys.sending)
    opening = OpeningLayer(responder.keys.receiving)
    first = sealing.seal(b"early")
    assert opening.open(first) == b"early"
    keys = [opening._key]

    for _ in range(3):
        sealing.advance_to(sealing.counter + (1 << EPOCH_BITS))
        assert opening.open(sealing.seal(b"later")) == b"later"
        keys.append(opening._key)

    assert len(set(keys)) == 4
    # What a thief takes now, with all that follows from it, opens nothing of before.
    kept = {opening._key, opening._previous_key, opening._chain}
    assert not kept & set(keys[:2])
    assert opening.open(first) is None


def test_the_list_of_nodes_is_fetched_over_three_hops():
    """2019: it was pulled over one, so the source saw who asked."""

    async def main(net):
        lengths: list[int] = []
        opened = CircuitBuilder.open

        async def watched(self, purpose, **options):
            circuit = await opened(self, purpose, **options)
            if purpose is Purpose.DIRECTORY:
                lengths.append(len(circuit.path))
            return circuit

        CircuitBuilder.open = watched
        try:
            bob = await net.client("bob")
            await bob.directory.wait_until_heard()
        finally:
            CircuitBuilder.open = opened
        assert lengths
        assert set(lengths) == {3}

    simulate(main)


def test_presence_lives_for_half_an_hour_on_three_refreshes():
    """2019: it lived for a minute, so that everybody refreshed all the time."""

    async def main(net):
        alice, bob = await net.client("alice"), await net.client("bob")
        await alice.announce(3)
        before = published(net)
        states = Counter()
        for _ in range(5):
            await asyncio.sleep(120)
            states[(await bob.lookup(alice.contact_card)).state] += 1
        assert states == {PresenceState.ONLINE: 5}
        # Three places, each once in ten minutes.
        assert published(net) - before <= 3
        found = await bob.lookup(alice.contact_card)
        assert {point.head.lifetime for point in found.points} == {1_800}

    simulate(main)


def published(net) -> int:
    return sum(net.node(node).presence.stats.published for node in net.relays)


@pytest.mark.parametrize("behaviour", ["withhold", "lie"])
def test_no_single_discovery_node_can_make_anybody_unfindable(behaviour):
    """2019: the leader that Raft chose could censor until the others demoted it."""

    async def main(net):
        alice, bob = await net.client("alice"), await net.client("bob")
        await alice.announce(3)
        for censor in net.discovery_nodes:
            await net.corrupt(censor, behaviour)
            found = await bob.lookup(alice.contact_card)
            assert found.state is PresenceState.ONLINE
            await net.reform(censor)

    simulate(main)
