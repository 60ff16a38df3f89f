"""Asks a judging language model, each question once: replies are kept, requests counted, and limits held."""

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval.ragas_gateway import JudgeRequest, MalformedReplyError, UnjudgedError, ragas_version
from rag.llm import ChatModel, LlmError, Piece
from rag.llm_settings import LlmSettings

FOLDER = Path("runs") / "judgements"
"""Where replies are kept, in the library's folder; it may be deleted at any time, and is paid for again then."""

SHORTEST_REPLY = 2048
"""Tokens that a reply may have at least, whatever the settings say: verdicts come with their reasons."""

READINGS = 2
"""How often a question is asked in all where the reply cannot be read."""

PATIENCE = 5
"""Requests that may fail one after the other before no more are made."""

# A server that knows no JSON mode, or no temperature, says so by its name.
_NO_JSON_MODE = re.compile(r"response_format|response format|json_object|json mode", re.IGNORECASE)
_NO_TEMPERATURE = re.compile(r"temperature", re.IGNORECASE)


def judging_settings(settings: LlmSettings) -> LlmSettings:
    """Returns the settings of a model as a judge: as steady as it can be, and with room for its reasons."""
    temperature = 0.0 if settings.temperature is None else settings.temperature
    return replace(settings, temperature=temperature, max_tokens=max(settings.max_tokens, SHORTEST_REPLY))


class KeptReplies:
    """Replies by what they answer, one file each, written at once and whole: a kill loses none, processes may share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Any:
        """Returns what was kept under a key, None where nothing was."""
        try:
            return json.loads(self._path(key).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None

    def keep(self, key: str, reply: Any) -> None:
        """Keeps a reply."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
        beside.write_text(json.dumps(reply, ensure_ascii=False), encoding="utf-8")
        beside.replace(path)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"


def key_of(settings: LlmSettings, *parts: object) -> str:
    """Returns the key of what a model is asked: all of its settings that can change its reply, and the parts."""
    model = (settings.model, settings.base_url, settings.temperature, settings.max_tokens, settings.context_tokens)
    return hashlib.sha256(json.dumps([*model, *parts], ensure_ascii=False).encode()).hexdigest()


@dataclass(slots=True)
class Spent:
    """What a judge has cost in this run: `kept` replies cost nothing. `usd` is None where no price is known."""

    calls: int = 0
    kept: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0


class Judge:
    """Asks one model, from several threads; `calls` and `usd` are limits for this run, None for none.

    Requests under way when a limit is reached are finished, so that as many as run at once may go beyond `usd`, none
    beyond `calls`. `stopped` says why no more requests are made, "" while they are.
    """

    def __init__(
        self,
        settings: LlmSettings,
        replies: KeptReplies,
        calls: int | None = None,
        usd: float | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.settings = judging_settings(settings)
        self.spent = Spent()
        self.stopped = ""
        self._replies = replies
        self._calls, self._usd = calls, usd
        self._sleep = sleep
        self._model = ChatModel(self.settings, sleep, as_json=True)
        self._failed_in_a_row = 0
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}

    def load(self) -> None:
        """Finds the key and loads the client; raises MissingKeyError and MissingDependencyError."""
        self._model.load()

    def cancel(self) -> None:
        """Ends requests under way, and makes no more."""
        self.stopped = "judging was cancelled"

    def __call__(self, request: JudgeRequest, read: Callable[[str], Any]) -> Any:
        """Returns what `read` makes of the kept reply, or of a new one, which is kept if it can be read.

        Raises UnjudgedError where there is none. Of equal questions asked at the same time one is sent.
        """
        key = key_of(self.settings, ragas_version(), request.form, request.prompt, request.repeat, request.occurrence)
        with self._lock:
            alone = self._asking.setdefault(key, threading.Lock())
        with alone:
            kept = self._replies.find(key)
            if isinstance(kept, str):
                try:
                    reply = read(kept)
                except MalformedReplyError:
                    pass  # kept by an earlier version that could read it
                else:
                    with self._lock:
                        self.spent.kept += 1
                    return reply
            return self._ask(request.prompt, key, read)

    def _ask(self, prompt: str, key: str, read: Callable[[str], Any]) -> Any:
        problem = ""
        for _ in range(READINGS):
            written = self._request(prompt)
            try:
                reply = read(written)
            except MalformedReplyError as error:
                problem = str(error)
                continue
            self._replies.keep(key, written)
            return reply
        raise UnjudgedError(f"the judge's reply cannot be read: {problem}")

    # --- one request

    def _request(self, prompt: str) -> str:
        model = self._model
        try:
            written, last = self._written(model, prompt)
        except LlmError as error:
            plainer = self._plainer(model, str(error))
            if plainer is None:
                raise self._failed(str(error)) from None
            return self._request(prompt)
        with self._lock:
            self._failed_in_a_row = 0
            if last.usage:
                self.spent.input_tokens += last.usage.input_tokens
                self.spent.output_tokens += last.usage.output_tokens
                known = self.spent.usd is not None and last.usage.usd is not None
                self.spent.usd = (self.spent.usd or 0.0) + (last.usage.usd or 0.0) if known else None
        if last.cut:
            raise UnjudgedError(f"the judge's reply was cut at max_tokens = {self.settings.max_tokens}")
        return written

    def _written(self, model: ChatModel, prompt: str) -> tuple[str, Piece]:
        self._admit()
        written, last = "", Piece()
        with closing(model.stream([("user", prompt)])) as pieces:
            for piece in pieces:
                if self.stopped:
                    raise UnjudgedError(self.stopped)
                if piece.notice:
                    self._admit()  # it is about to ask again
                written += piece.text
                last = piece
        return written, last

    def _admit(self) -> None:
        """Counts a request; raises UnjudgedError where no more may be made."""
        with self._lock:
            if not self.stopped and self._calls is not None and self.spent.calls >= self._calls:
                raise UnjudgedError(f"the limit of {self._calls} requests was reached")
            if not self.stopped and self._usd is not None and (self.spent.usd or 0.0) >= self._usd:
                raise UnjudgedError(f"the limit of {self._usd} dollars was reached")
            if self.stopped:
                raise UnjudgedError(self.stopped)
            self.spent.calls += 1

    def _plainer(self, model: ChatModel, told: str) -> ChatModel | None:
        """Returns a model that is asked without what the server refuses by name; None where that is something else."""
        with self._lock:
            if self._model is not model:
                return self._model  # another thread was told the same before
            if "400" not in told and "422" not in told:
                return None
            if model.as_json and _NO_JSON_MODE.search(told):
                self._model = ChatModel(model.settings, self._sleep)
            elif model.settings.temperature is not None and _NO_TEMPERATURE.search(told):
                self._model = ChatModel(replace(model.settings, temperature=None), self._sleep, model.as_json)
            else:
                return None
            return self._model

    def _failed(self, reason: str) -> UnjudgedError:
        with self._lock:
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= PATIENCE and not self.stopped:
                self.stopped = f"the judge failed {PATIENCE} times in a row, the last time: {reason}"
        return UnjudgedError(reason)
