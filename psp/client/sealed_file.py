"""A state file that only its owner's keys open: JSON, sealed with AES-256-GCM-SIV.

What a client keeps tells whom it knows: guards, sequences, contacts, mailboxes. A thief
of the disk should learn none of it (R-PATH-4). The file's form is authenticated with
it, so that two files under one key cannot be exchanged. An older copy of the same file
does open: what must not go back is for its owner to notice.

Without a key the file is private (0600) and not sealed.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path

from psp.crypto import primitives
from psp.entropy import Entropy
from psp.errors import ConfigError, DecodeError, HandshakeError
from psp.runtime.statefile import MAX_BYTES, JsonValue, StateFile

_NONCE_SIZE = 12


class SealedFile:
    """One file of state under one key.

    Attributes:
        path: Where it lies.
    """

    def __init__(
        self,
        path: Path,
        key: bytes,
        entropy: Entropy,
        form: str,
        version: int,
        *,
        max_bytes: int = MAX_BYTES,
        associated: bytes | None = None,
    ) -> None:
        """Name the file; nothing is read or written yet.

        Args:
            path: In a directory of mode 0700, made when missing.
            key: 32 bytes; empty leaves the file readable to its owner.
            entropy: For nonces.
            form: Says whose state this is, so that files cannot be mixed up.
            version: Of the state's fields; files of another version are refused.
            max_bytes: Of the file, which is a third longer than its state.
            associated: What is authenticated with the state; None for ``form``.
        """
        self.path = path
        self._key = key
        self._entropy = entropy
        self._associated = form.encode() if associated is None else associated
        self._file = StateFile(path, form=form, version=version, max_bytes=max_bytes)

    def load(self) -> dict[str, object]:
        """Return the state last saved; empty if there never was one.

        Raises:
            ConfigError: If the file is damaged, too large, readable by others, of
                another form or version, or sealed under another key.
        """
        stored = self._file.load()
        if stored is None:
            return {}
        try:
            return self._open(stored)
        except DecodeError as error:
            raise ConfigError(
                f"{self.path}: {error}; use another state_dir, or move it away to "
                "start anew"
            ) from None

    def save(self, state: Mapping[str, JsonValue]) -> None:
        """Write ``state`` and wait until the disk has it.

        Raises:
            ConfigError: If it is too large or the disk refuses; the old state is then
                still there.
        """
        text = json.dumps(state, allow_nan=False)
        if not self._key:
            self._file.save({"plain": text})
            return
        nonce = self._entropy.token(_NONCE_SIZE)
        data = text.encode()
        sealed = primitives.siv_seal(self._key, nonce, data, self._associated)
        self._file.save({"sealed": base64.b64encode(nonce + sealed).decode()})

    def _open(self, stored: Mapping[str, object]) -> dict[str, object]:
        if not self._key and "sealed" in stored:
            raise DecodeError("of a client with an identity, and now there is none")
        text = self._sealed_text(stored) if self._key else stored.get("plain")
        try:
            state = json.loads(text) if isinstance(text, str) else None
        except (ValueError, RecursionError):
            state = None
        if not isinstance(state, dict):
            raise DecodeError("not a state of this form")
        return state

    def _sealed_text(self, stored: Mapping[str, object]) -> str:
        coded = stored.get("sealed")
        if not isinstance(coded, str):
            raise DecodeError("of a client without an identity, and now there is one")
        try:
            sealed = base64.b64decode(coded, validate=True)
            nonce, body = sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:]
            text = primitives.siv_open(self._key, nonce, body, self._associated)
            return text.decode()
        except (binascii.Error, HandshakeError, ValueError):
            # Also: too short, not ASCII, or not UTF-8 inside.
            raise DecodeError("not this identity's state") from None
