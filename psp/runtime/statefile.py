"""State that outlives the process: one JSON file, old or new but never half.

::

    {"format": "psp-guards", "version": 1, "sha256": "…", "state": {…}}

The hash is of the state's own JSON: it catches a disk that lies, not an attacker. The
file is private and replaced whole (`psp.runtime.private_files`).
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from psp.errors import ConfigError
from psp.runtime import private_files

JsonValue = (
    None
    | bool
    | int
    | float
    | str
    | list["JsonValue"]
    | tuple["JsonValue", ...]
    | Mapping[str, "JsonValue"]
)

MAX_BYTES = 1 << 20
"""Default size limit of a state file; our choice, guards and caches need far less."""


class StateFile:
    """One file of state, in one version of one format.

    Attributes:
        path: Where it lies.
    """

    def __init__(
        self, path: Path, *, form: str, version: int, max_bytes: int = MAX_BYTES
    ) -> None:
        """Name the file; nothing is read or written yet.

        Args:
            path: In a directory of mode 0700, made when missing.
            form: Says whose state this is, so that files cannot be mixed up.
            version: Of the state's fields; files of another version are refused.
            max_bytes: Neither read nor written above this size.
        """
        self.path = path
        self._form = form
        self._version = version
        self._max_bytes = max_bytes

    def load(self) -> dict[str, object] | None:
        """Return the state last saved, or None if there never was one.

        Raises:
            ConfigError: If the file is damaged, too large, readable by others, or of
                another format or version.
        """
        try:
            data = private_files.read(self.path, self._max_bytes)
        except FileNotFoundError:
            return None
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            raise self._damaged("not JSON") from None
        if not isinstance(document, dict) or document.get("format") != self._form:
            raise self._damaged(f"not a file of {self._form}")
        if document.get("version") != self._version:
            raise ConfigError(
                f"{self.path} has version {document.get('version')!r:.20}, this program "
                f"reads {self._version}; use the program that wrote it, or move it away"
            )
        state = document.get("state")
        if not isinstance(state, dict) or document.get("sha256") != _digest(state):
            raise self._damaged("its hash does not match")
        return state

    def save(self, state: Mapping[str, JsonValue]) -> None:
        """Write ``state`` and wait until the disk has it.

        Raises:
            ConfigError: If it is too large or the disk refuses; the old state is then
                still there.
        """
        document = {
            "format": self._form,
            "version": self._version,
            "sha256": _digest(state),
            "state": state,
        }
        data = json.dumps(document, allow_nan=False).encode()
        if len(data) > self._max_bytes:
            raise ConfigError(
                f"{self.path}: {len(data)} bytes of state, at most {self._max_bytes}"
            )
        private_files.replace(self.path, data)

    def _damaged(self, what: str) -> ConfigError:
        return ConfigError(
            f"{self.path} is damaged ({what}); restore a copy, or move it away to start "
            "anew"
        )


def _digest(state: Mapping[str, object]) -> str:
    text = json.dumps(state, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
