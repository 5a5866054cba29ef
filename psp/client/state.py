"""What a client keeps between runs: guards, and the newest record seen of each user."""

import base64
import binascii

from psp.errors import ConfigError, DecodeError
from psp.ids import UserId
from psp.path.guards import GuardSet
from psp.path.layer2 import Layer2Guards
from psp.runtime.statefile import JsonValue, StateFile


class ClientState:
    """The state file of one client.

    Attributes:
        guards: The client's guards.
        layer2: Its layer-2 guards.
        highest: Highest record sequence seen, by user.
    """

    def __init__(self, file: StateFile) -> None:
        """Read the file.

        Raises:
            ConfigError: If it is damaged.
        """
        self._file = file
        state = file.load() or {}
        try:
            guards, layer2 = _blob(state, "guards"), _blob(state, "layer2")
            self.guards = GuardSet.decode(guards) if guards else GuardSet()
            self.layer2 = Layer2Guards.decode(layer2) if layer2 else Layer2Guards()
            self.highest = _sequences(state.get("highest", {}))
        except DecodeError as error:
            raise ConfigError(
                f"the client's state file is damaged ({error}); remove it to start anew"
            ) from None

    def save(self, highest: dict[UserId, int]) -> None:
        """Write everything to the disk."""
        sequences: dict[str, JsonValue] = {
            user.hex(): sequence for user, sequence in highest.items()
        }
        self._file.save(
            {
                "guards": base64.b64encode(self.guards.encode()).decode(),
                "layer2": base64.b64encode(self.layer2.encode()).decode(),
                "highest": sequences,
            }
        )


def _blob(state: dict[str, object], key: str) -> bytes:
    text = state.get(key, "")
    if not isinstance(text, str):
        raise DecodeError(f"{key} is not text")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise DecodeError(f"{key} is not base64") from None


def _sequences(value: object) -> dict[UserId, int]:
    if not isinstance(value, dict):
        raise DecodeError("highest is not a table")
    found: dict[UserId, int] = {}
    for user, sequence in value.items():
        if not isinstance(sequence, int):
            raise DecodeError("a sequence is not a number")
        try:
            found[UserId(bytes.fromhex(user))] = sequence
        except ValueError:
            raise DecodeError("a user id is not hex") from None
    return found
