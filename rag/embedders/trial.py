"""One real try of an embedder: does it answer, how fast, how wide, and what do its prefixes do."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rag.embedders.readiness import lacks
from rag.embedders.registry import find_spec, load_embedder
from rag.embedders.spec import Embedder, EmbedderSpec
from rag.errors import MissingDependencyError, RagError
from rag.schema import Vectors

TEXT = "How long does a sourdough loaf rest before it is baked?"
AGAIN = "Which of the planets has the brightest rings?"
PASSAGES = (
    "A sourdough starter ferments flour and water with wild yeast. The dough rests overnight in the refrigerator.",
    "Saturn is known for its bright rings of ice. Titan is the largest of its many moons.",
    "A worn chain skips over the teeth of the cassette. Replace it every three thousand kilometres.",
    "Green tea is brewed at eighty degrees for two minutes. Black tea takes boiling water.",
    "The Rhine rises in the Alps and runs to the North Sea; barges carry grain and coal on it.",
    "A violin has four strings, tuned in fifths. Its bow is strung with the hair of a horse's tail.",
    "Glaciers creep downhill under their own weight and leave moraines where they melt.",
)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a try has shown.

    `first_ms` is the first query, with the loading of the model where it was not loaded yet; `second_ms` another query
    after it. `norm` is the length of a row. `cosine` compares one text's query side with its passage side: 1 where the
    embedder treats both alike. `tokens_per_second` is that of a few passages in one call. `backend` is what computes:
    the embedder's own word for it, else its provider.
    """

    name: str
    first_ms: float
    second_ms: float
    dimension: int
    norm: float
    cosine: float
    tokens_per_second: float
    precision: str
    backend: str


def try_embedder(name: str, specs: Mapping[str, EmbedderSpec] | None = None) -> Trial:
    """Embeds two queries and a few passages, some 200 tokens in all; a vendor counts them as any others.

    Raises UsageError for an unknown name, MissingDependencyError for what the embedder lacks here, and RagError where
    it answers wrongly.
    """
    spec = find_spec(name, specs)
    lack = lacks(spec)
    if lack:
        raise MissingDependencyError(f"Embedder '{name}' cannot be used here: it needs {lack}.")
    started = time.perf_counter()
    embedder = load_embedder(name, specs)
    query = _checked(embedder.embed_queries([TEXT]), 1, spec)
    first = time.perf_counter() - started

    started = time.perf_counter()
    _checked(embedder.embed_queries([AGAIN]), 1, spec)
    second = time.perf_counter() - started

    texts = [TEXT, *PASSAGES]
    started = time.perf_counter()
    passages = _checked(embedder.embed_passages(texts), len(texts), spec)
    seconds = time.perf_counter() - started
    return Trial(
        name=name,
        first_ms=1000 * first,
        second_ms=1000 * second,
        dimension=passages.shape[1],
        norm=float(np.linalg.norm(passages[0])),
        cosine=float(query[0] @ passages[0]),
        tokens_per_second=sum(embedder.count_tokens(texts)) / seconds,
        precision=spec.precision,
        backend=_backend(embedder),
    )


def _checked(vectors: Vectors, rows: int, spec: EmbedderSpec) -> Vectors:
    """Returns the vectors; raises RagError where they are not what the entry and the protocol promise."""
    if vectors.shape != (rows, spec.dimension):
        raise RagError(
            f"Embedder '{spec.name}' gave vectors of shape {vectors.shape} where {(rows, spec.dimension)} was "
            f"expected. Correct `dimension` in its entry."
        )
    if not np.isfinite(vectors).all():
        raise RagError(f"Embedder '{spec.name}' gave numbers that are not finite. Its model cannot be used.")
    return vectors


def _backend(embedder: Embedder) -> str:
    """Returns what computes the vectors, in the embedder's own word where it has one."""
    return str(getattr(embedder, "backend", embedder.spec.provider))
