"""Cohere's rerankers, by version 2 of its interface."""

from typing import Any

from rag.embedders.failures import RequestError, refusal
from rag.rerankers.remote import RemoteReranker, Scores


class CohereReranker(RemoteReranker):
    """Calls `/v2/rerank`; Cohere cuts a long passage after 4,096 tokens and bills a search for each 100 passages."""

    def _connect(self, key: str, timeout: float) -> Any:
        import cohere

        return cohere.ClientV2(key, base_url=self.spec.base_url or None, timeout=timeout, max_retries=0)

    def _request(self, client: Any, query: str, passages: list[str]) -> Scores:
        answer = client.rerank(model=self.spec.model, query=query, documents=passages)
        units = answer.meta.billed_units if answer.meta else None
        return Scores(
            order=[result.index for result in answer.results],
            scores=[result.relevance_score for result in answer.results],
            searches=(units.search_units if units else None) or 0.0,
        )

    def _refusal(self, error: Exception) -> RequestError | None:
        from cohere.core import ApiError

        if isinstance(error, ApiError) and error.status_code:
            return refusal(error.status_code, error.headers or {}, error.body)
        return None
