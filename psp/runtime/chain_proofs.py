"""Words of the contracts, proven against an agreed block, whoever supplies them.

What was proven of Relays is kept with the storage root it lies under: as long as the
chain proves the same root, a proof of the account alone, some kilobytes, stands for all
of it. When the root has changed, lists that were in force already are not proven again:
nobody can add to the list of an epoch that has begun, and where a later one takes its
place the word that tells epoch and size changes. That holds if the block that they were
proven at is an ancestor of this one, which the endpoints are asked first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from psp.directory.chain import layout
from psp.directory.chain.header import BlockHeader
from psp.directory.chain.proof import NoAccountError, ProvenAccount, read_proof
from psp.directory.chain.state import (
    ElectionState,
    list_slots,
    read_state,
    state_slots,
)
from psp.errors import DecodeError
from psp.runtime.chain_lists import ContractError
from psp.runtime.quorum import ChainReadError, QuorumRpc, Rpc

SLOTS_PER_PROOF = 96
"""A proof takes 4 kB a word at 10,000 nodes, 6 kB at 65,536: with JSON's hex and the
account below 1 MiB an answer. Some servers work as long on one word as on all."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What was proven of Relays, and at which block."""

    header: BlockHeader
    proven: ProvenAccount

    def suffices(self, timestamp: int) -> bool:
        """Tell whether that is all that is needed at a time."""
        words = self.proven.words
        try:
            wanted = (*state_slots(timestamp), *list_slots(words, timestamp))
        except (DecodeError, KeyError):  # an earlier epoch, or another day
            return False
        return all(slot in words for slot in wanted)

    def entries(self, now: Mapping[int, int], slots: Sequence[int]) -> dict[int, int]:
        """Return the words of those slots whose list has the same epoch and size now."""
        words = self.proven.words
        return {
            slot: words[slot]
            for slot in slots
            if slot in words and words[(meta := _meta_slot(slot))] == now[meta]
        }


class ChainProofs:
    """Proven words of one registry and its contracts."""

    def __init__(self, rpc: QuorumRpc, registry: bytes) -> None:
        """Name the endpoints and the address of Relays."""
        self._rpc = rpc
        self._registry = registry
        self._held: _Held | None = None

    async def prove_relays(self, header: BlockHeader) -> ProvenAccount:
        """Return what `read_state` needs of Relays, proven at one block.

        Raises:
            ChainReadError: If no endpoint can show it, or there is no registry.
        """
        held = self._held
        if held is not None and held.suffices(header.timestamp):
            now = await self.prove(header, self._registry, ())
            if now.account.storage_root == held.proven.account.storage_root:
                return ProvenAccount(now.account, held.proven.words)
        first = await self.prove(header, self._registry, state_slots(header.timestamp))
        try:
            slots = list_slots(first.words, header.timestamp)
        except DecodeError as error:
            raise strange_contract(error) from None
        words = {**first.words, **await self._known_lists(header, first.words, slots)}
        missing = [slot for slot in slots if slot not in words]
        if missing:
            words |= (await self.prove(header, self._registry, missing)).words
        self._held = _Held(header, ProvenAccount(first.account, words))
        return self._held.proven

    async def _known_lists(
        self, header: BlockHeader, words: Mapping[int, int], slots: Sequence[int]
    ) -> Mapping[int, int]:
        """Return entries of lists that are held and can only be the same now."""
        held = self._held
        known = {} if held is None else held.entries(words, slots)
        if held is None or not known or held.header.number > header.number:
            return {}
        try:
            ancestor = (await self._rpc.at(held.header.number)).header
        except ChainReadError:
            return {}
        return known if ancestor.hash == held.header.hash else {}

    async def prove(
        self, header: BlockHeader, address: bytes, slots: Sequence[int]
    ) -> ProvenAccount:
        """Return proven words of one contract at one block.

        Args:
            header: The block.
            address: Of the contract, 20 bytes.
            slots: Of the words; without any the account alone is proven.

        Raises:
            ChainReadError: If no endpoint can show them, or there is no contract.
        """
        size = SLOTS_PER_PROOF
        parts = [slots[i : i + size] for i in range(0, max(1, len(slots)), size)]

        def asking(
            part: Sequence[int],
        ) -> Callable[[Rpc], Awaitable[ProvenAccount | None]]:
            async def ask(rpc: Rpc) -> ProvenAccount | None:
                words = [f"0x{slot:064x}" for slot in part]
                answer = await rpc.call(
                    "eth_getProof", _hex(address), words, hex(header.number)
                )
                try:
                    return read_proof(
                        answer,
                        state_root=header.state_root,
                        address=address,
                        slots=part,
                    )
                except NoAccountError:
                    return None

            return ask

        what = "a proof of the registry's state"
        proven = await asyncio.gather(
            *(self._rpc.ask_any(asking(part), what) for part in parts)
        )
        found = [each for each in proven if each is not None and each.account.has_code]
        if len(found) < len(proven):
            raise ContractError(
                f"there is no contract at {_hex(address)} on this chain; check "
                "membership.registry and membership.chain_id"
            )
        words = {slot: word for each in found for slot, word in each.words.items()}
        return ProvenAccount(found[0].account, words)


def strange_contract(error: DecodeError) -> ContractError:
    """Return what to say of a contract that holds what no registry does."""
    return ContractError(
        f"the contract at membership.registry does not hold a registry ({error}); check "
        "the address"
    )


def checked_state(relays: ProvenAccount, header: BlockHeader) -> ElectionState:
    """Read what `ChainProofs.prove_relays` returned for a block.

    Raises:
        ContractError: If it is no registry's.
    """
    try:
        return read_state(relays.words, header.timestamp)
    except DecodeError as error:
        raise strange_contract(error) from None


def _meta_slot(slot: int) -> int:
    """Return the slot of the word with epoch and size of the list an entry is on."""
    ring = (slot - layout.RELAYS_HEAPS) // layout.MAX_SEATS
    return layout.RELAYS_HEAP_META + ring


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
