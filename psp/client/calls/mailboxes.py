"""Our own mailboxes: opened by signing off, emptied on coming back."""

import asyncio

from psp.client.announcing.registration import PresenceRegistration
from psp.client.calls.missed_calls import Absence, MissedCall, MissedCalls
from psp.client.circuit import Circuit, RequestError
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.client.identities.identity import Identity
from psp.errors import DecodeError, PspError, RemoteProtocolError
from psp.netdoc.collection import sign_collection
from psp.netdoc.missed_call import open_notice
from psp.path.selection import Purpose
from psp.units import Seconds, UnixTime
from psp.wire.cell import Reason
from psp.wire.mailboxes import MAX_NOTICES, Collected
from psp.wire.relay_message import RelayCommand

TRIES = 3
"""Rounds in which `collect` tries the mailboxes that did not answer."""
RETRY_AFTER = Seconds(10.0)


class Mailboxes:
    """Keeps the keys of our mailboxes, and empties them.

    Attributes:
        is_away: Whether this client has signed off and not come back: nothing is
            collected meanwhile, as a mailbox that was emptied takes nothing more.
    """

    def __init__(
        self,
        context: ClientContext,
        circuits: CircuitBuilder,
        identity: Identity,
        missed: MissedCalls,
    ) -> None:
        """Be ready to collect.

        Args:
            context: What the client shares.
            circuits: Builds.
            identity: Whose mailboxes.
            missed: Where notices go, and where the mailboxes' keys are kept.
        """
        self.is_away = False
        self._context = context
        self._circuits = circuits
        self._identity = identity
        self._missed = missed

    def left(self, registration: PresenceRegistration, lifetime: int) -> None:
        """Remember a mailbox: its point has agreed to a signed absence.

        Args:
            registration: What ended with it.
            lifetime: Seconds that the absence lasts.
        """
        until = UnixTime(int(self._context.unix_time()) + lifetime)
        node_id, tag = registration.point.node_id, registration.tag
        absence = Absence(node_id, tag, registration.contact_private, until)
        self.is_away = True
        self._missed.add_absence(absence)

    async def collect(self) -> tuple[MissedCall, ...]:
        """Empty every mailbox of ours; return the calls that are new.

        A mailbox that is not to be reached now is tried again, and at the next time.
        """
        new: tuple[MissedCall, ...] = ()
        for number in range(TRIES):
            if number:
                await asyncio.sleep(RETRY_AFTER)
            if self.is_away:
                break
            absences = self._missed.absences(self._context.unix_time())
            if not absences:
                break
            for absence in absences:
                new += await self._empty(absence)
        return new

    async def _empty(self, absence: Absence) -> tuple[MissedCall, ...]:
        """Empty one mailbox."""
        try:
            circuit = await self._circuits.open(
                Purpose.MAILBOX, last=absence.presence_point
            )
            try:
                return await self._collect(circuit, absence)
            finally:
                circuit.close()
        except RequestError as error:
            self._context.log.info("collection_failed", error=str(error))
            if error.reason is Reason.REFUSED:
                # It knows of no such mailbox, and it will not come back.
                self._missed.remove_absence(absence.tag)
        except PspError as error:
            self._context.log.info("collection_failed", error=str(error))
        return ()

    async def _collect(
        self, circuit: Circuit, absence: Absence
    ) -> tuple[MissedCall, ...]:
        new: list[MissedCall] = []
        total, first = 1, 0
        while first < total:
            page = await self._page(circuit, absence, first)
            total = page.total
            if not page.notices and first < total:
                raise RemoteProtocolError("a mailbox gives fewer than it has")
            for notice in page.notices[: MAX_NOTICES - first]:
                new += self._read(notice, absence)
            first += len(page.notices)
        # Before the mailbox may forget them, they are on our disk.
        calls = self._missed.add(*new)
        if total:
            await self._page(circuit, absence, total)
        self._missed.remove_absence(absence.tag)
        return calls

    async def _page(self, circuit: Circuit, absence: Absence, first: int) -> Collected:
        unix_now = self._context.unix_time()
        request = sign_collection(
            self._identity.signer(unix_now),
            network=self._context.registry.network,
            presence_point=absence.presence_point,
            channel=circuit.handshake_hash,
            tag=absence.tag,
            issued=UnixTime(int(unix_now)),
            first=first,
        )
        return Collected.decode(await circuit.request(RelayCommand.COLLECT, request))

    def _read(self, notice: bytes, absence: Absence) -> list[MissedCall]:
        """Return the call of one notice, nothing if it is not genuine."""
        try:
            opened = open_notice(
                notice,
                absence.contact_private,
                network=self._context.registry.network,
                presence_point=absence.presence_point,
                tag=absence.tag,
                unix_now=self._context.unix_time(),
            )
        except DecodeError as error:
            self._context.log.info("notice_refused", error=str(error))
            return []
        call = MissedCall(opened.time, opened.caller, text=opened.text, is_notice=True)
        return [call]
