"""Making this relay's own descriptor, and knowing who has it."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from discovery.config import PublisherConfig
from psp.crypto.keys import SigningKey
from psp.entropy import Entropy
from psp.ids import NodeId
from psp.netdoc.descriptor import NO_ROLES, Descriptor, Role
from psp.units import Monotonic, Seconds, UnixTime
from psp.wire.network import Network

LOAD_STEP = 64
"""Change of load, of 255, that is worth a new descriptor before its time. Coarse on
purpose: a fine load tells who is on a call."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a relay says about itself.

    Attributes:
        roles: What it offers.
        load: Share of its capacity in use, 0 … 255.
        families: Ids of its groups, sorted.
    """

    roles: Role = NO_ROLES
    load: int = 0
    families: tuple[bytes, ...] = ()


@dataclass(slots=True)
class _Target:
    """One discovery node: what it has, and when to try again."""

    sequence: int = -1
    failures: int = 0
    retry: Monotonic = Monotonic(float("-inf"))


class Publisher:
    """Pure: told the time and the outcome of every push."""

    def __init__(
        self,
        config: PublisherConfig,
        network: Network,
        identity: SigningKey,
        entropy: Entropy,
    ) -> None:
        self._config = config
        self._network = network
        self._identity = identity
        self._entropy = entropy
        self._facts = Facts()
        self._descriptor: Descriptor | None = None
        self._renew = UnixTime(0)
        self._targets: dict[NodeId, _Target] = {}

    def descriptor(self, facts: Facts, unix_now: UnixTime) -> Descriptor:
        """Return the descriptor to publish now: the last one, or a new one if it is due.

        The sequence is the time, so that a relay that lost its disk goes on rising.
        """
        last = self._descriptor
        if last is not None and not self._is_due(last, facts, unix_now):
            return last
        sequence = max(unix_now, 0 if last is None else last.sequence + 1)
        self._descriptor = Descriptor(
            NodeId(self._identity.public),
            sequence,
            unix_now,
            int(self._config.life),
            roles=facts.roles,
            load=facts.load - facts.load % LOAD_STEP,
            families=facts.families,
        ).signed(self._network, self._identity)
        self._facts = facts
        self._renew = UnixTime(
            unix_now + round(self._jittered(self._config.renew_every))
        )
        return self._descriptor

    def due(
        self, descriptor: Descriptor, targets: Collection[NodeId], now: Monotonic
    ) -> list[NodeId]:
        """Return who must be sent the descriptor now; others' state is forgotten."""
        self._targets = {key: self._targets.get(key, _Target()) for key in targets}
        return [
            node_id
            for node_id, target in self._targets.items()
            if target.sequence < descriptor.sequence and target.retry <= now
        ]

    def delivered(self, node_id: NodeId, descriptor: Descriptor) -> None:
        """Note that a node has the descriptor, or a newer one."""
        if node_id in self._targets:
            self._targets[node_id] = _Target(descriptor.sequence)

    def failed(self, node_id: NodeId, now: Monotonic) -> None:
        """Note that a node did not answer or did not take it."""
        target = self._targets.get(node_id)
        if target is None:
            return
        wait = self._config.first_wait * 2 ** min(target.failures, 16)
        wait = self._jittered(Seconds(min(wait, self._config.longest_wait)))
        target.failures += 1
        target.retry = Monotonic(now + wait)

    def _is_due(self, last: Descriptor, facts: Facts, unix_now: UnixTime) -> bool:
        if unix_now >= self._renew or not last.is_current(unix_now):
            return True
        is_louder = abs(facts.load - self._facts.load) >= LOAD_STEP
        return is_louder or replace(facts, load=self._facts.load) != self._facts

    def _jittered(self, seconds: Seconds) -> float:
        return seconds * (0.9 + 0.2 * self._entropy.uniform())
