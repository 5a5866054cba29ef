"""Settings of the local gateway (psp/client/gateway_config.py)."""

import pytest

from psp.client.gateway_config import GatewayConfig
from psp.errors import ConfigError


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:8000",
        "http://localhost",
        "https://app.example",
        "http://[::1]:8000",
        "app://psp",
    ],
)
def test_an_origin_is_what_a_browser_sends(origin):
    assert GatewayConfig(origins=(origin,)).origins == (origin,)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "",
        "localhost:8000",
        "http://",
        "http://localhost:8000/",
        "http://localhost:8000/page",
        "http://Localhost:8000",
        "http://user@localhost",
        "http://localhost:80",
        "https://localhost:443",
        "http://localhost:99999",
        "http://[::1",
    ],
)
def test_what_no_browser_would_send_is_refused(origin):
    with pytest.raises(ConfigError, match=r"gateway\.origins"):
        GatewayConfig(origins=(origin,))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", -1),
        ("port", 65_536),
        ("max_streams", 0),
        ("max_watches", 0),
        ("heartbeat", 0.0),
        ("answer_within", -1.0),
    ],
)
def test_what_cannot_be_is_named(name, value):
    with pytest.raises(ConfigError, match=rf"gateway\.{name}"):
        GatewayConfig(**{name: value})
