"""Judged answers as the faces run them: for each row its answers are made and a language model judges them."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from eval.context_metrics import ContextScore
from eval.judge import FOLDER, Judge, KeptReplies, key_of
from eval.judged_comparisons import judged_lines
from eval.judged_metrics import AT_ONCE, NEEDS_REFERENCE, Estimate, Sample, Samples, estimate_judging, score_judged
from eval.ragas_gateway import ragas_version
from eval.references import references_of
from eval.rows import EvalRow
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.task import Task
from rag.answerer import whole
from rag.embedders.registry import load_embedder
from rag.errors import RagError, UsageError, unknown_name
from rag.library import Library
from rag.llm import ChatModel, load_llm
from rag.llm_answerer import LlmAnswerer
from rag.llm_prompt import as_data, without_markers
from rag.llm_settings import LlmSettings, chosen
from rag.reader import Opened, Reader
from rag.schema import Answer, Hit
from rag.settings import Settings
from ui.judge_options import JudgeAsked

SAMPLE = 50
"""Queries of a task that are judged unless more are asked for."""

EMBEDDER = "minilm"
"""Compares questions for answer relevancy unless another is named: the same for every row, whatever is evaluated."""

Evaluated = Sequence[tuple[Task, Sequence[EvalRow]]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class JudgePlan:
    """What is judged, and by whom.

    `answerer` writes the answers, None for quotations. `calls` and `usd` are limits, None for none. `sample` queries of
    each task are drawn by `seed`, the same under every row.
    """

    judge: LlmSettings
    embedder: str = EMBEDDER
    answerer: LlmSettings | None = None
    repeats: int = 1
    at_once: int = AT_ONCE
    calls: int | None = None
    usd: float | None = None
    sample: int = SAMPLE
    seed: int = 13


def plan_judging(settings: Settings, asked: JudgeAsked) -> JudgePlan:
    """Makes a plan of what the command line says.

    Raises UsageError for a name that is not known, and for a limit in dollars where no price is.
    """
    model = chosen(settings.llm, asked.judge, asked.judge_base_url)
    answerer = chosen(settings.llm, asked.llm, asked.llm_base_url) if asked.llm or asked.llm_base_url else None
    plan = JudgePlan(
        model,
        asked.judge_embedder or EMBEDDER,
        answerer and replace(answerer, neighbours=0),  # it is judged by what it was given: the hits
        asked.judge_repeats,
        asked.judge_at_once,
        asked.judge_limit,
        asked.judge_budget,
        asked.sample,
    )
    if plan.embedder not in settings.embedders:
        raise unknown_name("embedder", plan.embedder, settings.embedders, " to judge with")
    if plan.usd is not None and model.usd(0, 0) is None:
        raise UsageError(
            f"No price of '{model.model}' is known, so a limit in dollars cannot be held. Write usd_per_million_input "
            f'and usd_per_million_output under [llm] in rag.toml, with model = "{model.model}", or limit the requests.'
        )
    return plan


class _Tenths:
    """Says how much is judged at each tenth of it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def __call__(self, done: int, total: int) -> None:
        if done * 10 // total > (done - 1) * 10 // total and done < total:
            self._say(f"judged {done:,} of {total:,}")


class AnswerJudging:
    """Judges the rows of retrieval tasks; made before they are evaluated, so that a missing key is told at once."""

    def __init__(
        self,
        library: Library,
        settings: Settings,
        plan: JudgePlan,
        say: Callable[[str], None],
        progress: Progress | None = None,
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._say = say
        self._progress = progress or _Tenths(say)
        self._library = library
        self._reader = Reader(library, settings)
        self._replies = KeptReplies(settings.home / FOLDER)
        self._judge = Judge(plan.judge, self._replies, plan.calls, plan.usd)
        self._judge.load()
        self._model = load_llm(plan.answerer) if plan.answerer else None
        if self._model:
            self._model.load()

    def judged(self, evaluated: Evaluated) -> list[tuple[Task, list[EvalRow]]]:
        """Returns the tasks with their rows, the judged metrics among each row's `context`.

        Rows that retrieve nothing stay as they are. What `progress` raises ends the judging; replies are kept.
        """
        samples = [
            found
            for task, rows in evaluated
            if isinstance(task, RetrievalTask)
            for found in self._samples_of(task, rows)
        ]
        if not samples:
            self._say("nothing is judged: none of the tasks retrieves anything")
            return [(task, list(rows)) for task, rows in evaluated]
        self._announce(estimate_judging(samples, self._judge.settings, self._plan.repeats))
        embedder = load_embedder(self._plan.embedder, self._settings.embedders)
        scores = score_judged(
            samples, self._judge, embedder, self._plan.repeats, self._plan.at_once, progress=self._progress
        )
        self._sum_up(scores)
        of_row = iter(scores)
        judged = [
            (task, [self._with(row, next(of_row)) for row in rows] if isinstance(task, RetrievalTask) else list(rows))
            for task, rows in evaluated
        ]
        for task, rows in judged:
            for line in judged_lines(rows, self._plan.seed):
                self._say(f"{task.name}: {line}")
        return judged

    def _with(self, row: EvalRow, scores: Mapping[str, ContextScore]) -> EvalRow:
        return replace(row, context={**row.context, **scores}, provenance={**row.provenance, "judge": self._facts()})

    # --- samples

    def _samples_of(self, task: RetrievalTask, rows: Sequence[EvalRow]) -> Iterator[Samples]:
        queries = sampled(task, self._plan.sample, self._plan.seed)
        references = references_of(task)
        known = sum(query in references for query in queries)
        if known < len(queries):
            left_out = ", ".join(name.removeprefix("ragas.") for name in NEEDS_REFERENCE)
            self._say(
                f"{task.name}: {len(queries) - known} of {len(queries)} queries have no reference answer; {left_out} "
                f"are not judged for them (answers.jsonl or references.jsonl would hold them)"
            )
        for row in rows:
            self._say(f"{task.name}: answers of {row.label}")
            # As the row was scored: without the settings' reranker and MMR.
            opened = self._reader.open(
                row.provenance["corpus"], row.embedder, row.retriever, row.chunker, reranker="", mmr=1.0
            )

            def sample(query: str, opened: Opened = opened) -> Sample:
                return self._sample(task.queries[query], opened, references.get(query, ""))

            with ThreadPoolExecutor(self._plan.at_once if self._model else 1) as pool:
                yield dict(zip(queries, pool.map(sample, queries), strict=True))

    def _sample(self, question: str, opened: Opened, reference: str) -> Sample:
        hits = opened.retriever.retrieve(question, self._settings.k)
        contexts = tuple(map(_context, hits))
        try:
            answer = self._answer(question, hits, opened)
        except RagError as error:
            return Sample(question, "", contexts, reference, problem=f"there is no answer: {error}")
        text = as_data(without_markers(answer.text))
        return Sample(question, text, contexts, as_data(reference), abstained=answer.abstained)

    def _answer(self, question: str, hits: Sequence[Hit], opened: Opened) -> Answer:
        """Returns the answer over the hits; a language model is asked for it once."""
        if self._model is None:
            return whole(opened.answerer().answer(question, hits))
        return self._written(self._model, question, hits, opened)

    def _written(self, model: ChatModel, question: str, hits: Sequence[Hit], opened: Opened) -> Answer:
        shown = [[hit.source, hit.chunk.page, hit.chunk.heading, hit.chunk.text] for hit in hits]
        # Whether the hits seem to answer decides what is sent, and depends on the index.
        asked = model.settings.ask_anyway or opened.answerability.answers(question, hits)
        key = key_of(model.settings, "answer", question, shown, asked)
        kept = self._replies.find(key)
        if isinstance(kept, dict):
            return Answer(kept["text"], (), kept["abstained"])
        answerer = LlmAnswerer(model, self._library, opened.answerability, opened.embedder)
        answer = whole(answerer.answer(question, hits))
        self._replies.keep(key, {"text": answer.text, "abstained": answer.abstained})
        return answer

    # --- what is said of it

    def _announce(self, estimate: Estimate) -> None:
        money = "" if estimate.usd is None else f", about {estimate.usd:.2f} dollars"
        limits = [f"{self._plan.calls} requests"] if self._plan.calls is not None else []
        limits += [f"{self._plan.usd} dollars"] if self._plan.usd is not None else []
        limit = f"; the limit is {' and '.join(limits)}" if limits else ""
        self._say(
            f"judging {estimate.samples} answers by {self._plan.judge.model}: at most {estimate.calls:,} requests, "
            f"about {estimate.input_tokens:,} tokens to read{money}; less where replies are kept{limit}"
        )

    def _sum_up(self, scores: Sequence[Mapping[str, ContextScore]]) -> None:
        spent = self._judge.spent
        judged = sum(score.n for row in scores for score in row.values())
        failed = sum(score.failed for row in scores for score in row.values())
        money = f", {spent.usd:.4f} dollars" if spent.usd else ""
        self._say(
            f"judged: {judged} values, {failed} without one; {spent.calls} requests{money}, {spent.kept} kept replies"
        )
        reasons = Counter(reason for row in scores for score in row.values() for reason in score.reasons.values())
        for reason, times in reasons.most_common(5):
            self._say(f"  {times} not judged: {reason}")

    def _facts(self) -> Mapping[str, Any]:
        """Returns what tells how the answers were judged; what it cost is left out, so that equal runs are equal."""
        plan, judge = self._plan, self._judge.settings
        return {
            "answerer": plan.answerer.model if plan.answerer else "extractive",
            "contexts": self._settings.k,
            "embedder": plan.embedder,
            "embedder_fingerprint": self._settings.embedders[plan.embedder].fingerprint,
            "limit_calls": plan.calls,
            "limit_usd": plan.usd,
            "max_tokens": judge.max_tokens,
            "model": judge.model,
            "ragas": ragas_version(),
            "repeats": plan.repeats,
            "sample": plan.sample,
            "seed": plan.seed,
            "temperature": judge.temperature,
        }


def sampled(task: RetrievalTask, size: int, seed: int) -> list[str]:
    """Draws queries of a task by the seed, in the order of their ids; all of them where there are no more."""
    queries = sorted(task.queries)
    return sorted(random.Random(seed).sample(queries, size)) if size < len(queries) else queries


def _context(hit: Hit) -> str:
    """Returns a hit as the answerer knows it: under its title and heading."""
    heading = hit.chunk.heading
    title = "" if heading.startswith(hit.title) else hit.title
    return as_data("\n".join(filter(None, (title, heading, hit.chunk.text))))


def judging_of(
    library: Library, settings: Settings, asked: JudgeAsked | None, say: Callable[[str], None]
) -> AnswerJudging | None:
    """Returns who judges, as the command line says; None where it says nothing. Raises as `plan_judging` does."""
    return AnswerJudging(library, settings, plan_judging(settings, asked), say) if asked else None
