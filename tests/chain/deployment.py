"""The three contracts, deployed for one test, and records to put into them."""

import hashlib
from dataclasses import dataclass

from web3.contract import Contract

from discovery.contract.artefacts import artefact
from tests.chain.chains import ETHER, Chain

EPOCH = 3_600
UNBONDING = 2 * EPOCH
SEATS = 8
SEED_DELAY = 3
FIRST_EPOCH = 4

ACTIVE, RETIRED, REVOKED = 1, 2, 3
ZERO = bytes(32)
NOBODY = "0x" + 40 * "0"


def word(*labels):
    """Return 32 bytes that depend on all labels."""
    return hashlib.sha256(repr(labels).encode()).digest()


def signature(*labels):
    """Return two words in the place of a signature: the contracts check none."""
    return [word("r", *labels), word("s", *labels)]


def endpoints(*labels, words=1):
    """Return four words, so many of them in use."""
    used = [word("endpoint", n, *labels) for n in range(words)]
    return used + [ZERO] * (4 - words)


def record(*labels, words=1):
    """Return identity, onion key, signature and endpoints."""
    return (
        word("identity", *labels),
        word("onion", *labels),
        signature(*labels),
        endpoints(*labels, words=words),
    )


@dataclass(frozen=True)
class Head:
    """The fields of a record's first word."""

    owner: str
    status: int
    words: int
    version: int
    registered: int
    onion_epoch: int

    @classmethod
    def of(cls, value: int) -> "Head":
        return cls(
            owner=f"0x{value & (2**160 - 1):040x}",
            status=(value >> 160) & 15,
            words=(value >> 164) & 15,
            version=(value >> 168) & 0xFFFFFF,
            registered=(value >> 192) & 0xFFFFFFFF,
            onion_epoch=value >> 224,
        )


@dataclass(frozen=True)
class Deployment:
    """The contracts, and the moves that tests have in common.

    Attributes:
        genesis: Time stamp of the block that founded the registry.
        epoch_length: Seconds.
    """

    chain: Chain
    users: Contract
    book: Contract
    relays: Contract
    genesis: int
    epoch_length: int
    seed_delay: int

    @classmethod
    def deploy(cls, chain: Chain, **changes) -> "Deployment":
        users, book = chain.deploy("Users"), chain.deploy("NodeBook")
        arguments = parameters(book=book.address, users=users.address, **changes)
        relays = chain.deploy("Relays", *arguments.values())
        chain.send(book.functions.bind(relays.address))
        return cls.of(chain, relays)

    @classmethod
    def of(cls, chain: Chain, relays: Contract) -> "Deployment":
        """Find the others by the address of one."""
        genesis, epoch_length, *_ = relays.functions.parameters().call()
        return cls(
            chain=chain,
            users=contract(chain, "Users", relays.functions.users().call()),
            book=contract(chain, "NodeBook", relays.functions.book().call()),
            relays=relays,
            genesis=genesis,
            epoch_length=epoch_length,
            seed_delay=relays.functions.parameters().call()[5],
        )

    def send(self, name, *args, sender=0, value=0):
        """Send a call to Relays."""
        call = getattr(self.relays.functions, name)(*args)
        return self.chain.send(call, sender, value)

    def refusal(self, name, *args, sender=0, value=0):
        """Return why Relays refuses a call."""
        call = getattr(self.relays.functions, name)(*args)
        return self.chain.refusal(call, sender, value)

    def read(self, name, *args):
        """Return the result of a view of Relays."""
        return getattr(self.relays.functions, name)(*args).call()

    def register(self, *labels, sender=0, stake=ETHER, words=1):
        """Register a node; return its number."""
        self.send("register", *record(*labels, words=words), sender=sender, value=stake)
        return self.book.functions.node_count().call()

    def register_many(self, stakes):
        """Register nodes with these stakes, owned by the accounts in turn."""
        owners = len(self.chain.accounts)
        for n, stake in enumerate(stakes):
            fields = record("many", n)
            self.send("register", *fields, sender=n % owners, value=stake)

    def head(self, number):
        """Return the fields of a node's head."""
        return Head.of(self.book.functions.head(number).call())

    def epoch(self):
        """Return the current epoch."""
        return self.read("epoch")

    def next_epoch(self, epochs=1):
        """Go to the beginning of a later epoch; return it."""
        epoch = self.epoch() + epochs
        self.chain.go_to(self.genesis + (epoch - FIRST_EPOCH) * self.epoch_length)
        return epoch

    def second_half(self):
        """Go to the middle of this epoch."""
        start = self.genesis + (self.epoch() - FIRST_EPOCH) * self.epoch_length
        self.chain.go_to(start + self.epoch_length // 2)

    def draw(self):
        """Draw the seed of the next list in this epoch; return the receipt."""
        self.second_half()
        self.send("request_seed")
        self.chain.mine(self.seed_delay)
        return self.send("reveal_seed")

    def events(self, name, receipt):
        """Return the arguments of the events of one kind in a receipt."""
        logs = [log for log in receipt["logs"] if log["address"] == self.relays.address]
        event = getattr(self.relays.events, name)()
        topic = event.topic.removeprefix("0x")
        return [
            dict(event.process_log(log)["args"])
            for log in logs
            if log["topics"][0].hex() == topic
        ]


def contract(chain, name, address):
    """Return a contract that is there."""
    return chain.w3.eth.contract(address=address, abi=artefact(name).abi)


def parameters(**changes):
    """Return the constructor's arguments, by name and in order."""
    usual = {
        "book": NOBODY,
        "users": NOBODY,
        "epoch_length": EPOCH,
        "unbonding": UNBONDING,
        "min_stake": ETHER,
        "seats": SEATS,
        "seed_delay": SEED_DELAY,
        "sortition": True,
        "self_only": False,
        "strategy": 0,
    }
    return usual | changes
