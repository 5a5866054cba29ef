"""Who may ask: requests meant for this host, from no foreign page, with the token.

A page in the browser of the same user can send requests to 127.0.0.1, too. Three things
keep it out: the Host header must name this host (a name of the attacker's that was made
to point here does not, DNS rebinding); an Origin, and what browsers say of the sender,
must be in the settings; and nothing is done without the token. Pure.
"""

from collections.abc import Mapping

from psp.crypto.primitives import equal
from psp.gateway.problems import Kind

LOOPBACK = "127.0.0.1"

_SCHEME = "bearer "
_CROSS = frozenset({"cross-site", "same-site"})
"""What Sec-Fetch-Site says of requests that another page makes."""
_PREFLIGHT_SECONDS = 600
"""For which a browser may keep the answer to a preflight; our choice."""

METHODS = "GET, POST, PUT, PATCH, DELETE"
HEADERS = "Authorization, Content-Type, Last-Event-ID"

ALWAYS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Server": "psp",
}
"""On every answer: nothing is kept, embedded or taken for something else."""


class Access:
    """Decides on requests by their headers."""

    def __init__(self, token: str, origins: tuple[str, ...], port: int) -> None:
        """Name who may ask.

        Args:
            token: What programs must show.
            origins: Of pages that may ask.
            port: On which the gateway listens.
        """
        self._token = token.encode()
        self._origins = frozenset(origins)
        self._hosts = frozenset(f"{host}:{port}" for host in (LOOPBACK, "localhost"))

    def refusal(self, headers: Mapping[str, str], *, is_open: bool) -> Kind | None:
        """Return why a request is refused; None lets it pass.

        Args:
            headers: Of the request; looked up without regard to case.
            is_open: Whether it needs no token.
        """
        if headers.get("Host", "").lower() not in self._hosts:
            return Kind.FOREIGN_HOST
        origin = headers.get("Origin")
        if origin is not None and origin not in self._origins:
            return Kind.FOREIGN_ORIGIN
        if origin is None and headers.get("Sec-Fetch-Site", "") in _CROSS:
            return Kind.FOREIGN_ORIGIN
        if not is_open and not self._has_token(headers.get("Authorization", "")):
            return Kind.UNAUTHORIZED
        return None

    def answer_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return what an answer to a request with these headers says of itself."""
        origin = headers.get("Origin", "")
        shown = {**ALWAYS, "Vary": "Origin"}
        if origin in self._origins:
            shown["Access-Control-Allow-Origin"] = origin
            shown["Cross-Origin-Resource-Policy"] = "cross-origin"
        return shown

    def preflight_headers(self, headers: Mapping[str, str]) -> dict[str, str] | None:
        """Return the answer to a browser that asks first; None refuses it."""
        refusal = self.refusal(headers, is_open=True)
        if refusal is not None or headers.get("Origin") is None:
            return None
        shown = {
            **self.answer_headers(headers),
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": HEADERS,
            "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
        }
        if "Access-Control-Request-Private-Network" in headers:
            shown["Access-Control-Allow-Private-Network"] = "true"
        return shown

    def _has_token(self, authorization: str) -> bool:
        scheme, shown = authorization[: len(_SCHEME)], authorization[len(_SCHEME) :]
        is_equal = equal(shown.strip().encode(errors="replace"), self._token)
        return is_equal and scheme.lower() == _SCHEME
