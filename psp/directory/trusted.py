"""A registry read from the file that trusted partners sign.

The first file is needed to start (`TrustedFileRegistry.open`); later ones replace it
(`update`) if they are newer. A file that is refused changes nothing, whoever brought
it, and an expired one stays readable: calls in progress must not die with it.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from psp.directory.registry import NodeRecord, Source, WithoutNames
from psp.errors import DecodeError, PspError
from psp.ids import NodeId, UserId
from psp.netdoc import trusted_file
from psp.netdoc.trusted_file import TrustedFile
from psp.units import UnixTime
from psp.wire.network import Network

CLOCK_TOLERANCE = 120
"""Seconds (R-TIM-1)."""


class RegistryRefusedError(PspError):
    """A registry was refused.

    Attributes:
        refusal: Why.
    """

    def __init__(self, refusal: "Refusal", detail: str) -> None:
        super().__init__(f"registry refused ({refusal}): {detail}")
        self.refusal = refusal


class Refusal(enum.StrEnum):
    """Why a file did not become the registry."""

    MALFORMED = "malformed"
    EXPIRED = "expired"
    NOT_YET = "not yet issued"
    OLDER = "older than the one in use"
    CONTRADICTS = "another file of the same sequence number"


class Freshness(enum.StrEnum):
    """How far the registry in use can be relied on."""

    FRESH = "fresh"
    STALE = "stale"
    """In the last quarter of its life: a newer one should have come."""

    EXPIRED = "expired"
    """No new circuits."""


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """What a reader is configured with.

    Attributes:
        network: The network it is on.
        partners: Ed25519 keys of the trusted partners.
        threshold: How many of them must sign a file.
    """

    network: Network
    partners: frozenset[bytes] = field(repr=False)
    threshold: int = 1

    def read(self, data: bytes) -> TrustedFile:
        """Verify a file.

        Raises:
            DecodeError: If anything is wrong with it but its age.
        """
        return trusted_file.decode(
            data,
            network=self.network,
            partners=self.partners,
            threshold=self.threshold,
        )


class TrustedFileRegistry(WithoutNames):
    """The registry port (`psp.directory.registry.Registry`) over a signed file.

    Attributes:
        refused: How many files were refused since the start, by reason.
    """

    def __init__(
        self, anchor: TrustAnchor, file: TrustedFile, data: bytes, source: Source
    ) -> None:
        """Use a verified file; most callers want `open`."""
        self._anchor = anchor
        self.refused: dict[Refusal, int] = dict.fromkeys(Refusal, 0)
        self._adopt(file, data, source)

    @classmethod
    def open(
        cls,
        data: bytes,
        anchor: TrustAnchor,
        unix_now: UnixTime,
        *,
        source: Source = Source.TRUSTED,
        lowest_sequence: int = 0,
    ) -> Self:
        """Read the first file.

        Args:
            data: The file.
            anchor: Whose signatures count.
            unix_now: For its expiry.
            source: `Source.CACHED` if it comes from this host's own cache.
            lowest_sequence: The highest sequence number this host has ever used.

        Raises:
            RegistryRefusedError: If it cannot be used, with the reason.
        """
        file = _checked(data, anchor, unix_now)
        if file.sequence < lowest_sequence:
            raise RegistryRefusedError(
                Refusal.OLDER,
                f"sequence {file.sequence}, this host has used {lowest_sequence}",
            )
        return cls(anchor, file, data, source)

    def update(self, data: bytes, unix_now: UnixTime) -> bool:
        """Use a newer file; tell whether anything changed.

        Raises:
            RegistryRefusedError: If the file is refused; the one in use stays.
        """
        try:
            file = self._newer(data, unix_now)
        except RegistryRefusedError as error:
            self.refused[error.refusal] += 1
            raise
        if file is None:
            return False
        self._adopt(file, data, Source.TRUSTED)
        return True

    @property
    def network(self) -> Network:
        """Which network this is."""
        return self._file.network

    @property
    def sequence(self) -> int:
        """The file's sequence number."""
        return self._file.sequence

    @property
    def source(self) -> Source:
        """`Source.TRUSTED`, or `Source.CACHED` until the first update."""
        return self._source

    @property
    def issued(self) -> UnixTime:
        """When the partners signed."""
        return self._file.issued

    @property
    def expires(self) -> UnixTime:
        """When the file expires."""
        return self._file.expires

    @property
    def data(self) -> bytes:
        """The file in use, byte for byte, for the cache."""
        return self._data

    def freshness(self, unix_now: UnixTime) -> Freshness:
        """Tell how far to rely on the file in use."""
        if unix_now >= self.expires + CLOCK_TOLERANCE:
            return Freshness.EXPIRED
        if 4 * (self.expires - unix_now) < self.expires - self.issued:
            return Freshness.STALE
        return Freshness.FRESH

    def nodes(self) -> Mapping[NodeId, NodeRecord]:
        """Return every node, read-only; the same object until an update."""
        return self._nodes

    def node(self, node_id: NodeId) -> NodeRecord | None:
        """Return a node's record; None if it is not listed."""
        return self._nodes.get(node_id)

    def has_user(self, user_id: UserId) -> bool:
        """Tell whether a user is listed and not revoked."""
        return user_id in self._file.users

    def is_revoked_user(self, user_id: UserId) -> bool:
        """Tell whether the partners list a user as revoked."""
        return user_id in self._file.revoked_users

    def discovery_nodes(self) -> tuple[NodeId, ...]:
        """Return the discovery nodes, sorted."""
        return self._file.discovery_nodes

    def retiring_nodes(self) -> tuple[NodeId, ...]:
        """Return nobody: partners name discovery nodes, and name no earlier ones."""
        return ()

    @property
    def elected_at(self) -> UnixTime:
        """0: nothing is elected."""
        return UnixTime(0)

    def trusted_nodes(self) -> tuple[NodeId, ...]:
        """Return the partners' own nodes, sorted."""
        return self._file.trusted_nodes

    def random_value(self, period: int) -> bytes | None:
        """Return the random value of a period, or None if the file has none."""
        return self._file.random_values.get(period)

    def _adopt(self, file: TrustedFile, data: bytes, source: Source) -> None:
        self._file = file
        self._data = data
        self._source = source
        self._nodes: Mapping[NodeId, NodeRecord] = MappingProxyType(
            {node_id: node.record for node_id, node in file.nodes.items()}
        )

    def _newer(self, data: bytes, unix_now: UnixTime) -> TrustedFile | None:
        if data == self._data:
            return None
        file = _checked(data, self._anchor, unix_now)
        if file.sequence < self.sequence:
            detail = f"sequence {file.sequence}, {self.sequence} is in use"
            raise RegistryRefusedError(Refusal.OLDER, detail)
        if file.sequence > self.sequence:
            return file
        if file == self._file:  # the same document under other signatures
            return None
        raise RegistryRefusedError(Refusal.CONTRADICTS, f"sequence {file.sequence}")


def _checked(data: bytes, anchor: TrustAnchor, unix_now: UnixTime) -> TrustedFile:
    try:
        file = anchor.read(data)
    except DecodeError as error:
        raise RegistryRefusedError(Refusal.MALFORMED, str(error)) from None
    if unix_now >= file.expires + CLOCK_TOLERANCE:
        raise RegistryRefusedError(
            Refusal.EXPIRED,
            f"{unix_now - file.expires} s ago; fetch a newer file from the partners",
        )
    if unix_now + CLOCK_TOLERANCE < file.issued:
        raise RegistryRefusedError(
            Refusal.NOT_YET, f"in {file.issued - unix_now} s; check this host's clock"
        )
    return file
