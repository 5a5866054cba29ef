"""The state a call sees: a block's, and what the call changes on top of it.

A call's state is thrown away, so it needs neither tries nor roots, only values and a
way back to a checkpoint. That makes a view of many words twice as fast as with py-evm's
own account database, whose interface this has.

Every change puts what was there before on a list; a checkpoint marks a length of it.
"""

from typing import Any

from discovery.devchain.state_trie import EMPTY_CODE_HASH, Account, StateReader
from psp.crypto.keccak import keccak256

_MISSING = object()

_FIRST_CHECKPOINT = 1 << 62
"""py-evm gives our checkpoints to its transient storage too, which has some of its own,
counted from 0: they must never meet."""

_WORD, _BALANCE, _NONCE, _CODE, _IS_WARM = range(5)
"""What a changed value is of; first part of its key."""


class CallAccounts:
    """Accounts during a call.

    The methods are those of ``eth.abc.AccountDatabaseAPI`` that execution uses.

    Attributes:
        state_root: Of the block; a call has no other.
    """

    def __init__(self, reader: StateReader, state_root: bytes) -> None:
        """Start with the state after a block."""
        self.state_root = state_root
        self._reader = reader
        self._changed: dict[tuple[Any, ...], Any] = {}
        self._before: list[tuple[tuple[Any, ...], Any]] = []
        self._checkpoints: dict[int, int] = {}
        self._checkpoint = _FIRST_CHECKPOINT

    # ---- storage

    def get_storage(
        self,
        address: bytes,
        slot: int,
        from_journal: bool = True,  # noqa: FBT001, FBT002 - py-evm's interface
    ) -> int:
        """Return a word; without `from_journal` the one before the call."""
        if from_journal:
            changed = self._changed.get((_WORD, address, slot))
            if changed is not None:
                return int(changed)
        return self._reader.word(self._stored(address).storage_root, slot)

    def set_storage(self, address: bytes, slot: int, value: int) -> None:
        """Change a word."""
        self._put((_WORD, address, slot), value)

    def delete_storage(self, address: bytes) -> None:
        """Do nothing: it is asked for at the end of transactions only."""

    def is_storage_warm(self, address: bytes, slot: int) -> bool:
        """Whether the word was used in this call (EIP-2929)."""
        return (_IS_WARM, address, slot) in self._changed

    def mark_storage_warm(self, address: bytes, slot: int) -> None:
        """Take note that it is."""
        self._put((_IS_WARM, address, slot), value=True)

    # ---- accounts

    def get_balance(self, address: bytes) -> int:
        """Return a balance in wei."""
        changed = self._changed.get((_BALANCE, address))
        return self._stored(address).balance if changed is None else int(changed)

    def set_balance(self, address: bytes, balance: int) -> None:
        """Change a balance."""
        self._put((_BALANCE, address), balance)

    def get_nonce(self, address: bytes) -> int:
        """Return a nonce."""
        changed = self._changed.get((_NONCE, address))
        return self._stored(address).nonce if changed is None else int(changed)

    def set_nonce(self, address: bytes, nonce: int) -> None:
        """Change a nonce."""
        self._put((_NONCE, address), nonce)

    def increment_nonce(self, address: bytes) -> None:
        """Add one to a nonce."""
        self.set_nonce(address, self.get_nonce(address) + 1)

    def get_code(self, address: bytes) -> bytes:
        """Return an account's code."""
        changed = self._changed.get((_CODE, address))
        if changed is not None:
            return bytes(changed)
        return self._reader.code(self._stored(address))

    def set_code(self, address: bytes, code: bytes) -> None:
        """Change an account's code."""
        self._put((_CODE, address), code)

    def delete_code(self, address: bytes) -> None:
        """Take an account's code away."""
        self.set_code(address, b"")

    def get_code_hash(self, address: bytes) -> bytes:
        """Return the hash of an account's code."""
        changed = self._changed.get((_CODE, address))
        if changed is not None:
            return keccak256(changed)
        return self._stored(address).code_hash

    def account_has_code_or_nonce(self, address: bytes) -> bool:
        """Whether a contract may not be created here."""
        return (
            self.get_nonce(address) != 0
            or self.get_code_hash(address) != EMPTY_CODE_HASH
        )

    def account_exists(self, address: bytes) -> bool:
        """Whether there is anything at the address."""
        return not self.account_is_empty(address)

    def account_is_empty(self, address: bytes) -> bool:
        """Whether nonce, balance and code are all zero (EIP-161)."""
        return (
            not self.account_has_code_or_nonce(address)
            and self.get_balance(address) == 0
        )

    def touch_account(self, address: bytes) -> None:
        """Do nothing: empty accounts are removed at the end of transactions."""

    def delete_account(self, address: bytes) -> None:
        """Do nothing, for the same reason."""

    def is_address_warm(self, address: bytes) -> bool:
        """Whether the account was used in this call (EIP-2929)."""
        return (_IS_WARM, address) in self._changed

    def mark_address_warm(self, address: bytes) -> None:
        """Take note that it is."""
        self._put((_IS_WARM, address), value=True)

    # ---- checkpoints

    def record(self) -> int:
        """Return a checkpoint for `discard` or `commit`; no two are equal."""
        self._checkpoint += 1
        self._checkpoints[self._checkpoint] = len(self._before)
        return self._checkpoint

    def discard(self, checkpoint: int) -> None:
        """Undo everything since a checkpoint."""
        length = self._checkpoints.pop(checkpoint)
        while len(self._before) > length:
            key, value = self._before.pop()
            if value is _MISSING:
                del self._changed[key]
            else:
                self._changed[key] = value

    def commit(self, checkpoint: int) -> None:
        """Keep what changed since a checkpoint; an earlier one can still undo it."""
        del self._checkpoints[checkpoint]

    def _put(self, key: tuple[Any, ...], value: object) -> None:
        self._before.append((key, self._changed.get(key, _MISSING)))
        self._changed[key] = value

    def _stored(self, address: bytes) -> Account:
        return self._reader.account(self.state_root, address)
