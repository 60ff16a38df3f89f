"""Connections of those who dawdle, over real sockets: what never comes whole is ended, and nobody else waits for it."""

import socket
import time

import httpx
import pytest

from ui import connections, limits
from ui.access import Access
from web_app import opened_app, serving


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setattr(connections, "HEAD_SECONDS", 0.5)
    patch.setattr(limits, "BODY_SECONDS", 0.5)
    with opened_app(tmp_path_factory.mktemp("slow") / "home", Access()) as app, serving(app) as address:
        yield address
    patch.undo()


def connect(url):
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def ended_after(connection):
    """Returns what is still answered and the seconds until the other side has closed."""
    started, answer = time.monotonic(), b""
    try:
        while piece := connection.recv(65_536):
            answer += piece
    except ConnectionResetError:
        pass
    return answer, time.monotonic() - started


@pytest.mark.parametrize("head", [b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b"])
def test_a_head_that_never_ends(url, head):
    with connect(url) as connection:
        connection.sendall(head)
        answer, seconds = ended_after(connection)
    assert answer == b"" and 0.3 < seconds < 5


def test_a_head_byte_by_byte(url):
    with connect(url) as connection:
        started = time.monotonic()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            for _ in range(100):
                connection.sendall(b"G")
                time.sleep(0.05)
        assert time.monotonic() - started < 5


def test_a_second_request_on_the_same_connection_is_waited_for_no_longer(url):
    with connect(url) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200 OK" in connection.recv(65_536)
        connection.sendall(b"GET /healthz HT")
        _, seconds = ended_after(connection)
    assert seconds < 8  # at the latest when an idle connection ends


@pytest.mark.parametrize("path", ["/library/ingest", "/gradio_api/queue/join", "/library/upload?corpus=c&path=a.txt"])
def test_a_body_that_never_ends(url, path):
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    with connect(url) as connection:
        connection.sendall(head.encode() + b'{"a":')
        connection.settimeout(10)
        answer = connection.recv(65_536)
    assert answer.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400"))


def test_chunks_without_end_are_refused_at_the_limit(url):
    head = "POST /library/ingest HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    sent = 0
    with connect(url) as connection:
        connection.sendall(head.encode())
        connection.settimeout(0.02)
        answer = b""
        while not answer and sent < 64 << 20:
            connection.settimeout(5)
            try:
                connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            except (ConnectionResetError, BrokenPipeError):
                break
            sent += 0x10000
            connection.settimeout(0.002)
            try:
                answer = connection.recv(100)
            except TimeoutError:
                continue
            except ConnectionResetError:
                break
    assert sent < 8 << 20
    assert not answer or answer.startswith(b"HTTP/1.1 413")


def test_a_hundred_who_dawdle_keep_nobody_waiting(url):
    slow = [connect(url) for _ in range(100)]
    for each in slow:
        each.sendall(b"POST /library/ingest HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\n{")
    started = time.monotonic()
    assert httpx.get(f"{url}/healthz", timeout=5).status_code == 200
    assert time.monotonic() - started < 2
    for each in slow:
        each.close()


@pytest.mark.parametrize(
    "request_line",
    [
        "GET http://evil.test/healthz HTTP/1.1\r\nHost: evil.test",
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.test",
        "GET /healthz HTTP/1.1",
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "POST /library/stop HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6",
        "GET /healthz\x00 HTTP/1.1\r\nHost: 127.0.0.1",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://evil.test",
    ],
)
def test_requests_that_mean_two_things_are_refused(url, request_line):
    with connect(url) as connection:
        connection.sendall(request_line.encode() + b"\r\n\r\n")
        answer = connection.recv(65_536)
    assert answer.split(b" ")[1] in (b"400", b"403"), answer[:100]


def test_a_long_head_is_refused(url):
    with connect(url) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n")
        answer = connection.recv(65_536)
    assert answer.split(b" ")[1] in (b"431", b"400")
