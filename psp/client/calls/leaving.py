"""Leaving missed-call notices in the mailboxes of somebody who is off line."""

import asyncio
from collections.abc import Sequence

from psp.client.calls.working import MAX_WILLING_EFFORT, prove
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.crypto.session import CallerSigner
from psp.errors import PspError
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.missed_call import Mailbox, notice_challenge, seal_notice
from psp.netdoc.presence_inner import Presence
from psp.path.selection import Purpose
from psp.units import UnixTime
from psp.wire.mailboxes import MissedRequest, Noted, NotedStatus
from psp.wire.relay_message import RelayCommand

COPIES = 2
"""Mailboxes that get a notice, each over a circuit of its own: one may not come back."""


async def leave_notices(
    context: ClientContext,
    circuits: CircuitBuilder,
    card: ContactCard,
    mailboxes: Sequence[Presence],
    *,
    text: str,
    signer: CallerSigner | None,
) -> int:
    """Leave the same notice in up to two mailboxes; return how many took it.

    Args:
        context: What the client shares.
        circuits: Builds.
        card: Whose mailboxes.
        mailboxes: Signed absences, or points that have said that the user is absent.
        text: At most 128 bytes of UTF-8, all printable.
        signer: Signs for us; None leaves it anonymously.

    Raises:
        LocalProtocolError: If the text does not fit.
    """
    time = UnixTime(int(context.unix_time()))
    notices = {}
    for presence in mailboxes:
        place = presence.place
        mailbox = Mailbox(card.network, place.node_id, place.contact_key, place.tag)
        notices[presence.place.tag] = presence, _sealed(mailbox, text, time, signer)
    left = list(notices.values())
    kept = 0
    while left and kept < COPIES:
        now, left = left[: COPIES - kept], left[COPIES - kept :]
        tries = (_leave(context, circuits, where, data) for where, data in now)
        kept += sum(await asyncio.gather(*tries))
    return kept


def _sealed(
    mailbox: Mailbox, text: str, time: UnixTime, signer: CallerSigner | None
) -> bytes:
    caller = None if signer is None else signer.user_id
    sign = None if signer is None else lambda data: (signer.grant, signer.sign(data))
    return seal_notice(mailbox, text=text, time=time, caller=caller, sign=sign)


async def _leave(
    context: ClientContext, circuits: CircuitBuilder, where: Presence, notice: bytes
) -> bool:
    """Tell whether one mailbox has taken a notice."""
    place = where.place
    try:
        circuit = await circuits.open(Purpose.MAILBOX, last=place.node_id)
        try:
            request = MissedRequest(place.tag, notice)
            answer = await circuit.request(RelayCommand.MISSED, request.encode())
            noted = Noted.decode(answer)
            is_worth_it = 0 < noted.effort <= MAX_WILLING_EFFORT
            if noted.status is NotedStatus.WORK_NEEDED and is_worth_it:
                challenge = notice_challenge(place.tag, notice)
                nonce = await prove(challenge, noted.effort, context.entropy)
                request = MissedRequest(place.tag, notice, noted.effort, nonce)
                answer = await circuit.request(RelayCommand.MISSED, request.encode())
                noted = Noted.decode(answer)
        finally:
            circuit.close()
    except PspError as error:
        context.log.info("notice_failed", error=str(error))
        return False
    return noted.status is NotedStatus.KEPT
