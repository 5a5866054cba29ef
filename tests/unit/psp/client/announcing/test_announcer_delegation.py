"""A host without the identity key announces a user with keys made ahead."""

import asyncio

import pytest

from psp.client.announcing.visibility import Visibility
from psp.client.errors import KeysEndedError
from psp.client.identities.delegation import DelegatedIdentity
from psp.errors import ConfigError
from psp.path.selection import Purpose
from psp.testing.entropy import SeededEntropy
from psp.testing.presence import MemoryRegistry
from tests.unit.psp.client.announcing.rig import (
    ALICE,
    NOON,
    ONE_SLOT,
    Points,
    announced,
)


def made_ahead(days: int = 1, since: float = NOON - 1_000) -> DelegatedIdentity:
    network = MemoryRegistry.network
    return DelegatedIdentity.make(ALICE, network, since, days, SeededEntropy(8))


def test_a_host_without_the_identity_key_announces_the_user():
    points = Points(3)

    async def then(announcer, _):
        await announcer.wait_until_announced(3)
        await announcer.set_status("from afar")

    announced(points, then, identity=made_ahead())

    asked = [registration for _, registration in points.registrations]
    assert {registration.identity for registration in asked} == {ALICE.user_id}
    assert all(r.grant is not None for r in asked)
    assert points.statuses()[0].text == "from afar"


def test_the_end_of_keys_is_told_a_day_before_and_is_an_error_then():
    points = Points(3)
    told: list[float] = []

    async def then(announcer, hub):
        announcer.on_keys_ending = lambda ends: told.append(ends - hub.unix_time())
        await announcer.wait_until_announced(1)
        assert told == []
        await asyncio.sleep(2 * 86_400.0)
        with pytest.raises(KeysEndedError, match="psp user delegate"):
            await announcer.wait_until_announced(1)
        return hub.unix_time()

    identity = made_ahead(days=2)
    now = announced(points, then, ONE_SLOT, identity)

    (left,) = told
    assert 86_400 - 700 <= left <= 86_400
    ends = identity.ends
    last = max(when for when, _ in points.registrations)
    assert ends - 700 <= last <= ends + 120 < now
    assert points.builder.open_for(Purpose.REGISTRATION) == []


@pytest.mark.parametrize(
    ("identity", "error"),
    [
        (made_ahead(since=NOON - 2 * 86_400), KeysEndedError),
        (made_ahead(since=NOON + 1_000), KeysEndedError),
    ],
    ids=["ended", "not begun"],
)
def test_keys_of_another_time_are_refused_before_anything_is_sent(identity, error):
    points = Points(3)

    async def then(_, __):
        raise AssertionError

    with pytest.raises(error):
        announced(points, then, identity=identity)

    assert points.builder.opened == []


def test_keys_that_do_not_do_for_public_presence_say_what_does():
    points = Points(3)

    async def then(announcer, _):
        with pytest.raises(ConfigError, match="--public"):
            await announcer.announce_as(Visibility.PUBLIC)

    announced(points, then, identity=made_ahead())
