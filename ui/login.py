"""The login: everything but its own page and `/healthz` is closed to whoever has not given a password."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import parse_qs, quote

from ui.accounts import Accounts
from ui.guard import Application, Message, Receive, Send, refuse
from ui.limits import TooLargeError, whole_body
from ui.login_page import account_html, login_html
from ui.throttle import Throttle
from ui.visitors import USER, cookie, cookie_name, cookies_of, headers_of
from ui.words import about_time

COOKIE = "rag-login"
SECONDS = 12 * 3600
"""How long a login lasts after the page was last opened."""
RENEW = 3600
"""Seconds after which opening the page makes a login last longer."""
MOST_FORM = 8 << 10
AT_ONCE = 2
"""Passwords that are hashed at the same time; each takes memory."""
WAITING = 16
"""Passwords that may wait for it; more are refused."""

WRONG = "The user or the password is wrong."
ENDED = "Your login has ended. Reload the page and log in again."


class Logins:
    """Signed tokens of those who have logged in; the secret is this process's own, so a restart ends them all."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._ended: dict[str, float] = {}

    def new(self, user: str) -> str:
        """Makes a token for a user."""
        text = f"{user}\n{int(self._clock()) + SECONDS}\n{secrets.token_hex(16)}"
        return f"{base64.urlsafe_b64encode(text.encode()).decode()}.{self._mark(text)}"

    def user(self, token: str) -> tuple[str, float]:
        """Returns whose token it is and the seconds that it is still good for; ("", 0) where it is none of ours."""
        user, until, identity = self._read(token)
        left = until - self._clock()
        return (user, left) if left > 0 and identity not in self._ended else ("", 0.0)

    def end(self, token: str) -> None:
        """Makes a token worthless."""
        now = self._clock()
        self._ended = {identity: until for identity, until in self._ended.items() if until > now}
        _, until, identity = self._read(token)
        if until > now:
            self._ended[identity] = until

    def _read(self, token: str) -> tuple[str, float, str]:
        coded, _, mark = token.partition(".")
        try:
            text = base64.urlsafe_b64decode(coded).decode()
        except (binascii.Error, ValueError):
            return "", 0.0, ""
        if not hmac.compare_digest(mark.encode(), self._mark(text).encode()):
            return "", 0.0, ""
        user, until, identity = text.split("\n")
        return user, float(until), identity

    def _mark(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


class Login:
    """ASGI middleware that answers `/login` and `/logout` and lets through only who is logged in."""

    def __init__(self, app: Application, accounts: Accounts, throttle: Throttle | None = None) -> None:
        self._app = app
        self._accounts = accounts
        self._throttle = throttle or Throttle()
        self._logins = Logins()
        self._hashing = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes a request on with its user, or answers it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        name = cookie_name(COOKIE, scope)
        token = cookies_of(headers_of(scope)).get(name, "")
        user, left = self._logins.user(token)
        path, posted = scope["path"], scope["method"] == "POST"
        if path == "/login":
            await (self._log_in(scope, receive, send) if posted else _show(scope, send, user))
        elif path == "/logout" and posted:
            self._logins.end(token)
            await _redirect(send, "/login", cookie(name, "", 0, scope))
        elif user:
            scope[USER] = user
            renewed = path == "/" and left < SECONDS - RENEW
            await self._app(scope, receive, self._renewing(scope, send, user) if renewed else send)
        elif path == "/healthz":
            await self._app(scope, receive, send)
        else:
            await _turn_away(scope, send)

    def _renewing(self, scope: Message, send: Send, user: str) -> Send:
        async def send_renewed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), self._cookie(scope, user)]
            await send(message)

        return send_renewed

    def _cookie(self, scope: Message, user: str) -> tuple[bytes, bytes]:
        return cookie(cookie_name(COOKIE, scope), self._logins.new(user), SECONDS, scope)

    async def _log_in(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            form = parse_qs((await whole_body(scope, receive, MOST_FORM)).decode("utf-8", "replace"), max_num_fields=8)
        except TooLargeError:
            await refuse(send, 413, "The form is too large.")
            return
        except (TimeoutError, ValueError):
            await refuse(send, 400, "The form has not come, or is none.")
            return
        user, password, to = (form.get(key, [""])[0] for key in ("user", "password", "to"))
        address = (scope.get("client") or ("", 0))[0]
        wait = self._throttle.wait(user, address)
        if wait or self._waiting >= WAITING:
            text = f"Too many wrong passwords. Try again in {about_time(max(wait, 2)).removeprefix('about ')}."
            text = text if wait else "Too many people are logging in at this moment. Try again in a minute."
            retry = (b"retry-after", str(wait or 60).encode())
            await _html(send, 429, login_html(_own(to), user[:64], text), retry)
        elif await self._is_right(user, password, address):
            await _redirect(send, _own(to), self._cookie(scope, user))
        else:
            await _html(send, 401, login_html(_own(to), user[:64], WRONG))

    async def _is_right(self, user: str, password: str, address: str) -> bool:
        self._throttle.failed(user, address)
        self._waiting += 1
        try:
            async with self._hashing:
                right = await asyncio.to_thread(self._accounts.check, user, password)
        finally:
            self._waiting -= 1
        if right:
            self._throttle.succeeded(user, address)
        return right


def _own(to: str) -> str:
    """Returns where a login leads, "/" where that is no page of ours: a link must not lead through it to elsewhere.

    >>> _own("/?tab=library"), _own("//evil.test"), _own("https://evil.test/")
    ('/?tab=library', '/', '/')
    """
    inside = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable() and to.isascii()
    return to if inside and len(to) <= 2_000 else "/"


async def _show(scope: Message, send: Send, user: str) -> None:
    to = parse_qs(scope["query_string"].decode("latin-1")).get("to", ["/"])[0]
    await _html(send, 200, account_html(user) if user else login_html(_own(to)))


async def _turn_away(scope: Message, send: Send) -> None:
    """Leads a page to the login, and tells a script that it needs one."""
    headers = headers_of(scope)
    if scope["method"] == "GET" and scope["path"] == "/" and "text/html" in headers.get("accept", ""):
        query = scope["query_string"].decode("latin-1")
        await _redirect(send, f"/login?to={quote(f'/?{query}')}" if query else "/login")
        return
    body = f'{{"error":"{ENDED}"}}'.encode()
    status = HTTPStatus.UNAUTHORIZED
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


async def _html(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    kind = (b"content-type", b"text/html; charset=utf-8")
    await send({"type": "http.response.start", "status": status, "headers": [kind, *headers]})
    await send({"type": "http.response.body", "body": text.encode("utf-8", "replace")})


async def _redirect(send: Send, to: str, *headers: tuple[bytes, bytes]) -> None:
    place = (b"location", quote(to, safe="/?=&%").encode())
    await send({"type": "http.response.start", "status": HTTPStatus.SEE_OTHER, "headers": [place, *headers]})
    await send({"type": "http.response.body", "body": b""})
