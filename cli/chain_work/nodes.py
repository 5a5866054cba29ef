"""What an operator does with a relay on the chain."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from cli.chain_work.amounts import ether
from cli.chain_work.chain import Chain
from cli.chain_work.standing import standing
from cli.node_config import KeysConfig, NodeConfig
from cli.worker_shares import check_endpoints, endpoints_for
from discovery.transactions.abi import decode_log
from discovery.transactions.costs import Outcome
from discovery.transactions.wallet import address_text
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import x25519_public
from psp.directory.chain.state import ElectionState
from psp.directory.chain.view import ChainView
from psp.errors import ConfigError, DecodeError, PspError
from psp.ids import NodeId
from psp.netdoc.node_entry import SignedNode, endpoint_text, parse_endpoint
from psp.netdoc.node_record import NodeRecord
from psp.runtime import keyfiles
from psp.wire.endpoint import Endpoint
from psp.wire.link_specifiers import unpack
from psp.wire.network import Network

ACTIVE = 1
_STATUS_NAMES = {ACTIVE: "active", 2: "retired", 3: "revoked"}
_OWNER = (1 << 160) - 1
_M96 = (1 << 96) - 1
_ANY_HOST = {"0.0.0.0", "::"}  # noqa: S104 - an address to refuse, not to bind


class NotRegisteredError(PspError):
    """The chain has no record of the relay."""


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """A relay's secrets.

    Attributes:
        identity: Its Ed25519 key.
        onion: Its X25519 private key.
    """

    identity: SigningKey = field(repr=False)
    onion: bytes = field(repr=False)

    @property
    def node_id(self) -> NodeId:
        """The relay's name."""
        return NodeId(self.identity.public)


@dataclass(frozen=True, slots=True)
class Holding:
    """A node, and what one account has in it.

    Attributes:
        number: Of the node.
        owner: Of the node, 20 bytes.
        status: 1 active, 2 retired, 3 revoked.
        stake: Wei of the account in it.
    """

    number: int
    owner: bytes
    status: int
    stake: int

    @property
    def is_active(self) -> bool:
        """Whether it can be voted for, and elected."""
        return self.status == ACTIVE

    @property
    def status_name(self) -> str:
        """Its status in a word."""
        return _STATUS_NAMES.get(self.status, "unknown")

    def check_owner(self, account: bytes) -> None:
        """Make sure that an account may change the node.

        Raises:
            ConfigError: If it is another's, or was ended.
        """
        if self.owner != account:
            raise ConfigError(
                f"node {self.number} belongs to {address_text(self.owner)}, not to this "
                f"wallet's {address_text(account)}; use its owner's wallet"
            )
        if not self.is_active:
            raise ConfigError(f"node {self.number} was {self.status_name} already")

    def check_left(self, amount: int, min_stake: int, account: bytes) -> None:
        """Make sure that so much can be taken away.

        Raises:
            ConfigError: If it cannot.
        """
        if not 0 < amount <= self.stake:
            raise ConfigError(
                f"this account has {ether(self.stake)} in node {self.number}, "
                f"{ether(amount)} cannot be taken from it"
            )
        left = self.stake - amount
        if self.owner == account and self.is_active and left < min_stake:
            raise ConfigError(
                f"{ether(left)} would be left, an owner keeps {ether(min_stake)} in an "
                "active node; psp relay retire takes it all"
            )


@dataclass(frozen=True, slots=True)
class Unbonding:
    """What an account has taken back and not been paid yet.

    Attributes:
        amount: Wei.
        release: When it can be withdrawn, Unix seconds by the chain's clock.
        now: The chain's clock.
    """

    amount: int
    release: int
    now: int

    @property
    def is_due(self) -> bool:
        """Whether it can be withdrawn now."""
        return self.amount > 0 and self.now >= self.release

    @property
    def sentence(self) -> str:
        """The same for people."""
        if not self.amount:
            return "nothing"
        when = "now" if self.is_due else f"from {utc(self.release)} on"
        return f"{ether(self.amount)}, to be withdrawn {when}"


def load_keys(keys: KeysConfig, passphrase: str | None) -> NodeKeys:
    """Open a relay's key files.

    Raises:
        ConfigError: If one is missing, damaged, or under another passphrase.
    """
    identity = keyfiles.load_seed(keys.identity, passphrase=passphrase)
    onion = keyfiles.load_seed(keys.onion, passphrase=passphrase)
    return NodeKeys(SigningKey.from_seed(identity), onion)


def find_endpoints(config: NodeConfig, given: Sequence[str]) -> tuple[Endpoint, ...]:
    """Return where a relay is reached: as given, or where it listens.

    Each of its workers has a port; if one is given, the others take the ones after it.

    Raises:
        ConfigError: If it listens on every address and none is given, the first port is
            not the one it listens on, or there is not one for each worker.
    """
    listen = config.listen
    if not given and listen.host in _ANY_HOST:
        raise ConfigError(
            f"listen.host is {listen.host}, which nobody can reach; give the relay's "
            f"public address with --endpoint, such as 192.0.2.1:{listen.port}"
        )
    texts = given or [endpoint_text(Endpoint(listen.host, listen.port))]
    endpoints: list[Endpoint] = []
    for text in texts:
        try:
            endpoints.append(parse_endpoint(text))
        except DecodeError as error:
            raise ConfigError(f"--endpoint {text!r:.60}: {error}") from None
    if listen.port != endpoints[0].port:
        raise ConfigError(
            f"the relay listens on port {listen.port} (listen.port), which no endpoint "
            "names; nobody would find it"
            if listen.port not in {endpoint.port for endpoint in endpoints}
            else f"the first endpoint must have port {listen.port} (listen.port), where "
            "the relay's services are"
        )
    spread = endpoints_for(endpoints, config.workers, named="workers")
    check_endpoints(spread)
    return spread


def sign_entry(
    network: Network, keys: NodeKeys, endpoints: tuple[Endpoint, ...], owner: bytes
) -> SignedNode:
    """Return the relay's record, signed by itself for this owner."""
    record = NodeRecord(keys.node_id, x25519_public(keys.onion), endpoints, owner)
    return SignedNode.sign(network, record, keys.identity)


async def read_holding(
    chain: Chain, state: ElectionState, number: int, account: bytes
) -> Holding:
    """Return a node as it is in the newest block.

    Raises:
        NotRegisteredError: If there is none of this number.
        ChainError: If it cannot be read.
    """
    relays = chain.network.registry
    head = await chain.endpoints.read("NodeBook", state.book, "head", number)
    if not head:
        raise NotRegisteredError(f"there is no node {number}")
    stake = await chain.endpoints.read("Relays", relays, "votes", account, number)
    return Holding(number, (head & _OWNER).to_bytes(20), (head >> 160) & 15, int(stake))


async def read_record(chain: Chain, state: ElectionState, number: int) -> NodeRecord:
    """Return what the newest block says of a node, its signature not verified.

    Raises:
        NotRegisteredError: If it has none.
        ChainError: If it cannot be read.
    """
    answer = await chain.endpoints.read("NodeBook", state.book, "record", number)
    head, identity, onion, _, words = answer
    used = (head >> 164) & 15
    try:
        endpoints = unpack(words[:used])
    except DecodeError as error:
        raise NotRegisteredError(
            f"node {number} has no usable record: {error}"
        ) from None
    owner = (head & _OWNER).to_bytes(20)
    return NodeRecord(NodeId(identity), onion, endpoints, owner)


async def read_unbonding(chain: Chain, account: bytes) -> Unbonding:
    """Return what an account has taken back.

    Raises:
        ChainError: If it cannot be read.
    """
    relays = chain.network.registry
    word = await chain.endpoints.read("Relays", relays, "unbonding", account)
    head = await chain.endpoints.head()
    return Unbonding(word & _M96, word >> 96, head.timestamp)


def find_number(view: ChainView, node_id: NodeId, owner: bytes) -> int:
    """Return the number of a relay.

    Raises:
        NotRegisteredError: If it has none.
    """
    stands = standing(view.nodes, node_id)
    record = stands.owned_by(owner) or stands.counting
    if record is None:
        raise NotRegisteredError(
            f"node {node_id.hex()} is not registered, as of block {view.height}; if that "
            "was done a moment ago, wait until it is final or give its --number"
        )
    return record.number


def parse_id(text: str) -> bytes:
    """Return the 32 bytes of an identity.

    Raises:
        ConfigError: If it is none.
    """
    try:
        identity = bytes.fromhex(text)
    except ValueError:
        identity = b""
    if len(identity) != 32 or len(text) != 64:
        raise ConfigError(f"{text!r:.80}: write a number, or an id of 64 hex digits")
    return identity


def parse_number(text: str) -> int | None:
    """Return the number of a record; None if it is something else."""
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if is_number else None


def number_in(outcome: Outcome, contract: str, event: str) -> int | None:
    """Return the number in the event that an action left behind."""
    for log in outcome.receipt.logs:
        found = None
        if log.address == outcome.call.to:
            found = decode_log(contract, log.topics, log.data)
        if found is not None and found.name == event:
            return int(found.fields["number"])
    return None


def utc(timestamp: int) -> str:
    """Return a time as people write it.

    >>> utc(0)
    '1970-01-01 00:00:00 UTC'
    """
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(timestamp))
