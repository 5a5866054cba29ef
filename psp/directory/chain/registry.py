"""The registry over the chain.

Before any view of the chain was adopted it may answer from the trusted partners' file;
afterwards never again. Views only ever get newer. Whether a view is to be believed is
judged before (`psp.directory.chain.alarms`); here the rules are kept that no judgement
may break.
"""

from collections.abc import Mapping
from types import MappingProxyType

from psp.directory.chain.names import NameList
from psp.directory.chain.view import ChainView
from psp.directory.registry import NodeRecord, Source
from psp.directory.trusted import (
    CLOCK_TOLERANCE,
    Refusal,
    RegistryRefusedError,
    TrustedFileRegistry,
)
from psp.errors import LocalProtocolError
from psp.ids import NodeId, UserId
from psp.units import UnixTime
from psp.wire.network import Network

LIFE = 86_400
"""Seconds that a view may be used for new circuits after its block (R-RPC-2), and names
for look-ups after theirs."""

_NOTHING: Mapping[NodeId, NodeRecord] = MappingProxyType({})


class ChainRegistry:
    """The registry port (`psp.directory.registry.Registry`) over views of the chain.

    Before anything was adopted it knows nobody, and expires at once.

    Attributes:
        refused: How many views were refused since the start, by reason.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._view: ChainView | None = None
        self._file: TrustedFileRegistry | None = None
        self._is_cached = True
        self._sequence = 0
        self._nodes = _NOTHING
        self._users: frozenset[UserId] = frozenset()
        self._names: NameList | None = None
        self._revoked_users: frozenset[UserId] = frozenset()
        self.refused: dict[Refusal, int] = dict.fromkeys(Refusal, 0)

    def adopt(self, view: ChainView, unix_now: UnixTime) -> bool:
        """Use a newer view, just read; tell whether any answer changed but the times.

        A view without users leaves those known before.

        Raises:
            RegistryRefusedError: If it is older than the view in use, contradicts it,
                or is ahead of this host's clock; the one in use stays.
        """
        changed = self._adopt(view, unix_now)
        self._is_cached = False
        return changed

    def adopt_cached(self, view: ChainView, unix_now: UnixTime) -> bool:
        """Use a view that this host kept, until a fresh one comes.

        Raises:
            RegistryRefusedError: As for `adopt`.
        """
        return self._adopt(view, unix_now)

    def adopt_file(self, registry: TrustedFileRegistry) -> bool:
        """Answer from the partners' file as long as the chain was never read.

        Call it again after the file was updated.

        Returns:
            Whether the answers changed; never once a view was adopted.

        Raises:
            LocalProtocolError: If the file is of another network.
        """
        if registry.network != self._network:
            raise LocalProtocolError("a registry file of another network")
        if self._view is not None or (
            self._file is registry and self._sequence == registry.sequence
        ):
            return False
        self._file = registry
        self._sequence = max(self._sequence, registry.sequence)
        self._nodes = registry.nodes()
        return True

    def adopt_names(self, names: NameList) -> None:
        """Use names that were read and proven; older ones than those in use are not."""
        if self._names is None or names.timestamp >= self._names.timestamp:
            self._names = names

    @property
    def names(self) -> NameList | None:
        """The names in use, however old; None before any were read."""
        return self._names

    @property
    def view(self) -> ChainView | None:
        """The view in use; None before any was adopted."""
        return self._view

    @property
    def network(self) -> Network:
        """Which network this is."""
        return self._network

    @property
    def sequence(self) -> int:
        """Height of the first view that gave these answers, or the file's sequence."""
        return self._sequence

    @property
    def source(self) -> Source:
        """Where the answers come from.

        With nobody elected, discovery rests on the trusted partners: `Source.TRUSTED`.
        """
        if self._view is None:
            return self._file.source if self._file else Source.CACHED
        if self._is_cached:
            return Source.CACHED
        return Source.ELECTED if self._view.state.list_epoch else Source.TRUSTED

    @property
    def issued(self) -> UnixTime:
        """Time of the block that was read last."""
        if self._view is None:
            return self._file.issued if self._file else UnixTime(0)
        return self._view.timestamp

    @property
    def expires(self) -> UnixTime:
        """A day after that block."""
        if self._view is None:
            return self._file.expires if self._file else UnixTime(0)
        return UnixTime(self._view.timestamp + LIFE)

    def nodes(self) -> Mapping[NodeId, NodeRecord]:
        """Return every node that counts, read-only; the same object until a change."""
        return self._nodes

    def node(self, node_id: NodeId) -> NodeRecord | None:
        """Return a node's record; None if it does not count."""
        return self._nodes.get(node_id)

    def has_user(self, user_id: UserId) -> bool:
        """Tell whether a user is registered and not revoked; False if none were read."""
        if self._view is None and self._file is not None:
            return self._file.has_user(user_id)
        return user_id in self._users

    def is_revoked_user(self, user_id: UserId) -> bool:
        """Tell whether a user is revoked; False if none were read."""
        if self._view is None and self._file is not None:
            return self._file.is_revoked_user(user_id)
        return user_id in self._revoked_users

    def discovery_nodes(self) -> tuple[NodeId, ...]:
        """Return the elected nodes that still count, sorted."""
        if self._view is None:
            return self._file.discovery_nodes() if self._file else ()
        return self._view.elected()

    def retiring_nodes(self) -> tuple[NodeId, ...]:
        """Return those of the list before, without those elected again, sorted."""
        return self._view.retiring() if self._view is not None else ()

    @property
    def elected_at(self) -> UnixTime:
        """Start of the epoch that the list was elected for; 0 if nobody is elected."""
        return self._view.state.list_start if self._view is not None else UnixTime(0)

    def trusted_nodes(self) -> tuple[NodeId, ...]:
        """Return the trusted partners' nodes that still count, sorted."""
        if self._view is None:
            return self._file.trusted_nodes() if self._file else ()
        return self._view.trusted()

    def random_value(self, period: int) -> bytes | None:
        """Return the random value of a day, or None if unknown."""
        if self._view is None:
            return self._file.random_value(period) if self._file else None
        return self._view.random_value(period)

    @property
    def knows_names(self) -> bool:
        """Whether names were read within a day of the block in use."""
        names, view = self._names, self._view
        return (
            names is not None
            and view is not None
            and view.timestamp <= names.timestamp + LIFE
        )

    def user_of_name(self, name: str) -> UserId | None:
        """Return whose a name is; None if it counts for nobody who still counts."""
        if self._names is None or not self.knows_names or not name.isascii():
            return None
        user_id = self._names.users.get(name.lower())
        return user_id if user_id is not None and self.has_user(user_id) else None

    def name_of(self, user_id: UserId) -> str | None:
        """Return a user's name; None if it has none that counts."""
        if self._names is None or not self.knows_names or not self.has_user(user_id):
            return None
        return self._names.names.get(user_id)

    def _adopt(self, view: ChainView, unix_now: UnixTime) -> bool:
        if view.network != self._network:
            raise LocalProtocolError("a view of another network")
        try:
            self._check(view, unix_now)
        except RegistryRefusedError as error:
            self.refused[error.refusal] += 1
            raise
        held, self._view = self._view, view
        if held is not None and _same_answers(held, view):
            return False
        self._nodes = view.nodes.nodes
        if view.users is not None:
            self._users = view.users.users
            self._revoked_users = view.users.revoked
        self._sequence = max(self._sequence + 1, view.height)
        return True

    def _check(self, view: ChainView, unix_now: UnixTime) -> None:
        if view.timestamp > unix_now + CLOCK_TOLERANCE:
            ahead = view.timestamp - unix_now
            raise RegistryRefusedError(
                Refusal.NOT_YET, f"a block {ahead} s ahead; check this host's clock"
            )
        held = self._view
        if held is None:
            return
        if view.height < held.height:
            raise RegistryRefusedError(
                Refusal.OLDER, f"block {view.height}, {held.height} is in use"
            )
        if view.height == held.height and view.block_hash != held.block_hash:
            raise RegistryRefusedError(Refusal.CONTRADICTS, f"block {view.height}")


def _same_answers(held: ChainView, view: ChainView) -> bool:
    """Tell whether two views differ in nothing but their times."""
    old, new = held.state, view.state
    return (
        (old.list_epoch, old.elected, old.retiring, old.trusted, old.beacons)
        == (new.list_epoch, new.elected, new.retiring, new.trusted, new.beacons)
        and (held.nodes is view.nodes or held.nodes.nodes == view.nodes.nodes)
        and (view.users is None or held.users == view.users)
    )
