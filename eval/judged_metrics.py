"""RAGAS' metrics that a language model judges: what is judged, what it will cost, and the scores.

What could not be judged is never averaged away: a mean is over the judged queries, and their count stands beside it.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from eval.context_metrics import ContextScore
from eval.judge import Judge
from eval.ragas_gateway import Judged, Judging, judge
from rag.embedders.spec import Embedder
from rag.embedders.token_counts import estimate
from rag.llm_settings import LlmSettings

FAITHFULNESS = "ragas.Faithfulness"
ANSWER_RELEVANCY = "ragas.AnswerRelevancy"
CONTEXT_PRECISION = "ragas.ContextPrecision"
CONTEXT_RECALL = "ragas.ContextRecall"
FACTUAL_CORRECTNESS = "ragas.FactualCorrectness"

JUDGED_METRICS = (FAITHFULNESS, ANSWER_RELEVANCY, CONTEXT_PRECISION, CONTEXT_RECALL, FACTUAL_CORRECTNESS)
NEEDS_REFERENCE = (CONTEXT_PRECISION, CONTEXT_RECALL, FACTUAL_CORRECTNESS)
"""The metrics for which a reference answer must be at hand."""

AT_ONCE = 4
"""Requests under way at the same time."""

ABSTAINED = "the answer abstains"
NOTHING_FOUND = "nothing was retrieved"

QUESTIONS_OF_AN_ANSWER = 3
"""How often answer relevancy has a question made of an answer (ragas' `strictness`)."""

REPLY_TOKENS = 200
"""What a reply is taken to have in an estimate."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A query with what one row found and answered; `reference` is "" where there is none.

    `problem` says why there is no answer, where the answerer failed.
    """

    question: str
    answer: str
    contexts: tuple[str, ...]
    reference: str = ""
    abstained: bool = False
    problem: str = ""


Samples = Mapping[str, Sample]
"""The samples of one row, by query."""


def score_judged(
    rows: Sequence[Samples],
    judge_: Judge,
    embedder: Embedder,
    repeats: int = 1,
    at_once: int = AT_ONCE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, ContextScore]]:
    """Judges every sample `repeats` times by every metric for which it holds enough; returns each row's scores.

    Queries are judged one after the other under all rows, so that a limit which ends it leaves rows that can be
    compared. `embedder` compares questions for answer relevancy; it is the same for all rows. `progress` is called from
    another thread; what it raises ends the judging.
    """
    judgings, settled = [], []
    for judging in _judgings(rows, repeats):
        known = _without_asking(rows[judging.row][judging.query], judging.metric)
        if known is None:
            judgings.append(judging)
        else:
            settled.append((judging, known))
    asked: list[tuple[Judging, Judged]] = []

    def tell(judging: Judging, judged: Judged) -> None:
        asked.append((judging, judged))
        progress(len(asked), len(judgings))

    if judgings:
        judge(judgings, judge_, embedder.embed_queries, at_once, tell, judge_.cancel)
    found: dict[tuple[int, str], dict[str, list[Judged]]] = {}
    for judging, judged in sorted([*settled, *asked], key=lambda pair: pair[0].repeat):
        found.setdefault((judging.row, judging.metric), {}).setdefault(judging.query, []).append(judged)
    return [
        {metric: _score(found[row, metric], samples) for metric in JUDGED_METRICS if (row, metric) in found}
        for row, samples in enumerate(rows)
    ]


def _judgings(rows: Sequence[Samples], repeats: int) -> Iterator[Judging]:
    """Yields all that is to be judged, in the order in which it is."""
    queries = dict.fromkeys(query for samples in rows for query in samples)
    for repeat in range(repeats):
        for query in queries:
            for row, samples in enumerate(rows):
                if query in samples:
                    sample = samples[query]
                    yield from (Judging(row, query, m, repeat, _given(sample, m)) for m in metrics_of(sample))


def metrics_of(sample: Sample) -> tuple[str, ...]:
    """Returns the metrics for which a sample holds enough."""
    return tuple(metric for metric in JUDGED_METRICS if sample.reference or metric not in NEEDS_REFERENCE)


def _given(sample: Sample, metric: str) -> Mapping[str, object]:
    everything = {
        "user_input": sample.question,
        "response": sample.answer,
        "retrieved_contexts": list(sample.contexts),
        "reference": sample.reference,
    }
    wanted = {
        FAITHFULNESS: ("user_input", "response", "retrieved_contexts"),
        ANSWER_RELEVANCY: ("user_input", "response"),
        CONTEXT_PRECISION: ("user_input", "retrieved_contexts", "reference"),
        CONTEXT_RECALL: ("user_input", "retrieved_contexts", "reference"),
        FACTUAL_CORRECTNESS: ("response", "reference"),
    }
    return {name: everything[name] for name in wanted[metric]}


def _without_asking(sample: Sample, metric: str) -> Judged | None:
    """Returns what can be said without the judge, None where it is needed.

    An abstention is relevant to nothing and correct in nothing, and claims nothing that could be unfaithful. Where
    nothing was retrieved, nothing of a reference was found.
    """
    if metric in (CONTEXT_PRECISION, CONTEXT_RECALL):
        if sample.contexts:
            return None
        return Judged(0.0) if metric == CONTEXT_RECALL else Judged(None, NOTHING_FOUND)
    if sample.problem:
        return Judged(None, sample.problem)
    if sample.abstained:
        return Judged(None, ABSTAINED) if metric == FAITHFULNESS else Judged(0.0)
    if not sample.contexts and metric == FAITHFULNESS:
        return Judged(None, NOTHING_FOUND)
    return None


def _score(found: Mapping[str, Sequence[Judged]], samples: Samples) -> ContextScore:
    """Makes the judgements of one metric, by query and in the order of the repeats, into its score."""
    per_query: dict[str, float | None] = {}
    reasons = {}
    for query in (query for query in samples if query in found):
        values = [judged.value for judged in found[query] if judged.value is not None]
        per_query[query] = math.fsum(values) / len(values) if values else None
        if not values:
            reasons[query] = found[query][0].reason
    repeats = max(map(len, found.values()))
    times = tuple({query: found[query][time].value for query in per_query} for time in range(repeats))
    return ContextScore(per_query, reasons, times)


# --- what it will cost


@dataclass(frozen=True, slots=True)
class Estimate:
    """What judging will take at most, if the judge answers at once; `usd` is None without a price.

    Replies that are kept cost nothing and are not taken off: what is asked depends on replies that are not there yet.
    """

    samples: int
    calls: int
    input_tokens: int
    output_tokens: int
    usd: float | None


def estimate_judging(rows: Sequence[Samples], settings: LlmSettings, repeats: int = 1) -> Estimate:
    """Counts the questions, each once, however many rows share it, and estimates their tokens."""
    questions: dict[tuple[object, ...], tuple[int, float]] = {}
    for judging in _judgings(rows, 1):
        sample = rows[judging.row][judging.query]
        if _without_asking(sample, judging.metric) is None:
            questions |= {key: (times, tokens) for key, times, tokens in _questions(sample, judging.metric)}
    calls = repeats * sum(times for times, _ in questions.values())
    read = round(repeats * sum(times * tokens for times, tokens in questions.values()))
    written = REPLY_TOKENS * calls
    return Estimate(sum(map(len, rows)), calls, read, written, settings.usd(read, written))


def _questions(sample: Sample, metric: str) -> Iterator[tuple[tuple[object, ...], int, float]]:
    """Yields what a metric asks about a sample: what makes the question, how often it is asked, and its tokens.

    The tokens of ragas' instructions and examples were measured.
    """
    question, answer, reference, contexts = sample.question, sample.answer, sample.reference, sample.contexts

    def asked(fixed: int, *texts: str, times: int = 1) -> tuple[tuple[object, ...], int, float]:
        return (fixed, *texts), times, fixed + sum(map(estimate, texts))

    if metric == FAITHFULNESS:
        yield asked(481, question, answer)
        yield asked(912, answer, *contexts)
    elif metric == ANSWER_RELEVANCY:
        yield asked(542, answer, times=QUESTIONS_OF_AN_ANSWER)
    elif metric == CONTEXT_PRECISION:
        yield from (asked(1076, question, context, reference) for context in contexts)
    elif metric == CONTEXT_RECALL:
        yield asked(1593, question, reference, *contexts)
    else:
        yield asked(468, answer)
        yield asked(468, reference)
        yield asked(912, answer, reference)
        yield asked(913, reference, answer)
