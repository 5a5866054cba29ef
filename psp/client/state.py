"""What a client keeps between runs, sealed under its identity where it has one.

Guards name the relays a client enters by, and the sequences name whom it looked up; a
thief of the disk should learn neither (R-PATH-4). A client without an identity has no
key of its own: its file is private (0600), not sealed.
"""

import base64
import binascii
import json
from pathlib import Path

from psp.client.identity import ClientIdentity
from psp.crypto import primitives
from psp.crypto.kdf import Label
from psp.entropy import Entropy
from psp.errors import ConfigError, DecodeError, HandshakeError
from psp.ids import UserId
from psp.path.guards import GuardSet
from psp.path.layer2 import Layer2Guards
from psp.runtime import private_files
from psp.runtime.statefile import StateFile

Sequences = dict[UserId, dict[int, int]]
"""By user and slot, the highest sequence of a record seen."""

_NONCE_SIZE = 12
_KEY_SIZE = 32


class ClientState:
    """The state file of one client.

    Attributes:
        guards: The client's guards.
        layer2: Its layer-2 guards.
        highest: Newest records seen.
        registry_sequence: Of the newest registry ever used; none below it is taken.
    """

    def __init__(
        self, file: StateFile, identity: ClientIdentity | None, entropy: Entropy
    ) -> None:
        """Read the file.

        Raises:
            ConfigError: If it is damaged, or another identity's.
        """
        self._file = file
        self._entropy = entropy
        self._key = self._cache_key = b""
        if identity is not None:
            self._key, self._cache_key = (
                primitives.hkdf(
                    identity.key.seed, salt=b"", info=label, length=_KEY_SIZE
                )
                for label in (Label.CLIENT_STATE, Label.CHAIN_CACHE_KEY)
            )
        try:
            state = self._open(file.load() or {})
            guards, layer2 = _blob(state, "guards"), _blob(state, "layer2")
            self.guards = GuardSet.decode(guards) if guards else GuardSet()
            self.layer2 = Layer2Guards.decode(layer2) if layer2 else Layer2Guards()
            self.highest = _sequences(state.get("highest", {}))
            self.registry_sequence = _number(state.get("registry_sequence", 0))
        except DecodeError as error:
            raise ConfigError(
                f"{file.path}: {error}; remove it to start with new guards"
            ) from None

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
        state = {
            "guards": base64.b64encode(self.guards.encode()).decode(),
            "layer2": base64.b64encode(self.layer2.encode()).decode(),
            "highest": {
                user.hex(): {str(slot): number for slot, number in slots.items()}
                for user, slots in highest.items()
            },
            "registry_sequence": self.registry_sequence,
        }
        if not self._key:
            self._file.save({"plain": json.dumps(state)})
            return
        nonce = self._entropy.token(_NONCE_SIZE)
        text = json.dumps(state).encode()
        sealed = nonce + primitives.siv_seal(self._key, nonce, text, b"")
        self._file.save({"sealed": base64.b64encode(sealed).decode()})

    def _open(self, stored: dict[str, object]) -> dict[str, object]:
        if not stored:
            return {}
        if self._key:
            sealed = _blob(stored, "sealed")
            nonce, body = sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:]
            try:
                text = primitives.siv_open(self._key, nonce, body, b"").decode()
            except (HandshakeError, ValueError):  # also too short, or not UTF-8
                raise DecodeError("not this identity's state") from None
        else:
            text = str(stored.get("plain", ""))
        try:
            state = json.loads(text)
        except (ValueError, RecursionError):
            raise DecodeError("not a client's state") from None
        if not isinstance(state, dict):
            raise DecodeError("not a client's state")
        return state


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
