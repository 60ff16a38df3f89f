"""Models served by Hugging Face's text-embeddings-inference, by its route in OpenAI's format."""

from typing import ClassVar

from rag.embedders.openai import OpenAIEmbedder


class TeiEmbedder(OpenAIEmbedder):
    """Calls `/v1/embeddings` of a server of our own; prefixes are ours, because that route adds none."""

    reads_tiktoken: ClassVar[bool] = False

    def _base_url(self) -> str:
        address = (self.spec.base_url or self.vendor.url).rstrip("/")
        return address if address.endswith("/v1") else f"{address}/v1"
