"""Mistral's embedders."""

from typing import Any

from rag.embedders.failures import RequestError, refusal
from rag.embedders.remote import RemoteEmbedder, Reply, Side


class MistralEmbedder(RemoteEmbedder):
    """Calls `/v1/embeddings`; its models know no sides, so prefixes are ours, and it refuses what is too long."""

    def _connect(self, key: str, timeout: float) -> Any:
        from mistralai.client import Mistral
        from mistralai.client.utils.logger import NoOpLogger

        return Mistral(
            api_key=key,
            server_url=self.spec.base_url or None,
            timeout_ms=round(1000 * timeout),
            retry_config=None,
            debug_logger=NoOpLogger(),  # its own, switched on by MISTRAL_DEBUG, writes headers and so the key
        )

    def _request(self, client: Any, texts: list[str], side: Side) -> Reply:
        width = self._asked_dimension()
        answer = client.embeddings.create(
            model=self.spec.model, inputs=texts, **({"output_dimension": width} if width else {})
        )
        order = [item.index for item in answer.data]
        return Reply(
            rows=[item.embedding for item in answer.data],
            tokens=answer.usage.total_tokens,
            order=None if None in order else order,
        )

    def _refusal(self, error: Exception) -> RequestError | None:
        from mistralai.client.errors import MistralError

        if isinstance(error, MistralError):
            return refusal(error.status_code, error.headers, error.body)
        return None
