"""Cross-encoders served by Hugging Face's text-embeddings-inference, or by what speaks its `/rerank`."""

from typing import Any

from rag.embedders.failures import RequestError, refusal
from rag.rerankers.remote import RemoteReranker, Scores


class TeiReranker(RemoteReranker):
    """Calls `/rerank` of a server of our own, which answers with a list of {index, score}; long texts are cut."""

    def _connect(self, key: str, timeout: float) -> Any:
        import httpx

        headers = {"authorization": f"Bearer {key}"} if self._secret else {}
        address = (self.spec.base_url or self.vendor.url).rstrip("/").removesuffix("/v1")
        unkept = httpx.Limits(max_keepalive_connections=0)  # a question now and then is not worth an open socket
        return httpx.Client(base_url=address, headers=headers, timeout=timeout, limits=unkept)

    def _request(self, client: Any, query: str, passages: list[str]) -> Scores:
        answer = client.post("/rerank", json={"query": query, "texts": passages, "truncate": True})
        if answer.status_code != 200:
            raise refusal(answer.status_code, answer.headers, answer.text)
        found = answer.json()
        return Scores(order=[item["index"] for item in found], scores=[item["score"] for item in found])

    def _refusal(self, error: Exception) -> RequestError | None:
        return None  # `_request` has told it
