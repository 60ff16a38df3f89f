"""Facts about an embedder in a few characters, for the table of the command line and for docs/embedders.md."""

from rag.embedders.spec import EmbedderSpec

FEW_LANGUAGES = 3
UNSURE = "?"
"""Marks a fact that no source was found for."""


def width_text(spec: EmbedderSpec) -> str:
    """Returns the dimension, and the least and the most that can be chosen: 1024 (256-2048)."""
    choices = f" ({min(spec.dimensions)}-{max(spec.dimensions)})" if spec.dimensions else ""
    return f"{_marked(spec, 'dimension', str(spec.dimension))}{_marked(spec, 'dimensions', choices)}"


def tokens_text(spec: EmbedderSpec) -> str:
    """Returns how many tokens of a passage are read."""
    return _marked(spec, "max_tokens", f"{spec.max_tokens:,}" if spec.max_tokens else "no limit")


def languages_text(spec: EmbedderSpec) -> str:
    """Returns the codes of a few languages, or how many they are."""
    few = len(spec.languages) <= FEW_LANGUAGES
    return _marked(spec, "languages", ", ".join(spec.languages) if few else str(len(spec.languages)))


def price_text(spec: EmbedderSpec) -> str:
    """Returns the dollars for a million tokens."""
    price = f"{spec.usd_per_million_tokens:.2f}" if spec.usd_per_million_tokens else "free"
    return _marked(spec, "usd_per_million_tokens", price)


def _marked(spec: EmbedderSpec, key: str, text: str) -> str:
    return text + UNSURE if key in spec.unconfirmed else text
