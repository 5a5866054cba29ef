"""Under which secrets a user is announced: to contacts or to all."""

import asyncio

import pytest

from psp.client.announcing.visibility import Visibility
from psp.client.identities.identity import ClientIdentity
from psp.crypto.blinding import PUBLIC_SECRET, Credential, blind_public
from psp.errors import ConfigError
from psp.netdoc.presence_inner import ONLINE_LIFETIME
from psp.netdoc.presence_record import STATUS_SLOT, period_at
from tests.unit.psp.client.announcing.rig import (
    ALICE,
    NOON,
    ONE_SLOT,
    Points,
    announced,
)

PUBLIC_CREDENTIAL = Credential.derive(ALICE.user_id)


def test_public_presence_is_published_under_both_secrets_with_one_sequence():
    points = Points(3)

    async def then(announcer, _):
        await announcer.announce_as(Visibility.PUBLIC)
        await announcer.wait_until_announced(1)
        await announcer.set_status("open to all")
        before = len(points.records)
        await announcer.announce_as(Visibility.CONTACTS)
        await asyncio.sleep(30.0)
        return before

    before = announced(points, then, ONE_SLOT)

    day = period_at(NOON)
    faces = {blind_public(c, day) for c in (ALICE.credential, PUBLIC_CREDENTIAL)}
    for slot in (0, STATUS_SLOT):
        heads = [r.head for r in points.records[:before] if r.head.slot == slot]
        assert {head.blinded for head in heads} == faces
        assert len({head.sequence for head in heads}) == 1
    assert points.statuses(PUBLIC_CREDENTIAL)[0].text == "open to all"
    after = [r.head for r in points.places()[2:] if r.head.lifetime == ONLINE_LIFETIME]
    assert {head.blinded for head in after} == {blind_public(ALICE.credential, day)}


def test_an_identity_without_a_secret_cannot_hide():
    points = Points(3)
    public = ClientIdentity(ALICE.key, PUBLIC_SECRET)

    async def then(announcer, _):
        with pytest.raises(ConfigError, match="no secret"):
            await announcer.announce_as(Visibility.CONTACTS)

    announced(points, then, identity=public)


def test_a_new_secret_counts_at_once():
    points = Points(3)
    identity = ClientIdentity(ALICE.key, b"old" + bytes(29))

    async def then(announcer, _):
        await announcer.wait_until_announced(3)
        identity.new_secret(b"new" + bytes(29))
        await announcer.publish_now()
        await asyncio.sleep(1.0)
        return len(points.records)

    count = announced(points, then, identity=identity)

    blinded = blind_public(identity.credential, period_at(NOON))
    newest = {r.head.slot: r.head for r in points.records[:count]}
    assert {head.blinded for head in newest.values()} == {blinded}
    assert newest.keys() == {0, 1, 2}


def test_a_public_identity_is_public_from_the_start():
    points = Points(3)
    public = ClientIdentity(ALICE.key, PUBLIC_SECRET)

    async def then(announcer, _):
        await announcer.wait_until_announced(1)
        return announcer.visibility

    assert announced(points, then, ONE_SLOT, public) is Visibility.PUBLIC
    assert points.lives().count(ONLINE_LIFETIME) == 1
