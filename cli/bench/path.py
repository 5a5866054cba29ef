"""What a path of three relays does for an app: builds, throughput, freshness, memory.

Every figure is of real processes over real sockets (`cli.bench.path_rig`); what the
names mean is said in `cli.bench.path_figures`. Each measurement can be had alone, on a
rig of one's own, also with its processes in network namespaces.
"""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Literal, Self

from cli.bench.child import watch
from cli.bench.path_end import EndUsage
from cli.bench.path_figures import build_figures, ratio, voice_figures
from cli.bench.path_rig import Pair, PathRig, Places, Say
from cli.bench.processes import Usage
from cli.bench.relay import SETTLE

Direction = Literal["up", "down"]
"""``up``: from the client, over three hops, to the server. ``down``: back."""

Beside = Literal["idle", "same_session", "other_session", "flood"]
"""What goes on while voice is measured: bulk that flows down over the same session or
over that of two others through the same relays; or one of these sends as fast as it can
and heeds nothing, as whoever means harm would."""

SESSIONS = 8
"""At once, for what many circuits cost; as many as are measured of Tor."""

_RAMP = 2.0
"""Seconds that bulk runs before it is measured; no longer than it is measured."""
_DRAIN = 1.5
"""Seconds after the last was sent in which bulk still arrives; fewer if all has."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is measured.

    Attributes:
        circuits: Built one after another.
        bulk_seconds: In each direction.
        voice_seconds: Beside each kind of company.
        idle_circuits: Held for their memory.
        sessions: Held for their memory, over as many of these circuits.
        settle: Seconds until a circuit has forgotten how it was built.
    """

    circuits: int = 200
    bulk_seconds: float = 10.0
    voice_seconds: float = 30.0
    idle_circuits: int = 1_000
    sessions: int = 200
    settle: float = SETTLE


FULL = Amount()
QUICK = Amount(
    circuits=20,
    bulk_seconds=2.0,
    voice_seconds=4.0,
    idle_circuits=100,
    sessions=20,
    settle=2.0,
)


def run(
    amount: Amount = FULL,
    *,
    places: Places | None = None,
    say: Say = lambda _: None,
    figures: dict[str, float] | None = None,
) -> dict[str, float]:
    """Measure everything; return all figures by name.

    Args:
        amount: How much.
        places: Where the processes run; None for loopback.
        say: Told how things go, a line at a time.
        figures: Filled as figures come, so that an interruption leaves what there is.

    Raises:
        ChildError: If a process failed or ended; the text says which.
        ConfigError: If a place cannot be entered.
    """
    places = places or Places()
    figures = {} if figures is None else figures
    with PathRig(places, say) as rig:
        figures |= build(rig, amount.circuits)
        figures |= throughput(rig, amount.bulk_seconds, "up")
        figures |= throughput(rig, amount.bulk_seconds, "down")
        figures |= voice(rig, amount.voice_seconds, "idle", None)
        base = figures["voice_idle_p50_ms"]
        figures |= voice(rig, amount.voice_seconds, "same_session", base)
        figures |= voice(rig, amount.voice_seconds, "other_session", base)
        figures |= throughput(rig, amount.bulk_seconds, "down", SESSIONS)
        figures |= voice(rig, amount.voice_seconds, "flood", base)
    with PathRig(places, say) as rig:
        figures |= memory(rig, amount.idle_circuits, amount.sessions, amount.settle)
    return figures


def build(rig: PathRig, circuits: int) -> dict[str, float]:
    """Build circuits of three hops, one after another, over links that are up.

    Returns:
        ``build_ms_p50``, ``build_ms_p95``, ``build_failures``, ``build_circuits``.
    """
    rig.say(f"building {circuits} circuits")
    # The first brings the links up, which is not what is measured.
    times = rig.pair.client.build(rig.path, circuits + 1)
    return build_figures(times[1:])


def throughput(
    rig: PathRig, seconds: float, direction: Direction, sessions: int = 1
) -> dict[str, float]:
    """Send bulk one way over one session or several at once, opened as needed.

    Returns:
        Keys begin with the direction, and with more than one session
        ``{direction}_{sessions}_sessions``: ``_mb_s`` at the receiver, ``_loss`` of what was
        sent while it was measured, ``_start_loss`` of what was sent before, and
        ``_cpu_s_per_gb_…`` of ``relay_1``, ``relay_2`` (the middle), ``relay_3``,
        ``client`` and ``server``.
    """
    rig.say(f"bulk {direction} for {seconds:.0f} s, sessions: {sessions}")
    rig.connect(rig.pair, sessions)
    with _Bulk(rig, rig.pair, direction, sessions) as bulk:
        watch(rig.children, min(_RAMP, seconds))
        bulk.begin()
        before = _Snapshot.take(rig)
        watch(rig.children, seconds)
        after = _Snapshot.take(rig)
    figures = after.since(before, direction)
    figures |= {"loss": bulk.loss, "start_loss": bulk.start_loss}
    name = direction if sessions == 1 else f"{direction}_{sessions}_sessions"
    return {f"{name}_{key}": value for key, value in figures.items()}


def voice(
    rig: PathRig, seconds: float, beside: Beside, base_ms: float | None
) -> dict[str, float]:
    """Send voice over the rig's session, and bulk ``beside`` it.

    Args:
        rig: Gets a session if it has none.
        seconds: How long.
        beside: Where bulk flows meanwhile.
        base_ms: The idle path's p50 in the same run; None if this is it.

    Returns:
        See `voice_figures`; ``voice_{beside}_legs_lost``, times that an end heard nothing
        for more than a second, as on a machine that has no time for us; and
        ``_bulk_mb_s`` and ``_bulk_loss`` where there is bulk.
    """
    rig.connect(rig.pair)
    rig.say(f"voice for {seconds:.0f} s, {beside.replace('_', ' ')}")
    ends = (rig.pair.client, rig.pair.server)
    legs_lost = sum(end.usage().legs_lost for end in ends)
    figures: dict[str, float] = {}
    if beside == "idle":
        trips = rig.pair.client.voice(seconds, rig.children)
    elif beside == "flood":
        trips = _voice_in_flood(rig, seconds)
    else:
        pair = rig.pair if beside == "same_session" else rig.other_pair()
        with _Bulk(rig, pair, "down") as bulk:
            watch(rig.children, min(_RAMP, seconds))
            bulk.begin()
            trips = rig.pair.client.voice(seconds, rig.children)
        figures |= {"bulk_mb_s": bulk.mb_s, "bulk_loss": bulk.loss}
    legs_lost = sum(end.usage().legs_lost for end in ends) - legs_lost
    figures["legs_lost"] = float(legs_lost)
    named = {f"voice_{beside}_{key}": value for key, value in figures.items()}
    return voice_figures(beside, trips, base_ms) | named


def _voice_in_flood(rig: PathRig, seconds: float) -> list[float | None]:
    flooder = rig.other_pair().client
    flooder.call("start_flood")
    watch(rig.children, min(_RAMP, seconds))
    trips = rig.pair.client.voice(seconds, rig.children)
    flooder.call("stop_flood")
    return trips


def memory(
    rig: PathRig, circuits: int, sessions: int, settle: float
) -> dict[str, float]:
    """Hold idle circuits of three hops, then sessions; needs a rig that is fresh.

    As many circuits as are measured stand before: what those needed while they were
    built goes to the new ones, so that growth is what lasts.

    Returns:
        ``bytes_per_circuit_…`` of ``relay_1``, ``relay_2`` and ``client``, and
        ``bytes_per_session_…`` of ``client`` and ``server``.
    """
    rig.say(f"holding twice {circuits} circuits for {settle:.0f} s")
    client, server = rig.pair.client, rig.pair.server
    within = 60.0 + circuits
    residents: list[dict[str, int]] = []
    for _ in range(2):
        client.call("keep", rig.path, circuits, within=within, watched=rig.children)
        watch(rig.children, settle)
        residents.append(_residents(rig))
    before, held = residents
    rig.say(f"opening {sessions} sessions")
    server.call("keep", rig.path[-1:], sessions, within=within, watched=rig.children)
    watch(rig.children, settle)
    joinable = _residents(rig)
    rig.connect_kept(rig.pair, sessions)
    watch(rig.children, 1.0)
    joined = _residents(rig)
    figures = {
        f"bytes_per_circuit_{name}": ratio(held[name] - before[name], circuits)
        for name in ("relay_1", "relay_2", "client")
    }
    figures |= {
        f"bytes_per_session_{name}": ratio(joined[name] - joinable[name], sessions)
        for name in ("client", "server")
    }
    return figures


# ---- inside


class _Bulk:
    """Bulk that flows while the block lasts.

    Attributes:
        start_loss: Afterwards: share of what was sent before `begin` and did not arrive.
        loss: Afterwards: the same of what was sent from then on.
        mb_s: Afterwards: 1e6 bytes a second that arrived of it.
    """

    def __init__(
        self, rig: PathRig, pair: Pair, direction: Direction, sessions: int = 1
    ) -> None:
        self._rig = rig
        self._sessions = sessions
        self._sender = pair.sender(direction)
        self._receiver = pair.receiver(direction)
        self.start_loss = self.loss = self.mb_s = 0.0

    def __enter__(self) -> Self:
        self._start = self._phase = self._rig.next_phase()
        self._sender.call("start_bulk", self._start, self._sessions)
        self._began = time.monotonic()
        return self

    def begin(self) -> None:
        """Let what is sent from now on count."""
        self._phase = self._rig.next_phase()
        self._sender.call("set_phase", self._phase)
        self._began = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return  # the rig is coming down
        self._sender.call("stop_bulk")
        lasted = time.monotonic() - self._began
        sent, received = self._drained()
        self.start_loss = 1 - ratio(received[self._start], sent[self._start])
        self.loss = 1 - ratio(received[self._phase], sent[self._phase])
        size = self._receiver.usage().bulk.size
        self.mb_s = received[self._phase] * size / lasted / 1e6

    def _drained(self) -> tuple[Counter[int], Counter[int]]:
        """Return what was sent and received by phase, once nothing more arrives."""
        sent = self._sender.usage().bulk.sent
        give_up = time.monotonic() + _DRAIN
        while True:
            received = self._receiver.usage().bulk.received
            if received[self._phase] >= sent[self._phase] or time.monotonic() > give_up:
                return sent, received
            watch(self._rig.children, 0.1)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What everybody on the rig has used so far."""

    relays: list[Usage]
    client: EndUsage
    server: EndUsage

    @classmethod
    def take(cls, rig: PathRig) -> "_Snapshot":
        return cls(
            [relay.usage() for relay in rig.relays],
            rig.pair.client.usage(),
            rig.pair.server.usage(),
        )

    def since(self, before: "_Snapshot", direction: Direction) -> dict[str, float]:
        down = direction == "down"
        now, then = (
            (snapshot.client if down else snapshot.server).bulk
            for snapshot in (self, before)
        )
        arrived = now.received_bytes - then.received_bytes
        figures = {"mb_s": ratio(arrived / 1e6, now.time - then.time)}
        for name, spent in self._cpu_since(before).items():
            figures[f"cpu_s_per_gb_{name}"] = ratio(spent, arrived / 1e9)
        return figures

    def _cpu_since(self, before: "_Snapshot") -> dict[str, float]:
        spent = {
            f"relay_{number}": now.cpu - then.cpu
            for number, (now, then) in enumerate(
                zip(self.relays, before.relays, strict=True), 1
            )
        }
        spent["client"] = self.client.cpu - before.client.cpu
        spent["server"] = self.server.cpu - before.server.cpu
        return spent


def _residents(rig: PathRig) -> dict[str, int]:
    snapshot = _Snapshot.take(rig)
    residents = {
        f"relay_{number}": usage.resident
        for number, usage in enumerate(snapshot.relays, 1)
    }
    residents["client"] = snapshot.client.resident
    residents["server"] = snapshot.server.resident
    return residents
