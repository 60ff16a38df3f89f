"""Fixtures that several files of tests share: a small library made by the real pipeline, without torch."""

from types import SimpleNamespace

import pytest
from hypothesis import settings

from rag.offline import go_quiet

go_quiet()

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


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory):
    """The files above, on disk."""
    folder = tmp_path_factory.mktemp("small") / "docs"
    for name, text in SMALL_FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def small_library(tmp_path_factory, small_folder):
    """A library of those files under `hash` and `wordllama`; not to be changed: `library`, `settings`, `report`."""
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
