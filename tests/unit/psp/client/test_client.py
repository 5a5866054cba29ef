"""Contacts, status and errors through a client's doors, in a whole simulated network."""

import asyncio
from dataclasses import replace

import pytest

import psp
from psp.client.contacts.contacts import ContactBook
from psp.errors import ConfigError
from psp.testing.entropy import SeededEntropy
from psp.testing.simloop import run_simulation
from psp.wire.network import Network
from tests.sim.rig import HOST, town


def simulate(folder, main, seed=21):
    async def run(hub):
        async with town(hub, folder, seed=seed) as place:
            alice, bob = place.clients["alice"], place.clients["bob"]
            bob.contacts.add(alice.contacts.invite("bob"), "alice")
            alice.contacts.add(bob.me, "bob")
            return await main(place, alice, bob)

    return run_simulation(run, seed=seed)


@pytest.mark.timeout(60)
def test_revoked_in_the_middle_of_a_look_up_or_a_call_it_ends_at_once(tmp_path):
    async def main(place, alice, bob):
        await alice.announce()
        loop = asyncio.get_running_loop()
        outcomes = []
        for work in (bob.lookup, bob.call):
            bob.contacts.add(alice.contacts.invite("bob"), "alice")
            task = asyncio.create_task(work("alice"))
            await asyncio.sleep(0.02)
            await bob.contacts.revoke("alice", rotate=False)
            started = loop.time()
            with pytest.raises(psp.ContactRevokedError):
                await task
            outcomes.append(loop.time() - started)
        with pytest.raises(psp.UnknownContactError):
            await bob.lookup("alice")
        return outcomes

    assert simulate(tmp_path, main) == [0.0, 0.0]


async def take_calls(client):
    await anext(client.incoming())


@pytest.mark.timeout(60)
def test_a_client_that_has_ended_says_so_at_once(tmp_path):
    async def main(place, alice, bob):
        await bob.close()
        works = [
            lambda: bob.lookup("alice"),
            lambda: bob.lookup_many(["alice"]),
            lambda: bob.call("alice"),
            bob.announce,
            bob.accept,
            lambda: take_calls(bob),
        ]
        for work in works:
            with pytest.raises(ConfigError, match="has ended"):
                await work()
        with pytest.raises(ConfigError, match="has ended"):
            bob.watch(["alice"])

    simulate(tmp_path, main)


@pytest.mark.timeout(60)
def test_what_is_given_in_the_wrong_form_is_no_name_of_anybody(tmp_path):
    async def main(place, alice, bob):
        with pytest.raises(TypeError, match=r"\['alice'\]"):
            bob.watch("alice")
        with pytest.raises(TypeError, match=r"\['alice'\]"):
            await bob.lookup_many("alice")
        with pytest.raises(TypeError, match="not bytes"):
            await bob.lookup(alice.me.identity)
        for notice in ("x" * 129, "a\nb"):
            with pytest.raises(ConfigError, match="128 bytes"):
                await bob.call("alice", notice=notice)
        with pytest.raises(RuntimeError, match="async with"):
            await anext(bob.watch(["alice"]))

    simulate(tmp_path, main)


@pytest.mark.timeout(60)
def test_one_revoked_among_many_leaves_the_others(tmp_path):
    async def main(place, alice, bob):
        await alice.announce()
        card = alice.me
        task = asyncio.create_task(
            bob.lookup_many(
                ["alice", "nobody", replace(card, network=Network(1, bytes(20)))],
                return_exceptions=True,
            )
        )
        await asyncio.sleep(0.01)
        await bob.contacts.revoke("alice", rotate=False)
        kinds = [type(outcome) for outcome in await task]
        found = await bob.lookup_many([card, card])
        with pytest.raises(psp.UnknownContactError):
            await bob.lookup_many([card, "nobody"])
        return kinds, [result.state for result in found], await bob.lookup_many([])

    kinds, states, nothing = simulate(tmp_path, main)

    assert kinds == [
        psp.ContactRevokedError,
        psp.UnknownContactError,
        psp.WrongNetworkError,
    ]
    assert states == [psp.PresenceState.ONLINE] * 2
    assert nothing == []


@pytest.mark.timeout(60)
def test_whom_alice_revokes_finds_her_no_more_and_the_others_do(tmp_path):
    async def main(place, alice, bob):
        await alice.announce(3, status="in the garden", capabilities=["audio"])
        carols = psp.ContactCard.decode(alice.contacts.invite("carol"))
        before = await bob.lookup("alice"), await bob.lookup(carols)
        fresh = await alice.contacts.revoke("bob")
        await alice.announce()
        revoked = await bob.lookup("alice")
        with pytest.raises(psp.UserOfflineError):
            await bob.call("alice")
        # Carol adds her fresh card; here bob's client stands in for hers.
        card = psp.ContactCard.decode(fresh["carol"])
        renewed = await bob.lookup(card)
        while not renewed.status:  # it is published again right behind the presence
            await asyncio.sleep(0.1)
            renewed = await bob.lookup(card)
        ringing = asyncio.create_task(bob.call(card))
        call = await anext(alice.incoming())
        ringing.cancel()
        return (
            before,
            revoked,
            renewed,
            call.contact,
            carols.ticket_key == card.ticket_key,
        )

    before, revoked, renewed, contact, is_same_ticket = simulate(tmp_path, main)

    assert [result.state.value for result in before] == ["online", "online"]
    assert revoked.state is psp.PresenceState.OFFLINE
    assert renewed.state is psp.PresenceState.ONLINE
    assert (renewed.status, renewed.capabilities) == ("in the garden", {"audio"})
    assert contact == "carol"
    assert is_same_ticket


@pytest.mark.timeout(60)
def test_a_revoked_ticket_does_not_ring(tmp_path):
    async def main(place, alice, bob):
        await alice.announce()
        ringing = asyncio.create_task(bob.call("alice"))
        call = await anext(alice.incoming())
        ringing.cancel()
        call.refuse()
        await alice.contacts.revoke("bob", rotate=False)
        with pytest.raises(psp.CallRefusedError):
            await bob.call("alice")
        return call.contact, alice.status().incoming

    assert simulate(tmp_path, main) == ("bob", 0)


@pytest.mark.timeout(60)
def test_a_revoked_identity_is_neither_looked_up_nor_called(tmp_path):
    async def main(place, alice, bob):
        await alice.announce()
        registry = bob.membership.registry
        task = asyncio.create_task(bob.lookup("alice"))
        await asyncio.sleep(0.02)
        lost = {alice.me.identity}
        registry.is_revoked_user = lost.__contains__
        with pytest.raises(psp.UserRevokedError):
            await task
        with pytest.raises(psp.UserRevokedError):
            await bob.call("alice")

    simulate(tmp_path, main)


@pytest.mark.timeout(60)
def test_public_presence_is_found_by_anybody_and_ends_when_it_is_withdrawn(tmp_path):
    async def main(place, alice, bob):
        stranger = psp.ContactCard(alice.me.network, alice.me.identity)
        await alice.announce()
        before = await bob.lookup(stranger)
        await alice.announce(visibility="public", status="open")
        public = await bob.lookup(stranger)
        private = await bob.lookup("alice")
        await alice.withdraw()
        after = await bob.lookup(stranger)
        with pytest.raises(ConfigError, match="visibility is one of"):
            await alice.announce(visibility="friends")
        return before.state, public, private.state, after.state

    before, public, private, after = simulate(tmp_path, main)

    assert before is not psp.PresenceState.ONLINE
    assert public.state is psp.PresenceState.ONLINE
    assert public.status == "open"
    assert private is psp.PresenceState.ONLINE
    assert after is psp.PresenceState.OFFLINE


@pytest.mark.timeout(60)
def test_what_cannot_be_said_announces_nothing(tmp_path):
    async def main(place, alice, bob):
        for wrong in (
            {"status": "x" * 181},
            {"capabilities": ["levitation"]},
            {"points": 4},
            {"points": 0},
        ):
            with pytest.raises(ConfigError):
                await alice.announce(**wrong)
        with pytest.raises(ConfigError, match="announce first"):
            await alice.set_status("hello")
        assert alice.announcer is None
        await alice.announce(status="hello")
        with pytest.raises(ConfigError):
            await alice.set_status("x" * 181)
        return (await bob.lookup("alice")).status

    assert simulate(tmp_path, main) == "hello"


@pytest.mark.timeout(60)
def test_an_announcement_that_is_withdrawn_meanwhile_ends(tmp_path):
    async def main(place, alice, bob):
        task = asyncio.create_task(alice.announce(3))
        await asyncio.sleep(0.01)
        await alice.withdraw()
        with pytest.raises(ConfigError, match="withdrawn"):
            await task
        await alice.withdraw()
        await alice.announce()
        return alice.status().presence_points

    assert simulate(tmp_path, main) >= 1


@pytest.mark.timeout(60)
def test_contacts_and_a_rotated_secret_survive_a_restart(tmp_path):
    async def main(place, alice, bob):
        plan = place.plan
        for number in range(2):
            # The key file's secret, each time: what was changed is in the book.
            identity = psp.ClientIdentity(plan.users["bob"].key, b"s" * 32, "carol")
            async with psp.connect(
                plan.client_config("carol"),
                identity=identity,
                udp=place.hub.socket((HOST, 7100 + number)),
                entropy=SeededEntropy(f"run {number}"),
                unix_time=place.hub.unix_time,
            ) as client:
                assert isinstance(client.contacts, ContactBook)
                if number == 0:
                    client.contacts.add(alice.me, "alice")
                    client.contacts.invite("dave")
                    await client.contacts.revoke("dave")
                secret = client.me.secret
                names = [contact.name for contact in client.contacts]
        return names, secret

    names, secret = simulate(tmp_path, main)

    assert names == ["alice"]
    assert secret != b"s" * 32


@pytest.mark.timeout(60)
def test_a_damaged_book_stops_the_client_with_a_clear_error(tmp_path):
    async def main(place, alice, bob):
        config = place.plan.client_config("carol")
        book = config.state_dir / "contacts.json"
        options = {
            "identity": psp.ClientIdentity.generate(SeededEntropy("carol")),
            "udp": place.hub.socket((HOST, 7100)),
            "unix_time": place.hub.unix_time,
        }
        async with psp.connect(config, **options) as client:
            client.contacts.add(alice.me, "alice")
        book.write_bytes(book.read_bytes()[:-30])
        before = asyncio.all_tasks()
        with pytest.raises(ConfigError, match=r"contacts\.json is damaged"):
            async with psp.connect(config, **options):
                pass
        return asyncio.all_tasks() - before

    assert simulate(tmp_path, main) == set()


@pytest.mark.timeout(60)
def test_the_policy_refuses_before_anything_rings(tmp_path):
    async def main(place, alice, bob):
        await alice.announce()

        async def nobody(call):
            return psp.CallDecision.REFUSE

        alice.set_call_policy(nobody)
        with pytest.raises(psp.CallRefusedError):
            await bob.call("alice")
        return alice.status().incoming

    assert simulate(tmp_path, main) == 0


@pytest.mark.timeout(60)
def test_a_watch_tells_of_a_revoked_contact_and_ends(tmp_path):
    async def main(place, alice, bob):
        await alice.announce()
        told = []

        async def watch():
            async with bob.watch(["alice"]) as events:
                async for event in events:
                    told.append((event.name, event.state.value, event.reason.value))
                    if "alice" in bob.contacts:
                        await bob.contacts.revoke("alice", rotate=False)

        with pytest.raises(psp.ContactRevokedError):
            await watch()
        return told

    assert simulate(tmp_path, main) == [
        ("alice", "online", "first"),
        ("alice", "unknown", "removed"),
    ]


@pytest.mark.timeout(60)
def test_a_watch_goes_on_under_a_fresh_card(tmp_path):
    async def main(place, alice, bob):
        loop = asyncio.get_running_loop()
        alice.contacts.invite("carol")
        await alice.announce(3)
        async with bob.watch(["alice"]) as events:
            first = await anext(events)
            fresh = await alice.contacts.revoke("carol")
            away = await anext(events)
            await alice.announce()
            started = loop.time()
            bob.contacts.add(fresh["bob"], "alice")
            back = await anext(events)
            took = loop.time() - started
        return [event.state.value for event in (first, away, back)], took

    states, took = simulate(tmp_path, main)

    assert states == ["online", "offline", "online"]
    assert took < 20
