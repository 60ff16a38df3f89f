"""What can go wrong with a request to a language model: what it is, whether another try helps, what a person can do."""

import re

from rag.embedders import failures
from rag.embedders.failures import RequestError

TRIES = {failures.BUSY: 3, failures.SERVER: 3, failures.UNREACHABLE: 2, failures.BROKEN: 2}
"""How often a request is made in all where nothing was written yet; others are made once."""

REMEDIES = {
    failures.KEY: "Check the key: it was taken from {origin}.{page}",
    failures.CREDIT: "Add credit to your account there, then ask again.",
    failures.NAME: "Is '{model}' a model of {url}? Correct `model` or `base_url` under [llm] in rag.toml, or --llm.",
    failures.BUSY: "Wait {wait} and ask again.",
    failures.UNREACHABLE: "Is {url} running, and reachable from here?",
    failures.SERVER: "Try again later, or look into the log of {url}.",
    failures.TIMEOUT: "Ask again, or set a longer `timeout` under [llm] in rag.toml.",
    failures.BROKEN: "Does {url} speak the format of {title}?",
    failures.LENGTH: "Set `context_tokens` under [llm] in rag.toml to what the model reads.",
    failures.REFUSED: "Correct the table [llm] in rag.toml.",
}

_TOO_LONG = re.compile(r"context (window|size|length)|context_length_exceeded|prompt is too long", re.IGNORECASE)
_WRONG_KEY = re.compile(r"API key (not valid|expired)|invalid API key", re.IGNORECASE)


def failure_of(error: BaseException) -> RequestError:
    """Makes what a client raised into a failure: by its HTTP status where it, or what caused it, has one."""
    cause: BaseException | None = error
    while cause is not None:
        status = getattr(cause, "status_code", None) or getattr(cause, "code", None)
        if isinstance(status, int) and 400 <= status < 600:
            headers = getattr(getattr(cause, "response", None), "headers", None) or {}
            told = getattr(cause, "body", None) or getattr(cause, "error", None)
            return _specific(failures.refusal(status, headers, told or str(cause).removeprefix(f"{status} ")))
        cause = cause.__cause__ or cause.__context__
    told = failures.words_of(getattr(error, "body", None))
    return _specific(RequestError(failures.BROKEN, told) if told else failures.breakdown(error))


def _specific(failure: RequestError) -> RequestError:
    """Returns a failure that its status leaves open as what its words say: of length, or of the key."""
    if failure.kind in (failures.REFUSED, failures.BROKEN, failures.SERVER):
        if _TOO_LONG.search(failure.reason):
            return RequestError(failures.LENGTH, failure.reason)
        if _WRONG_KEY.search(failure.reason):
            return RequestError(failures.KEY, failure.reason)
    return failure
