"""Fixtures that several files of tests share: folders of documents, libraries made of them, and the command line."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

from browser_app import FLAGS, Outside, chromium_path
from file_builders import write
from rag.offline import go_quiet

go_quiet()

# so that what they assert is explained as in a test
pytest.register_assert_rewrite("cli_contract", "killing", "pipeline_results", "vendor_clients")

settings.register_profile("project", derandomize=True, deadline=None)  # the same examples on every machine
settings.load_profile("project")

SMALL_FILES = {
    "planets.md": (
        "# Planets\n\nThe solar system has eight planets.\n\n"
        "## Mercury\n\nMercury is the smallest planet and has no moon at all. It circles the sun in 88 days.\n\n"
        "## Saturn\n\nSaturn is known for its bright rings of ice. Titan is the largest of its many moons.\n"
    ),
    "bread.txt": (
        "Baking bread at home\n\nA sourdough starter ferments flour and water with wild yeast. "
        "The dough rests overnight in the refrigerator. Bake the loaf for forty minutes at 230 degrees.\n"
    ),
    "bicycles.html": (
        "<html lang='en'><head><title>Bicycle repair</title></head><body><main><h1>Bicycle repair</h1>"
        "<p>A worn chain skips over the teeth of the cassette. Replace the chain every three thousand kilometres.</p>"
        "<h2>Brakes</h2><p>Squealing disc brakes are often contaminated with oil and need new pads.</p>"
        "</main></body></html>"
    ),
    "capitals.csv": "country,capital\nFrance,Paris\nPeru,Lima\nKenya,Nairobi\n",
    "zh.txt": "中文检索需要分词。向量模型把句子变成向量，然后比较它们的相似度。",
    "ru.txt": "Поиск по документам на русском языке требует правильной разбивки текста на слова.",
    "notes/tea.md": "# Tea\n\nGreen tea is brewed at eighty degrees for two minutes. Black tea takes boiling water.\n",
}
"""Topics far apart, several formats and scripts."""

TASK_FILES = {
    "corpus.jsonl": (
        '{"_id": "bread", "title": "", "text": "Sourdough bread proofs for two hours."}\n'
        '{"_id": "ferry", "title": "Harbour", "text": "The ferries left late because of fog."}\n'
    ),
    "queries.jsonl": '{"_id": "q1", "text": "proofing bread"}\n{"_id": "q2", "text": "ferries in the fog"}\n',
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\tbread\t1\nq2\tferry\t1\n",
}
"""A task in the layout of BEIR."""


# --- folders


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory):
    """The small files, on disk."""
    folder = tmp_path_factory.mktemp("small") / "docs"
    for name, text in SMALL_FILES.items():
        write(folder, name, text)
    return folder


@pytest.fixture
def docs(tmp_path):
    """A folder of three documents, the first with three chunks."""
    folder = tmp_path / "docs"
    write(
        folder, "rivers.md", "# Rivers\n\nRivers run to the sea.\n\n## Nile\n\nIt is long.\n\n## Rhine\n\nIt is cold.\n"
    )
    write(folder, "bread.txt", "Sourdough bread rests overnight before it is baked.")
    write(folder, "sub/tea.txt", "Green tea is brewed at eighty degrees.")
    return folder


@pytest.fixture
def task(tmp_path):
    """A BEIR folder of two documents and two queries."""
    folder = tmp_path / "tiny"
    for name, text in TASK_FILES.items():
        write(folder, name, text)
    return folder


# --- libraries made by the pipeline


@pytest.fixture(scope="session")
def small_library(tmp_path_factory, small_folder):
    """A library of the small files under `hash` and `wordllama`; not to be changed: `library`, `settings`, `report`."""
    from ingest.pipeline import Ingest
    from rag.library import Library
    from rag.settings import read_settings

    settings = read_settings(tmp_path_factory.mktemp("library"))
    library = Library(settings.home, create=True)
    report = Ingest(library, settings, "small", ["hash", "wordllama"], "heading").run([small_folder])
    yield SimpleNamespace(library=library, settings=settings, report=report)
    library.close()


@pytest.fixture
def ingest(tmp_path):
    """Runs the real pipeline into the library at `tmp_path / "home"`, under `hash` unless told otherwise.

    Each call opens the library anew and returns the library with the report of the run.
    """
    from ingest.pipeline import Ingest
    from rag.library import Library
    from rag.settings import read_settings

    opened = []

    def run(*paths, embedders=("hash",), chunker="heading", corpus="c", home=None):
        settings = read_settings(home or tmp_path / "home")
        library = Library(settings.home, create=True)
        opened.append(library)
        report = Ingest(library, settings, corpus, list(embedders), chunker).run(paths)
        return SimpleNamespace(library=library, settings=settings, report=report)

    yield run
    for library in opened:
        library.close()


# --- the command line


@pytest.fixture
def rag(capsys):
    """Runs the command line in this process."""
    from ui.cli import run

    def call(*arguments):
        status = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(status=status, out=out, err=err)

    return call


@pytest.fixture(scope="session")
def home(tmp_path_factory, small_folder):
    """A library made by the command itself: the small folder under both light embedders."""
    from ui.cli import run

    folder = tmp_path_factory.mktemp("cli") / "home"
    command = ["ingest", str(small_folder), "--corpus", "small", "--embedder", "hash", "--embedder", "wordllama"]
    assert run(["--home", str(folder), *command]) == 0
    return folder


@pytest.fixture(scope="session")
def copied(home, tmp_path_factory):
    """Makes copies of the library that a test may spoil."""

    def copy():
        return Path(shutil.copytree(home, tmp_path_factory.mktemp("copy") / "home"))

    return copy


# --- a browser; the file of the test says with `url` where the application is


@pytest.fixture(scope="session")
def outside():
    """The server of a stranger; what reaches it is in `paths`."""
    stranger = Outside()
    yield stranger
    stranger.server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    """A running Chromium; while playwright runs, so does its event loop, and asynchronous tests cannot have theirs."""
    playwright_api = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    path = chromium_path()
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, url):
    """Opens pages that must neither leave the server nor log an error."""
    contexts, complaints = [], []

    def opened(address=url, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        own = ("/".join(address.split("/")[:3]), "data:", "blob:")
        page.on("request", lambda r: complaints.append(r.url) if not r.url.startswith(own) else None)
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
