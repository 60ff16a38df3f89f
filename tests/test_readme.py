"""What the documentation says is so: its commands run, its links lead somewhere, its version is the project's."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(?:console|bash|sh|shell)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)|(?:src|href)=[\"']([^\"']+)[\"']")
DOCUMENTS, QUERIES = 3, 6
"""How much of the demo corpus and its task the commands are run on: with all of it they take minutes."""


def commands(text):
    """Returns the `rag` commands of a text's console blocks, in their order, as a shell reads them."""
    found = []
    for block in BLOCK.findall(text.replace("\r\n", "\n")):
        lines = re.sub(r"\\\n\s*(?:>\s)?", " ", block).splitlines()
        found += [re.sub(r"^\s*\$\s+", "", line).strip() for line in lines if re.match(r"\s*(?:\$\s+)?rag\s", line)]
    return [command for command in found if not re.match(r"rag\s+(?:--home\s+\S+\s+)?ui\b", command)]


def links(text):
    """Returns the relative links of a text, without those in code blocks."""
    targets = [first or second for first, second in LINK.findall(re.sub(r"`[^`\n]*`", "", FENCED.sub("", text)))]
    return [target for target in targets if not re.match(r"[a-z][a-z0-9+.-]*:|#|//", target, re.IGNORECASE)]


def test_commands_and_links_are_read():
    text = (
        "```console\n$ make setup\n$ rag ingest corpus \\\n    --corpus demo   # a note\n2 done\n$ rag ui\n```\n"
        "```bash\nrag search 'a b' | head -3\n```\n```python\nrag = 1\n```\n"
        "[a](docs/a.md#part) [b](https://example.org) ![c](<c.png> \"t\") [d](#d) <img src='e.svg'> `[f](f)`\n"
    )
    assert commands(text) == ["rag ingest corpus  --corpus demo   # a note", "rag search 'a b' | head -3"]
    assert links(text) == ["docs/a.md#part", "c.png", "e.svg"]


@pytest.fixture
def checkout(tmp_path):
    """The repository as links, but with a little of the demo corpus; what the commands write stays here."""
    work = tmp_path / "checkout"
    (work / "corpus" / "documents").mkdir(parents=True)
    (work / "corpus" / "task" / "qrels").mkdir(parents=True)
    for path in ROOT.iterdir():
        if path.name != "corpus" and not path.name.startswith("."):
            (work / path.name).symlink_to(path)
    texts = sorted((ROOT / "corpus" / "documents").glob("*.md"), key=lambda path: (path.stat().st_size, path.name))
    for path in texts[:DOCUMENTS]:
        shutil.copy(path, work / "corpus" / "documents")
    cut_task(ROOT / "corpus" / "task", work / "corpus" / "task", {path.name for path in texts[:DOCUMENTS]})
    return work


def cut_task(task, cut, documents):
    """Copies a task with the first queries that one of the documents answers."""
    header, *judgements = (task / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    fields = [line.split("\t") for line in judgements]
    kept = list(dict.fromkeys(query for query, document, grade in fields if document in documents and int(grade)))
    kept = kept[:QUERIES]
    lines = [line for line in judgements if line.split("\t")[0] in kept]
    (cut / "qrels" / "test.tsv").write_text(header + "".join(lines), encoding="utf-8")
    for name in ("queries.jsonl", "answers.jsonl"):
        records = (task / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (cut / name).write_text("".join(r for r in records if json.loads(r)["_id"] in kept), encoding="utf-8")
    shutil.copy(task / "task.toml", cut)


def test_the_commands_of_the_readme_run(checkout, tmp_path):
    said = commands((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(said) >= 4
    scripts = str(Path(sys.executable).parent)
    environment = os.environ | {"RAG_HOME": str(tmp_path / "home"), "PATH": scripts + os.pathsep + os.environ["PATH"]}
    for command in said:
        ran = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stderr}"
        assert "Traceback" not in ran.stderr, command


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    targets = links(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target.partition("#")[0]).exists()] == []


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([A-Za-z][\w-]*):(?!=)", makefile, re.MULTILINE))
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True
    ).stdout
    assert {line.split()[1] for line in shown.splitlines()} == targets
    assert len(targets) >= 6


def test_the_version_is_the_newest_in_the_changelog():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^##\s+\[?v?(\d[\w.]*)", changelog, re.MULTILINE)
    assert newest, "no heading like '## 0.1.0'"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert newest[1] == project["version"]
