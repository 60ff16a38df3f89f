"""The language of documents, and what an embedder was not trained to read."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.languages import detect_language, language_name, unread_languages
from ingest.parsing import parse_bytes
from rag.embedders.registry import find_spec

DEMO = Path(__file__).parents[1] / "corpus" / "documents"
SHARED = Path(__file__).parents[2] / "shared"

OTHERS = {
    "evaluar-un-buscador-con-pocos-juicios.md": "es",
    "preguntas-frecuentes-busqueda-hibrida.html": "es",
    "komposita-zerlegen-und-bm25-auf-deutsch.txt": "de",
    "welches-einbettungsmodell-fuer-deutsche-texte.md": "de",
    "zhongwen-jiansuo-fenci-yu-xiangliang-moxing.md": "zh",
    "published-ndcg-at-10-beir.csv": "",  # names and numbers
}

# The languages with most speakers and some of their neighbours; one sentence of Indonesian is not told from Malay.
UDHR = {
    "Arabic, Standard": "ar", "Bengali": "bn", "Chinese, Mandarin (Simplified)": "zh",
    "Chinese, Mandarin (Traditional)": "zh", "Chinese, Yue": "zh", "English": "en", "French": "fr",
    "German, Standard (1996)": "de", "Hindi": "hi", "Indonesian": "", "Italian": "it", "Japanese": "ja",
    "Javanese (Latin)": "jv", "Korean": "ko", "Marathi": "mr", "Panjabi, Eastern": "pa", "Portuguese (Brazil)": "pt",
    "Russian": "ru", "Spanish": "es", "Swahili": "sw", "Tamil": "ta", "Telugu": "te", "Turkish": "tr", "Urdu": "ur",
    "Vietnamese": "vi",
    "Dutch": "nl", "Polish": "pl", "Ukrainian": "uk", "Czech": "cs", "Greek (monotonic)": "el", "Hebrew": "he",
    "Thai": "th", "Farsi, Western": "fa", "Swedish": "sv", "Hungarian": "hu",
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(DEMO.iterdir()), ids=lambda path: path.name)
def test_the_demo_documents(path):
    _, parsed = parse_bytes(path.read_bytes(), path.name)
    assert detect_language(parsed.text) == OTHERS.get(path.name, "en")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "code", "least"), [("xquad-en", "en", 0.99), ("xquad-de", "de", 1), ("xquad-zh", "zh", 1)]
)
def test_paragraphs_of_three_languages(folder, code, least):
    path = SHARED / "data" / "retrieval" / folder / "corpus.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    texts = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
    found = [detect_language(text) for text in texts]
    assert found.count(code) >= least * len(texts)
    assert set(found) <= {code, ""}  # rather unknown than wrong


@pytest.mark.shared
def test_one_sentence_of_the_biggest_languages():
    path = SHARED / "documents" / "txt" / "UDHR_first_article_all.txt"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert {name: detect_language(lines[lines.index(name) + 1]) for name in UDHR} == UDHR


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "ok",
        "Hello",
        "12345 67.8 9 1011 12131415 1617",
        "?!... ---- ====",
        "😀🚴😀🚴😀🚴😀🚴",
        "id,qty\n1,2\n3,4\n5,6\n7,8",
        "https://example.com/a/b?c=d&e=f https://example.org/g",
        "aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQ=",
        "\ud800" * 30,
    ],
)
def test_what_tells_no_language_has_none(text):
    assert detect_language(text) == ""


def test_a_long_text_is_judged_by_its_beginning_middle_and_end():
    english = "This is a plain English sentence about documents and search. " * 200
    german = "Dies ist ein einfacher deutscher Satz über Dokumente und Suche. " * 2000
    assert detect_language(english[:300] + german) == "de"
    assert detect_language(german[:300] + english + german[:300]) in ("en", "de")
    assert detect_language("\n" * 300 + german) == "de"
    assert detect_language("ALL CAPITALS: THIS IS A PLAIN ENGLISH SENTENCE ABOUT DOCUMENTS.") == "en"


def test_names():
    assert [language_name(code) for code in ("de", "zh", "en", "qq")] == ["German", "Chinese", "English", "qq"]


def test_unread_languages():
    counts = {"en": 40, "de": 2, "": 3, "zh": 7, "fr": 2, "es": 0}
    english = find_spec("minilm")
    assert list(unread_languages(counts, english).items()) == [("zh", 7), ("de", 2), ("fr", 2)]
    assert unread_languages(counts, replace(english, languages=("en", "de", "zh", "fr"))) == {}
    assert unread_languages(counts, find_spec("hash")) == {}  # reads any


def test_the_model_is_imported_only_to_detect():
    code = "import sys, ingest.languages as l; l.language_name('de'); sys.exit('py3langid' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
