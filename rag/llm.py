"""Chat models by name, through LangChain: loaded when first used, asked with patience, their errors made clear."""

import importlib.util
import logging
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from rag.embedders import failures
from rag.embedders.failures import RequestError
from rag.embedders.token_counts import estimate
from rag.errors import MissingDependencyError, RagError
from rag.keys import MissingKeyError, Secret, find_key, mask
from rag.llm_failures import REMEDIES, TRIES, failure_of
from rag.llm_settings import PROVIDERS, LlmSettings
from rag.llm_stream import PULSE, Message, Stream
from rag.llm_thoughts import Thoughts
from rag.schema import Usage

NO_KEY = "-"
"""What a client is given in place of the key that its server does not want."""

LONGEST_WAIT = 20.0
"""Seconds before another try; whoever is asked to wait longer is told so instead."""

CAREFUL = 1.25
"""What estimated tokens are multiplied by, so that a request stays within its limit under any tokenizer."""

_ENDED = ("finish_reason", "done_reason", "stop_reason")
_CUT = {"length", "max_tokens", "MAX_TOKENS"}

log = logging.getLogger(__name__)


class LlmError(RagError):
    """A language model was asked and did not answer, or not to the end."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What has arrived of an answer: text, or at the end what it used; an empty one is a sign of life.

    `cut` tells that the answer ended because it was as long as `max_tokens` allows.
    """

    text: str = ""
    usage: Usage | None = None
    notice: str = ""
    cut: bool = False


class ChatModel:
    """A language model that is asked as `settings` say.

    Nothing is imported, looked up or sent before the first question. Threads may share one. With `as_json` the server
    is told that the answer must be a JSON object, where it can be told so. `sleep` is for tests.
    """

    def __init__(
        self, settings: LlmSettings, sleep: Callable[[float], object] = time.sleep, as_json: bool = False
    ) -> None:
        self.settings = settings
        self.as_json = as_json
        self.provider = PROVIDERS[settings.provider]
        self._sleep = sleep
        self._client: Any = None
        self._secret: Secret | None = None
        self._lock = threading.Lock()

    @property
    def title(self) -> str:
        """Names who answers: the provider, or a server with an address of its own."""
        return f"The server {self._place()}" if self.settings.base_url else self.provider.title

    def count_tokens(self, text: str) -> int:
        """Estimates a text's tokens, rather too many than too few: a model's tokenizer is seldom at hand."""
        return round(CAREFUL * estimate(text)) + 1

    def load(self) -> None:
        """Loads the client and finds the key, which takes a second or two; otherwise the first question does.

        Raises MissingKeyError and MissingDependencyError.
        """
        self._connected()

    def stream(self, messages: Sequence[Message]) -> Generator[Piece, None, None]:
        """Asks, and yields the answer as it is written, then what it used; closing the generator ends the request.

        A request that fails before its first word is made again where that may help. Raises LlmError for one that
        fails for good, MissingKeyError and MissingDependencyError where it cannot be made at all.
        """
        tried = 0
        while True:
            tried += 1
            failure, written = yield from self._attempt(messages)
            if failure is None:
                return
            wait = failure.wait if failure.wait is not None else 2.0 ** (tried - 1)
            if written or tried >= TRIES.get(failure.kind, 1) or wait > LONGEST_WAIT:
                raise LlmError(self._told(failure, written))
            yield Piece(notice=f"{self.title} did not answer; trying again in {wait:.0f} s …")
            while wait > 0:
                self._sleep(min(PULSE, wait))
                wait -= PULSE
                yield Piece()

    def _attempt(self, messages: Sequence[Message]) -> Generator[Piece, None, tuple[RequestError | None, bool]]:
        """Makes one request; returns what went wrong, None for nothing, and whether any text had come by then."""
        reading = _Reading()
        stream = Stream(self._connected(), messages, self.settings.timeout)
        try:
            for chunk in stream:
                text = reading.take(chunk) if chunk is not None else ""
                yield Piece(text)
            yield Piece(reading.rest())
            if not reading.ended:
                return RequestError(failures.BROKEN, "the answer ended in its middle"), reading.shown != ""
        except RagError:
            raise
        except Exception as error:  # the one place where LangChain's clients, which can raise anything, are heard
            log.debug("A request to %s failed.", self.provider.title, exc_info=True)
            failure = failure_of(error)
        else:
            yield Piece(usage=self._usage(reading, messages), cut=reading.cut)
            return None, True
        finally:
            stream.close()
        if failure.kind is failures.KEY:
            self._client = None  # the next question looks for the key again
        return failure, reading.shown != ""

    def _usage(self, reading: "_Reading", messages: Sequence[Message]) -> Usage:
        if reading.counted:
            return self.priced(reading.input_tokens, reading.output_tokens)
        return self.estimated(messages, reading.written)

    def priced(self, input_tokens: int, output_tokens: int, estimated: bool = False) -> Usage:
        """Returns a usage with its price."""
        return Usage(input_tokens, output_tokens, self.settings.usd(input_tokens, output_tokens), estimated)

    def estimated(self, messages: Sequence[Message], written: str) -> Usage:
        """Estimates what was used where the server did not count it."""
        return self.priced(round(sum(estimate(text) for _, text in messages)), round(estimate(written)), True)

    # --- the client

    def _connected(self) -> Any:
        """Returns LangChain's model, made when it is first needed."""
        with self._lock:
            if self._client is None:
                if importlib.util.find_spec(self.provider.package) is None:
                    raise self._missing()  # LangChain would take an outdated client of Ollama instead
                self._secret = self._find_key()
                self._client = self._made(self._secret.reveal() if self._secret else NO_KEY)
            return self._client

    def _find_key(self) -> Secret | None:
        """Finds the key; a server with a `base_url` of its own gets only the one that `key` names."""
        settings = self.settings
        variables = (settings.key,) if settings.key else () if settings.base_url else self.provider.keys
        for variable in variables:
            secret = find_key(variable)
            if secret:
                return secret
        if not variables:
            return None
        page = self._key_page()
        raise MissingKeyError(
            f"The language model '{settings.model}' needs a key: set the environment variable {variables[0]}, or write "
            f"it to keys.toml (docs/vendors.md).{page}"
        )

    def _key_page(self) -> str:
        known = self.provider.key_page and not self.settings.base_url
        return f" Keys are made at {self.provider.key_page}." if known else ""

    def _made(self, key: str) -> Any:
        try:
            from langchain.chat_models import init_chat_model

            return init_chat_model(
                self.settings.model_name, model_provider=self.settings.provider, **self._options(key)
            )
        except ImportError:
            problem: RagError = self._missing()
        except Exception as error:  # a client that dislikes its options may raise anything, its key included
            problem = LlmError(
                f"The client of {self.provider.title} cannot be made: {mask(str(error)).rstrip('.')}. "
                f"Correct the table [llm] in rag.toml."
            )
        raise problem

    def _missing(self) -> MissingDependencyError:
        name = self.provider.package.replace("_", "-")
        command = f"pip install -e '.[{self.provider.extra}]'" if self.provider.extra else "make setup"
        return MissingDependencyError(
            f"The language model '{self.settings.model}' needs the package '{name}'. Run: {command}"
        )

    def _options(self, key: str) -> dict[str, Any]:
        """Returns what the provider's client is made with; its own retries are off, because ours tell what they do."""
        settings = self.settings
        shared: dict[str, Any] = {"base_url": settings.base_url} if settings.base_url else {}
        if settings.temperature is not None:
            shared["temperature"] = settings.temperature
        if settings.provider == "ollama":
            # Without num_ctx, Ollama silently cuts a request to the length that it was started with.
            lengths = {"num_ctx": settings.context_tokens, "num_predict": settings.max_tokens}
            client = {"timeout": settings.timeout, "auth": _signer(key)}
            return {**shared, **lengths, "client_kwargs": client, **({"format": "json"} if self.as_json else {})}
        shared |= {"api_key": key, "timeout": settings.timeout, "max_tokens": settings.max_tokens}
        if settings.provider == "google_genai":
            kind = {"response_mime_type": "application/json"} if self.as_json else {}
            return {**shared, **kind, "max_retries": 1}
        if settings.provider == "openai":
            shared |= {"stream_usage": True, "use_responses_api": False, "stream_chunk_timeout": settings.timeout}
            if self.as_json:
                # As a field of its own it would be read by the client's parser, which loses the usage.
                shared |= {"extra_body": {"response_format": {"type": "json_object"}}}
        return {**shared, "max_retries": 0}

    # --- what a person is told

    def _told(self, failure: RequestError, written: bool) -> str:
        if written:
            return mask(
                f"{self.title} broke off its answer: {failure.reason.rstrip('.')}. "
                f"What it had written is kept; ask again for the whole."
            )
        remedy = REMEDIES[failure.kind].format(
            origin=self._secret.origin if self._secret else "",
            page=self._key_page(),
            model=self.settings.model_name,
            url=self._place(),
            title=self.provider.title,
            wait=f"{failure.wait:.0f} s" if failure.wait else "a little",
        )
        if failure.kind is failures.KEY and self._secret is None:
            remedy = "No key was sent: name the variable that holds it with `key` under [llm] in rag.toml."
        if self.settings.provider == "ollama" and failure.kind is failures.NAME:
            remedy = f"Run: ollama pull {self.settings.model_name}"
        return mask(f"{self.title} did not answer: {failure.reason.rstrip('.')}. {remedy}")

    def _place(self) -> str:
        """Names the server, without the password that an address may hold."""
        address = urlsplit(self.settings.base_url or self.provider.url)
        return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"


def added(first: Usage | None, second: Usage | None) -> Usage | None:
    """Adds up two calls; a price that is not known for one of them is not known for both."""
    if first is None or second is None:
        return first or second
    usd = None if first.usd is None or second.usd is None else first.usd + second.usd
    return Usage(
        first.input_tokens + second.input_tokens,
        first.output_tokens + second.output_tokens,
        usd,
        first.estimated or second.estimated,
    )


@lru_cache(maxsize=8)
def load_llm(settings: LlmSettings) -> ChatModel:
    """Returns the model of these settings, the same one for equal settings, so that its connections are used again."""
    return ChatModel(settings)


class _Reading:
    """Adds up the chunks of one answer: `written` is all of it, `shown` what is no thought."""

    def __init__(self) -> None:
        self.written = self.shown = ""
        self._thoughts = Thoughts()
        self.counted = self.ended = self.cut = False
        self.input_tokens = self.output_tokens = 0

    def take(self, chunk: Any) -> str:
        """Takes a chunk in and returns its text; the thoughts of a model are no text of its answer."""
        if usage := chunk.usage_metadata:
            self.counted = True
            self.input_tokens += usage["input_tokens"]
            self.output_tokens += usage["output_tokens"]
        reasons = [chunk.response_metadata[name] for name in _ENDED if chunk.response_metadata.get(name)]
        self.ended = self.ended or bool(reasons)
        self.cut = self.cut or bool(_CUT.intersection(map(str, reasons)))
        self.written += str(chunk.text)
        return self._show(self._thoughts.feed(str(chunk.text)))

    def rest(self) -> str:
        """Returns the text that was held back."""
        return self._show(self._thoughts.rest())

    def _show(self, text: str) -> str:
        self.shown += text
        return text


def _signer(key: str) -> Callable[[Any], Any]:
    """Returns what signs requests to Ollama: its client would send OLLAMA_API_KEY to whatever server it is given."""

    def sign(request: Any) -> Any:
        request.headers.pop("authorization", None)
        if key != NO_KEY:
            request.headers["authorization"] = f"Bearer {key}"
        return request

    return sign
