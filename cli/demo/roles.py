"""The relays of a call by what they do in it, for --kill-relay."""

import enum
from typing import Self

from psp.errors import ConfigError


class KillRole(enum.StrEnum):
    """Which relay is killed in mid-call."""

    ENTRY = "entry"
    MIDDLE = "middle"
    RENDEZVOUS = "rendezvous"
    PRESENCE = "presence"
    GUARD_OF_CALLEE = "guard-of-callee"
    LAYER2_OF_CALLEE = "layer2-of-callee"
    MIDDLE_OF_CALLEE = "middle-of-callee"

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Return the role, or None for None.

        Raises:
            ConfigError: If there is no such role.
        """
        if text is None:
            return None
        try:
            return cls(text)
        except ValueError:
            roles = ", ".join(cls)
            raise ConfigError(f"--kill-relay {text!r}: use one of {roles}") from None

    def relay(self, alice: list[str], bob: list[str], presence: str) -> str:
        """Return the id of the relay that has this role in the call's first leg.

        Args:
            alice: The callee's path, guard first.
            bob: The caller's path, guard first.
            presence: Where the caller introduced itself.
        """
        return {
            KillRole.ENTRY: bob[0],
            KillRole.MIDDLE: bob[1],
            KillRole.RENDEZVOUS: bob[-1],
            KillRole.PRESENCE: presence,
            KillRole.GUARD_OF_CALLEE: alice[0],
            KillRole.LAYER2_OF_CALLEE: alice[1],
            KillRole.MIDDLE_OF_CALLEE: alice[-2],
        }[self]
