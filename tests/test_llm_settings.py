"""The table [llm] of rag.toml: read in its types, refused with a hint."""

import pytest

from rag.errors import UsageError
from rag.llm_settings import LlmSettings
from rag.settings import read_settings


@pytest.fixture
def read(tmp_path):
    def reading(text):
        (tmp_path / "rag.toml").write_text(text, encoding="utf-8")
        return read_settings(tmp_path).llm

    return reading


def test_a_table_is_read_and_what_it_lacks_is_the_default(read):
    assert read("k = 3") == read("[llm]") == LlmSettings()
    settings = read(
        '[llm]\nmodel = "ollama:llama3.2:3b"\ntemperature = 0\nusd_per_million_input = 1\n'
        "usd_per_million_output = 2.5\nask_anyway = true\nneighbours = 0\n"
    )
    assert (settings.provider, settings.model_name) == ("ollama", "llama3.2:3b")
    assert settings.temperature == 0.0 and settings.ask_anyway and settings.neighbours == 0
    assert settings.usd(1_000_000, 2_000_000) == pytest.approx(6)
    assert LlmSettings().usd(1, 1) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('llm = "ollama:x"', "must be a table"),
        ('[llm]\nmodle = "ollama:x"', "Did you mean 'model'"),
        ('[llm]\nmodel = "olama:x"', "Did you mean 'ollama'"),
        ('[llm]\nmodel = "llama"', "PROVIDER:MODEL"),
        ('[llm]\nmodel = "ollama: "', "PROVIDER:MODEL"),
        ("[llm]\nmodel = 3", "a text in quotes"),
        ('[llm]\ntemperature = "hot"', "a number"),
        ("[llm]\ntemperature = nan", "at least 0"),
        ("[llm]\ntimeout = nan", "above 0"),
        ("[llm]\nmax_tokens = true", "a whole number"),
        ("[llm]\nmax_tokens = 1.5", "a whole number"),
        ("[llm]\nmax_tokens = 0", "above 0"),
        ("[llm]\nask_anyway = 1", "true or false"),
        ("[llm]\nusd_per_million_input = -1", "at least 0"),
        ('[llm]\nbase_url = "localhost:8000"', "http://"),
        ("[llm]\nmax_tokens = 5000", "at most half"),
        ('[llm]\nmodel = "google_genai:m"\nbase_url = "http://here"', "openai:MODEL"),
    ],
)
def test_what_cannot_be_is_refused_with_the_file_and_a_hint(read, tmp_path, text, words):
    with pytest.raises(UsageError, match=words) as raised:
        read(text)
    assert str(tmp_path / "rag.toml") in str(raised.value)
