"""Voyage's embedders, by its own client: LangChain's fetches a tokenizer from a model hub before every call."""

from typing import Any

from rag.embedders.failures import RequestError, refusal
from rag.embedders.remote import RemoteEmbedder, Reply, Side

INPUT_TYPES = {"query": "query", "passage": "document"}


class VoyageEmbedder(RemoteEmbedder):
    """Calls `/embeddings`; Voyage puts the prefixes itself, by input type, and cuts long texts at their end.

    The client's resource is used rather than its `Client`, which drops the rows' numbers and runs some models here.
    """

    def _connect(self, key: str, timeout: float) -> Any:
        from voyageai.api_resources import Embedding
        from voyageai.util import get_default_base_url

        address = self.spec.base_url.rstrip("/") or get_default_base_url(key)

        def create(**fields: Any) -> Any:
            call: Any = Embedding.create  # without types
            return call(api_key=key, base_url=address, request_timeout=timeout, **fields)

        return create

    def _request(self, client: Any, texts: list[str], side: Side) -> Reply:
        width = self._asked_dimension()
        answer = client(
            model=self.spec.model,
            input=texts,
            input_type=INPUT_TYPES[side],
            truncation=True,
            **({"output_dimension": width} if width else {}),
        )
        return Reply(
            rows=[item["embedding"] for item in answer.data],
            tokens=answer.usage.total_tokens,
            order=[item["index"] for item in answer.data],
        )

    def _refusal(self, error: Exception) -> RequestError | None:
        from voyageai.error import VoyageError

        if isinstance(error, VoyageError) and error.http_status:
            return refusal(error.http_status, error.headers, error.http_body)
        return None
