"""A client through its own doors, in a whole simulated network (psp/client/api.py)."""

import asyncio
from dataclasses import replace

import pytest

from psp.client.api import connect
from psp.client.calls.calls import CallError
from psp.client.calls.session import SessionClosedError
from psp.client.identities.identity import ClientIdentity
from psp.client.lookups.lookup import PresenceState
from psp.client.state import ClientState
from psp.errors import ConfigError
from psp.testing.entropy import SeededEntropy
from psp.testing.simloop import run_simulation
from psp.wire.cell import Reason
from tests.sim.rig import HOST, town


def simulate(folder, main, **options):
    async def run(hub):
        async with town(hub, folder, seed=5, **options) as place:
            return await main(place)

    return run_simulation(run, seed=5)


async def in_call(place):
    alice, bob = place.clients["alice"], place.clients["bob"]
    await alice.announce()
    calling, answering = await asyncio.gather(
        bob.establish(alice.contact_card), alice.accept_call()
    )
    return calling, answering


def stop_relay(place, node_id):
    (number,) = [
        number
        for number, planned in enumerate(place.plan.relays)
        if planned.node_id == node_id
    ]
    place.hub.sky.kill((HOST, place.plan.relays[number].config.listen.port))


@pytest.mark.timeout(60)
def test_three_points_that_differ_are_announced_and_found(tmp_path):
    async def main(place):
        alice, bob = place.clients["alice"], place.clients["bob"]
        before = await bob.lookup(alice.contact_card)
        await alice.announce(3)
        points = [point.node_id for point in alice.announcer.points()]
        found = await bob.lookup(alice.contact_card)
        return before, points, found, alice.status()

    before, points, found, status = simulate(tmp_path, main)

    assert before.state is not PresenceState.ONLINE
    assert found.state is PresenceState.ONLINE
    assert len(set(points)) == 3
    assert {presence.place.node_id for presence in found.points} == set(points)
    assert (status.nodes, status.presence_points) == (12, 3)
    assert status.source == "trusted"
    assert "answered" in status.directory


@pytest.mark.timeout(60)
def test_a_user_who_has_left_is_off_line(tmp_path):
    async def main(place):
        alice, bob = place.clients["alice"], place.clients["bob"]
        await alice.announce(3)
        await alice.announcer.stop()
        found = await bob.lookup(alice.contact_card)
        with pytest.raises(CallError, match="offline"):
            await bob.call(alice.contact_card, found=found)
        return found.state

    assert simulate(tmp_path, main) is PresenceState.OFFLINE


@pytest.mark.timeout(60)
def test_a_call_finds_the_user_at_a_second_point_when_the_first_is_dead(tmp_path):
    async def main(place):
        alice, bob = place.clients["alice"], place.clients["bob"]
        await alice.announce(3)
        found = await bob.lookup(alice.contact_card)
        first = found.points[0].place.node_id
        stop_relay(place, first)
        call, _ = await asyncio.gather(
            bob.establish(alice.contact_card, found=found), alice.accept()
        )
        return first, call.presence_point, [p.place.node_id for p in found.points]

    first, used, points = simulate(tmp_path, main)

    assert used != first
    assert used in points


@pytest.mark.timeout(60)
def test_an_anonymous_caller_is_not_named_and_can_be_talked_to(tmp_path):
    async def main(place):
        alice, bob = place.clients["alice"], place.clients["bob"]
        await alice.announce()
        calling, answering = await asyncio.gather(
            bob.call(alice.contact_card, anonymous=True), alice.accept()
        )
        answering.send_message(b"who is there?")
        return answering.peer, calling.peer, await calling.receive_message()

    who, called, heard = simulate(tmp_path, main)

    assert who is None
    assert called is not None
    assert heard == b"who is there?"


@pytest.mark.timeout(60)
def test_a_session_gets_a_second_leg_over_other_relays(tmp_path):
    async def main(place):
        calling, answering = await in_call(place)
        await asyncio.sleep(5.0)
        assert calling.session.live_legs == answering.session.live_legs
        return [
            [node.node_id for node in circuit.path]
            for circuit in calling.legs.legs.values()
        ]

    legs = simulate(tmp_path, main)

    assert len(legs) == 2
    assert legs[0][-1] != legs[1][-1]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("after", [0.0, 6.0], ids=["one leg", "two legs"])
def test_a_session_outlives_its_rendezvous(tmp_path, after):
    async def main(place):
        calling, answering = await in_call(place)
        await asyncio.sleep(after or 1.0)
        stop_relay(place, calling.legs.legs[0].path[-1].node_id)
        started = place.hub.unix_time()
        calling.session.send_message(b"still there?")
        heard = await answering.session.receive_message()
        took = place.hub.unix_time() - started
        answering.session.send_message(b"yes")
        assert await calling.session.receive_message() == b"yes"
        await asyncio.sleep(20.0)
        return heard, took, calling.session.live_legs, answering.session.live_legs

    heard, took, ours, theirs = simulate(tmp_path, main)

    assert heard == b"still there?"
    assert took < 5.0
    assert ours == theirs
    assert 2 <= len(ours) <= 4


@pytest.mark.timeout(60)
def test_hanging_up_is_heard_at_once_and_frees_every_circuit(tmp_path):
    async def main(place):
        calling, answering = await in_call(place)
        await asyncio.sleep(5.0)
        calling.session.close()
        reason = await answering.session.closed
        with pytest.raises(SessionClosedError):
            await answering.session.receive_message()
        await asyncio.sleep(1.0)
        return reason, dict(calling.legs.legs), dict(answering.legs.legs)

    assert simulate(tmp_path, main) == (Reason.REQUESTED, {}, {})


@pytest.mark.timeout(60)
def test_a_peer_that_vanishes_ends_the_session_after_a_while(tmp_path):
    async def main(place):
        calling, _ = await in_call(place)
        await asyncio.sleep(3.0)
        place.hub.sky.kill((HOST, 7001))
        started = place.hub.unix_time()
        reason = await calling.session.closed
        return reason, place.hub.unix_time() - started

    reason, took = simulate(tmp_path, main)

    assert reason is Reason.TIMEOUT
    assert took < 40.0


@pytest.mark.timeout(60)
def test_without_an_identity_a_client_can_only_look_up_and_call(tmp_path):
    async def main(place):
        alice = place.clients["alice"]
        await alice.announce()
        config = replace(place.plan.client_config("nobody"), port=0)
        async with connect(
            config,
            udp=place.hub.socket((HOST, 7100)),
            entropy=SeededEntropy("nobody"),
            unix_time=place.hub.unix_time,
        ) as client:
            with pytest.raises(ConfigError, match="no identity"):
                await client.announce()
            with pytest.raises(ConfigError, match="no identity"):
                _ = client.contact_card
            with pytest.raises(ConfigError, match="no identity"):
                await client.accept()
            with pytest.raises(ConfigError, match="no identity"):
                await anext(client.incoming())
            _, answering = await asyncio.gather(
                client.call(alice.contact_card), alice.accept()
            )
            return answering.peer

    assert simulate(tmp_path, main) is None


@pytest.mark.timeout(60)
def test_who_is_not_registered_cannot_announce(tmp_path):
    async def main(place):
        stranger = ClientIdentity.generate(SeededEntropy("stranger"))
        async with connect(
            place.plan.client_config("stranger"),
            identity=stranger,
            udp=place.hub.socket((HOST, 7100)),
            entropy=SeededEntropy("stranger's"),
            unix_time=place.hub.unix_time,
        ) as client:
            with pytest.raises(ConfigError, match="not registered; register it"):
                await client.announce()

    simulate(tmp_path, main)


@pytest.mark.timeout(60)
def test_a_restarted_client_keeps_its_guards(tmp_path):
    async def main(place):
        guards = []
        carol = ClientIdentity.generate(SeededEntropy("carol"))
        for number in range(2):
            async with connect(
                place.plan.client_config("carol"),
                identity=carol,
                udp=place.hub.socket((HOST, 7100 + number)),
                entropy=SeededEntropy(f"run {number}"),
                unix_time=place.hub.unix_time,
            ) as client:
                await client.directory.wait_until_heard()
                found = await client.lookup(place.clients["alice"].contact_card)
                assert found.answers
            file = place.plan.folder / "carol" / "client.json"
            state = ClientState(file, carol, SeededEntropy("reader"))
            guards.append(state.guards.primary())
        return guards

    first, second = simulate(tmp_path, main)

    assert first == second
