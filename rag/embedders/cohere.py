"""Cohere's embedders, by version 2 of its interface: the first one cannot be asked for a width."""

from typing import Any

from rag.embedders.failures import RequestError, refusal
from rag.embedders.remote import RemoteEmbedder, Reply, Side

INPUT_TYPES = {"query": "search_query", "passage": "search_document"}


class CohereEmbedder(RemoteEmbedder):
    """Calls `/v2/embed`; Cohere puts the prefixes itself, by input type, and cuts long texts at their end."""

    def _connect(self, key: str, timeout: float) -> Any:
        import cohere

        return cohere.ClientV2(key, base_url=self.spec.base_url or None, timeout=timeout, max_retries=0)

    def _request(self, client: Any, texts: list[str], side: Side) -> Reply:
        width = self._asked_dimension()
        answer = client.embed(
            model=self.spec.model,
            texts=texts,
            input_type=INPUT_TYPES[side],
            embedding_types=["float"],
            truncate="END",
            **({"output_dimension": width} if width else {}),
        )
        units = answer.meta.billed_units if answer.meta else None
        tokens = units.input_tokens if units else None
        return Reply(rows=answer.embeddings.float_, tokens=None if tokens is None else int(tokens))

    def _refusal(self, error: Exception) -> RequestError | None:
        from cohere.core import ApiError

        if isinstance(error, ApiError) and error.status_code:
            return refusal(error.status_code, error.headers or {}, error.body)
        return None
