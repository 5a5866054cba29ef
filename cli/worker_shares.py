"""What each worker of a node is given: a port, and its part of the node's limits."""

from collections.abc import Sequence
from dataclasses import replace

from cli.node_config import NodeConfig
from psp.errors import ConfigError, LocalProtocolError
from psp.wire.endpoint import Endpoint, by_worker
from psp.wire.link_specifiers import pack
from relay.config import MIN_MEDIA_KBIT_PER_S, RelayConfig

MAX_PER_CORE = 4
"""Workers per core above which a setting is a slip; more than one already gains nothing."""

_LEAST_BANDWIDTH = 125_000
_LEAST_MEMORY = 1 << 20
"""Of `RelayConfig`, for each worker."""


def check_cores(workers: int, cores: int) -> str | None:
    """Return a warning if workers will wait for one another; None if they need not.

    Raises:
        ConfigError: If there are more than `MAX_PER_CORE` for each core.
    """
    has = f"workers is {workers} and this host lets the relay use {_cores(cores)}"
    if workers > MAX_PER_CORE * cores:
        raise ConfigError(
            f"{has}; at most {MAX_PER_CORE * cores} make sense: use {cores}"
        )
    if workers > cores:
        return f"{has}: they wait for one another, {cores} would forward as much"
    return None


def check_ports(endpoints: Sequence[Endpoint], config: NodeConfig) -> None:
    """See that the workers listen where the registry says that the node is.

    Args:
        endpoints: Of the node's record.
        config: Its settings.

    Raises:
        ConfigError: If not; the text says what to change.
    """
    ports = [worker[0].port for worker in by_worker(endpoints)]
    if config.listen.port != ports[0]:
        raise ConfigError(
            f"listen.port is {config.listen.port}, the registry says {ports}; nobody "
            "would find this relay"
            if config.listen.port not in ports
            else f"listen.port is {config.listen.port}, the registry's first port is "
            f"{ports[0]} (of {ports}), where the relay's services are looked for; "
            f"set listen.port to that"
        )
    if config.workers != len(ports):
        raise ConfigError(
            f"workers is {config.workers}, the registry has {_ports(ports)} for this "
            f"relay; set workers to {len(ports)}, or publish one port for each worker "
            "(psp relay update, or a new entry for the trusted partners)"
        )


def share(config: NodeConfig) -> RelayConfig:
    """Return one worker's limits: memory and bandwidth are shared out evenly.

    Raises:
        ConfigError: If a share would be less than a relay needs.
    """
    relay, workers = config.relay, config.workers
    memory, bandwidth = (
        relay.max_mem_bytes // workers,
        relay.bandwidth_bytes_per_s // workers,
    )
    if memory < _LEAST_MEMORY or 0 < relay.bandwidth_bytes_per_s < (
        _LEAST_BANDWIDTH * workers
    ):
        raise ConfigError(
            f"{workers} workers share relay.max_mem_bytes = {relay.max_mem_bytes} and "
            f"relay.bandwidth_bytes_per_s = {relay.bandwidth_bytes_per_s}; each needs "
            f"{_LEAST_MEMORY} and {_LEAST_BANDWIDTH}: use fewer workers or more of both"
        )
    if 0 < relay.media_kbit_per_s < MIN_MEDIA_KBIT_PER_S * workers:
        raise ConfigError(
            f"{workers} workers share relay.media_kbit_per_s = "
            f"{relay.media_kbit_per_s}; each needs {MIN_MEDIA_KBIT_PER_S}: use fewer "
            "workers or more of it"
        )
    return replace(
        relay,
        max_mem_bytes=memory,
        bandwidth_bytes_per_s=bandwidth,
        media_kbit_per_s=relay.media_kbit_per_s // workers,
    )


def endpoints_for(
    endpoints: Sequence[Endpoint], workers: int, *, named: str
) -> tuple[Endpoint, ...]:
    """Return a record's endpoints for so many workers, from those that were given.

    Where one port is given, the workers take it and the ones after it, at every address.

    Args:
        endpoints: As given.
        workers: How many.
        named: What the number of workers is called, for errors.

    Raises:
        ConfigError: If that gives no port for each worker.
    """
    ports = [worker[0].port for worker in by_worker(endpoints)]
    if len(ports) == workers:
        return tuple(endpoints)
    if len(ports) != 1:
        raise ConfigError(
            f"{named} is {workers}, --endpoint names {_ports(ports)}; give one port for "
            "each worker, or the first alone"
        )
    last = ports[0] + workers - 1
    if last > 65_535:
        raise ConfigError(
            f"{workers} workers from port {ports[0]} on would need port {last}; take a "
            f"first port of {65_536 - workers} at most"
        )
    return tuple(
        Endpoint(endpoint.host, endpoint.port + number)
        for number in range(workers)
        for endpoint in endpoints
    )


def check_endpoints(endpoints: Sequence[Endpoint]) -> None:
    """See that a record has room for so many endpoints.

    Raises:
        ConfigError: If not, or if one is given twice.
    """
    try:
        pack(endpoints)
    except LocalProtocolError as error:
        raise ConfigError(f"--endpoint: {error}") from None


def _cores(count: int) -> str:
    return "one core" if count == 1 else f"{count} cores"


def _ports(ports: Sequence[int]) -> str:
    word = "port" if len(ports) == 1 else "ports"
    return f"{len(ports)} {word} ({', '.join(map(str, ports))})"
