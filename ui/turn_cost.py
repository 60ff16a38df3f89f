"""What a turn has cost: the question's embedding by a vendor, and the language model that wrote the answer."""

from dataclasses import dataclass

from ingest.budget import price
from rag.embedders.spec import EmbedderSpec
from rag.schema import Usage

CHARACTERS_PER_TOKEN = 4
"""Of a question, roughly; its embedding costs millionths of a dollar, so that nothing hangs on it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars, None where a price is not known, and what they are made of."""

    usd: float | None
    words: str


def cost_of(question: str, spec: EmbedderSpec | None, usage: Usage | None) -> Cost:
    """Adds up what a turn has cost; `spec` is None where nothing was embedded, `usage` where no model wrote."""
    known, unknown, words = 0.0, False, []
    if usage is not None:
        about = "about " if usage.estimated else ""
        words.append(f"answer: {about}{usage.input_tokens:,} tokens read, {usage.output_tokens:,} written")
        known, unknown = (known + usage.usd, unknown) if usage.usd is not None else (known, True)
    token = price(spec) if spec is not None else 0.0
    if spec is not None and token != 0:
        count = max(1, len(question) // CHARACTERS_PER_TOKEN)
        words.append(f"question: about {count:,} tokens embedded by {spec.name}")
        known, unknown = (known + count * token, unknown) if token is not None else (known, True)
    return Cost(None if unknown else known, "; ".join(words))
