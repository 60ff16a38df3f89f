"""How many tokens a vendor will count: exactly where its tokenizer is on this machine, else a corrected estimate."""

import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rag.embedders.files import locate
from rag.embedders.spec import EmbedderSpec
from rag.errors import MissingDependencyError

CL100K_URL = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
CL100K_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"

# Fitted to a word-piece and a BPE tokenizer of 30,000 pieces, on running text. Of their mean the estimate gives 1.04 in
# English, 0.95 in German, 0.87 in Chinese and code, 1.1 in Russian, 1.0 in Japanese, 0.7 in Greek, Arabic and Hebrew,
# 0.6 in Korean; the larger vocabularies of vendors need fewer tokens for the last ones.
_PIECE = re.compile(
    r"(?P<latin>[A-Za-z]+)|(?P<digit>\d)"
    r"|(?P<unspaced>[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff])"
    r"|(?P<letters>[^\W\d_]+)|(?P<other>\S)"
)
_WORD, _LETTER_BEYOND, _USUAL_WORD = 0.75, 0.6, 6
_EACH = {"digit": 0.8, "unspaced": 1.1, "other": 0.95}
_LETTER = 0.75

LEARNT_FROM = 200
"""Tokens that must have been billed before they correct the estimate."""


class _Tokenizer(Protocol):
    """Cuts texts into tokens, and a text after so many of them."""

    def counts(self, texts: Sequence[str]) -> list[int]: ...
    def head(self, text: str, tokens: int) -> str: ...


class TokenCounter:
    """Counts tokens without ever asking anybody over a network; threads may share one."""

    def __init__(self, spec: EmbedderSpec, tiktoken: bool = False) -> None:
        self._spec = spec
        self._tiktoken = tiktoken
        self._tokenizer: _Tokenizer | None = None
        self._looked = False
        self._estimated = self._billed = 0.0
        self._lock = threading.Lock()

    @property
    def exact(self) -> bool:
        """Tells whether the model's own tokenizer counts."""
        return self._known() is not None

    def count(self, texts: Sequence[str]) -> list[int]:
        """Counts the tokens of each text, at least one."""
        tokenizer = self._known()
        if tokenizer is not None:
            return [max(1, count) for count in tokenizer.counts(texts)]
        factor = self._factor()
        return [max(1, round(factor * estimate(text))) for text in texts]

    def cut(self, text: str, limit: int) -> str:
        """Cuts a text to a number of tokens where the tokenizer is known, and leaves it as it is where it is not."""
        tokenizer = self._known()
        if tokenizer is None:
            return text
        keep = limit
        (length,) = tokenizer.counts([text])
        while length > limit and keep > 0:  # a word that is cut in two may be read as more tokens than before
            text = tokenizer.head(text, keep)
            (length,) = tokenizer.counts([text])
            keep -= 1
        return text

    def learn(self, texts: Sequence[str], billed: int) -> None:
        """Corrects later estimates by what a vendor has counted for these texts."""
        if not self.exact:
            estimated = sum(map(estimate, texts))
            with self._lock:
                self._estimated += estimated
                self._billed += billed

    def _factor(self) -> float:
        """Returns what the estimate is multiplied by; 1 until enough was billed."""
        with self._lock:
            if self._billed < LEARNT_FROM or self._estimated < 1:
                return 1.0
            return min(5.0, max(0.2, self._billed / self._estimated))

    def _known(self) -> _Tokenizer | None:
        with self._lock:
            if not self._looked:
                self._tokenizer = self._load()
                self._looked = True
            return self._tokenizer

    def _load(self) -> _Tokenizer | None:
        if not self._spec.tokenizer:
            return _Cl100k() if self._tiktoken and _cl100k_is_here() else None
        path = locate(self._spec.tokenizer)
        if path is None:
            raise MissingDependencyError(
                f"Embedder '{self._spec.name}': no file at '{self._spec.tokenizer}'. Correct `tokenizer` in its entry."
            )
        return _FileTokenizer(path)


def estimate(text: str) -> float:
    """Estimates tokens by script, with no tokenizer: about right for running text in any of them.

    >>> round(estimate("Rivers carry sediment down to the sea, 3 tonnes a second."))
    11
    """
    tokens = 0.0
    for piece in _PIECE.finditer(text):
        kind, length = piece.lastgroup, piece.end() - piece.start()
        if kind == "latin":
            tokens += _WORD + _LETTER_BEYOND * max(0, length - _USUAL_WORD)
        elif kind == "letters":
            tokens += _LETTER * length
        else:
            tokens += _EACH[str(kind)]
    return tokens


class _FileTokenizer:
    """A tokenizer of the `tokenizers` package, read from its JSON; special tokens count, as the model reads them."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._special = self._tokenizer.num_special_tokens_to_add(False)

    def counts(self, texts: Sequence[str]) -> list[int]:
        return [len(encoding) for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def head(self, text: str, tokens: int) -> str:
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        kept = offsets[: max(0, tokens - self._special)]
        return text[: kept[-1][1]] if kept else ""


class _Cl100k:
    """OpenAI's tokenizer of all its embedding models."""

    def __init__(self) -> None:
        import tiktoken

        self._encoding = tiktoken.get_encoding("cl100k_base")

    def counts(self, texts: Sequence[str]) -> list[int]:
        return [len(tokens) for tokens in self._encoding.encode_ordinary_batch(list(texts))]

    def head(self, text: str, tokens: int) -> str:
        whole = self._encoding.decode(self._encoding.encode_ordinary(text)[:tokens], errors="ignore")
        return text[: len(whole)]


def _cl100k_is_here() -> bool:
    """Tells whether tiktoken would find its file, unspoilt, where it caches downloads: else it would fetch it."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder == "":
        return False  # its cache is off
    cache = Path(folder) if folder else Path(tempfile.gettempdir()) / "data-gym-cache"
    path = cache / hashlib.sha1(CL100K_URL.encode(), usedforsecurity=False).hexdigest()
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == CL100K_SHA256
