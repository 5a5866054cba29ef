"""Settings of a relay: every limit on strangers, in one place."""

from dataclasses import dataclass, fields

from psp.errors import ConfigError
from psp.units import Seconds
from psp.wire.cell import CELL_SIZE
from psp.wire.packet import PACKET_SIZE

MIN_MEDIA_KBIT_PER_S = 480
"""50 cells a second, one voice flow: a relay with less could carry no call."""

MAX_BANDWIDTH_BYTES_PER_S = 125_000_000_000
"""1 Tbit/s: more than any port has. Who writes more has counted in another unit."""

_AT_LEAST_ONE = (
    "client_circuits",
    "relay_circuits",
    "create_burst",
    "idle_link",
    "idle_circuit",
    "idle_granted",
    "cookie_life",
)


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """What an operator may change.

    Attributes:
        client_circuits: Circuits per link without a node at its other end (R-RES-1).
        relay_circuits: Circuits per link to another relay (R-RES-1).
        creates_per_s: CREATE handshakes answered per second and client link, after
            the burst (Tor's denial-of-service defaults: 3/s, burst 90). More are not
            answered; the asker's next try finds the bucket fuller.
        create_burst: See ``creates_per_s``.
        max_mem_bytes: Ceiling for circuits, queues and tables (R-RES-3): no new
            circuits above 75 %, hogs are closed above 90 % until below 80 %.
        bandwidth_bytes_per_s: Limit on what goes out, whole packets counted; 0 = none,
            and then nothing is queued at all.
        media_kbit_per_s: What circuits of calls may be promised together, each way; a
            circuit for which less is left than it needs is refused, and its client goes
            elsewhere. 0 = half of ``bandwidth_bytes_per_s``, as cells leave both ways;
            without that limit either, all is granted while the relay keeps up, and
            means nothing while it does not.
        neighbours: Standing links to the virtual neighbourhood.
        idle_link: A link that is not a neighbour's and carries no circuit is closed
            after this time.
        idle_circuit: A circuit without a cell either way for this long is closed. Above
            the 10 minutes between renewals of presence; its use is to find circuits
            whose DESTROY was lost.
        idle_granted: The same for a circuit that holds bandwidth others could have. Calls
            are never silent for long: they probe their legs, and while it rings say
            every 15 s that they wait.
        cookie_life: How long an established cookie waits for its second circuit, and
            how long a used one is remembered (R-PRE-5).
        max_cookies: Cookies waiting, joined or remembered; ESTABLISH is refused above.
        service_outstanding: Own SERVICE requests waiting for answers; more fail at once.
        service_pending: Others' SERVICE requests being worked on; more are dropped, and
            at most 1/8 of them may be of one link.
        max_requests: Circuit requests being worked on; more are refused.
    """

    client_circuits: int = 64
    relay_circuits: int = 4096
    creates_per_s: float = 3.0
    create_burst: int = 90
    max_mem_bytes: int = 256 << 20
    bandwidth_bytes_per_s: int = 0
    media_kbit_per_s: int = 0
    neighbours: int = 4
    idle_link: Seconds = Seconds(180.0)
    idle_circuit: Seconds = Seconds(900.0)
    idle_granted: Seconds = Seconds(60.0)
    cookie_life: Seconds = Seconds(30.0)
    max_cookies: int = 4096
    service_outstanding: int = 1024
    service_pending: int = 1024
    max_requests: int = 1024

    def __post_init__(self) -> None:
        if self.bandwidth_bytes_per_s and self.bandwidth_bytes_per_s < 125_000:
            raise ConfigError(
                f"bandwidth_bytes_per_s = {self.bandwidth_bytes_per_s}: a relay needs "
                "at least 125000 (1 Mbit/s); use 0 for no limit"
            )
        if self.media_kbit_per_s and self.media_kbit_per_s < MIN_MEDIA_KBIT_PER_S:
            raise ConfigError(
                f"media_kbit_per_s = {self.media_kbit_per_s}: one voice call takes "
                f"{MIN_MEDIA_KBIT_PER_S}; use that or more, or 0"
            )
        if 0 < self._half_of_bandwidth < self.media_kbit_per_s:
            raise ConfigError(
                f"media_kbit_per_s = {self.media_kbit_per_s}: bandwidth_bytes_per_s "
                f"leaves {self._half_of_bandwidth}, as cells leave both ways"
            )
        if self.max_mem_bytes < 1 << 20:
            raise ConfigError(
                f"max_mem_bytes = {self.max_mem_bytes}: use at least 1048576 (1 MiB)"
            )
        self._check_limits()

    def _check_limits(self) -> None:
        if self.creates_per_s <= 0:
            raise ConfigError(f"creates_per_s = {self.creates_per_s}: use more than 0")
        for field in fields(self):
            value, least = getattr(self, field.name), int(field.name in _AT_LEAST_ONE)
            if value < least:
                raise ConfigError(f"{field.name} = {value}: use at least {least}")
        for name, most in (
            ("bandwidth_bytes_per_s", MAX_BANDWIDTH_BYTES_PER_S),
            ("media_kbit_per_s", MAX_BANDWIDTH_BYTES_PER_S // 125),
        ):
            value = getattr(self, name)
            if value > most:
                raise ConfigError(
                    f"{name} = {value}: that is above 1 Tbit/s; mind the unit, or use 0 for "
                    "no limit"
                )

    @property
    def media_budget(self) -> int:
        """What circuits may be promised together, in kbit/s each way; 0 = no limit."""
        return self.media_kbit_per_s or self._half_of_bandwidth

    @property
    def _half_of_bandwidth(self) -> int:
        packets = self.bandwidth_bytes_per_s / PACKET_SIZE / 2
        return int(packets * CELL_SIZE * 8 / 1000)
