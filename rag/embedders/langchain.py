"""Any LangChain `Embeddings` as an embedder, by import path: `model = "package.module:attribute"`."""

import importlib
import inspect
from collections.abc import Callable, Sequence

from langchain_core.embeddings import Embeddings

from rag.embedders.spec import EmbedderSpec
from rag.errors import MissingDependencyError, RagError, UsageError
from rag.keys import find_key, mask
from rag.langchain_adapter import LangChainAsEmbedder
from rag.schema import Vectors


class LangChainEmbedder(LangChainAsEmbedder):
    """Loads an instance, a class that is made without arguments, or a function that returns an instance.

    Its keys, retries and limits are its own affair; set `key` in the entry to have that secret masked in errors.
    """

    counts_exactly = False

    def __init__(self, spec: EmbedderSpec) -> None:
        if spec.key:
            find_key(spec.key)
        super().__init__(_load(spec), spec)

    def embed_queries(self, queries: Sequence[str]) -> Vectors:
        """Embeds queries one by one, (n, dimension)."""
        return self._guarded(super().embed_queries, queries)

    def embed_passages(self, passages: Sequence[str]) -> Vectors:
        """Embeds passages, (n, dimension)."""
        return self._guarded(super().embed_passages, passages)

    def _guarded(self, embed: Callable[[Sequence[str]], Vectors], texts: Sequence[str]) -> Vectors:
        try:
            return embed(texts)
        except RagError:
            raise
        except Exception as error:  # somebody else's class: it can raise anything
            problem = f"{type(error).__name__}: {mask(str(error))}"
        # outside of the handler, so that it does not carry the error, and perhaps a key, along
        raise RagError(f"Embedder '{self.spec.name}': {self.spec.model} failed: {problem}")


def _load(spec: EmbedderSpec) -> Embeddings:
    """Imports what the entry names; raises UsageError where that is no `Embeddings`."""
    module, colon, attribute = spec.model.partition(":")
    if not (module and colon and attribute):
        raise UsageError(
            f"model = {spec.model!r} of the embedder [{spec.name}] should be an import path, such as "
            f'"langchain_openai:OpenAIEmbeddings".'
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"Embedder '{spec.name}' needs the module '{error.name}', which is not installed. Run: pip install the "
            f"package that holds it, or correct `model` in its entry."
        ) from error
    except AttributeError as error:
        raise UsageError(f"The module '{module}' of the embedder [{spec.name}] has no '{attribute}'.") from error
    if isinstance(found, Embeddings):
        return found
    made, problem = _make(found)
    if isinstance(made, Embeddings):
        return made
    raise UsageError(
        f"model = {spec.model!r} of the embedder [{spec.name}] {problem or 'is no LangChain Embeddings'}. Name an "
        f"instance, a class that needs no arguments, or a function without arguments that returns an instance."
    )


def _make(found: object) -> tuple[object, str]:
    """Calls a class or a function without arguments; returns what it made, or what went wrong."""
    if not (inspect.isclass(found) or callable(found)):
        return None, ""
    try:
        return found(), ""
    except Exception as error:  # somebody else's constructor; without the chain, for it may hold a key
        return None, f"cannot be made: {type(error).__name__}: {mask(str(error))}"
