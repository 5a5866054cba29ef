"""Calls over HTTP: those that ring, and those that were missed.

To answer one takes media, which HTTP has not: an app in Python does that. Here a call
can be shown and refused; one that nobody takes becomes a missed call.
"""

import asyncio
from collections.abc import Mapping

import msgspec

from psp.entropy import Entropy
from psp.gateway import bodies
from psp.gateway.feed import Feed
from psp.gateway.operations import Asked, Handler
from psp.gateway.ports import IncomingCall, PresenceClient
from psp.gateway.problems import Kind, ProblemError

MAX_RINGING = 64
"""Twice what a client lets ring at a time; the oldest is forgotten first."""

_ID_SIZE = 8


class CallDesk:
    """Shows calls to programs."""

    def __init__(self, client: PresenceClient, feed: Feed, entropy: Entropy) -> None:
        self._client = client
        self._feed = feed
        self._entropy = entropy
        self._ringing: dict[str, IncomingCall] = {}
        self._ends: set[asyncio.Task[None]] = set()

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What this desk does, by operation."""
        return {"missed_calls": self.missed, "refuse_call": self.refuse}

    async def missed(self, _: Asked) -> bodies.MissedCalls:
        """List the missed calls."""
        return bodies.MissedCalls(
            [
                bodies.PastCall(
                    at=max(0, int(call.when)),
                    caller=None if call.caller is None else call.caller.hex(),
                    contact=call.contact,
                    text=call.text,
                )
                for call in self._client.missed_calls()
            ]
        )

    async def refuse(self, asked: Asked) -> None:
        """Refuse a call.

        Raises:
            ProblemError: If it does not ring.
        """
        identifier = asked.path["id"]
        call = self._ringing.get(identifier)
        if call is None:
            raise ProblemError(Kind.UNKNOWN_CALL)
        call.refuse()
        self._over(identifier)

    async def run(self) -> None:
        """Take what rings, for ever."""
        try:
            async for call in self._client.incoming():
                self._rings(call)
        finally:
            for task in self._ends:
                task.cancel()
            await asyncio.gather(*self._ends, return_exceptions=True)

    def _rings(self, call: IncomingCall) -> None:
        identifier = self._entropy.token(_ID_SIZE).hex()
        self._ringing[identifier] = call
        while len(self._ringing) > MAX_RINGING:
            self._over(next(iter(self._ringing)))
        body = bodies.CallRings(
            identifier, call.contact, call.effort, max(0, int(call.expires))
        )
        self._feed.put("calls", identifier, "call", msgspec.json.encode(body))
        end = asyncio.create_task(self._wait_for_end(identifier, call))
        self._ends.add(end)
        end.add_done_callback(self._ends.discard)

    async def _wait_for_end(self, identifier: str, call: IncomingCall) -> None:
        await call.ended()
        self._over(identifier)

    def _over(self, identifier: str) -> None:
        if self._ringing.pop(identifier, None) is None:
            return
        data = msgspec.json.encode(bodies.CallEnded(identifier))
        self._feed.put("calls", identifier, "call-ended", data, is_last=True)
