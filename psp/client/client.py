"""A running client: everything an app does, as methods to await.

The examples run in ``python -m asyncio`` as they stand, after these lines::

    >>> import contextlib, psp
    >>> stack = contextlib.AsyncExitStack()
    >>> net = await stack.enter_async_context(psp.testing.network())
    >>> alice, bob = await net.client("alice"), await net.client("bob")

Every method may be cancelled at any moment: what it opened is closed, what it saved is
whole. What goes on in the background, an announcement above all, goes on until it is
ended by its counterpart or by leaving `connect`.
"""

from psp.client.announcing.announcer import Announcer
from psp.client.call_facade import CallFacade
from psp.client.circuits import CircuitBuilder
from psp.client.client_status import ClientStatus
from psp.client.directory import Directory
from psp.client.presence_facade import PresenceFacade
from psp.client.snapshot import SnapshotReader
from psp.client.snapshot_following import is_cut_off


class Client(PresenceFacade, CallFacade):
    """A running client; made by `psp.connect`."""

    def status(self) -> ClientStatus:
        """Return what the client is doing.

        ::

            >>> bob.status().source, bob.status().nodes
            ('trusted', 12)
        """
        parts = self._parts
        return ClientStatus(
            source=self._registry.source.value,
            registry=self._registry_words(),
            directory=parts.directory.explanation,
            nodes=len(self._registry.nodes()),
            presence_points=len(self.announcer.registrations) if self.announcer else 0,
            contacts=len(parts.contacts),
            incoming=len(parts.calls.ringing),
            missed=len(parts.missed.list()),
            spare_circuits=len(parts.spares),
            watched=parts.watcher.status().contacts,
        )

    @property
    def announcer(self) -> Announcer | None:
        """What keeps this user announced; None while nothing is announced."""
        return self._parts.presence.announcer

    @property
    def circuits(self) -> CircuitBuilder:
        """What builds circuits."""
        return self._parts.circuits

    @property
    def directory(self) -> Directory:
        """Which relays run, as far as this client heard."""
        return self._parts.directory

    @property
    def snapshots(self) -> SnapshotReader | None:
        """What keeps the chain's list fresh without an endpoint, if that is needed."""
        return self._parts.snapshots

    async def close(self) -> None:
        """Leave the network and save the state; `psp.connect` does it at its end."""
        await self._parts.close()

    def _registry_words(self) -> str:
        words = self.membership.explanation
        if self.snapshots is not None and is_cut_off(self.membership):
            words += f"; {self.snapshots.explanation}"
        return words
