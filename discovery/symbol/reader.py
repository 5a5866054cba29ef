"""`ChainBackend` on a Symbol or Sirius gateway: read-only and EXPERIMENTAL.

It believes its one gateway for everything that is not signed by the nodes and users
themselves: an endpoint that lies can hide records, show old ones, and invent stakes. It
cannot change a key or an endpoint, nor pass off another network's records.

Records are those of the newest block: gateways answer for no other. Elections look at
finalised blocks only.
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn

from discovery.backend import (
    BackendUnavailableError,
    ElectedList,
    ReadOnlyBackendError,
    Written,
)
from discovery.symbol.answers import Entry, Head
from discovery.symbol.config import (
    ELECTED_KEYS,
    NODE_KEY,
    TRUSTED_KEY,
    USER_KEY,
    SymbolConfig,
)
from discovery.symbol.draw import Candidate, draw, judged
from discovery.symbol.listing import EntryList
from discovery.symbol.metadata import ElectedMetadata, TrustedMetadata
from discovery.symbol.records import NodeTable, UserTable, read_nodes, read_users
from discovery.symbol.rest import MAX_ANSWER_BYTES, GatewayError, Rest
from psp.errors import DecodeError
from psp.ids import NodeId, UserId
from psp.netdoc.node_record import NodeRecord, UserRecord
from psp.wire.network import Network


class SymbolBackend:
    """Reads one overlay network from one gateway. Every call asks anew.

    Attributes:
        config: Which network.
    """

    def __init__(self, config: SymbolConfig, rest: Rest) -> None:
        self.config = config
        self._rest = rest
        self._is_known = False
        self._final_height = 0

    @property
    def network(self) -> Network:
        """Which network the records are signed for."""
        return self.config.network

    @property
    def is_read_only(self) -> bool:
        """Always."""
        return True

    async def users(self) -> Mapping[UserId, UserRecord]:
        """Return every user with a valid record, the revoked ones too."""
        return (await self.user_table()).users

    async def nodes(self) -> Mapping[NodeId, NodeRecord]:
        """Return every active node with a valid record."""
        return (await self.node_table()).nodes

    async def user_table(self) -> UserTable:
        """Return the users, and how many entries do not count and why."""
        return read_users(self.network, await self._entries(USER_KEY))

    async def node_table(self) -> NodeTable:
        """Return the nodes, and how many entries do not count and why."""
        return read_nodes(self.network, await self._entries(NODE_KEY))

    async def trusted(self) -> tuple[NodeId, ...]:
        """Return the active nodes of trusted partners, sorted."""
        value = await self._of_partners(TRUSTED_KEY)
        if value is None:
            return ()
        active = await self.nodes()
        named = TrustedMetadata.decode(value).nodes
        return tuple(node_id for node_id in named if node_id in active)

    async def elected(self, epoch: int | None = None) -> ElectedList:
        """Return the list of an epoch; None for the newest whose seed is final.

        Only the newest can be recomputed; of earlier ones the last few that the
        partners published are read.
        """
        head = await self._head()
        newest = self.config.epoch_at(head.final_height)
        wanted = newest if epoch is None else epoch
        if not 0 < wanted <= newest:
            return judged(wanted, published=None, computed=None, active=())
        table = await self.node_table()
        published = await self._published(wanted)
        computed = await self._computed(wanted, table) if wanted == newest else None
        return judged(
            wanted, published=published, computed=computed, active=table.nodes
        )

    async def publish(
        self, record: NodeRecord | UserRecord, signature: bytes, stake: int = 0
    ) -> Written:
        """Refuse: this backend only reads."""
        del record, signature, stake
        self._refuse("publish")

    async def rotate(self, record: NodeRecord, signature: bytes) -> Written:
        """Refuse: this backend only reads."""
        del record, signature
        self._refuse("rotate")

    async def nominate(self, nodes: Sequence[NodeId]) -> Written:
        """Refuse: this backend only reads."""
        del nodes
        self._refuse("nominate")

    async def _computed(
        self, epoch: int, table: NodeTable
    ) -> tuple[NodeId, ...] | None:
        dialect = self.config.dialect
        candidates: list[Candidate] = []
        for node_id, target in table.targets.items():
            body = await self._get(dialect.account(target), {})
            importance = dialect.read_importance(body, target)
            if importance is None:
                return None
            candidates.append(Candidate(node_id, target, importance))
        height = self.config.seed_height(epoch)
        seed = dialect.read_block(await self._get(dialect.block(height), {}), height)
        return draw(self.config, epoch, seed, candidates)

    async def _published(self, epoch: int) -> tuple[NodeId, ...] | None:
        value = await self._of_partners(ELECTED_KEYS[epoch % len(ELECTED_KEYS)])
        if value is None:
            return None
        published = ElectedMetadata.decode(value)
        if len(published.nodes) > self.config.seats:
            raise DecodeError(
                f"{len(published.nodes)} elected for {self.config.seats} seats"
            )
        return published.nodes if published.epoch == epoch else None

    async def _of_partners(self, key: int) -> bytes | None:
        """Return one value of the partners' account, once sure that many sign for it."""
        config, dialect = self.config, self.config.dialect
        body = await self._get(dialect.multisig(config.partners), {})
        multisig = dialect.read_multisig(body, config.partners)
        if not config.min_approval <= multisig.min_approval <= multisig.cosignatories:
            raise DecodeError(
                f"the partners' account acts on {multisig.min_approval} of "
                f"{multisig.cosignatories} signatures, not on {config.min_approval}"
            )
        select = dialect.of_account(config.partners, config.partners_target)
        entries = await self._entries(key, select, most=1)
        for entry in entries:
            if (entry.owner, entry.target) != (
                config.partners,
                config.partners_target,
            ):
                raise DecodeError("an entry of another account than was asked for")
        return entries[0].value if entries else None

    async def _entries(
        self, key: int, select: Mapping[str, str] | None = None, most: int | None = None
    ) -> list[Entry]:
        dialect = self.config.dialect
        by_cursor = dialect.is_paged_by_cursor
        entries = EntryList(key, by_cursor=by_cursor, select=select)
        if most is not None:
            entries = EntryList(key, by_cursor=by_cursor, select=select, most=most)
        while not entries.is_complete:
            body = await self._get(dialect.entries(), entries.params())
            entries.take(dialect.read_page(body))
        return entries.entries

    async def _head(self) -> Head:
        dialect = self.config.dialect
        head = dialect.read_head(await self._get(dialect.head(), {}))
        if head.final_height > head.height:
            raise DecodeError(f"block {head.final_height} is final before it exists")
        if head.final_height < self._final_height:
            raise DecodeError(
                f"final height {head.final_height} after {self._final_height}"
            )
        if head.final_hash is not None:
            body = await self._get(dialect.block(head.final_height), {})
            if dialect.read_block(body, head.final_height).hash != head.final_hash:
                raise DecodeError("two hashes for the finalised block")
        self._final_height = head.final_height
        return head

    async def _get(self, path: str, params: Mapping[str, str]) -> bytes:
        if not self._is_known:
            await self._know_network()
        return await self._ask(path, params)

    async def _know_network(self) -> None:
        dialect = self.config.dialect
        body = await self._ask(dialect.identity(), {})
        if dialect.read_identity(body) != self.config.generation_hash:
            raise DecodeError(f"a gateway of another {dialect.name} network")
        self._is_known = True

    async def _ask(self, path: str, params: Mapping[str, str]) -> bytes:
        try:
            body = await self._rest.get(path, params)
        except GatewayError as error:
            raise BackendUnavailableError(
                f"the {self.config.dialect.name} gateway: {error}"
            ) from None
        if len(body) > MAX_ANSWER_BYTES:
            raise DecodeError(f"an answer of {len(body)} bytes")
        return body

    def _refuse(self, operation: str) -> NoReturn:
        name = self.config.dialect.name
        cure = f"use {name}'s own tools"
        raise ReadOnlyBackendError(operation, name, cure)
