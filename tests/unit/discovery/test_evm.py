from dataclasses import replace

import pytest

from discovery.backend import (
    BackendUnavailableError,
    ReadOnlyBackendError,
    Standing,
    UnknownRecordError,
)
from discovery.evm import EvmBackend
from discovery.transactions.answers import Log, Receipt
from discovery.transactions.calls import Relays, Users
from discovery.transactions.costs import Outcome
from discovery.transactions.errors import RevertedError
from psp.crypto.keccak import keccak256
from psp.crypto.keys import SigningKey
from psp.directory.chain.header import BlockHeader
from psp.directory.chain.records import NodeStatus
from psp.directory.chain.users import UserStatus, user_signing_input
from psp.errors import LocalProtocolError
from psp.ids import NodeId, UserId
from psp.netdoc.node_record import NodeRecord, Status, UserRecord, node_signing_input
from psp.runtime.chain_reader import Completeness, Reading
from psp.runtime.quorum import Agreed, NoQuorumError
from psp.testing.chain import OWNER, USERS, MemoryContracts, user_words
from psp.testing.directory import LOOPBACK
from psp.testing.entropy import SeededEntropy
from psp.wire.endpoint import Endpoint
from psp.wire.link_specifiers import pack

ENTROPY = SeededEntropy(70)
KEY = SigningKey.generate(ENTROPY)
RECORD = NodeRecord(
    NodeId(KEY.public), b"o" * 32, (Endpoint("192.0.2.9", 443),), operator=OWNER
)
RELAYS = Relays(LOOPBACK.registry)


class MemoryReader:
    """Reads contracts that are held in memory, or nothing."""

    def __init__(self, contracts, *, with_users=True):
        self.contracts = contracts
        self.with_users = with_users
        self.height = 5
        self.is_dead = False
        self.known = []

    async def read(self, previous=None):
        self.known.append(previous)
        if self.is_dead:
            raise NoQuorumError("too few endpoints answer")
        view = self.contracts.view(
            self.height, with_users=self.with_users, previous=previous
        )
        block = self.contracts.block(self.height, view.timestamp)
        agreed = Agreed(BlockHeader.from_json(block), 3, is_full=True)
        return Reading(view, agreed, Completeness.PROVEN)


class Purse:
    """Pays for everything, and remembers what for."""

    address = OWNER

    def __init__(self):
        self.calls = []
        self.refusal = None
        self.logs = ()

    async def send(self, call):
        if self.refusal is not None:
            raise self.refusal
        self.calls.append(call)
        number = len(self.calls)
        receipt = Receipt(
            number.to_bytes(32), 7, 50_000, 3, is_success=True, logs=self.logs
        )
        return Outcome(call, receipt)


class World:
    def __init__(self, nodes=4, users=2, **settings):
        self.contracts = MemoryContracts.with_nodes(
            SeededEntropy(71), nodes, users=users
        )
        self.reader = MemoryReader(self.contracts, **settings)
        self.purse = Purse()
        self.backend = EvmBackend(LOOPBACK, self.reader, self.purse)

    def ids(self, *numbers):
        return tuple(sorted(self.contracts.node_id(number) for number in numbers))

    def signed(self, number, **changes):
        """A node's record with changes, signed by its key."""
        key = self.contracts.keys[number]
        present = self.contracts.view(5).nodes.nodes[NodeId(key.public)]
        record = replace(present, **changes)
        return record, key.sign(node_signing_input(LOOPBACK, record))


def sign(record, key=KEY):
    return key.sign(node_signing_input(LOOPBACK, record))


async def test_members_are_those_of_the_verified_view():
    world = World()
    world.contracts.end_node(2, NodeStatus.REVOKED)
    world.contracts.trust([1, 2, 3])

    nodes = await world.backend.nodes()

    assert tuple(sorted(nodes)) == world.ids(1, 3, 4)
    assert await world.backend.trusted() == world.ids(1, 3)


async def test_users_are_active_or_revoked():
    world = World(users=0)
    gone = SigningKey.generate(ENTROPY)
    world.contracts.users += [
        user_words(KEY),
        user_words(gone, status=UserStatus.REVOKED),
    ]

    users = await world.backend.users()

    assert {user: record.status for user, record in users.items()} == {
        KEY.public: Status.ACTIVE,
        gone.public: Status.REVOKED,
    }


async def test_a_reader_without_users_has_none_to_show():
    with pytest.raises(BackendUnavailableError, match="leaves out the users"):
        await World(with_users=False).backend.users()


async def test_the_list_in_force_and_the_one_before_are_proven():
    world = World()
    world.contracts.elect(4, [1, 2])
    world.contracts.elect(5, [2, 3])
    world.reader.height = 3_600 // 12 + 5

    now = await world.backend.elected()
    before = await world.backend.elected(4)

    assert (now.epoch, now.nodes) == (5, world.ids(2, 3))
    assert (before.epoch, before.nodes) == (4, world.ids(1, 2))
    assert {now.standing, before.standing} == {Standing.PROVEN}
    assert await world.backend.elected(5) == now


@pytest.mark.parametrize("epoch", [None, 0, 3, 5, 99])
async def test_epochs_without_a_list_are_unknown(epoch):
    elected = await World().backend.elected(epoch)

    assert elected.standing is Standing.UNKNOWN
    assert elected.nodes == ()
    assert elected.epoch == (4 if epoch is None else epoch)


async def test_the_earlier_view_is_given_to_the_reader():
    world = World()

    first = await world.backend.view()
    await world.backend.view()

    assert world.reader.known == [None, first]


async def test_a_chain_that_cannot_be_read_is_unavailable_and_comes_back():
    world = World()
    world.reader.is_dead = True
    with pytest.raises(BackendUnavailableError, match="too few endpoints answer"):
        await world.backend.nodes()

    world.reader.is_dead = False
    assert len(await world.backend.nodes()) == 4


async def test_a_node_is_registered_with_its_stake():
    world = World()

    written = await world.backend.publish(RECORD, sign(RECORD), 10**18)

    assert world.purse.calls == [
        RELAYS.register(
            KEY.public, b"o" * 32, sign(RECORD), pack(RECORD.endpoints), stake=10**18
        )
    ]
    assert (written.reference, written.cost) == ((1).to_bytes(32), 150_000)


def node_set(address, number):
    """The event with which Relays says that it has written a record."""
    name = keccak256(b"NodeSet(uint256,address,uint256,bytes32,bytes32)")
    topics = (name, number.to_bytes(32), OWNER.rjust(32, b"\0"))
    return Log(address, topics, (1).to_bytes(32) + KEY.public + b"o" * 32)


async def test_the_number_of_a_record_is_what_the_registry_itself_reports():
    world = World()
    other = Log(LOOPBACK.registry, (bytes(32),), b"")
    world.purse.logs = (
        node_set(bytes(20), 66),
        other,
        node_set(LOOPBACK.registry, 5),
    )

    written = await world.backend.publish(RECORD, sign(RECORD), 10**18)

    assert written.number == 5


async def test_a_user_is_registered_under_the_account_that_pays():
    world = World()
    signature = KEY.sign(user_signing_input(LOOPBACK, OWNER, UserId(KEY.public)))

    await world.backend.publish(UserRecord(UserId(KEY.public)), signature)

    assert world.purse.calls == [Users(USERS).register(KEY.public, signature)]


async def test_a_new_onion_key_alone_takes_the_cheap_way():
    world = World()
    record, signature = world.signed(3, onion_key=b"n" * 32)

    await world.backend.rotate(record, signature)

    assert world.purse.calls == [RELAYS.rotate_onion(3, b"n" * 32, signature)]


async def test_new_endpoints_replace_the_record():
    world = World()
    record, signature = world.signed(3, endpoints=RECORD.endpoints)

    await world.backend.rotate(record, signature)

    assert world.purse.calls == [
        RELAYS.update(
            3, record.node_id, record.onion_key, signature, pack(RECORD.endpoints)
        )
    ]


async def test_many_nominations_go_in_pieces_of_64():
    world = World(nodes=70)
    nodes = [world.contracts.node_id(number) for number in range(70, 0, -1)]

    written = await world.backend.nominate([*nodes, nodes[0]])

    assert world.purse.calls == [
        RELAYS.nominate_many(range(70, 6, -1)),
        RELAYS.nominate_many(range(6, 0, -1)),
    ]
    assert (written.reference, written.cost) == ((2).to_bytes(32), 300_000)


STRANGER = replace(RECORD, operator=bytes(20))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((RECORD, bytes(64), 5), "has not signed this record"),
        ((RECORD, sign(STRANGER), 5), "has not signed this record"),
        ((STRANGER, sign(STRANGER), 5), "by its own operator"),
        ((UserRecord(UserId(KEY.public)), bytes(64)), "has not signed this for"),
        ((UserRecord(UserId(KEY.public)), bytes(64), 5), "without stake"),
        ((UserRecord(UserId(KEY.public), Status.REVOKED), bytes(64)), "active"),
    ],
    ids=["unsigned", "another owner's", "not his", "user", "stake", "revoked"],
)
async def test_nothing_is_paid_for_what_nobody_would_count(arguments, text):
    world = World()

    with pytest.raises(LocalProtocolError, match=text):
        await world.backend.publish(*arguments)
    assert world.purse.calls == []


async def test_a_rotation_stays_with_its_node_and_owner():
    world = World()
    moved, signature = world.signed(3, operator=bytes(20))

    with pytest.raises(LocalProtocolError, match="has not signed"):
        await world.backend.rotate(moved, bytes(64))
    with pytest.raises(LocalProtocolError, match="stays with its operator"):
        await world.backend.rotate(moved, signature)
    with pytest.raises(UnknownRecordError):
        await world.backend.rotate(RECORD, sign(RECORD))
    assert world.purse.calls == []


async def test_only_active_nodes_are_nominated():
    world = World()
    world.contracts.end_node(2, NodeStatus.RETIRED)

    with pytest.raises(LocalProtocolError, match="nobody"):
        await world.backend.nominate([])
    with pytest.raises(UnknownRecordError):
        await world.backend.nominate([world.contracts.node_id(n) for n in (1, 2)])
    assert world.purse.calls == []


async def test_a_refusal_of_the_contract_is_passed_on():
    world = World()
    world.purse.refusal = RevertedError("min_stake")

    with pytest.raises(RevertedError, match="min_stake"):
        await world.backend.publish(RECORD, sign(RECORD), 1)


@pytest.mark.parametrize("operation", ["publish", "rotate", "nominate"])
async def test_without_a_wallet_a_backend_only_reads(operation):
    world = World()
    backend = EvmBackend(LOOPBACK, world.reader)
    arguments = {
        "publish": (RECORD, sign(RECORD)),
        "rotate": (RECORD, sign(RECORD)),
        "nominate": ([world.contracts.node_id(1)],),
    }

    with pytest.raises(ReadOnlyBackendError, match=f"{operation}: the EVM backend"):
        await getattr(backend, operation)(*arguments[operation])
    assert backend.is_read_only
    assert not world.backend.is_read_only
