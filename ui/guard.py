"""What stands between the page and strangers: a content policy, our names, and no requests on behalf of other sites.

A browser that may reach the page also runs pages of strangers: those must neither send it requests (Gradio 6.31 carries
out a POST from a foreign origin) nor read it, be it across origins (Gradio lets every origin read a server that is not
on a loopback address) or under a name of their own (DNS rebinding).
"""

import ipaddress
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from ui.access import LOOPBACK
from ui.visitors import headers_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

SAFE_METHODS = frozenset({"GET", "HEAD"})
METHODS = SAFE_METHODS | {"POST"}

MOST_TARGET = 8 << 10
"""Bytes of a request's path and query."""
MOST_HEAD = 16 << 10
"""Bytes of its headers."""

NONCE = "rag.nonce"
"""The key of a request's scope that holds what scripts of the page are marked with; no other inline script runs."""
FORWARDED = (b"x-forwarded-", b"x-gradio-server", b"x-real-ip", b"forwarded")

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),  # with none, a browser says "Origin: null" of our own forms
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_HOST = re.compile(r"(?:([\w.-]+)|\[([0-9a-f:.]+)\])(?::\d+)?", re.ASCII)
_POLICY_HEADER = b"content-security-policy"
_KEPT_PRIVATE = (b"text/html", b"application/json", b"text/event-stream")


def policy(nonce: str) -> str:
    """Returns the content policy: nothing from elsewhere, and no inline script but those marked with the nonce."""
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'nonce-{nonce}'",  # Gradio writes its configuration into the page
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "frame-src 'none'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def own_names(allowed: Iterable[str]) -> frozenset[str]:
    """Returns the names under which a server that others reach is asked for: this machine's own and those allowed."""
    machine = socket.gethostname().lower()
    return LOOPBACK | {machine, f"{machine.partition('.')[0]}.local", *(name.lower() for name in allowed)}


class Guard:
    """ASGI middleware that adds the headers and refuses what is not for us or not from us.

    `hosts` are our names; with `addresses` any IP address is one too, as none can be rebound. `proxies` are the
    networks whose word is taken for who asks, and how; of all others the headers that tell so are dropped.
    """

    def __init__(
        self, app: Application, hosts: frozenset[str], addresses: bool = False, proxies: Networks = ()
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._addresses = addresses
        self._proxies = proxies

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it; nothing here speaks WebSocket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = headers_of(scope)
        self._believe_proxy(scope, headers)
        scope[NONCE] = secrets.token_urlsafe(16)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _strict(message.get("headers", ()), scope[NONCE])
            await send(message)

        refusal = _unfit(scope, headers) or self._foreign(scope, headers)
        if refusal:
            await refuse(guarded, *refusal)
        else:
            await self._app(scope, receive, guarded)

    def _foreign(self, scope: Message, headers: dict[str, str]) -> tuple[int, str] | None:
        """Tells why a request is refused that was made under another name than ours, or by the page of another site."""
        host = headers.get("host", "").lower()
        name = _hostname(host)
        if name not in self._hosts and not (self._addresses and _is_address(name)):
            shown = ascii((name or host)[:100])[1:-1]
            return 403, f"This server does not answer to the name '{shown}'. Whoever runs it may allow it: --allow-host"
        if scope["method"] not in METHODS:
            return 405, "Nothing here takes such a request."
        origin = headers.get("origin")
        told = headers.get("sec-fetch-site", "none")
        opened = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        from_elsewhere = told not in ("same-origin", "none") and not (opened and scope["method"] in SAFE_METHODS)
        if from_elsewhere or (origin is not None and _netloc(origin) != host):
            return 403, "This request comes from another site and is refused."
        return None

    def _believe_proxy(self, scope: Message, headers: dict[str, str]) -> None:
        """Takes over what a trusted proxy says, and drops those headers: Gradio would believe anybody's."""
        client = scope.get("client")
        if client and self._trusted(client[0]):
            if headers.get("x-forwarded-proto") in ("http", "https"):
                scope["scheme"] = headers["x-forwarded-proto"]
            told = [each.strip() for each in headers.get("x-forwarded-for", "").split(",") if each.strip()]
            visitor = next((each for each in reversed(told) if not self._trusted(each)), client[0])
            scope["client"] = (visitor, 0)
        scope["headers"] = [pair for pair in scope["headers"] if not pair[0].lower().startswith(FORWARDED)]

    def _trusted(self, address: str) -> bool:
        return _is_address(address) and any(ipaddress.ip_address(address) in network for network in self._proxies)


async def refuse(send: Send, status: int, text: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Answers a request in one line, and closes the connection: what it still sends is not read."""
    body = f"{text}\n".encode()
    plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send(
        {"type": "http.response.start", "status": status, "headers": [*plain, (b"connection", b"close"), *headers]}
    )
    await send({"type": "http.response.body", "body": body})


def _strict(theirs: Iterable[tuple[bytes, bytes]], nonce: str) -> list[tuple[bytes, bytes]]:
    """Returns an answer's headers with ours, without those that let other origins read it."""
    ours = {_POLICY_HEADER, *(name for name, _ in HEADERS)}
    kept = [(name.lower(), value) for name, value in theirs]
    kept = [(name, value) for name, value in kept if name not in ours and not name.startswith(b"access-control-")]
    named = dict(kept)
    if named.get(b"content-type", b"").startswith(_KEPT_PRIVATE) and b"cache-control" not in named:
        kept.append((b"cache-control", b"no-store"))
    return [*kept, (_POLICY_HEADER, policy(nonce).encode()), *HEADERS]


def _unfit(scope: Message, headers: dict[str, str]) -> tuple[int, str] | None:
    """Tells why a request is refused that is too long, or whose end a proxy may see elsewhere (RFC 9112, 6.1)."""
    if "transfer-encoding" in headers and "content-length" in headers:
        return 400, "The request has two lengths."
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_TARGET:
        return 414, f"The address has more than {MOST_TARGET:,} bytes."
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEAD:
        return 431, f"The headers have more than {MOST_HEAD:,} bytes."
    return None


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _hostname(host: str) -> str | None:
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]) if match else None


def _is_address(name: str | None) -> bool:
    try:
        ipaddress.ip_address(name or "")
    except ValueError:
        return False
    return True
