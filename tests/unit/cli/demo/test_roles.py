"""Relays by their role in a call (cli/demo/roles.py)."""

import pytest

from cli.demo.roles import KillRole
from psp.errors import ConfigError

ALICE = ["guard", "layer2", "middle", "rendezvous"]
BOB = ["entry", "between", "rendezvous"]


@pytest.mark.parametrize(
    ("role", "relay"),
    [
        ("entry", "entry"),
        ("middle", "between"),
        ("rendezvous", "rendezvous"),
        ("presence", "point"),
        ("guard-of-callee", "guard"),
        ("layer2-of-callee", "layer2"),
        ("middle-of-callee", "middle"),
    ],
)
def test_every_role_is_somebody_of_the_first_leg(role, relay):
    parsed = KillRole.parse(role)

    assert parsed is not None
    assert parsed.relay(ALICE, BOB, "point") == relay


def test_no_role_is_nobody_and_an_unknown_one_is_answered_with_all():
    assert KillRole.parse(None) is None
    with pytest.raises(ConfigError) as caught:
        KillRole.parse("king")
    assert all(role.value in str(caught.value) for role in KillRole)
