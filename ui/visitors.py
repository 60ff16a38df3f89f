"""Who a request comes from: the name of a login, else the browser itself where strangers share a page."""

import hashlib
import hmac
import re
import secrets
from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

USER = "rag.user"
"""The key of a request's scope that holds its user."""
BROWSER = "rag.browser"
"""The key that holds what tells this browser from others."""
COOKIE = "rag-browser"
SECONDS = 180 * 24 * 3600

_ID = re.compile(r"[0-9a-f]{32}")


def user_of(request: Any) -> str:
    """Returns whose request it is, of FastAPI or of Gradio: chats and other things of a person's own are kept by it.

    It is the name of the login; without one it is "" where only this machine reaches the page, and else an id of the
    browser, which begins with "~" as no name of a login does.
    """
    plain = getattr(request, "request", None) or request  # gr.Request wraps FastAPI's
    return str(plain.scope.get(USER, ""))


def headers_of(scope: MutableMapping[str, Any]) -> dict[str, str]:
    """Returns the headers of a request by their names in lower case; the last of several counts."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def cookies_of(headers: dict[str, str]) -> dict[str, str]:
    """Returns the cookies of a request; what is no cookie is left out."""
    jar: SimpleCookie = SimpleCookie()
    for piece in headers.get("cookie", "").split(";"):
        try:
            jar.load(piece.strip())
        except CookieError:
            continue
    return {name: morsel.value for name, morsel in jar.items()}


def cookie_name(stem: str, scope: MutableMapping[str, Any]) -> str:
    """Returns a cookie's name with our port: a browser shares cookies among all the servers of a machine."""
    server = scope.get("server") or ("", 0)
    return f"{stem}-{server[1]}"


def cookie(name: str, value: str, seconds: int, scope: MutableMapping[str, Any]) -> tuple[bytes, bytes]:
    """Returns the header that sets a cookie which no script reads, no other site sends and no open network sees."""
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    text = f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    return b"set-cookie", text.encode("latin-1")


def browser_of(cookies: dict[str, str], scope: MutableMapping[str, Any]) -> str:
    """Returns the id in a browser's cookie, "" where there is none."""
    known = cookies.get(cookie_name(COOKIE, scope), "")
    return known if _ID.fullmatch(known) else ""


def new_browser(scope: MutableMapping[str, Any]) -> tuple[str, tuple[bytes, bytes]]:
    """Makes an id and the header that sets its cookie."""
    identity = secrets.token_hex(16)
    return identity, cookie(cookie_name(COOKIE, scope), identity, SECONDS, scope)


class Visitors:
    """ASGI middleware that knows browsers again; where strangers share a page without a login, each is a user."""

    def __init__(self, app: Any, shared: bool) -> None:
        self._app = app
        self._shared = shared

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Passes a request on with its browser and its user; the page itself brings the cookie where there is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        browser = browser_of(cookies_of(headers_of(scope)), scope)
        header = None
        if not browser and scope["path"] == "/":
            browser, header = new_browser(scope)
        scope[BROWSER] = browser
        scope.setdefault(USER, f"~{browser}" if self._shared else "")

        async def sent(message: MutableMapping[str, Any]) -> None:
            if header and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        await self._app(scope, receive, sent)


class Namespaces:
    """Keeps the names that pages choose for their sessions apart, so that no browser can name another one's."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def inside(self, browser: str, session: str) -> str:
        """Returns a session's name as it is known to Gradio."""
        return hmac.new(self._secret, f"{browser}/{session}".encode(), hashlib.sha256).hexdigest()[:32]
