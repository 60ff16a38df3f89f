"""Tokens counted by the tokenizer's file alone, so that an estimate need not load a network to count its input."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from rag.embedders.files import locate
from rag.embedders.hub import cached_folder
from rag.embedders.registry import load_embedder
from rag.embedders.spec import EmbedderSpec

FILE = "tokenizer.json"
AT_ONCE = 256


class Counter(Protocol):
    """What can count the tokens of passages under an embedder; every `Embedder` can."""

    @property
    def spec(self) -> EmbedderSpec:
        """The facts about the embedder."""
        ...

    def count_tokens(self, passages: Sequence[str]) -> list[int]:
        """Counts as `Embedder.count_tokens` does, and sends nothing."""
        ...


def load_counter(spec: EmbedderSpec, specs: Mapping[str, EmbedderSpec]) -> Counter:
    """Returns a counter for an embedder: that of its tokenizer's file where there is one, else the embedder itself."""
    if spec.provider == "sentence-transformers":
        folder = locate(spec.model) or cached_folder(spec.model, spec.revision)
        if folder and (folder / FILE).is_file():
            return TokenizerFile(spec, folder / FILE)
    return load_embedder(spec.name, specs)


class TokenizerFile:
    """The tokenizer of a model, read from the JSON beside it: with prefix and special tokens, uncut."""

    def __init__(self, spec: EmbedderSpec, path: Path) -> None:
        from tokenizers import Tokenizer

        self.spec = spec
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count_tokens(self, passages: Sequence[str]) -> list[int]:
        """Counts tokens as the model reads them when it cuts nothing off."""
        texts = [self.spec.passage_prefix + passage for passage in passages]
        slices = (texts[first : first + AT_ONCE] for first in range(0, len(texts), AT_ONCE))
        return [len(encoding) for part in slices for encoding in self._tokenizer.encode_batch_fast(part)]
