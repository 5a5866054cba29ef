"""Prints the tables of discovery/contract/README.md, measured on anvil.

python -m tests.chain.measure_gas
"""

import sys

from discovery.devchain.anvil import AnvilProcess, find_anvil
from psp.directory.chain.names import GRACE, LIFETIME
from tests.chain.chains import ETHER, Chain
from tests.chain.deployment import (
    UNBONDING,
    Deployment,
    parameters,
    record,
    signature,
    word,
)
from tests.chain.elections import (
    best,
    elect_at_once,
    elect_one_by_one,
    nominate_all,
    register_crowd,
)
from tests.chain.naming import ALICE, BOB, DEPOSIT, Names, text
from tests.chain.sources import compiled, joined

OWNER, VOTER, SPONSOR = 1, 2, 3
KEPT_BLOCKS = 100


def say(*cells):
    """Print a row of a table."""
    texts = [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells]
    sys.stdout.write("| " + " | ".join(texts) + " |\n")


def heading(title, *cells):
    sys.stdout.write(f"\n{title}\n\n")
    say(*cells)
    say("---", *["---:"] * (len(cells) - 1))


def operations(deployed):
    """Yield each call with its gas, on words that were written before where possible."""

    def gas(name, *args, sender=OWNER, value=0):
        return deployed.send(name, *args, sender=sender, value=value)["gasUsed"]

    yield (
        "register, 1 endpoint word, the first",
        gas("register", *record("0"), value=ETHER),
    )
    for words in (1, 2, 4):
        fields = record(words, words=words)
        yield (
            f"register, {words} endpoint word(s)",
            gas("register", *fields, value=ETHER),
        )
    yield "update all, 1 word", gas("update", 2, *record("new"))
    identity, onion, _, endpoints = record("newer")
    onion = record("new")[1]
    identity = record("new")[0]
    yield (
        "update endpoints, 1 word",
        gas("update", 2, identity, onion, signature("newer"), endpoints),
    )
    yield "rotate_onion", gas("rotate_onion", 2, word("x"), signature("x"))
    account = deployed.chain.accounts[SPONSOR]
    yield "set_operator, the first", gas("set_operator", 2, account)
    yield "vote, the first", gas("vote", 2, sender=VOTER, value=9 * ETHER)
    yield "vote, again", gas("vote", 2, sender=VOTER, value=9 * ETHER)
    yield "move_vote, the first", gas("move_vote", 2, 3, ETHER, sender=VOTER)
    yield "unvote, the first", gas("unvote", 2, ETHER, sender=VOTER)
    yield "unvote, again", gas("unvote", 2, ETHER, sender=VOTER)
    yield "revoke", gas("revoke", 4)
    yield "retire, 1 word, with an operator", gas("retire", 2)
    deployed.chain.wait(UNBONDING)
    yield "withdraw", gas("withdraw", sender=VOTER)
    yield "set_trusted, 2", gas("set_trusted", [1, 3], sender=0)


def users(deployed):
    """Yield each call of Users with its gas."""
    functions = deployed.users.functions

    def gas(name, *args):
        call = getattr(functions, name)(*args)
        return deployed.chain.send(call, OWNER)["gasUsed"]

    gas("register", word("0"), signature("0"))
    yield "Users.register", gas("register", word("a"), signature("a"))
    yield "Users.rotate", gas("rotate", 2, word("b"), signature("b"))
    account = deployed.chain.accounts[OWNER]
    yield "Users.move", gas("move", 2, account, signature("c"))
    yield "Users.revoke", gas("revoke", 2)


def names(chain):
    """Yield each call of Names with its gas."""
    named = Names(chain)
    users = [named.user(), named.user(), named.user(BOB), named.user(BOB)]

    def register(name, user, sender=ALICE):
        call = named.call("register", text(name), user)
        return chain.send(call, sender, DEPOSIT)["gasUsed"]

    register("the-first", users[0])
    yield "Names.register, 3 characters", register("abc", users[1])
    yield "Names.register, 31 characters", register("a" * 31, users[2], BOB)
    yield "Names.renew", named.send("renew", 1)["gasUsed"]
    chain.wait(LIFETIME + 1)
    yield "Names.release", named.send("release", 2)["gasUsed"]
    yield "Names.register, released by another", register("abc", users[3], BOB)
    chain.wait(GRACE)
    taken = register("the-first", users[2], BOB)
    yield "Names.register, expired of another, instead of an own", taken


def seeds(deployed):
    """Yield the gas of a seed, on a place in the ring that was used before."""
    for _ in range(5):
        deployed.next_epoch()
        deployed.second_half()
        requested = deployed.send("request_seed")["gasUsed"]
        deployed.chain.mine(deployed.seed_delay)
        revealed = deployed.send("reveal_seed")["gasUsed"]
    yield "request_seed", requested
    yield "reveal_seed", revealed


def print_operations(chain):
    deployed = Deployment.deploy(chain)
    heading("Operations", "call", "gas")
    for rows in (operations, users, seeds):
        for row in rows(deployed):
            say(*row)
    for row in names(chain):
        say(*row)


def print_deployments(chain):
    heading("Deployment", "contract", "gas")
    for name in ("Users", "NodeBook"):
        contract = chain.deploy(name)
        block = chain.w3.eth.get_block("latest")
        say(name, block["gasUsed"])
        assert contract.address
    deployed = Deployment.deploy(chain)
    number = chain.w3.eth.block_number - 1  # before the binding
    say("Relays", chain.w3.eth.get_block(number)["gasUsed"])
    assert deployed.genesis
    assert Names(chain).contract.address
    say("Names", chain.w3.eth.get_block("latest")["gasUsed"])


def print_seats(chain):
    """Lists of 32, 64 and 256 seats."""
    heading(
        "Elections by seats, 300 nodes: all seats in nominate_many",
        "seats",
        "fresh ring, worst first",
        "used ring, worst first",
        "used ring, best first",
        "single nominate, mean",
        "single nominate, most",
        "discovery()",
    )
    for seats in (32, 64, 256):
        deployed = Deployment.deploy(chain, seats=seats)
        register_crowd(deployed, 300)
        deployed.next_epoch()
        fresh = elect_at_once(deployed, seats)
        deployed.next_epoch(3)
        used = elect_at_once(deployed, seats)
        deployed.next_epoch(4)
        deployed.draw()
        best_first = nominate_all(deployed, best(deployed, seats))
        deployed.next_epoch(3)
        singly = elect_one_by_one(deployed, seats)
        deployed.next_epoch()
        reading = deployed.relays.functions.discovery().estimate_gas()
        mean = sum(singly) // len(singly)
        say(seats, fresh, used, best_first, mean, max(singly), reading)


def print_nodes(chain):
    """The same election in networks of different size."""
    heading(
        "Elections by nodes, 32 seats, used ring, worst first",
        "nodes",
        "all in one nominate_many",
        "all in single nominate",
        "single nominate, most",
        "register one more",
    )
    deployed = Deployment.deploy(chain, seats=32)
    have = 0
    for nodes in (100, 1_000, 10_000):
        register_crowd(deployed, nodes - have)
        have = nodes
        deployed.next_epoch(3)
        if nodes == 100:
            elect_at_once(deployed, 32)
            deployed.next_epoch(3)
        at_once = elect_at_once(deployed, 32)
        deployed.next_epoch(3)
        singly = elect_one_by_one(deployed, 32)
        more = deployed.send("register", *record("more", nodes), value=ETHER)["gasUsed"]
        have += 1
        say(nodes, at_once, sum(singly), max(singly), more)


def costs_of_writing(deployed):
    """Return the gas of the four calls that write records, and of an election."""
    relays = deployed.relays.functions

    def gas(call, value=0):
        return deployed.chain.send(call, OWNER, value)["gasUsed"]

    gas(relays.register(*record("0")), ETHER)
    found = [
        gas(relays.register(*record("a")), ETHER),
        gas(relays.update(2, *record("b"))),
        gas(relays.rotate_onion(2, word("c"), signature("c"))),
        gas(relays.retire(2)),
    ]
    register_crowd(deployed, 30)
    deployed.next_epoch()
    deployed.draw()
    numbers = list(range(3, 33))
    return [*found, deployed.send("nominate_many", numbers)["gasUsed"]]


def print_variants(chain):
    """What a book of its own costs, and what a running digest would."""
    heading(
        "Proof of completeness",
        "variant",
        "register",
        "update",
        "rotate_onion",
        "retire",
        "nominate_many of 30",
    )
    say("NodeBook", *costs_of_writing(Deployment.deploy(chain, seats=32)))
    for name, has_digest in [("one contract", False), ("one, with digest", True)]:
        code = compiled(joined(has_digest=has_digest))
        other = chain.deploy("Users")
        given = parameters(book=other.address, users=other.address, seats=32)
        relays = chain.deploy_code(*code, *given.values())
        say(name, *costs_of_writing(Deployment.of(chain, relays)))


def main():
    """Run anvil and print the tables."""
    binary = find_anvil()
    if binary is None:
        sys.exit("anvil is not installed: make anvil")
    process = AnvilProcess(binary, [f"--prune-history={KEPT_BLOCKS}"])
    try:
        chain = Chain(process.url)
        for account in chain.accounts[:4]:
            chain.rpc("anvil_setBalance", account, hex(10**6 * ETHER))
        for table in (
            print_deployments,
            print_operations,
            print_variants,
            print_seats,
            print_nodes,
        ):
            table(chain)
    finally:
        process.stop()


if __name__ == "__main__":
    main()
