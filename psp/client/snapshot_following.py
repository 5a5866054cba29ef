"""When a client lives on snapshots: without endpoints, or while all of them are dead."""

import asyncio

from psp.client.circuits import CircuitBuilder
from psp.client.config import ClientConfig
from psp.client.context import ClientContext
from psp.client.directory import Directory
from psp.client.snapshot import SnapshotReader
from psp.directory.chain.view import ChainView
from psp.runtime.chain_membership import ChainMembership
from psp.runtime.membership import Membership
from psp.units import Seconds

LOOK_EVERY = Seconds(60.0)


def make_snapshots(
    context: ClientContext,
    circuits: CircuitBuilder,
    directory: Directory,
    membership: Membership,
    config: ClientConfig,
) -> SnapshotReader | None:
    """Return what reads snapshots; None for a network without a chain.

    Raises:
        ConfigError: If a partner's key in the settings is none.
    """
    if not isinstance(membership, ChainMembership):
        return None

    def adopt(view: ChainView) -> bool:
        is_changed = membership.adopt_snapshot(view)
        if is_changed:
            directory.update_paths()
        return is_changed

    has_partners = bool(config.membership.partners)
    return SnapshotReader(
        context,
        circuits,
        directory,
        current=lambda: membership.registry.view,
        adopt=adopt,
        partners=config.membership.anchor().partners if has_partners else (),
        config=config.snapshot,
    )


async def follow_snapshots(snapshots: SnapshotReader, membership: Membership) -> None:
    """Follow snapshots for ever, whenever the chain cannot be read.

    What discovery nodes sign never replaces what was proven: it is only newer.
    """
    following: asyncio.Task[None] | None = None
    try:
        while True:
            if not is_cut_off(membership):
                await _end(following)
                following = None
            elif following is None:
                following = asyncio.create_task(snapshots.run())
            await asyncio.sleep(LOOK_EVERY)
    finally:
        await _end(following)


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def is_cut_off(membership: Membership) -> bool:
    """Tell whether a client has no endpoint that shows it the chain."""
    return isinstance(membership, ChainMembership) and membership.is_cut_off
