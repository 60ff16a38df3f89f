"""The door to Gradio: of its routes only those that the page uses, and no visitor in the session of another.

Gradio 6.31 has many more: files of the server, uploads, a proxy, recordings that it has converted, tools for agents.
Its page chooses the name of its session itself, and whoever knows that name can follow the session and end it.
"""

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ui.guard import NONCE, Application, Message, Receive, Send, refuse
from ui.limits import MOST_BODY, replayed, whole_body
from ui.visitors import BROWSER, USER, Namespaces

READ = re.compile(
    r"/(?:config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)?"
    r"|/(?:assets|static|svelte)/[\w./@+-]+"
    r"|/gradio_api/(?:info|app_id|startup-events|login_check|theme\.css|queue/data|queue/status)/?"
    r"|/gradio_api/heartbeat/[\w-]{1,64}"
)
WRITTEN = re.compile(r"/gradio_api/(?:queue/join|run/\w{1,64}|api/\w{1,64}|cancel|reset)/?")
SESSION = "session_hash"


class Door:
    """ASGI application around Gradio's own."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._names = Namespaces()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes on what the page asks for, and answers all else with 404."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        known = WRITTEN if method == "POST" else READ
        if not known.fullmatch(path) or ".." in path:
            await refuse(send, 404, "There is nothing here.")
        elif method == "POST":
            await self._post(scope, receive, send)
        elif path == "/":
            await self._app(_plain(scope), receive, _marking(send, scope[NONCE]))
        else:
            await self._app(self._renamed(scope), receive, send)

    async def _post(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes on a body in which the session is named as it is known inside."""
        body = await whole_body(scope, receive, MOST_BODY)
        try:
            sent = json.loads(body)
        except (ValueError, RecursionError):
            await refuse(send, 400, "The request is not JSON.")
            return
        if not isinstance(sent, dict):
            await refuse(send, 400, "The request is no JSON object.")
            return
        if sent.get(SESSION) is not None:
            sent[SESSION] = self._inside(scope, sent[SESSION])
        body = json.dumps(sent).encode()
        headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-length"]
        scope = {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}
        await self._app(scope, replayed(body, receive), send)

    def _renamed(self, scope: Message) -> Message:
        """Returns the request with the session of its query or its path named as it is known inside."""
        asked = [
            (name, self._inside(scope, value) if name == SESSION else value)
            for name, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        ]
        scope = {**scope, "query_string": urlencode(asked).encode()}
        before, heartbeat, session = scope["path"].partition("/heartbeat/")
        if heartbeat:
            path = f"{before}{heartbeat}{self._inside(scope, session)}"
            scope |= {"path": path, "raw_path": path.encode()}
        return scope

    def _inside(self, scope: Message, session: Any) -> str:
        return self._names.inside(f"{scope.get(USER, '')}/{scope.get(BROWSER, '')}", str(session))


def _plain(scope: Message) -> Message:
    """Returns the request for the page without a query, which Gradio would take a stored state from, or compression."""
    headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"accept-encoding"]
    return {**scope, "query_string": b"", "headers": headers}


def _marking(send: Send, nonce: str) -> Send:
    """Returns a `send` that marks the scripts of Gradio's page as ours.

    What Gradio writes into them is JSON whose "<" is escaped, so that nothing inside a script can look like a script.
    """
    start: list[Message] = []
    pieces = bytearray()

    async def send_marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.append(message)
            return
        if message["type"] != "http.response.body":
            await send(message)
            return
        pieces.extend(message.get("body", b""))
        if message.get("more_body", False):
            return
        body = bytes(pieces).replace(b"<script", f'<script nonce="{nonce}"'.encode())
        kept = [(name, value) for name, value in start[0]["headers"] if name.lower() != b"content-length"]
        await send({**start[0], "headers": [*kept, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    return send_marked
