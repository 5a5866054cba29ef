"""Settings of the local gateway: how programs on this host reach a client over HTTP.

They are part of the client's settings file, so they lie here; `psp.gateway` uses them.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from psp.errors import ConfigError
from psp.units import Seconds

DEFAULT_PORT = 8790
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """How programs on this host reach the client: HTTP on 127.0.0.1, with a token.

    Attributes:
        port: TCP port on 127.0.0.1; 0 for any that is free.
        token_file: The file with the token that programs must show; made (mode 0600)
            when it is missing, remove it for a new token. Without a value it is
            gateway.token in state_dir.
        origins: Web pages that may use the gateway, by origin, such as
            http://127.0.0.1:8000. They need the token as well.
        max_streams: Event streams open at a time.
        max_watches: Watches open at a time.
        heartbeat: Seconds between two signs of life on a quiet stream.
        answer_within: Seconds after which a request is given up.
    """

    port: int = DEFAULT_PORT
    token_file: Path | None = None
    origins: tuple[str, ...] = ()
    max_streams: int = 16
    max_watches: int = 16
    heartbeat: Seconds = Seconds(15.0)
    answer_within: Seconds = Seconds(60.0)

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigError: Naming the key, the value and the cure.
        """
        if not 0 <= self.port <= _MAX_PORT:
            raise ConfigError(f"gateway.port = {self.port}: must be 0 … {_MAX_PORT}")
        for name in ("max_streams", "max_watches", "heartbeat", "answer_within"):
            if (value := getattr(self, name)) <= 0:
                raise ConfigError(f"gateway.{name} = {value}: must be above 0")
        for origin in self.origins:
            if not _is_origin(origin):
                raise ConfigError(
                    f"gateway.origins has {origin!r:.100}: write scheme://host:port in "
                    "lower case and nothing behind, such as http://127.0.0.1:8000"
                )


def _is_origin(text: str) -> bool:
    """Tell whether a browser would send this as an origin; "*" and "null" are none."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    rebuilt = f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")
    is_default = (parts.scheme, port) in {("http", 80), ("https", 443)}
    return bool(parts.scheme and host) and rebuilt == text and not is_default
