"""A local server that speaks the streamed chat formats of OpenAI, Ollama and Anthropic, and follows a script."""

import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """What the server does with one request: what it writes, piece by piece, and what goes wrong.

    `answer` is a text, which is cut into pieces of a few characters, or a list of the pieces, or a function that makes
    either of them from the messages. The server waits `delay` seconds before the first piece and `pause` between two.
    """

    answer: object = "Yes."
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: object = None
    delay: float = 0.0
    pause: float = 0.0
    usage: tuple | None = (120, 30)
    finish: str | None = "stop"  # None: the stream ends without a reason
    cut_after: int | None = None  # the connection is reset after so many pieces
    error_after: int | None = None  # an error is written into the stream after so many pieces
    hang_after: int | None = None  # nothing more comes after so many pieces, until the client leaves


@dataclass
class Asked:
    """One request as it came in; `left` is when its client left before the end."""

    path: str
    headers: dict
    body: dict
    at: float
    left: float | None = None

    @property
    def messages(self):
        first = [("system", _text(self.body["system"]))] if "system" in self.body else []
        return [*first, *((message["role"], _text(message["content"])) for message in self.body["messages"])]

    @property
    def system(self):
        return "\n".join(text for role, text in self.messages if role == "system")

    @property
    def last(self):
        return self.messages[-1][1]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # a client that has left


class ScriptedLlm:
    """Serves on 127.0.0.1 until closed. `script` holds the next replies, the last one of which goes on for ever."""

    def __init__(self, *script):
        self.say(*(script or [Reply()]))
        self.asked = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def say(self, *script):
        """Replaces what is left of the script; a text is a reply that answers with it."""
        self.script = [reply if isinstance(reply, Reply) else Reply(reply) for reply in script]

    def close(self):
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def wait_left(self, number=-1, seconds=5.0):
        """Waits until the client of a request has left; returns when, None if it stayed."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.asked[number].left is None:
            time.sleep(0.005)
        return self.asked[number].left

    def _next(self):
        with self._lock:
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def _handler(server):  # noqa: N805, C901  # the handler below has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                asked = Asked(self.path, dict(self.headers), body, time.monotonic())
                with server._lock:
                    server.asked.append(asked)
                reply = server._next()
                try:
                    if self.stays(reply.delay):
                        self.reply(asked, reply)
                except (BrokenPipeError, ConnectionResetError):
                    asked.left = time.monotonic()

            def stays(self, seconds):
                """Waits, and raises when the client leaves meanwhile; tells whether the server goes on."""
                until = time.monotonic() + seconds
                while not server._closing.is_set():
                    self.connection.settimeout(max(0.001, min(0.02, until - time.monotonic())))
                    try:
                        if self.connection.recv(1, socket.MSG_PEEK) == b"":
                            raise ConnectionResetError
                    except TimeoutError:
                        pass
                    finally:
                        self.connection.settimeout(None)
                    if time.monotonic() >= until:
                        return True
                return False

            def reply(self, asked, reply):
                if reply.status != 200:
                    said = reply.body if reply.body is not None else {"error": {"message": "out of order"}}
                    self.whole(reply.status, said, reply.headers)
                    return
                answer = reply.answer(asked.messages) if callable(reply.answer) else reply.answer
                pieces = [answer[i : i + 4] for i in range(0, len(answer), 4)] if isinstance(answer, str) else answer
                form = {"/api/chat": _Ollama, "/v1/messages": _Anthropic}.get(asked.path, _OpenAI)
                self.start(200, {"content-type": form.kind, "transfer-encoding": "chunked", **reply.headers})
                self.stream(form, asked, pieces, reply)

            def stream(self, form, asked, pieces, reply):
                for first in form.first(asked.body, reply):
                    self.chunk(first)
                for number, piece in enumerate(pieces):
                    if number == reply.cut_after:
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        self.close_connection = True
                        self.connection.close()
                        return
                    if number == reply.error_after:
                        self.chunk(form.error("the model ran out of memory"))
                        break
                    if number == reply.hang_after and not self.stays(60):
                        return
                    self.chunk(form.piece(asked.body, piece))
                    if not self.stays(reply.pause):
                        return
                else:
                    for last in form.last(asked.body, reply):
                        self.chunk(last)
                self.wfile.write(b"0\r\n\r\n")

            def chunk(self, text):
                data = text.encode()
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

            def start(self, status, headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def whole(self, status, body, headers):
                data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                kind = {"content-type": "application/json", "content-length": str(len(data))}
                self.start(status, {**kind, **headers})
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        return Handler


# --- the formats


class _OpenAI:
    """Server-sent events with chunks of a chat completion; the usage comes last, and only if it was asked for."""

    kind = "text/event-stream"

    @staticmethod
    def first(body, reply):
        return ()

    @staticmethod
    def piece(body, text):
        return _event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]}, body)

    @staticmethod
    def last(body, reply):
        if reply.finish:
            yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": reply.finish}]}, body)
        if reply.usage and (body.get("stream_options") or {}).get("include_usage"):
            yield _event({"choices": [], "usage": _usage(reply)}, body)
        if reply.finish:
            yield "data: [DONE]\n\n"

    @staticmethod
    def error(words):
        return f"data: {json.dumps({'error': {'message': words, 'type': 'server_error'}})}\n\n"


class _Ollama:
    """One JSON object a line."""

    kind = "application/x-ndjson"

    @staticmethod
    def first(body, reply):
        return ()

    @staticmethod
    def piece(body, text, **more):
        message = {"role": "assistant", "content": text}
        made = {"model": body["model"], "created_at": "2025-01-01T00:00:00Z", "message": message, "done": False}
        return json.dumps({**made, **more}) + "\n"

    @staticmethod
    def last(body, reply):
        if reply.finish:
            counts = dict(zip(("prompt_eval_count", "eval_count"), reply.usage or (), strict=False))
            yield _Ollama.piece(body, "", done=True, done_reason=reply.finish, **counts)

    @staticmethod
    def error(words):
        return json.dumps({"error": words}) + "\n"


class _Anthropic:
    """Server-sent events with names; what was read is counted at the beginning, what was written at the end."""

    kind = "text/event-stream"

    @staticmethod
    def first(body, reply):
        usage = {"input_tokens": reply.usage[0] if reply.usage else 0, "output_tokens": 0}
        message = {"id": "1", "type": "message", "role": "assistant", "model": body["model"], "content": []}
        start = {"message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}}
        yield _named("message_start", start)
        yield _named("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})

    @staticmethod
    def piece(body, text):
        return _named("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": text}})

    @staticmethod
    def last(body, reply):
        yield _named("content_block_stop", {"index": 0})
        if reply.finish:
            reason = {"stop": "end_turn", "length": "max_tokens"}[reply.finish]
            usage = dict(zip(("input_tokens", "output_tokens"), reply.usage or (0, 0), strict=True))
            yield _named("message_delta", {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage})
            yield _named("message_stop", {})

    @staticmethod
    def error(words):
        return _named("error", {"error": {"type": "overloaded_error", "message": words}})


def _named(name, data):
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n"


def _event(made, body):
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    return f"data: {json.dumps({**head, **made})}\n\n"


def _usage(reply):
    read, written = reply.usage
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _text(content):
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
