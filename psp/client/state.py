"""What a client keeps between runs, sealed under its identity where it has one.

Guards name the relays a client enters by, and the sequences name whom it looked up; a
thief of the disk should learn neither (R-PATH-4). A client without an identity has no
key of its own: its file is private (0600), not sealed.
"""

import base64
import binascii
from pathlib import Path

from psp.client.identities.identity import Identity
from psp.client.sealed_file import SealedFile
from psp.crypto.kdf import Label
from psp.entropy import Entropy
from psp.errors import ConfigError, DecodeError
from psp.ids import UserId
from psp.path.guards import GuardSet
from psp.path.layer2 import Layer2Guards
from psp.runtime import private_files

Sequences = dict[UserId, dict[int, int]]
"""By user and slot, the highest sequence of a record seen."""

_KEY_SIZE = 32
_FORM = "psp-client"


class ClientState:
    """The state file of one client.

    Attributes:
        guards: The client's guards.
        layer2: Its layer-2 guards.
        highest: Newest records seen.
        registry_sequence: Of the newest registry ever used; none below it is taken.
    """

    def __init__(self, path: Path, identity: Identity | None, entropy: Entropy) -> None:
        """Read the file.

        Raises:
            ConfigError: If it is damaged, or another identity's.
        """
        self._entropy = entropy
        self._cache_key = (
            b"" if identity is None else identity.sealing_key(Label.CHAIN_CACHE_KEY)
        )
        key = b"" if identity is None else identity.sealing_key(Label.CLIENT_STATE)
        # Version 1 of this file authenticated nothing but the state itself.
        self._file = SealedFile(path, key, entropy, _FORM, 1, associated=b"")
        state = self._file.load()
        try:
            guards, layer2 = _blob(state, "guards"), _blob(state, "layer2")
            self.guards = GuardSet.decode(guards) if guards else GuardSet()
            self.layer2 = Layer2Guards.decode(layer2) if layer2 else Layer2Guards()
            self.highest = _sequences(state.get("highest", {}))
            self.registry_sequence = _number(state.get("registry_sequence", 0))
        except DecodeError as error:
            raise ConfigError(f"{path}: {error}; move it away to start anew") from None

    def cache_key(self, file: Path) -> bytes:
        """Return the key that authenticates this client's cache of the chain, 32 bytes.

        Args:
            file: Where a client without an identity keeps a random one.

        Raises:
            ConfigError: If others may read that file, or on a disk error.
        """
        if self._cache_key:
            return self._cache_key
        try:
            return private_files.read(file, _KEY_SIZE)
        except FileNotFoundError:
            private_files.create(file, self._entropy.token(_KEY_SIZE))
            return private_files.read(file, _KEY_SIZE)

    def save(self, highest: Sequences, registry_sequence: int) -> None:
        """Write everything to the disk."""
        self.registry_sequence = max(registry_sequence, self.registry_sequence)
        self._file.save(
            {
                "guards": base64.b64encode(self.guards.encode()).decode(),
                "layer2": base64.b64encode(self.layer2.encode()).decode(),
                "highest": {
                    user.hex(): {str(slot): number for slot, number in slots.items()}
                    for user, slots in highest.items()
                },
                "registry_sequence": self.registry_sequence,
            }
        )


def _blob(state: dict[str, object], key: str) -> bytes:
    text = state.get(key, "")
    if not isinstance(text, str):
        raise DecodeError(f"{key} is not text")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DecodeError(f"{key} is not base64") from None


def _number(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise DecodeError("a sequence is not a number")
    return value


def _sequences(value: object) -> Sequences:
    if not isinstance(value, dict):
        raise DecodeError("highest is not a table")
    found: Sequences = {}
    for user, slots in value.items():
        if not isinstance(slots, dict):
            raise DecodeError("slots are not a table")
        try:
            found[UserId(bytes.fromhex(user))] = {
                int(slot): _number(number) for slot, number in slots.items()
            }
        except ValueError:
            raise DecodeError("a user id is not hex, or a slot not a number") from None
    return found
