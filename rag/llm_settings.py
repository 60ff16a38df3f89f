"""The `[llm]` table of rag.toml: which language model answers, how it is asked, and what it costs."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

from rag.errors import UsageError, unknown_name


@dataclass(frozen=True, slots=True)
class LlmProvider:
    """The facts about one provider of chat models.

    `keys` are the environment variables that may hold its key, the first one first; none where no key is needed.
    `package` is what LangChain imports for it and `extra` what installs that, "" where it comes with the project.
    """

    title: str
    package: str
    url: str
    keys: tuple[str, ...] = ()
    key_page: str = ""
    extra: str = ""


PROVIDERS = {
    "openai": LlmProvider(
        "OpenAI",
        "langchain_openai",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        "https://platform.openai.com/api-keys",
    ),
    "ollama": LlmProvider("Ollama", "langchain_ollama", "http://127.0.0.1:11434", extra="llm-ollama"),
    "anthropic": LlmProvider(
        "Anthropic",
        "langchain_anthropic",
        "https://api.anthropic.com",
        ("ANTHROPIC_API_KEY",),
        "https://platform.claude.com/settings/keys",
        "llm-anthropic",
    ),
    "google_genai": LlmProvider(
        "Google",
        "langchain_google_genai",
        "https://generativelanguage.googleapis.com",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        "https://aistudio.google.com/apikey",
        "llm-google",
    ),
}


@dataclass(frozen=True, slots=True)
class LlmSettings:
    """How a language model is asked; each field is a key of the table `[llm]`.

    `model` is `provider:model`, "" for none: then answers are quoted, not written. `key` names the variable that holds
    the key of a server with a `base_url` of its own. `context_tokens` is what one request may hold, the answer's
    `max_tokens` included; `timeout` is in seconds without a word. With `neighbours`, so
    many chunks before and after each hit are read too, where there is room. Prices are dollars for a million tokens.
    Unless `ask_anyway`, a question that the documents do not seem to answer is not sent.
    """

    model: str = ""
    base_url: str = ""
    key: str = ""
    temperature: float | None = None
    max_tokens: int = 1024
    context_tokens: int = 8192
    timeout: float = 120.0
    neighbours: int = 1
    usd_per_million_input: float | None = None
    usd_per_million_output: float | None = None
    ask_anyway: bool = False

    @property
    def provider(self) -> str:
        """The provider's name, before the first colon of `model`."""
        return self.model.partition(":")[0]

    @property
    def model_name(self) -> str:
        """The model's name as its provider knows it; it may hold colons itself."""
        return self.model.partition(":")[2]

    def usd(self, input_tokens: int, output_tokens: int) -> float | None:
        """Returns the price of so many tokens, None where it is not known."""
        if self.usd_per_million_input is None or self.usd_per_million_output is None:
            return None
        return (input_tokens * self.usd_per_million_input + output_tokens * self.usd_per_million_output) / 1e6


def checked_model(model: str, where: str = "") -> str:
    """Returns `provider:model` as it is; raises UsageError for an unknown provider or a name without one.

    >>> checked_model("ollama:llama3.2:3b")
    'ollama:llama3.2:3b'
    """
    provider, colon, name = model.partition(":")
    if colon and provider not in PROVIDERS:
        raise unknown_name("provider of language models", provider, PROVIDERS, where)
    if not colon or not name.strip():
        raise UsageError(f"The language model '{model}'{where} must be written PROVIDER:MODEL, as in ollama:llama3.2.")
    return model


def chosen(settings: LlmSettings, model: str | None = None, base_url: str | None = None) -> LlmSettings:
    """Returns the settings with what the command line says instead.

    Of another model than the settings' one neither the price nor the server is known; a server that is named goes
    without the other one's key.
    """
    if model and model != settings.model:
        settings = replace(settings, usd_per_million_input=None, usd_per_million_output=None)
        if model.partition(":")[0] != settings.provider:
            settings = replace(settings, base_url="", key="")
        settings = replace(settings, model=model)
    if base_url and base_url != settings.base_url:
        settings = replace(settings, base_url=base_url, key="")
    if not settings.model:
        raise UsageError(
            "No language model is named. Say --llm PROVIDER:MODEL, or set `model` under [llm] in rag.toml."
        )
    checked_model(settings.model)
    _check_address(settings)
    return settings


def parse_llm(written: object, path: Path) -> LlmSettings:
    """Makes the table `[llm]` into settings; raises UsageError for an unknown key or a value that cannot be."""
    if not isinstance(written, dict):
        raise UsageError(f"{path}: llm must be a table, headed [llm].")
    types = {"model": str, "base_url": str, "key": str, "max_tokens": int, "context_tokens": int}
    types |= {"neighbours": int, "ask_anyway": bool}
    values: dict[str, object] = {}
    for key, value in written.items():
        known = {field.name for field in fields(LlmSettings)}
        if key not in known:
            raise unknown_name("setting", key, known, where=f" under [llm] in {path}")
        wanted = types.get(key, float)
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not wanted:
            kinds = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}
            raise UsageError(f"{path}: {key} = {value!r} under [llm] should be {kinds[wanted]}.")
        values[key] = value
    settings = LlmSettings(**values)  # type: ignore[arg-type]
    _check(settings, path)
    return settings


def _check(settings: LlmSettings, path: Path) -> None:
    """Raises UsageError for a model, an address or a number that cannot be."""
    if settings.model:
        checked_model(settings.model, f" in {path}")
    _check_address(settings, f" in {path}")
    for name in ("max_tokens", "context_tokens", "timeout"):
        if not getattr(settings, name) > 0:
            raise UsageError(f"{path}: {name} = {getattr(settings, name)} under [llm] must be above 0.")
    for name in ("neighbours", "temperature", "usd_per_million_input", "usd_per_million_output"):
        number = getattr(settings, name)
        if number is not None and not 0 <= number < float("inf"):
            raise UsageError(f"{path}: {name} = {number} under [llm] must be at least 0.")
    if settings.max_tokens * 2 > settings.context_tokens:
        raise UsageError(
            f"{path}: max_tokens = {settings.max_tokens} under [llm] leaves too little of context_tokens = "
            f"{settings.context_tokens} for the documents; it must be at most half of it."
        )


def _check_address(settings: LlmSettings, where: str = "") -> None:
    address = settings.base_url
    if address and not address.startswith(("http://", "https://")):
        raise UsageError(f"The language model's base URL '{address}'{where} must begin with http:// or https://.")
    if address and settings.provider == "google_genai":
        raise UsageError(
            f"google_genai takes no base URL{where}: it speaks gRPC to Google alone. For a proxy of Gemini say "
            f"openai:MODEL and its OpenAI-compatible address."
        )
