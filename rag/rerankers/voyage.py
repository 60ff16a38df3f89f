"""Voyage's rerankers, by its own client's resource: its `Client` would count tokens by a tokenizer it downloads."""

from typing import Any

from rag.embedders.failures import RequestError, refusal
from rag.rerankers.remote import RemoteReranker, Scores


class VoyageReranker(RemoteReranker):
    """Calls `/rerank`; Voyage cuts what is too long, and bills the query's tokens once for each passage."""

    def _connect(self, key: str, timeout: float) -> Any:
        from voyageai.api_resources import Reranking
        from voyageai.util import get_default_base_url

        address = self.spec.base_url.rstrip("/") or get_default_base_url(key)

        def create(**fields: Any) -> Any:
            call: Any = Reranking.create  # without types
            return call(api_key=key, base_url=address, request_timeout=timeout, **fields)

        return create

    def _request(self, client: Any, query: str, passages: list[str]) -> Scores:
        answer = client(model=self.spec.model, query=query, documents=passages, truncation=True)
        return Scores(
            order=[item["index"] for item in answer.data],
            scores=[item["relevance_score"] for item in answer.data],
            tokens=answer.usage.total_tokens,
        )

    def _refusal(self, error: Exception) -> RequestError | None:
        from voyageai.error import VoyageError

        if isinstance(error, VoyageError) and error.http_status:
            return refusal(error.http_status, error.headers, error.http_body)
        return None
