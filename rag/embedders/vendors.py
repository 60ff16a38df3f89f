"""What differs between vendors before a request is made: the names of keys, where keys come from, limits, extras."""

from dataclasses import dataclass

from rag.embedders.spec import EmbedderSpec
from rag.keys import MissingKeyError, Secret, find_key


@dataclass(frozen=True, slots=True)
class Vendor:
    """The facts about one vendor or kind of server.

    `keys` are the environment variables that may hold its key, the first one first; none where no key is needed.
    `batch` is the most texts of a request, `request_tokens` the most tokens, 0 for no limit. `package` is what is
    imported and `extra` what installs it, "" where it comes with the project.
    """

    title: str
    package: str
    batch: int
    request_tokens: int = 0
    keys: tuple[str, ...] = ()
    key_page: str = ""
    extra: str = ""
    url: str = ""


VENDORS = {
    "openai": Vendor("OpenAI", "openai", 2048, 300_000, ("OPENAI_API_KEY",), "https://platform.openai.com/api-keys"),
    "cohere": Vendor(
        "Cohere", "cohere", 96, 0, ("CO_API_KEY", "COHERE_API_KEY"), "https://dashboard.cohere.com/api-keys", "cohere"
    ),
    "voyage": Vendor(
        "Voyage", "voyageai", 1000, 120_000, ("VOYAGE_API_KEY",), "https://dashboard.voyageai.com/api-keys", "voyage"
    ),
    "google": Vendor(
        "Google",
        "google.genai",
        100,
        0,
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        "https://aistudio.google.com/apikey",
        "google",
    ),
    "mistral": Vendor(
        "Mistral", "mistralai", 256, 16_384, ("MISTRAL_API_KEY",), "https://console.mistral.ai/api-keys", "mistral"
    ),
    "ollama": Vendor("Ollama", "ollama", 64, extra="ollama", url="http://127.0.0.1:11434"),
    "tei": Vendor("text-embeddings-inference", "openai", 32, url="http://127.0.0.1:8080"),
}
"""By provider. OpenAI: 2,048 texts and 300,000 tokens (API reference). Cohere: 96 texts (API reference). Voyage: 1,000
texts and 120,000 tokens, the least of its models' limits. Google: 100 texts of a batch. Mistral: 256 texts and 16,384
tokens, as its refusals say. Ollama has no limit, but answers a request only when all of it is done; 32 texts are the
default of text-embeddings-inference's --max-client-batch-size."""


def key_variables(spec: EmbedderSpec) -> tuple[str, ...]:
    """Names the variables that may hold an entry's key; none where it needs no key.

    The vendor's usual key goes to the vendor alone: an entry with a `base_url` of its own sends a key only where its
    `key` names one.
    """
    if spec.key:
        return (spec.key,)
    return () if spec.base_url else VENDORS[spec.provider].keys


def find_vendor_key(spec: EmbedderSpec) -> Secret | None:
    """Finds the key of an entry, or None where it needs none; raises MissingKeyError where it needs one."""
    variables = key_variables(spec)
    for variable in variables:
        secret = find_key(variable)
        if secret:
            return secret
    if not variables:
        return None
    page = VENDORS[spec.provider].key_page
    where = f" Keys are made at {page}." if page and not spec.base_url else ""
    raise MissingKeyError(
        f"Embedder '{spec.name}' needs a key: set the environment variable {variables[0]}, or write it to keys.toml "
        f"(docs/vendors.md).{where}"
    )
