"""A contract of names through years of anything, beside a model of what it should do."""

import random
from dataclasses import dataclass, field

import pytest

from psp.directory.chain.names import GRACE, HOLD, LIFETIME, NameStatus
from tests.chain.deployment import signature
from tests.chain.naming import DEPOSIT, Names, text
from tests.chain.test_reading import raw

ACCOUNTS = (1, 2, 3)
NAMES = ("abc", "abd", "xyz")
PAUSES = (*[0] * 8, *[3_600] * 4, *[HOLD] * 3, GRACE, GRACE, LIFETIME)
STEPS = 80


@dataclass
class Record:
    """One name, as the model has it."""

    owner: int
    name: str
    user: int
    since: int
    is_active: bool = True

    def expires(self):
        return self.since + LIFETIME


@dataclass
class Model:
    """What the contract should hold.

    Attributes:
        users: Owner by number; None of a revoked one.
        records: The i-th has number i + 1.
    """

    users: list = field(default_factory=list)
    records: list = field(default_factory=list)

    def active(self, **wanted):
        fits = (
            record
            for record in self.records
            if record.is_active
            and all(getattr(record, name) == value for name, value in wanted.items())
        )
        return next(fits, None)

    def refuses(self, who, name, user, now):
        """Return the word with which a registration is refused, or what it ends."""
        own, old = self.active(user=user), self.active(name=name)
        if own is not None:
            if own.owner == who and now <= own.expires():
                return "one", ()
            if now < own.since + HOLD:
                return "hold", ()
        if old is not None and old is not own:
            if old.owner != who and now <= old.expires() + GRACE:
                return "taken", ()
            if now < old.since + HOLD:
                return "hold", ()
        return "", [record for record in (own, old) if record is not None]


class Walk:
    """Does one thing after the other, in contract and model."""

    def __init__(self, names, seed):
        self.names = names
        self.random = random.Random(seed)
        self.model = Model(users=[self.random.choice(ACCOUNTS) for _ in range(4)])
        for owner in self.model.users:
            names.user(owner)
        self.done = []

    def step(self):
        self.names.chain.wait(1 + self.random.choice(PAUSES))
        doing = (*[self.register] * 5, *[self.change] * 4, self.user)
        self.random.choice(doing)()

    def send(self, call, refusal, who, value=0):
        """Send a call, or see that it is refused with a word; return its time."""
        chain = self.names.chain
        if refusal:
            assert chain.refusal(call, who, value) == refusal
            self.done.append(refusal)
            return 0
        chain.send(call, who, value)
        return chain.now()

    def sender(self, owner):
        """Return mostly the owner of something, else anybody."""
        is_owner = owner is not None and self.random.random() < 0.8
        return owner if is_owner else self.random.choice(ACCOUNTS)

    def register(self):
        name = self.random.choice(NAMES)
        user = self.random.randrange(len(self.model.users))
        owner, ended = self.model.users[user], ()
        who = self.sender(owner)
        # A call that asks runs a second ahead at most, far from every limit here.
        now = self.names.chain.now()
        if owner is None:
            owner, refusal = self.ended_owners[user], "status"
            refusal = refusal if owner == who else "owner"
        elif owner != who:
            refusal = "owner"
        else:
            refusal, ended = self.model.refuses(who, name, user + 1, now)
        call = self.names.call("register", text(name), user + 1)
        since = self.send(call, refusal, who, DEPOSIT)
        if not refusal:
            for record in ended:
                record.is_active = False
            self.model.records.append(Record(who, name, user + 1, since))
            self.done.append("register")

    def change(self):
        """Renew or release something."""
        if not self.model.records:
            return
        number = self.random.randrange(len(self.model.records)) + 1
        record = self.model.records[number - 1]
        who = self.sender(record.owner)
        what = self.random.choice(("renew", "release"))
        refusal = ""
        if record.owner != who:
            refusal = "owner"
        elif not record.is_active:
            refusal = "status"
        elif what == "release":
            early = self.names.chain.now() < record.since + HOLD
            refusal = "hold" if early else ""
        elif self.model.users[record.user - 1] is None:
            is_same = self.ended_owners[record.user - 1] == who
            refusal = "status" if is_same else "owner"
        elif self.model.users[record.user - 1] != who:
            refusal = "owner"
        since = self.send(self.names.call(what, number), refusal, who)
        if refusal:
            return
        self.done.append(what)
        if what == "renew":
            record.since = since
        else:
            record.is_active = False

    def user(self):
        """Move a user to another account, seldom revoke it."""
        user = self.random.randrange(len(self.model.users))
        owner, who = self.model.users[user], self.random.choice(ACCOUNTS)
        functions = self.names.users.functions
        if owner is None:
            self.model.users.append(who)
            self.names.user(who)
        elif self.random.random() < 0.2:
            self.ended_owners[user] = owner
            self.names.chain.send(functions.revoke(user + 1), owner)
            self.model.users[user] = None
        else:
            to = self.names.chain.accounts[who]
            move = functions.move(user + 1, to, signature("m"))
            self.names.chain.send(move, owner)
            self.model.users[user] = who

    @property
    def ended_owners(self):
        """Who owned users that were revoked, by place."""
        return self.__dict__.setdefault("_ended", {})


@pytest.mark.parametrize("seed", range(3))
def test_the_contract_does_what_the_model_does(wandering, seed):
    names = Names(wandering)
    walk = Walk(names, seed)
    for _ in range(STEPS):
        walk.step()

    listed = names.check_root()
    accounts = [raw(account) for account in wandering.accounts]
    assert [
        (accounts.index(r.owner), r.name, r.user, r.expires, r.status) for r in listed
    ] == [
        (
            *(r.owner, r.name, r.user, r.expires()),
            NameStatus.ACTIVE if r.is_active else NameStatus.ENDED,
        )
        for r in walk.model.records
    ]
    assert {"register", "renew", "release", "owner", "one", "hold"} <= set(walk.done)
