"""The way to RAGAS: the only file that imports it, and only when a metric is asked for.

Four things are kept from happening: ragas' usage tracking, LangSmith's tracing (which would send every compared text
and hang without a network), ragas' patching of a running event loop, and ragas' making a client of OpenAI of its own.
Its coroutines run on an event loop of their own in a thread of their own: a caller's loop, such as a web server's,
cannot run another, and uvloop cannot be patched.

Its metrics with a judge are those of `ragas.metrics.collections` 0.4.3, but that every reply is checked before it
counts: there, three verdicts on four statements make a share of three, a verdict of 7 counts as seven, and an answer
without claims scores 0 as if it had been judged.
"""

import asyncio
import json
import logging
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, Protocol

from eval.own_loop import in_own_thread
from rag.errors import RagError

VERDICTS = ("verdict", "attributed", "noncommittal")
"""The fields of a judge's reply that say yes or no, as 1 or 0."""

NOT_A_NUMBER = "ragas gave no number (NaN)"


class UnjudgedError(Exception):
    """A sample that could not be judged, and why."""


class MalformedReplyError(Exception):
    """A judge's reply that does not say what it was asked for."""


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """What ragas asks a judge: a prompt, and the name of the form in which the reply must be.

    Equal prompts within one sample are told apart by `occurrence`, several judgements of a sample by `repeat`; both
    count from 0.
    """

    prompt: str
    form: str
    repeat: int
    occurrence: int


class Asks(Protocol):
    """Asks a judge; called from several threads at once."""

    def __call__(self, request: JudgeRequest, read: Callable[[str], Any]) -> Any:
        """Returns what `read` makes of the reply; that raises MalformedReplyError for one which cannot count.

        Raises UnjudgedError where no reply is to be had.
        """
        ...


@dataclass(frozen=True, slots=True)
class Judging:
    """One sample to be judged by one metric, for the nth time: `given` are the arguments of ragas' metric."""

    row: int
    query: str
    metric: str
    repeat: int
    given: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of it: a value, or None and the reason."""

    value: float | None
    reason: str = ""


def ragas_version() -> str:
    """Returns the version of ragas, without importing it."""
    return version("ragas")


# --- without a judge


def score_without_judge(samples: Sequence[Mapping[str, Any]]) -> list[list[float | None]]:
    """Scores samples by the metrics that need no judge; None where ragas gives NaN or stumbles over an empty list.

    For each sample there are the ID-based precision and recall, then recall and precision by likeness of texts.
    """
    return in_own_thread(lambda: _score_contexts(samples))


async def _score_contexts(samples: Sequence[Mapping[str, Any]]) -> list[list[float | None]]:
    with _imported():
        # ragas 0.4 announces the move of its metrics, but has moved none of these four
        from ragas import SingleTurnSample
        from ragas.metrics import (
            IDBasedContextPrecision,
            IDBasedContextRecall,
            NonLLMContextPrecisionWithReference,
            NonLLMContextRecall,
        )
    metrics = (
        IDBasedContextPrecision(),
        IDBasedContextRecall(),
        NonLLMContextRecall(),
        NonLLMContextPrecisionWithReference(),
    )
    turns = [SingleTurnSample(**sample) for sample in samples]
    return [[await _score_one(metric, turn) for metric in metrics] for turn in turns]


async def _score_one(metric: Any, sample: Any) -> float | None:
    """Returns ragas' value, None where it gives NaN or stumbles over an empty list (max() of nothing)."""
    try:
        value = float(await metric.single_turn_ascore(sample))
    except ValueError:
        return None
    return None if math.isnan(value) else value


# --- with a judge


def judge(
    judgings: Iterable[Judging],
    ask: Asks,
    embed: Callable[[Sequence[str]], Any],
    at_once: int,
    tell: Callable[[Judging, Judged], None],
    cancel: Callable[[], None],
) -> None:
    """Judges one after the other, `at_once` at a time, and tells of each when it is done, from another thread.

    `embed` gives the vectors of questions as rows. Where this is interrupted, or `tell` raises, `cancel` is called, so
    that requests under way end, and nothing new is begun.
    """
    in_own_thread(lambda: _judge_all(iter(judgings), ask, embed, at_once, tell, cancel), cancel)


async def _judge_all(
    judgings: Iterator[Judging],
    ask: Asks,
    embed: Callable[[Sequence[str]], Any],
    at_once: int,
    tell: Callable[[Judging, Judged], None],
    cancel: Callable[[], None],
) -> None:
    classes = _judged_classes()

    async def work() -> None:
        for judging in judgings:
            llm = classes["llm"](ask, pool, judging.repeat)
            tell(judging, await _judge_one(classes[judging.metric](llm, classes["embeddings"](embed)), judging))

    with ThreadPoolExecutor(at_once, thread_name_prefix="judge") as pool:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(work())
        except BaseException as error:
            cancel()  # else the pool would wait for replies that nobody reads
            raise error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error from None


async def _judge_one(metric: Any, judging: Judging) -> Judged:
    try:
        value = float((await metric.ascore(**judging.given)).value)
    except (UnjudgedError, RagError) as error:  # the latter is the embedder's
        return Judged(None, str(error))
    if math.isnan(value):
        return Judged(None, NOT_A_NUMBER)
    # Average precision is divided by the relevant ones + 1e-10 there: 1 becomes 0.9999999999.
    return Judged(round(value, 9) if judging.metric == "ragas.ContextPrecision" else value)


@cache
def _judged_classes() -> Mapping[str, Any]:
    """Makes ragas' metrics with the checks, by name, and what they judge and embed with."""
    with _imported():
        from ragas.embeddings.base import BaseRagasEmbedding
        from ragas.llms.base import InstructorBaseRagasLLM
        from ragas.metrics.collections import (
            AnswerRelevancy,
            ContextPrecision,
            ContextRecall,
            FactualCorrectness,
            Faithfulness,
        )

    class Llm(InstructorBaseRagasLLM):  # type: ignore[misc]  # ragas is not typed
        """Hands ragas' questions to whoever asks the judge; each sample has one of its own."""

        def __init__(self, ask: Asks, pool: ThreadPoolExecutor, repeat: int) -> None:
            self._ask, self._pool, self._repeat = ask, pool, repeat
            self._asked: Counter[str] = Counter()

        def generate(self, prompt: str, response_model: Any) -> Any:
            raise NotImplementedError("the judge is asked from coroutines only")

        async def agenerate(self, prompt: str, response_model: Any, expected: int | None = None) -> Any:
            request = JudgeRequest(prompt, response_model.__name__, self._repeat, self._asked[prompt])
            self._asked[prompt] += 1
            untraced = copy_context()  # a pool's threads do not have it of themselves
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, untraced.run, self._ask, request, lambda text: _read(text, response_model, expected)
            )

    class Embeddings(BaseRagasEmbedding):  # type: ignore[misc]
        """Embeds with one of our embedders, in the loop's thread: one call at a time."""

        def __init__(self, embed: Callable[[Sequence[str]], Any]) -> None:
            super().__init__()
            self._embed = embed

        def embed_text(self, text: str, **_: Any) -> Any:
            return self._embed([text])[0]

        async def aembed_text(self, text: str, **_: Any) -> Any:
            return self._embed([text])[0]

        async def aembed_texts(self, texts: Sequence[str], **_: Any) -> Any:
            return self._embed(texts)

    def checked(metric: Any) -> Any:
        """Has a metric's verdicts on statements counted: one for each, no more and no less."""

        class Checked(metric):  # type: ignore[misc]
            async def _create_verdicts(self, statements: Sequence[str], context: str) -> Any:
                return await self._verdicts(self.nli_statement_prompt, statements, context)

            async def _verify_claims(self, claims: Sequence[str], reference: str) -> Any:
                return await self._verdicts(self.nli_prompt, claims, reference)

            async def _verdicts(self, prompt: Any, statements: Sequence[str], context: str) -> Any:
                asked = prompt.to_string(prompt.input_model(context=context, statements=list(statements)))
                return await self.llm.agenerate(asked, prompt.output_model, len(statements))

        return Checked

    return {
        "llm": Llm,
        "embeddings": Embeddings,
        "ragas.Faithfulness": lambda llm, _: checked(Faithfulness)(llm=llm),
        "ragas.AnswerRelevancy": lambda llm, embeddings: AnswerRelevancy(llm=llm, embeddings=embeddings),
        "ragas.ContextPrecision": lambda llm, _: ContextPrecision(llm=llm),
        "ragas.ContextRecall": lambda llm, _: ContextRecall(llm=llm),
        "ragas.FactualCorrectness": lambda llm, _: checked(FactualCorrectness)(llm=llm),
    }


def _read(text: str, form: Any, expected: int | None) -> Any:
    """Reads a judge's reply: one JSON object of a form, with as many verdicts as expected, each 0 or 1."""
    from pydantic import ValidationError

    first, last = text.find("{"), text.rfind("}")
    if not 0 <= first < last:
        raise MalformedReplyError("it holds no JSON object")
    try:
        written = json.loads(text[first : last + 1], strict=False)
        reply = form.model_validate(written)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise MalformedReplyError(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None
    except ValueError as error:
        raise MalformedReplyError(f"it is not JSON ({error})") from None
    records = [reply]
    for name, value in reply:
        if isinstance(value, list):
            if expected is not None and len(value) != expected:
                raise MalformedReplyError(f"it judges {len(value)} statements of {expected}")
            if name == "claims" and not value:  # with none on either side ragas gives 0, as if all were wrong
                raise MalformedReplyError("it finds no claim")
            records += [item for item in value if not isinstance(item, str)]
        elif value == "" and name == "question":
            raise MalformedReplyError("its question is empty")
    for record in records:
        for name in VERDICTS:
            if getattr(record, name, 0) not in (0, 1):
                raise MalformedReplyError(f"{name} is {getattr(record, name)}, neither 0 nor 1")
    return reply


def _imported() -> "warnings.catch_warnings[None]":
    """Prepares for the import of ragas: no tracking, which it looks up once, and none of its deprecation warnings."""
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"
    logging.getLogger("ragas").addHandler(logging.NullHandler())  # what it could not score is counted and told by us
    return warnings.catch_warnings(action="ignore", category=DeprecationWarning)
