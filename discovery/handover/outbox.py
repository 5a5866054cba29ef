"""Whom to bring this node's own signature, and when to try again. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from discovery.handover.config import HandOverConfig
from psp.entropy import Entropy
from psp.ids import NodeId
from psp.units import Monotonic
from psp.wire.directory_service import HandOverSignature, SignatureStatus

_FINAL = {
    SignatureStatus.STORED,
    SignatureStatus.HELD,
    SignatureStatus.REFUSED,
    SignatureStatus.DIFFERENT,
    SignatureStatus.OVER,
}
"""Answers after which asking again changes nothing."""


@dataclass(slots=True)
class _Target:
    failures: int = 0
    retry: Monotonic = Monotonic(float("-inf"))


class Outbox:
    """One signature at a time: a new period ends the pushing for the one before."""

    def __init__(self, config: HandOverConfig, entropy: Entropy) -> None:
        self._config = config
        self._entropy = entropy
        self._waiting: dict[NodeId, _Target] = {}
        self.signature: HandOverSignature | None = None

    def put(self, signature: HandOverSignature, targets: Collection[NodeId]) -> None:
        """Start bringing a signature to some nodes."""
        if self.signature is None or self.signature.digest != signature.digest:
            self.signature = signature
            self._waiting = {node_id: _Target() for node_id in targets}

    def due(self, now: Monotonic) -> list[NodeId]:
        """Return who must be sent the signature now."""
        return [key for key, target in self._waiting.items() if target.retry <= now]

    def answered(
        self, node_id: NodeId, status: SignatureStatus | None, now: Monotonic
    ) -> None:
        """Note an answer, or the lack of one."""
        target = self._waiting.get(node_id)
        if target is None:
            return
        if status in _FINAL:
            del self._waiting[node_id]
            return
        wait = self._config.first_wait * 2 ** min(target.failures, 16)
        wait = min(wait, self._config.longest_wait)
        target.failures += 1
        target.retry = Monotonic(now + wait * (0.9 + 0.2 * self._entropy.uniform()))
