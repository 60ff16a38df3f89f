"""The login: accounts, the gate before every route, throttling, and the user's name inside."""

import base64
import hashlib
import re
import time

import pytest

from rag.errors import UsageError
from ui.access import Access, checked_access
from ui.accounts import Accounts, add_account, hashed
from ui.login import SECONDS, Logins
from ui.login_page import account_html, login_html
from ui.throttle import FIRST, FREE, LONGEST_ACCOUNT, LONGEST_ADDRESS, Throttle
from web_app import client_of, opened_app, routes_of

PASSWORD = "correct horse 1"
PUBLIC = "http://10.1.2.3:7860"


@pytest.fixture(scope="module")
def accounts():
    return Accounts({"anna": hashed(PASSWORD), "ben": hashed("battery staple"), "carl": hashed("battery staple")})


@pytest.fixture(scope="module")
def app(tmp_path_factory, accounts):
    access = Access(host="0.0.0.0", accounts=accounts)
    with opened_app(tmp_path_factory.mktemp("login") / "home", access) as made:
        yield made


def log_in(client, user="anna", password=PASSWORD, **form):
    return client.post("/login", data={"user": user, "password": password, **form})


# --- accounts


def test_an_account_is_a_salted_scrypt_hash_in_a_file_for_its_owner_alone(tmp_path):
    path = tmp_path / "users"
    assert add_account(path, "anna", PASSWORD) and add_account(path, "ben", "battery staple")
    assert not add_account(path, "anna", PASSWORD + "2")
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert PASSWORD not in text and len(text.splitlines()) == 2
    kind, log_n, r, p, salt, found = dict(line.split(":") for line in text.splitlines())["ben"].split("$")
    expected = hashlib.scrypt(
        b"battery staple", salt=base64.b64decode(salt), n=2 ** int(log_n), r=int(r), p=int(p), maxmem=1 << 28, dklen=32
    )
    assert kind == "scrypt" and base64.b64decode(found) == expected
    read = Accounts.from_file(path)
    assert read.check("anna", PASSWORD + "2") and not read.check("anna", PASSWORD)
    assert not read.check("nobody", PASSWORD)


def test_a_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "users"
    add_account(path, "anna", PASSWORD)
    path.chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        Accounts.from_file(path)
    with pytest.raises(UsageError, match="chmod 600"):
        add_account(path, "ben", PASSWORD)


@pytest.mark.parametrize("line", ["anna:secret-in-clear", "anna", "a b:" + "x" * 90, "anna:scrypt$31$8$1$AAAA$BBBB"])
def test_a_line_that_is_no_account_is_refused_and_not_repeated(tmp_path, line):
    path = tmp_path / "users"
    path.touch(mode=0o600)
    path.write_text(f"# accounts\n\n{line}\n")
    with pytest.raises(UsageError, match="Line 3 of") as raised:
        Accounts.from_file(path)
    assert line not in str(raised.value) and "secret" not in str(raised.value)


def test_a_missing_and_an_empty_file_say_how_to_make_one(tmp_path):
    for path in (tmp_path / "missing", tmp_path / "empty"):
        if path.name == "empty":
            path.touch(mode=0o600)
        with pytest.raises(UsageError, match="--add-user NAME"):
            Accounts.from_file(path)


@pytest.mark.parametrize("text", ["", "anna", "anna:short", ":longenough1", "an na:longenough1", "~a:longenough1"])
def test_an_account_of_the_environment_must_be_whole(text):
    with pytest.raises(UsageError, match="RAG_AUTH is user:password") as raised:
        Accounts.from_environment(text)
    assert "longenough1" not in str(raised.value)


def test_an_account_of_the_environment_may_have_colons_in_its_password():
    assert Accounts.from_environment("anna:pass:word:1").check("anna", "pass:word:1")


def test_a_name_that_is_not_there_costs_as_much(accounts):
    def cost(name):
        before = time.thread_time()
        accounts.check(name, "wrong password")
        return time.thread_time() - before

    known, unknown = (min(cost(name) for _ in range(2)) for name in ("anna", "nobody"))
    assert 0.5 < unknown / known < 2
    assert known > 0.02


# --- starting


@pytest.mark.parametrize(
    "options",
    [["--host", "0.0.0.0"], ["--host", "192.168.1.4"], ["--allow-host", "rag.test"], ["--trust-proxy", "::1"]],
)
def test_others_are_not_let_in_without_a_login(rag, tmp_path, monkeypatch, options):
    monkeypatch.delenv("RAG_AUTH", raising=False)
    ended = rag("--home", tmp_path, "ui", "--port", "0", *options)
    assert ended.status == 2 and ended.out == ""
    assert "--auth FILE" in ended.err and "--insecure" in ended.err and ended.err.count("\n") == 1


def test_with_a_login_or_when_insisted_upon_they_are(accounts):
    open_to_all = Access(host="0.0.0.0")
    assert checked_access(open_to_all, insecure=True) is open_to_all
    closed = Access(host="0.0.0.0", accounts=accounts)
    assert checked_access(closed, insecure=False) is closed
    assert checked_access(Access(), insecure=False).only_here
    assert not closed.only_here and not open_to_all.only_here and not Access(accounts=accounts).only_here


def test_a_proxy_must_be_an_address(rag, tmp_path):
    ended = rag("--home", tmp_path, "ui", "--insecure", "--trust-proxy", "nginx")
    assert ended.status == 2 and "'nginx' is no address" in ended.err


def test_the_command_makes_an_account(tmp_path):
    from click.testing import CliRunner

    from ui.cli import rag as command

    path = tmp_path / "users"
    typed = f"{PASSWORD}\n{PASSWORD}\n"
    done = CliRunner().invoke(command, ["ui", "--auth", str(path), "--add-user", "anna"], input=typed)
    assert done.exit_code == 0 and PASSWORD not in done.output
    assert Accounts.from_file(path).check("anna", PASSWORD)
    assert CliRunner().invoke(command, ["ui", "--add-user", "anna"]).exit_code != 0


# --- the gate


def test_every_route_is_closed_but_the_login_and_the_health(app):
    client = client_of(app, PUBLIC)
    routes = routes_of(app)
    assert {"/config", "/gradio_api/info", "/gradio_api/queue/join", "/theme.css", "/library/page"} <= {
        path for _, path in routes
    }
    answered = {}
    for method, path in routes:
        if method in ("GET", "POST", "HEAD"):
            answered[method, path] = client.request(method, path, headers={"accept": "*/*"}).status_code
    open_to_all = {route for route, status in answered.items() if status not in (401, 405)}
    assert open_to_all == {("GET", "/healthz")}
    assert len(answered) > 80


@pytest.mark.parametrize(
    "path", ["/login/", "/login/x", "//login", "/healthz/", "/Login", "/login;x", "/login%2f..%2f"]
)
def test_nothing_is_open_by_its_likeness(app, path):
    reply = client_of(app, PUBLIC).get(path, headers={"accept": "*/*"})
    assert reply.status_code == 401 or path == "/login"
    assert "gradio" not in reply.text


def test_a_page_leads_to_the_login_and_back(app):
    client = client_of(app, PUBLIC)
    to_login = client.get("/?tab=library", headers={"accept": "text/html"})
    assert to_login.status_code == 303
    form = client.get(to_login.headers["location"])
    assert form.status_code == 200 and 'name="to" value="/?tab=library"' in form.text
    assert "<script" not in form.text
    done = log_in(client, to="/?tab=library")
    assert (done.status_code, done.headers["location"]) == (303, "/?tab=library")
    page = client.get("/", headers={"accept": "text/html"})
    assert page.status_code == 200 and "gradio-app" in page.text
    assert '"username":"anna"' in page.text.replace(" ", "")
    assert "You are logged in as <b>anna</b>" in client.get("/login").text


def test_the_cookie_is_kept_from_scripts_other_sites_and_open_networks(app):
    cookie = log_in(client_of(app, PUBLIC)).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and f"Max-Age={SECONDS}" in cookie
    assert "Secure" not in cookie
    assert "Secure" in log_in(client_of(app, PUBLIC.replace("http:", "https:"))).headers["set-cookie"]


def test_a_wrong_password_and_a_wrong_user_are_told_alike(app):
    client = client_of(app, PUBLIC, visitor="10.9.0.1")
    replies = [log_in(client, "ben", "wrong"), log_in(client, "b<i>n", PASSWORD), log_in(client, "", "")]
    for reply in replies:
        assert reply.status_code == 401 and "set-cookie" not in reply.headers
        assert "The user or the password is wrong." in reply.text
    assert "b&lt;i&gt;n" in replies[1].text


def test_a_logout_ends_the_login_everywhere(app):
    client = client_of(app, PUBLIC)
    log_in(client)
    cookies = dict(client.cookies)
    assert client.get("/config").status_code == 200
    assert client.post("/logout").status_code == 303
    assert client.get("/config").status_code == 401
    thief = client_of(app, PUBLIC)
    thief.cookies.update(cookies)
    assert thief.get("/config").status_code == 401


def test_forged_cookies_are_worth_nothing(app):
    client = client_of(app, PUBLIC)
    log_in(client)
    (name, token), *_ = [(name, value) for name, value in client.cookies.items() if "login" in name]
    coded, mark = token.split(".")
    text = base64.urlsafe_b64decode(coded).decode()
    other = base64.urlsafe_b64encode(text.replace("anna", "ben").encode()).decode()
    for forged in (f"{other}.{mark}", f"{coded}.", f"{coded}.{'0' * 64}", coded, "", ".", f"\xff.{mark}", "a" * 5000):
        stranger = client_of(app, PUBLIC)
        assert stranger.get("/config", headers=[("cookie", f"{name}={forged}".encode())]).status_code == 401, forged


def test_a_login_ends_with_its_time_and_lasts_longer_while_the_page_is_used():
    now = [1000.0]
    logins = Logins(lambda: now[0])
    token = logins.new("anna")
    assert logins.user(token) == ("anna", SECONDS)
    now[0] += SECONDS - 1
    assert logins.user(token) == ("anna", 1)
    now[0] += 1
    assert logins.user(token) == ("", 0)
    assert Logins(lambda: 1000.0).user(token) == ("", 0)  # of another process


@pytest.mark.parametrize(
    "to", ["//evil.test", "https://evil.test", "/\\evil.test", "\\\\evil.test", "javascript:alert(1)", "", "/\r\nx: y"]
)
def test_the_login_leads_nowhere_else(app, to):
    client = client_of(app, PUBLIC)
    assert log_in(client, to=to).headers["location"] == "/"
    assert "evil" not in re.sub(r"<style>.*</style>", "", client_of(app, PUBLIC).get("/login", params={"to": to}).text)


def test_another_site_cannot_log_anybody_in_or_out(app):
    client = client_of(app, PUBLIC)
    for headers in ({"origin": "http://evil.test"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert client.post("/login", data={"user": "anna", "password": PASSWORD}, headers=headers).status_code == 403
        assert client.post("/logout", headers=headers).status_code == 403


def test_a_form_that_is_too_large_or_none_is_refused(app):
    client = client_of(app, PUBLIC, visitor="10.9.0.2")
    assert log_in(client, password="x" * 9000).status_code == 413
    assert client.post("/login", content="&".join(f"a{n}=1" for n in range(50))).status_code == 400
    assert client.post("/login", content=b"\xff\xfe\x00").status_code == 401


def test_its_pages_load_nothing_at_all():
    pages = {login_html("/", "anna", "Wrong."): ["data:,", "login"], account_html("anna"): ["data:,", "./", "logout"]}
    for page, addresses in pages.items():
        assert re.findall(r"""(?:src|href|action)=["']?([^"'> ]+)""", page) == addresses
        assert "url(" not in page and "@import" not in page and "http" not in page


# --- throttling


def test_the_delay_grows_for_the_account_and_for_the_address_and_is_bounded():
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    for _ in range(FREE - 1):
        throttle.failed("anna", "10.0.0.1")
    assert throttle.wait("anna", "10.0.0.1") == 0
    delays = []
    for _ in range(20):
        throttle.failed("anna", "10.0.0.1")
        delays.append(throttle.wait("anna", "10.0.0.9"))
        now[0] += delays[-1]
    assert delays[:4] == [FIRST, FIRST * 2, FIRST * 4, FIRST * 8]
    assert delays == sorted(delays) and delays[-1] == LONGEST_ACCOUNT
    assert throttle.wait("carl", "10.0.0.1") > LONGEST_ACCOUNT  # the address pays for all accounts it tries
    assert throttle.wait("carl", "10.0.0.1") <= LONGEST_ADDRESS
    assert throttle.wait("carl", "10.0.0.9") == 0
    now[0] += 7200
    throttle.failed("anna", "10.0.0.1")
    assert throttle.wait("anna", "10.0.0.1") == 0  # an hour later it is forgotten


def test_guesses_from_elsewhere_do_not_shut_out_who_has_logged_in_before():
    throttle = Throttle(lambda: 0.0)
    throttle.failed("anna", "10.0.0.1")
    throttle.succeeded("anna", "10.0.0.1")
    for _ in range(50):
        throttle.failed("anna", "10.6.6.6")
    assert throttle.wait("anna", "10.0.0.1") == 0
    assert throttle.wait("anna", "10.0.0.2") > 0


def test_a_network_of_ipv6_is_one_visitor_and_an_account_of_ones_own_clears_no_address():
    throttle = Throttle(lambda: 0.0)
    for number in range(FREE + 2):
        throttle.failed(f"user{number}", f"2001:db8::{number:x}")
        throttle.failed("mine", "2001:db8::99")
        throttle.succeeded("mine", "2001:db8::99")
    throttle.failed("other", "2001:db8::ffff")
    assert throttle.wait("other", "2001:db8::ffff") == FIRST * 2**3
    assert throttle.wait("other", "2001:db8:0:1::1") == 0


def test_many_wrong_passwords_are_answered_with_a_delay_and_the_right_one_waits_too(app):
    client = client_of(app, PUBLIC, visitor="10.9.9.9")
    statuses = [log_in(client, "carl", f"wrong {number}").status_code for number in range(FREE + 1)]
    assert statuses == [401] * FREE + [429]
    shut = log_in(client, "carl", "battery staple")
    assert shut.status_code == 429 and int(shut.headers["retry-after"]) >= 1
    assert re.search(r"Too many wrong passwords. Try again in \d", shut.text)
    time.sleep(int(shut.headers["retry-after"]) + 0.1)
    assert log_in(client, "carl", "battery staple").status_code == 303


# --- inside


def test_the_name_of_the_user_reaches_the_handlers_of_gradio(tmp_path, accounts):
    import gradio as gr

    from gradio_wire import Page
    from ui.visitors import user_of

    with gr.Blocks() as page:
        told = gr.Textbox()
        ask = gr.Button()

        def who(request: gr.Request):
            return f"{request.username} {user_of(request)}"

        ask.click(who, None, told, queue=True)
        ask.click(who, None, told, queue=False)
    with opened_app(tmp_path / "home", Access(host="0.0.0.0", accounts=accounts), page) as app:
        for user, password in (("anna", PASSWORD), ("ben", "battery staple")):
            with client_of(app, PUBLIC) as client:
                log_in(client, user, password)
                opened = Page(client)
                assert opened.call(0) == [f"{user} {user}"]
                assert opened.call(1) == [f"{user} {user}"]
