"""OpenAI's embedders, and every server that speaks its format: vLLM, llama.cpp, LM Studio, Azure."""

from typing import Any, ClassVar

from rag.embedders.failures import RequestError, refusal
from rag.embedders.remote import RemoteEmbedder, Reply, Side


class OpenAIEmbedder(RemoteEmbedder):
    """Calls `/embeddings` through OpenAI's client.

    Without a `base_url` the client's own rules hold: OPENAI_BASE_URL, else OpenAI. The text goes out with our prefixes;
    its models have no input types.
    """

    reads_tiktoken: ClassVar[bool] = True

    def _connect(self, key: str, timeout: float) -> Any:
        from openai import OpenAI

        return OpenAI(api_key=key, base_url=self._base_url(), timeout=timeout, max_retries=0)

    def _base_url(self) -> str | None:
        return self.spec.base_url or None

    def _request(self, client: Any, texts: list[str], side: Side) -> Reply:
        width = self._asked_dimension()
        answer = client.embeddings.create(
            model=self.spec.model, input=texts, **({"dimensions": width} if width else {})
        )
        order = [item.index for item in answer.data]
        return Reply(
            rows=[item.embedding for item in answer.data],
            tokens=answer.usage.total_tokens if answer.usage else None,
            order=None if None in order else order,
        )

    def _refusal(self, error: Exception) -> RequestError | None:
        from openai import APIStatusError

        if isinstance(error, APIStatusError):
            return refusal(error.status_code, error.response.headers, error.body or error.response.text)
        return None
