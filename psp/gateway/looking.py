"""Look-ups over HTTP: one user, or many at once."""

from collections.abc import Mapping

from psp.client.lookups.lookup_result import LookupResult
from psp.errors import PspError
from psp.gateway import bodies
from psp.gateway.operations import Asked, Handler
from psp.gateway.ports import PresenceClient
from psp.gateway.problems import Kind, ProblemError, problem_of
from psp.gateway.whom import Whom, find_whom
from psp.netdoc.contact_card import is_card


class LookingDesk:
    """Looks users up for programs."""

    def __init__(self, client: PresenceClient) -> None:
        self._client = client

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What this desk does, by operation."""
        return {"look_up": self.look_up, "look_up_many": self.look_up_many}

    async def look_up(self, asked: Asked) -> bodies.Presence:
        """Look up one user.

        Raises:
            PspError: As the client does.
        """
        text = asked.path["id"]
        if is_card(text):
            raise ProblemError(Kind.CARD_IN_ADDRESS)
        whom = await find_whom(self._client, text)
        return _presence(whom, await self._client.lookup(whom.who))

    async def look_up_many(self, asked: Asked) -> bodies.LookedUpAll:
        """Look up many; each has an answer or a problem of its own."""
        wanted = asked.body_as(bodies.LookUp).who
        named: list[Whom | PspError] = []
        for text in wanted:
            try:
                named.append(await find_whom(self._client, text))
            except PspError as error:
                named.append(error)
        # Who is named twice is looked up once.
        known = {whom.user: whom for whom in named if isinstance(whom, Whom)}
        found = dict(
            zip(
                known,
                await self._client.lookup_many(
                    [whom.who for whom in known.values()], return_exceptions=True
                ),
                strict=True,
            )
        )
        return bodies.LookedUpAll(
            [
                _answer(whom, found[whom.user])
                if isinstance(whom, Whom)
                else bodies.LookedUp(problem=problem_of(whom))
                for whom in named
            ]
        )


def _answer(whom: Whom, found: LookupResult | PspError) -> bodies.LookedUp:
    if isinstance(found, PspError):
        return bodies.LookedUp(problem=problem_of(found))
    return bodies.LookedUp(presence=_presence(whom, found))


def _presence(whom: Whom, found: LookupResult) -> bodies.Presence:
    return bodies.Presence(
        who=whom.shown,
        user=whom.user.hex(),
        state=found.state.value,
        points=len(found.points),
        answers=found.answers,
        issued=found.issued or None,
        is_confirmed=found.is_confirmed,
        status=found.status,
        capabilities=sorted(found.capabilities),
    )
