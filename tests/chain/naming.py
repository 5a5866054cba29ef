"""A contract of names on a chain, beside the users it is for, as tests and figures use it."""

from dataclasses import dataclass

from psp.directory.chain import layout
from psp.directory.chain.header import BlockHeader
from psp.directory.chain.names import NameStatus, NamesTrie, split_names
from psp.directory.chain.proof import read_proof
from tests.chain.chains import ETHER, Chain
from tests.chain.deployment import signature, word
from tests.chain.test_reading import deployed_json, raw

ALICE, BOB = 1, 2
DEPOSIT = ETHER // 100


@dataclass
class Names:
    """A Names contract of this test's own, beside the users it is for."""

    chain: Chain

    def __post_init__(self):
        self.users = self.chain.deploy("Users")
        self.contract = self.chain.deploy("Names", self.users.address, DEPOSIT)

    def user(self, sender=ALICE):
        """Register a user; return the number."""
        count = self.users.functions.user_count().call()
        self.chain.send(
            self.users.functions.register(word("user", count), signature(count)), sender
        )
        return count + 1

    def call(self, function, *args):
        return getattr(self.contract.functions, function)(*args)

    def read(self, function, *args):
        return self.call(function, *args).call()

    def register(self, name, user, sender=ALICE):
        """Register a name; return the record's number."""
        self.chain.send(self.call("register", text(name), user), sender, DEPOSIT)
        return self.read("name_count")

    def refusal(self, name, user, sender=ALICE, value=DEPOSIT):
        """Return why a registration is refused."""
        return self.chain.refusal(
            self.call("register", text(name), user), sender, value
        )

    def send(self, function, *args, sender=ALICE):
        return self.chain.send(self.call(function, *args), sender)

    def balance(self):
        """Return how many deposits the contract has."""
        count, rest = divmod(self.chain.balance(self.contract.address), DEPOSIT)
        assert rest == 0
        return count

    def event(self, name, receipt):
        """Return the arguments of the only event of its kind in a receipt."""
        event = getattr(self.contract.events, name)()
        topic = event.topic.removeprefix("0x")
        (log,) = [e for e in receipt["logs"] if e["topics"][0].hex() == topic]
        return dict(event.process_log(log)["args"])

    def listed(self):
        """Return all records, as readers cut them out of pages."""
        pages = [
            b"".join(self.read("page", first, 3))
            for first in range(1, self.read("name_count") + 1, 3)
        ]
        return split_names(b"".join(pages))

    def proven(self):
        """Return the proven account, and words of it."""
        block = deployed_json(self.chain.rpc("eth_getBlockByNumber", "latest", bool(0)))
        header = BlockHeader.from_json(block)
        slots = (layout.NAMES_USERS, layout.NAMES_DEPOSIT, layout.NAMES_COUNT)
        answer = self.chain.rpc(
            "eth_getProof",
            self.contract.address,
            [f"0x{slot:064x}" for slot in slots],
            hex(header.number),
        )
        return read_proof(
            deployed_json(answer),
            state_root=header.state_root,
            address=raw(self.contract.address),
            slots=slots,
        )

    def check_root(self):
        """Make sure that the records are all that is in the storage; return them."""
        listed, proven = self.listed(), self.proven()
        trie = NamesTrie(raw(self.users.address), DEPOSIT)
        assert trie.root(listed) == proven.account.storage_root
        assert proven.words[layout.NAMES_COUNT] == len(listed)
        active = [r for r in listed if r.status is NameStatus.ACTIVE]
        assert self.balance() == len(active)
        for record in active:
            assert self.read("numbers", record.word) == record.number
            assert self.read("held", record.user) == record.number
        return listed


def text(name):
    """Return a name as a contract takes it, whatever it is."""
    data = name.encode() if isinstance(name, str) else name
    return data.ljust(32, b"\0")
