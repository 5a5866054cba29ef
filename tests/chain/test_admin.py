"""The office that names the trusted partners: handed on in two steps, or laid down."""

import pytest

from tests.chain.deployment import NOBODY

ADMIN, NEXT, STRANGER = 0, 1, 2


def test_admin_names_active_nodes(deployed):
    for n in range(4):
        deployed.register(n)
    deployed.send("retire", 3)

    receipt = deployed.send("set_trusted", [4, 1])

    assert deployed.read("trusted_numbers") == [4, 1]
    assert deployed.events("TrustedSet", receipt) == [{"numbers": [4, 1]}]
    words = [deployed.chain.slot(deployed.relays.address, n) for n in range(6, 9)]
    assert words == [2, 4, 1]
    for numbers in ([3], [1, 5], [0]):
        assert deployed.refusal("set_trusted", numbers) == "status"
    assert deployed.refusal("set_trusted", [1], sender=STRANGER) == "admin"
    assert deployed.refusal("set_trusted", [1] * 17) == ""
    deployed.send("set_trusted", [1] * 16)
    deployed.send("set_trusted", [])
    assert deployed.read("trusted_numbers") == []


def test_trusted_node_that_ends_stays_named(deployed):
    """Readers look at its status; nobody has to notice first."""
    deployed.register("a")
    deployed.send("set_trusted", [1])

    deployed.send("revoke", 1)

    assert deployed.read("trusted_numbers") == [1]


def test_office_is_offered_and_accepted(deployed):
    successor = deployed.chain.accounts[NEXT]
    assert deployed.refusal("offer_admin", successor, sender=STRANGER) == "admin"
    assert deployed.refusal("accept_admin", sender=NEXT) == "admin"

    offered = deployed.send("offer_admin", successor)

    assert deployed.events("AdminOffered", offered) == [{"to": successor}]
    assert deployed.read("pending_admin") == successor
    assert deployed.read("admin") == deployed.chain.accounts[ADMIN]
    assert deployed.refusal("set_trusted", [], sender=NEXT) == "admin"
    assert deployed.refusal("accept_admin", sender=STRANGER) == "admin"

    accepted = deployed.send("accept_admin", sender=NEXT)

    assert deployed.events("AdminChanged", accepted) == [{"admin": successor}]
    assert deployed.read("admin") == successor
    assert deployed.read("pending_admin") == NOBODY
    assert deployed.refusal("set_trusted", [], sender=ADMIN) == "admin"
    assert deployed.refusal("accept_admin", sender=NEXT) == "admin"
    deployed.send("set_trusted", [], sender=NEXT)


def test_offer_is_taken_back(deployed):
    deployed.send("offer_admin", deployed.chain.accounts[NEXT])
    deployed.send("offer_admin", NOBODY)

    assert deployed.refusal("accept_admin", sender=NEXT) == "admin"


@pytest.mark.parametrize("is_offered", [False, True])
def test_office_that_is_laid_down_is_nobodys(deployed, is_offered):
    deployed.register("a")
    deployed.send("set_trusted", [1])
    if is_offered:
        deployed.send("offer_admin", deployed.chain.accounts[NEXT])
    assert deployed.refusal("renounce_admin", sender=NEXT) == "admin"

    receipt = deployed.send("renounce_admin")

    assert deployed.events("AdminChanged", receipt) == [{"admin": NOBODY}]
    assert deployed.read("admin") == NOBODY
    for sender in (ADMIN, NEXT):
        assert deployed.refusal("set_trusted", [], sender=sender) == "admin"
        assert deployed.refusal("accept_admin", sender=sender) == "admin"
    assert deployed.read("trusted_numbers") == [1]
