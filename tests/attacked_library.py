"""A library that strangers have written: attacks in texts, titles, headings, file names and settings."""

from attacks import ATTACKS, FORGED, LITERAL, RUN, TURNED

SECRET = "zeppelin"
"""The word that finds the documents of the attacks."""

NAMES = (
    "<img src=x: onerror=window.attacked=1>.txt",
    '" autofocus onfocus="window.attacked=2" x=".txt',
    "![x](x:y) [1] {{7*7}} <b>bold<!--.md",
    f"{TURNED}.txt",
    "two\nlines\x1b[31m.txt",
)
"""Names that a file system takes."""

EMBEDDER = "'<img src=x: onerror=window.attacked=3>'"

HOSTILE_ENTRY = """
[embedders.{name}]
provider = "openai"
model = "<script>window.attacked=4</script>![x]({url}/model)"
revision = ""
dimension = 64
max_tokens = 0
query_prefix = ""
passage_prefix = ""
usd_per_million_tokens = 0.0
languages = ["<b onmouseover=window.attacked=5>en"]
licence = "<img src={url}/licence>"
source = "javascript:window.attacked=6"
base_url = "http://127.0.0.1:9/v1"
"""


def sentence(text):
    """Returns a text around an attack that a question finds."""
    return f"The {SECRET} password is {text} and nothing else."


def write_attacks(folder, url):
    """Writes the documents: a file for each attack, and others whose names, titles and headings are attacks."""
    folder.mkdir(parents=True)
    for attack in ATTACKS:
        (folder / f"{attack.name}.txt").write_text(sentence(attack.text(url)) + "\n", encoding="utf-8")
    for number, name in enumerate(NAMES):
        (folder / name).write_text(f"The {SECRET} with the strange name {number} flies.\n", encoding="utf-8")
    title = '<img src=x: onerror="' + RUN.format(url=url, name="title") + '">'
    escaped = title.replace("&", "&amp;").replace("<", "&lt;")
    (folder / "title.html").write_text(
        f"<html><head><title>{escaped}</title></head><body><h1>{escaped}</h1><p>The {SECRET} has a title.</p>"
        f"<h2>![x]({url}/heading) [1]</h2><p>The {SECRET} has a heading. {escaped}</p></body></html>",
        encoding="utf-8",
    )
    (folder / "headings.md").write_text(
        "".join(f"# {attack.text(url)}\n\nThe {SECRET} has heading {attack.name}.\n\n" for attack in ATTACKS[:12]),
        encoding="utf-8",
    )
    literal = "\n\n".join(sentence(text) for text in LITERAL)
    (folder / "literal.txt").write_text(literal + "\n\n\x00\x07 bell " + "A" * 20_000 + "\n", encoding="utf-8")
    (folder / "forged.txt").write_text("\n\n".join(FORGED) + "\n", encoding="utf-8")


def make_library(folder, url, settings_text=""):
    """Makes a library of the attacks under `hash`, with hostile settings; returns its home."""
    from rag.library import Library
    from rag.settings import read_settings
    from ui.ingesting import ingest_paths

    write_attacks(folder / "documents", url)
    home = folder / "home"
    home.mkdir()
    entry = HOSTILE_ENTRY.format(name=EMBEDDER, url=url)
    (home / "rag.toml").write_text(f'embedder = "hash"\n{settings_text}\n{entry}', encoding="utf-8")
    settings = read_settings(home)
    library = Library(settings.home, create=True)
    ingest_paths(library, settings, [folder / "documents"], "attacks", ["hash"])
    library.close()
    return home
