"""Models served by Ollama, on this machine or another."""

from typing import Any, ClassVar

from rag.embedders.failures import Kind, RequestError, refusal
from rag.embedders.remote import NO_KEY, RemoteEmbedder, Reply, Side


class OllamaEmbedder(RemoteEmbedder):
    """Calls `/api/embed`; Ollama adds no prefixes, so they are ours, and it cuts what is longer than the model reads.

    The first query may have to wait until the model is in memory. Without a `base_url` the client's own rules hold:
    OLLAMA_HOST, else this machine.
    """

    query_timeout: ClassVar[float] = 60.0

    def _connect(self, key: str, timeout: float) -> Any:
        from ollama import Client

        def sign(request: Any) -> Any:
            """Sends our key or none; the client would send OLLAMA_API_KEY to whatever server it is given."""
            request.headers.pop("authorization", None)
            if key != NO_KEY:
                request.headers["authorization"] = f"Bearer {key}"
            return request

        return Client(
            host=self.spec.base_url or None, timeout=timeout, auth=sign, event_hooks={"response": [self._refuse]}
        )

    def _refuse(self, response: Any) -> None:
        """Raises a refusal while its headers are at hand: the client's own error tells no pause."""
        if response.is_error:
            response.read()
            failure = refusal(response.status_code, response.headers, response.text)
            if response.status_code == 404:
                pull = Kind(1, f"Run: ollama pull {self.spec.model}", fatal=True)
                failure = RequestError(pull, failure.reason)
            raise failure

    def _request(self, client: Any, texts: list[str], side: Side) -> Reply:
        answer = client.embed(model=self.spec.model, input=texts, truncate=True, dimensions=self._asked_dimension())
        return Reply(rows=answer.embeddings, tokens=answer.prompt_eval_count)

    def _refusal(self, error: Exception) -> RequestError | None:
        return None  # raised as such above
