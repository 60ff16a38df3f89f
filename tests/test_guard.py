"""The layers around the application: names, other sites, headers, limits, Gradio's routes, and sessions apart."""

import contextlib
import re
import socket

import pytest

from gradio_wire import Page
from ui.access import Access
from ui.limits import MOST_BODY
from ui.visitors import Namespaces
from web_app import client_of, gradio_paths, opened_app, routes_of, serving

HERE = "http://127.0.0.1:7860"
LAN = "http://192.168.7.4:7860"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The application as this machine alone reaches it."""
    with opened_app(tmp_path_factory.mktemp("guard") / "home", Access()) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The application as strangers reach it, without a login."""
    access = Access(host="0.0.0.0", names=("rag.test",), proxies=("10.0.0.0/8",))
    with opened_app(tmp_path_factory.mktemp("shared") / "home", access) as made:
        yield made


@pytest.fixture
def client(app):
    return client_of(app, HERE)


# --- names


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860", "LOCALHOST"])
def test_the_names_of_this_machine_are_answered(client, host):
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.test", "127.0.0.1.evil.test", "192.168.7.4", "", "[::1", "evil.test:7860@127.0.0.1", "0.0.0.0"]
)
def test_other_names_are_refused_so_that_none_can_be_rebound(client, host):
    assert client.get("/healthz", headers={"host": host}).status_code == 403


def test_a_shared_server_answers_to_addresses_its_own_name_and_those_allowed(shared):
    client = client_of(shared, LAN)
    for host in ("192.168.7.4:7860", "[2001:db8::7]", "rag.test", "RAG.test:443", socket.gethostname()):
        assert client.get("/healthz", headers={"host": host}).status_code == 200, host
    refused = client.get("/healthz", headers={"host": "evil.test"})
    assert refused.status_code == 403 and "--allow-host" in refused.text and "'evil.test'" in refused.text


# --- other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.test"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:7861"},
        {"origin": "http://[::1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ],
)
def test_no_other_site_can_post(client, headers):
    for path in ("/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/cancel", "/library/stop"):
        assert client.post(path, json={}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.test"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
def test_no_other_site_can_read_or_frame(client, headers):
    for path in ("/config", "/library/page", "/gradio_api/info", "/"):
        assert client.get(path, headers=headers).status_code == 403


def test_a_link_on_another_site_opens_the_page(client):
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize("base", [HERE, LAN])
def test_no_answer_lets_another_origin_read_it(app, shared, base):
    """Gradio itself allows every origin, with credentials, once the server is asked under no loopback name."""
    client = client_of(app if base == HERE else shared, base)
    for origin in (base, "http://evil.test"):
        reply = client.get("/config", headers={"origin": origin})
        assert not [name for name in reply.headers if name.startswith("access-control")]
    asked = {"origin": "http://evil.test", "access-control-request-method": "POST"}
    assert client.options("/config", headers=asked).status_code in (403, 405)


def test_methods_that_nothing_takes_are_refused(client):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
        assert client.request(method, "/library/page").status_code == 405


def test_a_websocket_is_refused(app):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client_of(app, HERE).websocket_connect("/gradio_api/queue/join"):
        pass


# --- headers


def test_every_answer_carries_the_headers(app, client):
    for method, path in routes_of(app):
        if method in ("GET", "HEAD", "POST") and "heartbeat" not in path:
            headers = client.request(method, path).headers
            assert "default-src 'self'" in headers["content-security-policy"], path
            assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "same-origin" and "microphone=()" in headers["permissions-policy"]
    assert "content-security-policy" in client.get("/", headers={"host": "evil.test"}).headers
    assert "content-security-policy" in client.post("/gradio_api/run/predict", content="x").headers


def test_only_scripts_that_are_marked_anew_for_each_answer_may_run(client):
    nonces = set()
    for _ in range(2):
        page = client.get("/")
        scripts = re.search(r"script-src ([^;]*)", page.headers["content-security-policy"])[1]
        nonce = re.fullmatch(r"'self' 'nonce-([\w-]{16,})'", scripts)[1]
        tags = re.findall(r"<script[^>]*>", page.text)
        assert len(tags) >= 4 and all(f'nonce="{nonce}"' in tag for tag in tags)
        nonces.add(nonce)
    assert len(nonces) == 2


def test_what_the_documents_say_is_kept_in_no_cache(client):
    for path in ("/", "/config", "/library/page", "/library/job"):
        assert client.get(path).headers["cache-control"] == "no-store"


# --- proxies


def seen_by(app, visitor, **headers):
    """Asks as a visitor, perhaps through a proxy, and returns Gradio's idea of its own address."""
    return client_of(app, "http://rag.test", visitor).get("/config", headers=headers).json()["root"]


def test_a_visitor_is_not_believed_to_be_a_proxy(shared):
    told = {"x-forwarded-host": "evil.test", "x-forwarded-proto": "https", "x-gradio-server": "http://evil.test"}
    assert seen_by(shared, "192.168.7.9", **told) == "http://rag.test"


def test_a_trusted_proxy_says_who_asks_and_how(shared):
    assert seen_by(shared, "10.0.0.3", **{"x-forwarded-proto": "https"}) == "https://rag.test"
    assert seen_by(shared, "10.0.0.3", **{"x-forwarded-host": "evil.test"}) == "http://rag.test"


# --- limits


def test_a_body_over_the_limit_is_refused_by_its_length_and_by_its_bytes(client):
    def pieces():
        yield from [b"x" * (MOST_BODY // 2)] * 3

    for path in ("/gradio_api/queue/join", "/gradio_api/run/predict", "/library/ingest", "/embedders/test", "/nothing"):
        assert client.post(path, content=b"x" * (MOST_BODY + 1)).status_code == 413
        assert client.post(path, content=pieces()).status_code == 413


def test_a_body_is_not_waited_for_where_its_length_is_too_much(client):
    def endless():
        yield b"x"
        raise AssertionError("the body was read")

    headers = {"content-length": str(MOST_BODY + 1)}
    assert client.post("/library/ingest", content=endless(), headers=headers).status_code == 413


def test_an_address_and_headers_over_the_limit_are_refused(client):
    assert client.get("/library/page?q=" + "x" * 9000).status_code == 414
    assert client.get("/healthz", headers={"x-long": "x" * 17_000}).status_code == 431


@pytest.mark.parametrize("body", [b"", b"x", b"[1]", b"null", b"[" * 100_000, b'{"data":', b"\xff\xfe", b'"\\ud800"'])
def test_what_is_no_request_of_gradio_is_refused(client, body):
    assert client.post("/gradio_api/queue/join", content=body).status_code == 400


# --- Gradio's routes

USED = {
    *("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/assets/1", "/static/1"),
    *("/svelte/1", "/gradio_api/info", "/gradio_api/app_id", "/gradio_api/startup-events", "/gradio_api/login_check"),
    *("/gradio_api/theme.css", "/gradio_api/queue/data", "/gradio_api/queue/status", "/gradio_api/heartbeat/1"),
    *("/gradio_api/queue/join", "/gradio_api/run/1", "/gradio_api/api/1", "/gradio_api/cancel", "/gradio_api/reset"),
}


def test_of_gradios_routes_only_those_of_the_page_are_open(app, client):
    closed = {path.rstrip("/") or "/" for path in gradio_paths(app)} - USED
    assert len(closed) > 30
    for path in sorted(closed):
        for method in ("GET", "POST", "HEAD"):
            assert client.request(method, path).status_code in (404, 405), (method, path)


@pytest.mark.parametrize(
    "path",
    [
        *("/gradio_api/file=/etc/passwd", "/gradio_api/file/etc/passwd", "/file=/etc/passwd"),
        *("/gradio_api/proxy=http://127.0.0.1:1/", "/gradio_api/mcp/", "/gradio_api/mcp/sse", "/monitoring"),
        *("/gradio_api/upload_progress?upload_id=1", "/gradio_api/deep_link", "/gradio_api/runs", "/docs"),
        *("/openapi.json", "/gradio_api/openapi.json", "/assets/../../app.py", "/static/..%2f..%2fapp.py"),
        *("/gradio_api/stream/a/b/1/playlist.m3u8", "/gradio_api/vibe-code/", "/gradio_api/dev/reload"),
    ],
)
def test_what_could_reach_into_the_machine_is_closed(client, path):
    reply = client.get(path)
    assert reply.status_code == 404 and "root:" not in reply.text


def test_no_function_of_the_page_is_offered_to_programs(client):
    assert client.get("/gradio_api/info").json() == {"named_endpoints": {}, "unnamed_endpoints": {}}


# --- sessions


def counting_page():
    """A page with a private number in each session, and a slow answer."""
    import time

    import gradio as gr

    with gr.Blocks() as page:
        number, told, ask, slow, words = gr.State(0), gr.Textbox(), gr.Button(), gr.Button(), gr.Textbox()

        def count(value):
            return value + 1, str(value + 1)

        def write():
            for step in range(50):
                time.sleep(0.05)
                yield str(step)

        ask.click(count, number, [number, told], queue=False)
        slow.click(write, None, words)
    return page


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    with opened_app(tmp_path_factory.mktemp("sessions") / "home", Access(), counting_page()) as made:
        yield made


def test_a_session_belongs_to_its_browser_even_where_another_knows_its_name(counting):
    mine, other = client_of(counting, HERE), client_of(counting, HERE)
    for client in (mine, other):
        client.get("/")  # brings the cookie
    assert mine.cookies != other.cookies
    first, guessed = Page(mine, "abc"), Page(other, "abc")
    assert [first.call(0, [None])[1] for _ in range(3)] == ["1", "2", "3"]
    assert guessed.call(0, [None])[1] == "1"
    assert first.call(0, [None])[1] == "4"


def test_nobody_else_can_follow_or_stop_an_answer(counting):
    import httpx

    with serving(counting) as url, httpx.Client(base_url=url) as mine, httpx.Client(base_url=url) as other:
        for client in (mine, other):
            client.get("/")
        page = Page(mine, "abc")
        messages = page.stream(1)
        first = next(message for message in messages if message["msg"] == "process_generating")
        stop = {"session_hash": "abc", "fn_index": 1, "event_id": "0" * 32}
        assert other.post("/gradio_api/cancel", json=stop).status_code == 200  # and it does nothing
        with contextlib.suppress(httpx.RemoteProtocolError):  # Gradio breaks off where a session has no question
            heard = [message for message in Page(other, "abc").messages() if "event_id" in message]
            assert not [message for message in heard if message["event_id"] == first["event_id"]]
        *_, last = messages
        assert last["msg"] == "process_completed" and last["output"]["data"] == ["49"]


def test_names_of_sessions_are_kept_apart_by_a_secret():
    names = Namespaces()
    assert names.inside("a", "s") == names.inside("a", "s")
    assert (
        len({names.inside("a", "s"), names.inside("b", "s"), names.inside("a", "t"), Namespaces().inside("a", "s")})
        == 4
    )


def test_strangers_without_a_login_are_users_by_their_browsers(shared, app):
    page = client_of(shared, LAN).get("/")
    assert re.search(r'"username":"~[0-9a-f]{32}"', page.text.replace(" ", ""))
    assert '"username":""' in client_of(app, HERE).get("/").text.replace(" ", "")
