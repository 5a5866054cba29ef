"""Every call the contracts take, with types.

::

    call = Relays(address).vote(7, value=10**18)
    receipt = await sender.send(call)

Signatures over records are 64 bytes and endpoints packed words
(`psp.wire.link_specifiers`); what they say is checked by readers, not by the contract.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from discovery.transactions.abi import call_data, deploy_data
from discovery.transactions.call import Call
from psp.directory.chain.names import name_word
from psp.errors import LocalProtocolError
from psp.netdoc.node_entry import SignedNode
from psp.wire.link_specifiers import pack

ENDPOINT_WORDS = 4
"""Of a record on the chain; unused ones are zero."""
WORD = 32
NOBODY = bytes(20)
"""The address zero."""


@dataclass(frozen=True, slots=True)
class Relays:
    """Calls of the contract Relays.

    Attributes:
        address: Where it is, 20 bytes.
    """

    address: bytes

    def register(
        self,
        identity: bytes,
        onion: bytes,
        signature: bytes,
        endpoints: Sequence[bytes],
        *,
        stake: int,
    ) -> Call:
        """Enter a node with ``stake`` wei; the result is its number."""
        record = (identity, onion, _halves(signature), _padded(endpoints))
        return self._call("register", *record, value=stake, what="register a node")

    def update(
        self,
        number: int,
        identity: bytes,
        onion: bytes,
        signature: bytes,
        endpoints: Sequence[bytes],
    ) -> Call:
        """Change any of a node's keys and endpoints."""
        record = (identity, onion, _halves(signature), _padded(endpoints))
        return self._call("update", number, *record, what=f"update node {number}")

    def register_node(self, node: SignedNode, *, stake: int) -> Call:
        """Enter a node by what it has signed, as `register`."""
        return self.register(*_record(node), stake=stake)

    def update_node(self, number: int, node: SignedNode) -> Call:
        """Change a node to what it has signed, as `update`."""
        return self.update(number, *_record(node))

    def rotate_onion(self, number: int, onion: bytes, signature: bytes) -> Call:
        """Change a node's onion key."""
        return self._call(
            "rotate_onion",
            number,
            onion,
            _halves(signature),
            what=f"change the onion key of node {number}",
        )

    def retire(self, number: int) -> Call:
        """Lay a node down for ever; its stake starts unbonding."""
        return self._call("retire", number, what=f"retire node {number}")

    def revoke(self, number: int) -> Call:
        """Declare a node's identity key lost or stolen."""
        return self._call("revoke", number, what=f"revoke node {number}")

    def set_operator(self, number: int, operator: bytes = NOBODY) -> Call:
        """Name the hot account that nominates a node and rotates its onion key."""
        what = f"set the operator of node {number}"
        return self._call("set_operator", number, operator, what=what)

    def vote(self, number: int, *, value: int) -> Call:
        """Add ``value`` wei to a node's weight, from the next epoch on."""
        what = f"vote for node {number} with {value} wei"
        return self._call("vote", number, value=value, what=what)

    def unvote(self, number: int, amount: int) -> Call:
        """Take ``amount`` wei of votes back; they start unbonding."""
        what = f"take back {amount} wei from node {number}"
        return self._call("unvote", number, amount, what=what)

    def move_vote(self, source: int, target: int, amount: int) -> Call:
        """Move ``amount`` wei of votes from one node to another."""
        what = f"move {amount} wei from node {source} to node {target}"
        return self._call("move_vote", source, target, amount, what=what)

    def withdraw(self) -> Call:
        """Pay out what has unbonded."""
        return self._call("withdraw", what="withdraw what has unbonded")

    def request_seed(self) -> Call:
        """Name the block behind which the next election's seed is drawn."""
        return self._call("request_seed", what="request the seed of an election")

    def reveal_seed(self) -> Call:
        """Draw the next election's seed."""
        return self._call("reveal_seed", what="draw the seed of an election")

    def nominate(self, number: int) -> Call:
        """Put a node up for the next list."""
        return self._call("nominate", number, what=f"nominate node {number}")

    def nominate_many(self, numbers: Sequence[int]) -> Call:
        """Put up to 64 nodes up; those that cannot be are passed over."""
        what = f"nominate {len(numbers)} nodes"
        return self._call("nominate_many", list(numbers), what=what)

    def set_trusted(self, numbers: Sequence[int]) -> Call:
        """Name up to 16 nodes to be asked when no list is in force."""
        what = f"name {len(numbers)} trusted nodes"
        return self._call("set_trusted", list(numbers), what=what)

    def offer_admin(self, to: bytes) -> Call:
        """Offer the administrator's office; `NOBODY` takes an offer back."""
        return self._call("offer_admin", to, what="offer the administrator's office")

    def accept_admin(self) -> Call:
        """Take the administrator's office over."""
        return self._call("accept_admin", what="take the administrator's office")

    def renounce_admin(self) -> Call:
        """Lay the administrator's office down for ever."""
        return self._call("renounce_admin", what="give up the administrator's office")

    def _call(self, function: str, *args: object, what: str, value: int = 0) -> Call:
        data = call_data("Relays", function, *args)
        return Call(self.address, data, value, what)


@dataclass(frozen=True, slots=True)
class Users:
    """Calls of the contract Users.

    Attributes:
        address: Where it is, 20 bytes.
    """

    address: bytes

    def register(self, identity: bytes, signature: bytes) -> Call:
        """Enter a user owned by the sender; the result is the user's number."""
        record = (identity, _halves(signature))
        return self._call("register", *record, what="register a user")

    def rotate(self, number: int, identity: bytes, signature: bytes) -> Call:
        """Change a user's identity key."""
        record = (identity, _halves(signature))
        return self._call("rotate", number, *record, what=f"rotate user {number}")

    def revoke(self, number: int) -> Call:
        """End a user for ever."""
        return self._call("revoke", number, what=f"revoke user {number}")

    def move(self, number: int, to: bytes, signature: bytes) -> Call:
        """Give a user to another account; the signature names the new owner."""
        return self._call(
            "move", number, to, _halves(signature), what=f"move user {number}"
        )

    def set_for(
        self,
        owner: bytes,
        number: int,
        identity: bytes,
        signature: bytes,
        *,
        deadline: int,
        permission: tuple[int, bytes, bytes],
    ) -> Call:
        """Register (number 0), rotate or revoke (identity zero) for another's account.

        Args:
            owner: Account that signed the permission.
            number: The user's number, 0 to register.
            identity: New identity key, 32 zero bytes to revoke.
            signature: Over the record, 64 bytes, zeros to revoke.
            deadline: Unix time after which the permission is worth nothing.
            permission: v, r, s of `Wallet.sign_user_set`.
        """
        return self._call(
            "set_for",
            owner,
            number,
            identity,
            _halves(signature),
            deadline,
            *permission,
            what="change a user for its owner",
        )

    def _call(self, function: str, *args: object, what: str) -> Call:
        return Call(self.address, call_data("Users", function, *args), 0, what)


@dataclass(frozen=True, slots=True)
class Names:
    """Calls of the contract Names.

    Attributes:
        address: Where it is, 20 bytes.
    """

    address: bytes

    def register(self, name: str, user: int, *, deposit: int) -> Call:
        """Take a name for a user's record; the result is the number of the name's own.

        Raises:
            DecodeError: If it can be no name.
        """
        what = f"register the name {name} for user {user}"
        data = call_data("Names", "register", name_word(name), user)
        return Call(self.address, data, deposit, what)

    def renew(self, number: int) -> Call:
        """Keep a name for a year from now."""
        data = call_data("Names", "renew", number)
        return Call(self.address, data, 0, f"renew name {number}")

    def release(self, number: int) -> Call:
        """Give a name up; the deposit comes back."""
        data = call_data("Names", "release", number)
        return Call(self.address, data, 0, f"release name {number}")


@dataclass(frozen=True, slots=True)
class NodeBook:
    """Calls of the contract NodeBook that a person makes.

    Attributes:
        address: Where it is, 20 bytes.
    """

    address: bytes

    def bind(self, keeper: bytes) -> Call:
        """Name the registry that writes the book, once."""
        data = call_data("NodeBook", "bind", keeper)
        return Call(self.address, data, 0, "bind the book to its registry")


def deployment(contract: str, *args: object) -> Call:
    """Return what puts a contract on the chain."""
    return Call(None, deploy_data(contract, *args), 0, f"deploy {contract}")


def _record(node: SignedNode) -> tuple[bytes, bytes, bytes, tuple[bytes, ...]]:
    record = node.record
    return record.node_id, record.onion_key, node.signature, pack(record.endpoints)


def _halves(signature: bytes) -> tuple[bytes, bytes]:
    if len(signature) != 2 * WORD:
        raise LocalProtocolError("a signature has 64 bytes")
    return signature[:WORD], signature[WORD:]


def _padded(words: Sequence[bytes]) -> tuple[bytes, ...]:
    if not 0 < len(words) <= ENDPOINT_WORDS or any(len(w) != WORD for w in words):
        raise LocalProtocolError("endpoints take 1 … 4 words of 32 bytes")
    return (*words, *[bytes(WORD)] * (ENDPOINT_WORDS - len(words)))
