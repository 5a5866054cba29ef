"""A discovery node reads its own store, with the whole registry at hand.

It may learn that some pseudonym is there and which relay stored it. It must not learn
who a contacts-only user is, nor where anybody can be reached.
"""

import asyncio
import ipaddress
from pathlib import Path

import pytest

import psp.testing
from psp.crypto.blinding import PUBLIC_SECRET, Credential, blind_public
from psp.errors import DecodeError
from psp.netdoc.presence_inner import open_record, read_records
from psp.netdoc.presence_record import RecordRefusedError, locations_at, parse
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation

USERS = ("alice", "bob", "carol", "dora")
HIDDEN = ("alice", "bob")
PUBLIC = "carol"
"""Dora is registered and not on line."""

pytestmark = pytest.mark.timeout(60)


def scan(check) -> None:
    """Let three users come on line, then call ``check(net)``."""

    async def main(hub: SimHub) -> None:
        async with psp.testing.network(hub=hub, users=USERS) as net:
            for name in (*HIDDEN, PUBLIC):
                client = await net.client(name)
                visibility = "public" if name == PUBLIC else "contacts"
                await client.announce(
                    3, visibility=visibility, status=f"{name} is here"
                )
            await asyncio.sleep(5)
            for node_id in net.discovery_nodes:
                check(net, net.node(node_id))

    run_simulation(main)


def what_lies_on(node, home: Path) -> list[bytes]:
    """Return everything that a node's operator can read of others' presence."""
    stored = [bytes(raw) for raw in node.presence.records.raw_records()]
    assert stored, "nothing to scan"
    keys = {"identity.key", "onion.key"}
    files = [path for path in home.rglob("*") if path.is_file()]
    return stored + [path.read_bytes() for path in files if path.name not in keys]


def home_of(net, node) -> Path:
    (relay,) = (r for r in net.plan.relays if r.node_id == node.node_id)
    return Path(relay.config.state_dir)


def test_nobody_is_found_who_did_not_choose_to_be():
    """The scan: every registered user's public location, in every period of now."""

    def check(net, node):
        registry, now = node.registry, net.unix_time()
        places = set(node.presence.records.locations())
        found = set()
        for name in USERS:
            credential = Credential.derive(net.identity(name).user_id, PUBLIC_SECRET)
            at = locations_at(credential, now, registry.random_value)
            if places & set(at.values()):
                found.add(name)
        assert found == {PUBLIC}

    scan(check)


def test_no_record_can_be_tied_to_a_hidden_user_or_opened():
    def check(net, node):
        registry, now = node.registry, net.unix_time()
        outers = [
            parse(
                bytes(raw),
                network=registry.network,
                random_value=registry.random_value,
                unix_now=now,
            )
            for raw in node.presence.records.raw_records()
        ]
        everybody = {name: net.identity(name).user_id for name in USERS}
        tied = set()
        for outer in outers:
            for name, user_id in everybody.items():
                credential = Credential.derive(user_id, PUBLIC_SECRET)
                try:
                    if (
                        blind_public(credential, outer.head.period)
                        != outer.head.blinded
                    ):
                        continue
                    tied.add(name)
                    if outer.head.slot < 3:
                        open_record(
                            outer,
                            credential=credential,
                            network=registry.network,
                            is_relay=lambda _: True,
                        )
                except (RecordRefusedError, DecodeError):
                    pytest.fail(f"a record of {name} is there and does not open")
        assert tied == {PUBLIC}
        # The scan would find her with what only her contacts have.
        alice = net.identity("alice")
        opened = read_records(
            [outer.raw for outer in outers],
            credential=alice.credential,
            network=registry.network,
            random_value=registry.random_value,
            unix_now=now,
            is_relay=lambda _: True,
        )
        assert opened

    scan(check)


def test_no_identity_and_no_address_lies_there_in_clear():
    def check(net, node):
        haystack = b"\n".join(what_lies_on(node, home_of(net, node)))
        needles = {}
        for name in USERS:
            identity = net.identity(name)
            user = identity.user_id
            needles |= {
                f"identity of {name}": user,
                f"identity of {name} in hex": user.hex().encode(),
                f"secret of {name}": identity.discovery_secret,
                f"status of {name}": f"{name} is here".encode(),
            }
        # Only files of this node's own relay part may name relays: records must not.
        records = b"\n".join(map(bytes, node.presence.records.raw_records()))
        for node_id in net.relays:
            record = node.registry.node(node_id)
            assert node_id not in records
            for endpoint in record.endpoints:
                address = ipaddress.ip_address(endpoint.host).packed
                port = endpoint.port.to_bytes(2)
                assert address + port not in records
                assert endpoint.host.encode() not in records
        seen = [name for name, needle in needles.items() if needle in haystack]
        assert seen == []

    scan(check)
