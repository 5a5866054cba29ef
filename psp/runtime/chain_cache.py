"""The newest view of the chain, on this host's disk."""

from pathlib import Path

from structlog.typing import FilteringBoundLogger

from psp.directory.chain.cache import open_view, seal_view
from psp.directory.chain.view import ChainView
from psp.errors import ConfigError, DecodeError
from psp.runtime import private_files
from psp.wire.network import Network

CACHE_FILE = "chain"
MAX_CACHE_BYTES = 64 << 20
SAVE_EVERY = 3_600
"""Seconds after which a view without any news is saved all the same: it is younger."""


class ChainCache:
    """One file, sealed under a key of the owner's.

    Attributes:
        path: The file; whoever removes it begins anew.
    """

    def __init__(
        self, state_dir: Path, key: bytes, network: Network, log: FilteringBoundLogger
    ) -> None:
        self.path = state_dir / CACHE_FILE
        self._key = key
        self._network = network
        self._log = log
        self._saved = 0

    def load(self) -> ChainView | None:
        """Return what is kept; None if that is nothing, or cannot be believed.

        Raises:
            ConfigError: If others may read the file, or on a disk error.
        """
        try:
            data = private_files.read(self.path, MAX_CACHE_BYTES)
            view = open_view(data, self._key, self._network)
        except FileNotFoundError:
            return None
        except DecodeError as error:
            self._log.warning("chain_cache_unusable", why=str(error))
            return None
        self._saved = view.timestamp
        return view

    def is_due(self, view: ChainView) -> bool:
        """Tell whether a view is so much younger than the one kept that it is worth it."""
        return view.timestamp >= self._saved + SAVE_EVERY

    def save(self, view: ChainView) -> None:
        """Keep a view; a full disk must not end the following."""
        try:
            private_files.replace(self.path, seal_view(view, self._key))
        except ConfigError as error:
            self._log.warning("chain_not_kept", error=str(error))
            return
        self._saved = view.timestamp
