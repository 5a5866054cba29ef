"""Payees that are contracts."""

from tests.chain.chains import ETHER
from tests.chain.deployment import UNBONDING
from tests.chain.sources import helper


def test_payee_that_calls_back_is_paid_once(deployed):
    chain = deployed.chain
    number = deployed.register("a", stake=5 * ETHER)
    greedy = chain.deploy_code(*helper("Greedy"))
    vote = greedy.functions.vote(deployed.relays.address, number)
    chain.send(vote, value=2 * ETHER)
    chain.send(greedy.functions.unvote(2 * ETHER))
    chain.wait(UNBONDING)

    chain.send(greedy.functions.refuse(is_refusing=True))
    assert chain.refusal(greedy.functions.withdraw()) == "no"
    assert chain.balance(deployed.relays.address) == 7 * ETHER
    chain.send(greedy.functions.refuse(is_refusing=False))
    chain.send(greedy.functions.withdraw())

    assert greedy.functions.again().call() == 1
    assert greedy.functions.paid().call() == 0
    assert chain.balance(greedy.address) == 2 * ETHER
    assert chain.balance(deployed.relays.address) == 5 * ETHER
    assert deployed.read("unbonding", greedy.address) == 0
