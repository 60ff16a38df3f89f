"""docs/settings.md shows every key with its default, as a file that can be read."""

import tomllib
from dataclasses import fields
from pathlib import Path

from rag.settings import Settings, read_settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"


def test_the_page_shows_every_key_with_its_default(tmp_path):
    toml = PAGE.read_text(encoding="utf-8").partition("```toml\n")[2].partition("[embedders.NAME]")[0]
    assert set(tomllib.loads(toml)) == {field.name for field in fields(Settings)} - {"home", "embedders", "rerankers"}
    (tmp_path / "rag.toml").write_text(toml, encoding="utf-8")
    shown = read_settings(tmp_path)
    (tmp_path / "rag.toml").unlink()
    assert shown == read_settings(tmp_path)
