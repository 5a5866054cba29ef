"""Votes: when they count, how they come back, and that no money is lost or made."""

import random

import pytest

from discovery.election import MAX_WEIGHT, effective_weight, weight_at_start
from tests.chain.chains import ETHER
from tests.chain.deployment import UNBONDING

OWNER, VOTER, STRANGER = 1, 2, 3


def weight_word(deployed, number):
    return deployed.read("weights", number, 1)[0]


def test_stake_counts_from_the_epoch_after(deployed):
    number = deployed.register("a", sender=OWNER, stake=5 * ETHER)

    assert deployed.read("weight_of", number) == 0
    deployed.next_epoch()
    assert deployed.read("weight_of", number) == 5 * ETHER
    deployed.send("vote", number, sender=VOTER, value=3 * ETHER)
    assert deployed.read("weight_of", number) == 5 * ETHER
    deployed.send("unvote", number, 1 * ETHER, sender=VOTER)
    assert deployed.read("weight_of", number) == 5 * ETHER
    deployed.next_epoch()
    assert deployed.read("weight_of", number) == 7 * ETHER
    deployed.next_epoch(7)
    assert deployed.read("weight_of", number) == 7 * ETHER


def test_words_of_weight_are_read_alike_off_chain(deployed):
    numbers = [deployed.register(n, stake=(n + 1) * ETHER) for n in range(3)]
    deployed.next_epoch()
    deployed.send("vote", 2, value=ETHER)
    deployed.send("unvote", 3, ETHER)

    words = deployed.read("weights", 1, 400)
    assert len(words) == 3
    for _ in range(2):
        epoch = deployed.epoch()
        for number, value in zip(numbers, words, strict=True):
            started = weight_at_start(value, epoch)
            assert deployed.read("weight_of", number) == started
        deployed.next_epoch()
    assert effective_weight(words[2], deployed.epoch() - 2) == 2 * ETHER
    assert deployed.read("weights", 3, 400) == words[2:]
    assert deployed.read("weights", 4, 400) == []


def test_votes_of_one_voter_add_up(deployed):
    number = deployed.register("a", sender=OWNER)

    for _ in range(3):
        deployed.send("vote", number, sender=VOTER, value=ETHER)

    voter = deployed.chain.accounts[VOTER]
    assert deployed.read("votes", voter, number) == 3 * ETHER
    assert deployed.refusal("vote", number, sender=VOTER) == "amount"


def test_nobody_takes_more_than_he_gave(deployed):
    number = deployed.register("a", sender=OWNER, stake=9 * ETHER)
    other = deployed.register("b", sender=OWNER)
    deployed.send("vote", number, sender=VOTER, value=ETHER)

    for amount in (0, ETHER + 1, 2**256 - 1):
        assert deployed.refusal("unvote", number, amount, sender=VOTER) == "amount"
        move = ("move_vote", number, other, amount)
        assert deployed.refusal(*move, sender=VOTER) == "amount"
    assert deployed.refusal("unvote", number, 1, sender=STRANGER) == "amount"


def test_owner_leaves_the_smallest_stake(deployed):
    number = deployed.register("a", sender=OWNER, stake=3 * ETHER)
    other = deployed.register("b", sender=VOTER)
    deployed.send("vote", number, sender=VOTER, value=9 * ETHER)

    too_much = 2 * ETHER + 1
    assert deployed.refusal("unvote", number, too_much, sender=OWNER) == "stake"
    move = ("move_vote", number, other, too_much)
    assert deployed.refusal(*move, sender=OWNER) == "stake"
    deployed.send("unvote", number, 2 * ETHER, sender=OWNER)
    assert deployed.refusal("unvote", number, 1, sender=OWNER) == "stake"
    deployed.send("unvote", number, 9 * ETHER, sender=VOTER)


def test_vote_moves_to_another_node(deployed):
    first = deployed.register("a", sender=OWNER)
    second = deployed.register("b", sender=OWNER)
    deployed.send("vote", first, sender=VOTER, value=4 * ETHER)
    deployed.next_epoch()

    receipt = deployed.send("move_vote", first, second, 3 * ETHER, sender=VOTER)

    epoch = deployed.epoch()
    assert effective_weight(weight_word(deployed, first), epoch) == 2 * ETHER
    assert effective_weight(weight_word(deployed, second), epoch) == ETHER
    voter = deployed.chain.accounts[VOTER]
    assert deployed.read("votes", voter, first) == ETHER
    assert deployed.read("votes", voter, second) == 3 * ETHER
    assert [
        (event["number"], event["amount"], event["added"])
        for event in deployed.events("Vote", receipt)
    ] == [(first, 3 * ETHER, False), (second, 3 * ETHER, True)]
    deployed.next_epoch()
    assert deployed.read("weight_of", second) == 4 * ETHER


def test_moving_to_the_same_node_changes_nothing(deployed):
    number = deployed.register("a", sender=OWNER)
    deployed.send("vote", number, sender=VOTER, value=4 * ETHER)
    before = weight_word(deployed, number)

    deployed.send("move_vote", number, number, 4 * ETHER, sender=VOTER)

    assert weight_word(deployed, number) == before
    voter = deployed.chain.accounts[VOTER]
    assert deployed.read("votes", voter, number) == 4 * ETHER


def test_money_is_paid_when_its_time_is_over(deployed):
    chain = deployed.chain
    voter = chain.accounts[VOTER]
    number = deployed.register("a", sender=OWNER)
    deployed.send("vote", number, sender=VOTER, value=5 * ETHER)

    receipt = deployed.send("unvote", number, 2 * ETHER, sender=VOTER)

    release = chain.now() + UNBONDING
    event = {"who": voter, "amount": 2 * ETHER, "release": release}
    assert deployed.events("Unbonding", receipt) == [event]
    assert deployed.read("unbonding", voter) == 2 * ETHER | release << 96
    assert deployed.refusal("withdraw", sender=VOTER) == "wait"
    chain.go_to(release - 60)
    assert deployed.refusal("withdraw", sender=VOTER) == "wait"
    chain.go_to(release)

    held, had = chain.balance(deployed.relays.address), chain.balance(voter)
    receipt = deployed.send("withdraw", sender=VOTER)

    fee = receipt["gasUsed"] * receipt["effectiveGasPrice"]
    assert chain.balance(voter) == had + 2 * ETHER - fee
    assert chain.balance(deployed.relays.address) == held - 2 * ETHER
    assert deployed.refusal("withdraw", sender=VOTER) == "wait"
    assert deployed.refusal("withdraw", sender=STRANGER) == "wait"


def test_later_unvote_holds_back_the_earlier_one(deployed):
    number = deployed.register("a", sender=OWNER)
    deployed.send("vote", number, sender=VOTER, value=5 * ETHER)
    deployed.send("unvote", number, ETHER, sender=VOTER)
    deployed.chain.wait(UNBONDING - 100)

    deployed.send("unvote", number, 2 * ETHER, sender=VOTER)

    deployed.chain.wait(200)
    assert deployed.refusal("withdraw", sender=VOTER) == "wait"
    deployed.chain.wait(UNBONDING)
    deployed.send("withdraw", sender=VOTER)
    assert deployed.chain.balance(deployed.relays.address) == 3 * ETHER


@pytest.mark.parametrize("end", ["retire", "revoke"])
def test_votes_on_an_ended_node_come_back(deployed, end):
    number = deployed.register("a", sender=OWNER, stake=2 * ETHER)
    other = deployed.register("b", sender=OWNER)
    deployed.send("vote", number, sender=VOTER, value=5 * ETHER)
    deployed.next_epoch()

    receipt = deployed.send(end, number, sender=OWNER)

    owner = deployed.chain.accounts[OWNER]
    assert deployed.read("votes", owner, number) == 0
    assert deployed.read("unbonding", owner) & MAX_WEIGHT == 2 * ETHER
    (event,) = deployed.events("Vote", receipt)
    assert (event["amount"], event["added"]) == (2 * ETHER, False)
    deployed.send("unvote", number, 2 * ETHER, sender=VOTER)
    deployed.send("move_vote", number, other, 3 * ETHER, sender=VOTER)
    assert weight_word(deployed, number) >> 96 & MAX_WEIGHT == 0
    assert deployed.refusal("move_vote", other, number, 1, sender=VOTER) == "status"
    deployed.chain.wait(UNBONDING)
    deployed.send("withdraw", sender=VOTER)
    deployed.send("withdraw", sender=OWNER)
    assert deployed.chain.balance(deployed.relays.address) == 4 * ETHER


class Ledger:
    """What everybody has in the contract: the slow and obvious book-keeping."""

    def __init__(self, deployed):
        self.deployed = deployed
        self.owners = {}
        self.votes = {}
        self.unbonding = {}

    def register(self, who, stake):
        number = self.deployed.register(
            "ledger", len(self.owners), sender=who, stake=stake
        )
        self.owners[number] = who
        self.votes[who, number] = stake

    def vote(self, who, number, amount):
        self.deployed.send("vote", number, sender=who, value=amount)
        self.votes[who, number] = self.votes.get((who, number), 0) + amount

    def unvote(self, who, number, amount):
        self.deployed.send("unvote", number, amount, sender=who)
        self.votes[who, number] -= amount
        self.unbonding[who] = self.unbonding.get(who, 0) + amount

    def move(self, who, source, target, amount):
        self.deployed.send("move_vote", source, target, amount, sender=who)
        self.votes[who, source] -= amount
        self.votes[who, target] = self.votes.get((who, target), 0) + amount

    def end(self, number, how):
        who = self.owners.pop(number)
        self.deployed.send(how, number, sender=who)
        amount = self.votes.pop((who, number))
        self.unbonding[who] = self.unbonding.get(who, 0) + amount

    def withdraw(self, who):
        self.deployed.send("withdraw", sender=who)
        self.unbonding.pop(who)

    def free(self, who, number):
        """Return what somebody may take away from a node."""
        kept = ETHER if self.owners.get(number) == who else 0
        return max(self.votes.get((who, number), 0) - kept, 0)

    def check(self):
        held = sum(self.votes.values()) + sum(self.unbonding.values())
        address = self.deployed.relays.address
        assert self.deployed.chain.balance(address) == held
        for (who, number), amount in self.votes.items():
            voter = self.deployed.chain.accounts[who]
            assert self.deployed.read("votes", voter, number) == amount
        for n, value in enumerate(self.deployed.read("weights", 1, 400), start=1):
            total = sum(v for (_, number), v in self.votes.items() if number == n)
            assert value >> 96 & MAX_WEIGHT == total


def random_move(source, ledger):
    """Make a random allowed move, often one that takes all there is."""
    who = source.randrange(4)
    number = source.choice(sorted(ledger.owners))
    amount = source.choice([1, ETHER, source.randrange(1, 10 * ETHER)])
    kind = source.choice(["vote", "vote", "unvote", "move", "end", "register"])
    held = [n for w, n in ledger.votes if w == who and ledger.free(who, n)]
    if kind == "vote":
        ledger.vote(who, number, amount)
    elif kind == "register" or (kind == "end" and len(ledger.owners) == 1):
        ledger.register(who, ETHER + amount)
    elif kind == "end":
        ledger.end(number, source.choice(["retire", "revoke"]))
    elif held:
        taken = source.choice(held)
        part = min(amount, ledger.free(who, taken))
        if kind == "unvote":
            ledger.unvote(who, taken, part)
        else:
            ledger.move(who, taken, number, part)


def test_balance_is_always_votes_and_unbonding(deployed):
    source = random.Random(20)
    ledger = Ledger(deployed)
    ledger.register(0, 2 * ETHER)
    ledger.register(1, ETHER)

    for _ in range(6):
        for _ in range(8):
            random_move(source, ledger)
        deployed.next_epoch(source.choice([1, 1, 3]))
        ready = deployed.chain.now()
        for who in list(ledger.unbonding):
            account = deployed.chain.accounts[who]
            if deployed.read("unbonding", account) >> 96 <= ready:
                ledger.withdraw(who)
        ledger.check()

    for number in list(ledger.owners):
        ledger.end(number, "retire")
    for who, number in list(ledger.votes):
        if ledger.votes[who, number]:
            ledger.unvote(who, number, ledger.votes[who, number])
    deployed.chain.wait(UNBONDING)
    for who in list(ledger.unbonding):
        ledger.withdraw(who)
    assert deployed.chain.balance(deployed.relays.address) == 0
