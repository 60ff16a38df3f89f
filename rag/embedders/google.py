"""Google's embedders, by the Gemini interface."""

from typing import Any

from rag.embedders.failures import RequestError, refusal
from rag.embedders.remote import RemoteEmbedder, Reply, Side

TASK_TYPES = {"query": "RETRIEVAL_QUERY", "passage": "RETRIEVAL_DOCUMENT"}


class GoogleEmbedder(RemoteEmbedder):
    """Calls `batchEmbedContents`.

    An entry without prefixes is a model that is told the side by task type (gemini-embedding-001); one with prefixes
    is told in words, as gemini-embedding-2 wants it, and by nothing else.
    """

    def _connect(self, key: str, timeout: float) -> Any:
        from google import genai
        from google.genai import types

        options = types.HttpOptions(
            base_url=self.spec.base_url or None,
            timeout=round(1000 * timeout),
            retry_options=types.HttpRetryOptions(attempts=1),
        )
        return genai.Client(vertexai=False, api_key=key, http_options=options)

    def _request(self, client: Any, texts: list[str], side: Side) -> Reply:
        from google.genai import types

        by_prefix = self.spec.query_prefix or self.spec.passage_prefix
        answer = client.models.embed_content(
            model=self.spec.model,
            # Bare texts would become the parts of one content, and one vector, under the newer models.
            contents=[types.Content(parts=[types.Part(text=text)]) for text in texts],
            config=types.EmbedContentConfig(
                task_type=None if by_prefix else TASK_TYPES[side], output_dimensionality=self._asked_dimension()
            ),
        )
        usage = answer.usage_metadata
        return Reply(
            rows=[embedding.values for embedding in answer.embeddings],
            tokens=usage.prompt_token_count if usage else None,
        )

    def _refusal(self, error: Exception) -> RequestError | None:
        from google.genai.errors import APIError

        if isinstance(error, APIError):
            headers = getattr(error.response, "headers", None) or {}
            return refusal(error.code, headers, error.details)
        return None
