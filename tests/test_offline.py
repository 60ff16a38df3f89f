"""Everything works in a network namespace without a route, and nothing there even tries to leave.

Two witnesses: a hook in every Python process writes down each look-up and connection that is not to this machine, and
the kernel counts, for this namespace alone, what any process (whatever its language) had no route for.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RAG = Path(sys.executable).with_name("rag")
EMBEDDERS = ("hash", "wordllama", "minilm")

# The answer of the kernel's own counters goes to descriptor 9, away from what the command prints.
INSIDE = """
ip link set lo up || exit 99
"$@"; status=$?
cat /proc/net/snmp /proc/net/snmp6 >&9
exit $status
"""

HOOK = """
import ipaddress, os, socket, traceback
_log = os.environ["NETWORK_LOG"]

def _note(address):
    host = address[0] if isinstance(address, tuple) else address
    try:
        if host in (None, "", "localhost") or ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    with open(_log, "a") as file:
        file.write(f"{address!r}\\n{''.join(traceback.format_stack(limit=12))}\\n")

def _noted(function, family_of=None):
    def call(*arguments, **options):
        if family_of is None:
            _note(arguments[0] if arguments else options.get("host"))
        elif arguments[0].family != socket.AF_UNIX:
            _note(arguments[1])
        return function(*arguments, **options)
    return call

socket.getaddrinfo = _noted(socket.getaddrinfo)
socket.gethostbyname = _noted(socket.gethostbyname)
for _name in ("connect", "connect_ex"):
    setattr(socket.socket, _name, _noted(getattr(socket.socket, _name), family_of=True))
"""

UNSHARE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]


def why_not():
    """Tells why no namespace can be made here, in one line; empty where it can."""
    for tool in ("unshare", "ip"):
        if shutil.which(tool) is None:
            return f"no network namespace: '{tool}' is not installed"
    tried = subprocess.run([*UNSHARE, "ip", "link", "set", "lo", "up"], capture_output=True, text=True, timeout=20)
    return f"no network namespace: {tried.stderr.strip()}" if tried.returncode else ""


REASON = why_not()
if REASON and os.environ.get("REQUIRE_NAMESPACE") == "1":
    raise RuntimeError(f"{REASON}, but REQUIRE_NAMESPACE=1.")
pytestmark = [pytest.mark.namespace, pytest.mark.skipif(bool(REASON), reason=REASON)]


class Offline:
    """Runs commands, each in a namespace of its own, and knows what they tried to reach."""

    def __init__(self, folder):
        self._log = folder / "network.log"
        self._counters = folder / "counters"
        hooks = folder / "hooks"
        hooks.mkdir()
        (hooks / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
        proxies = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
        kept = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
        self._environment = kept | {
            "PYTHONPATH": str(hooks),
            "NETWORK_LOG": str(self._log),
            "RAG_HOME": str(folder / "home"),
            "HOME": str(folder),  # no model cache of this machine may help out
        }

    def __call__(self, *command):
        self._log.write_text("", encoding="utf-8")
        line = [*UNSHARE, "sh", "-c", f"exec 9>'{self._counters}'\n{INSIDE}", "sh", *map(str, command)]
        return subprocess.run(line, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=240)

    def rag(self, *arguments):
        """Runs the command line; asserts that it ends well and has tried to reach nothing."""
        ran = self(RAG, *arguments)
        assert ran.returncode == 0, ran.stderr
        self.reached_for_nothing()
        return ran

    def reached_for_nothing(self):
        assert self.looked_up() == ""
        assert self.unroutable() == 0

    def looked_up(self):
        return self._log.read_text(encoding="utf-8")

    def unroutable(self):
        """How many packets and connections of the last namespace had no route, as its kernel counted them."""
        text = self._counters.read_text(encoding="utf-8")
        names, values = (line.split() for line in text.splitlines() if line.startswith("Ip:"))
        six = re.search(r"^Ip6OutNoRoutes\s+(\d+)", text, re.MULTILINE)
        return int(values[names.index("OutNoRoutes")]) + (int(six[1]) if six else 0)


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    return Offline(tmp_path_factory.mktemp("offline"))


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    """Three small demo documents, of different formats."""
    folder = tmp_path_factory.mktemp("documents")
    for suffix in ("md", "html", "csv"):
        files = (ROOT / "corpus" / "documents").glob(f"*.{suffix}")
        shutil.copy(min(files, key=lambda path: (path.stat().st_size, path.name)), folder)
    return folder


@pytest.fixture(scope="module")
def ingested(offline, documents):
    """What an ingest without a network has printed, under every embedder that comes with the install."""
    choice = [word for name in EMBEDDERS for word in ("--embedder", name)]
    return json.loads(offline.rag("ingest", documents, "--corpus", "demo", "--json", *choice).stdout)


LOOK_UP = "import socket\nsocket.getaddrinfo('example.org', 443)"
CONNECT = "import socket\nsocket.create_connection(('192.0.2.1', 443), timeout=2)"
NATIVE = (
    "import ctypes, socket, struct\nlibc = ctypes.CDLL(None)\n"
    "to = struct.pack('=H', socket.AF_INET) + struct.pack('!H4s8x', 443, socket.inet_aton('192.0.2.1'))\n"
    "libc.connect(libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0), to, len(to))"
)


@pytest.mark.parametrize(("script", "hooked"), [(LOOK_UP, "example.org"), (CONNECT, "192.0.2.1")])
def test_the_hook_sees_what_it_must(offline, script, hooked):
    ran = offline(sys.executable, "-c", script)
    assert ran.returncode != 0, "there is a route"
    assert hooked in offline.looked_up()
    with pytest.raises(AssertionError):
        offline.reached_for_nothing()


@pytest.mark.parametrize("script", [CONNECT, NATIVE])
def test_the_kernel_sees_what_it_must(offline, script):
    offline(sys.executable, "-c", script)
    assert offline.unroutable() > 0


def test_this_machine_itself_is_no_departure(offline):
    script = (
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname()).close()\nsocket.getaddrinfo('localhost', 80)"
    )
    assert offline(sys.executable, "-c", script).returncode == 0
    offline.reached_for_nothing()


def test_help(offline):
    assert offline.rag("--help").stdout.startswith("Usage: rag")


def test_ingest(ingested):
    assert ingested["documents"]["done"] == 3
    assert [index["embedder"] for index in ingested["indexes"]] == list(EMBEDDERS)
    assert all(index["embedded"] > 0 for index in ingested["indexes"])


def test_search_and_ask(offline, ingested):
    found = json.loads(offline.rag("search", "embedding model", "--embedder", "minilm", "--json").stdout)
    assert found["embedder"] == "minilm"
    assert found["hits"]
    hit = found["hits"][0]["heading"] or found["hits"][0]["text"][:80]
    answer = json.loads(offline.rag("ask", f"What about {hit}?", "--embedder", "wordllama", "--json").stdout)
    assert answer["answer"]


def test_eval_with_ragas(offline, tmp_path):
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text(
        '{"_id": "bread", "title": "", "text": "Sourdough bread proofs for two hours."}\n'
        '{"_id": "ferry", "title": "", "text": "The ferries left late because of fog."}\n'
    )
    (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "bread"}\n{"_id": "2", "text": "fog"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\tbread\t1\n2\tferry\t1\n")
    printed = json.loads(offline.rag("eval", tmp_path, "--embedder", "wordllama", "--json", "--ragas").stdout)
    for row in printed["rows"]:
        ragas = [name for name in row["metrics"] if name.startswith("ragas.")]
        assert len(ragas) >= 3
        assert all(row["metrics"][name]["value"] is not None for name in ragas)


SERVE = """
import json, re, signal, subprocess, sys, urllib.request
server = subprocess.Popen([*sys.argv[1:], "--port", "0", "--no-browser"], stdout=subprocess.PIPE, text=True)
address = server.stdout.readline().strip()
assert re.fullmatch(r"http://127.0.0.1:[0-9]+", address), address
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open(address + "/healthz", timeout=30) as answer:
    health = json.load(answer)
with opener.open(address + "/", timeout=30) as answer:
    page = answer.read().decode()
server.send_signal(signal.SIGTERM)
print(json.dumps({"health": health, "page": page, "status": server.wait(timeout=30)}))
"""


def test_the_application_answers_and_its_page_loads_nothing_from_elsewhere(offline, ingested):
    ran = offline(sys.executable, "-c", SERVE, RAG, "ui")
    assert ran.returncode == 0, ran.stderr
    offline.reached_for_nothing()
    served = json.loads(ran.stdout.splitlines()[-1])
    assert served["health"] == {"status": "ok"}
    assert served["status"] == 0
    loaded = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?(https?:)?//[^\"'>\s]+", served["page"])
    assert loaded == []
