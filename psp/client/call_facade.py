"""The side of a client that deals in calls; see `psp.client.client`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from psp.client.calls.calls import EstablishedCall
from psp.client.calls.missed_calls import MissedCall
from psp.client.calls.ringing import CallDecision, IncomingCall
from psp.client.calls.session import ClientSession
from psp.client.facade import Facade
from psp.client.lookups.lookup import LookupResult
from psp.client.whom import Who
from psp.errors import ConfigError
from psp.netdoc.missed_call import MAX_TEXT_BYTES, is_notice_text


class CallFacade(Facade):
    """Calls: placing, taking, missing them."""

    async def call(
        self,
        who: Who,
        /,
        *,
        found: LookupResult | None = None,
        anonymous: bool = False,
        notice: str | None = None,
    ) -> ClientSession:
        """Call somebody, let it ring for a minute at most, and return the session.

        Args:
            who: Whom.
            found: A look-up made a moment ago; None makes one.
            anonymous: Do not tell the callee who calls.
            notice: Leave this, of 128 bytes at most, for somebody who is off line; may
                be empty. None leaves nothing.

        Raises:
            CallError: If no session came about; its subclasses and its text say why.
            PresenceError: As `lookup` does.
            ConfigError: If the notice is too long, or this client has ended.

        ::

            >>> ringing = asyncio.create_task(bob.call("alice"))
            >>> session = await alice.accept()
            >>> session.peer == bob.me.identity
            True
            >>> (await ringing).send_message(b"hello")
            >>> await session.receive_message()
            b'hello'
            >>> session.close()
        """
        call = await self.establish(
            who, found=found, anonymous=anonymous, notice=notice
        )
        return call.session

    async def establish(
        self,
        who: Who,
        /,
        *,
        found: LookupResult | None = None,
        anonymous: bool = False,
        notice: str | None = None,
    ) -> EstablishedCall:
        """Do what `call` does; return the keeper of the session's legs with it."""
        self._refuse_when_ended()
        if notice is not None and not is_notice_text(notice):
            raise ConfigError(
                f"a notice has at most {MAX_TEXT_BYTES} bytes, all printable"
            )
        subject = self._parts.finder.find(who)

        async def place() -> EstablishedCall:
            result = found if found is not None else await self._find(subject)
            return await self._parts.calls.place(
                subject.card, result, anonymous=anonymous, notice=notice
            )

        return await self._guarded(subject, place, _hang_up)

    async def accept(self) -> ClientSession:
        """Wait for the next caller, and take the call; see `call` and `incoming`.

        Raises:
            ConfigError: If the client has no identity, so that nobody can call it.
        """
        return (await self.accept_call()).session

    async def accept_call(self) -> EstablishedCall:
        """Do what `accept` does; return the keeper of the session's legs with it."""
        self._refuse_when_ended()
        self._own_identity()
        return await self._parts.calls.accept()

    async def incoming(self) -> AsyncIterator[IncomingCall]:
        """Yield calls as they begin to ring; answer or refuse each, or let it ring.

        Nothing is built for a call before it is answered, so whoever calls learns
        nothing about a user who does not.

        Raises:
            ConfigError: If the client has no identity, so that nobody can call it.

        ::

            >>> ringing = asyncio.create_task(bob.call("alice"))
            >>> async for call in alice.incoming():
            ...     break
            >>> call.contact, call.is_over
            ('bob', False)
            >>> session = await call.answer()
            >>> (await ringing).close()
        """
        self._refuse_when_ended()
        self._own_identity()
        while True:
            yield await self._parts.calls.ringing.next()

    def set_call_policy(
        self, policy: Callable[[IncomingCall], Awaitable[CallDecision]]
    ) -> None:
        """Let ``policy`` decide on each call before it rings, within two seconds.

        ::

            >>> async def only_contacts(call):
            ...     ring, refuse = psp.CallDecision.RING, psp.CallDecision.REFUSE
            ...     return ring if call.contact else refuse
            >>> alice.set_call_policy(only_contacts)
        """
        self._parts.calls.policy = policy

    def missed_calls(self) -> Sequence[MissedCall]:
        """Return the calls that nobody took, newest last.

        Those that rang here, and the notices left in the mailboxes of this user while
        it was off line; these come in a moment after `announce`.

        ::

            >>> await alice.withdraw()
            >>> try:
            ...     await bob.call("alice", notice="ring me back")
            ... except psp.UserOfflineError:
            ...     await alice.announce()
            >>> while not any(call.is_notice for call in alice.missed_calls()):
            ...     await asyncio.sleep(0.01)
            >>> alice.missed_calls()[-1].text
            'ring me back'
        """
        return self._parts.missed.list()

    def clear_missed_calls(self) -> None:
        """Forget the missed calls.

        ::

            >>> alice.clear_missed_calls()
            >>> len(alice.missed_calls())
            0
        """
        self._parts.missed.clear()

    def on_call_step(self, listener: Callable[[str], None]) -> None:
        """Tell ``listener``, in words, how far a call of ours has come."""
        self._parts.calls.on_step = listener


def _hang_up(call: EstablishedCall) -> None:
    call.session.close()
