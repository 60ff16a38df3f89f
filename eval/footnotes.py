"""What the figures of a task rest on, in sentences: counts, intervals, tests, label sources, what would tell more."""

from collections.abc import Mapping
from typing import Any

from eval.citable import why_not_citable
from eval.comparisons import TaskComparisons
from eval.measures import Mean, measure_of
from eval.power import ALPHA
from eval.results import TaskResults
from eval.rows import EvalRow
from eval.statistics import PERMUTATIONS, RESAMPLES
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.task import Task
from eval.verdicts import items_of, labels_of


def footnote(results: TaskResults, seed: int) -> str:
    """Returns the paragraph under a task's table."""
    return " ".join(sentences(results, seed))


def sentences(results: TaskResults, seed: int) -> list[str]:
    """Returns its sentences, those on counts first."""
    facts = [_scored(results), *_notes(results.task), _method(results.compared, seed)]
    facts += _label_sources(results.rows[0])
    facts += _citable(results)
    facts += _power(results.compared)
    return facts


def _scored(results: TaskResults) -> str:
    task = results.task
    scored = f"{items_of(task.family, len(task.items))} scored"
    if isinstance(task, RetrievalTask):
        scored += f", {len(task.left_out)} left out without a relevant document in this split"
        scored += f", {len(task.unanswerable)} unanswerable"
    return f"{scored}."


def _notes(task: Task) -> list[str]:
    """Returns what the task says of its own data, as whole sentences."""
    return [f"{note.rstrip('.')[:1].upper()}{note.rstrip('.')[1:]}." for note in getattr(task, "notes", ())]


def _method(compared: TaskComparisons, seed: int) -> str:
    measure = measure_of(compared.metric)
    if isinstance(measure, Mean):
        test = f"sign-flip permutation test, {PERMUTATIONS:,} permutations"
    elif measure.rises_in_samples:
        test = "paired bootstrap test"
    else:
        test = f"permutation test that swaps two rows' outputs, {PERMUTATIONS:,} permutations"
    kind = "centred" if measure.rises_in_samples else "BCa"
    return (
        f"Intervals: {kind} bootstrap, {RESAMPLES:,} resamples. Verdict: {test}, Holm over all pairs, "
        f"{ALPHA * 100:g} %. Seed {seed}."
    )


def _label_sources(row: EvalRow) -> list[str]:
    sources = row.provenance.get("label_sources")
    if not sources:
        return []
    return [f"Labels: {in_words(sources)}."]


def in_words(sources: Any) -> str:
    """Tells label sources in words: counts or shares where they are known, such as `80 % human, 20 % synthetic`."""
    if isinstance(sources, Mapping):
        return ", ".join(f"{_share(value)} {name}" for name, value in sources.items() if value)
    return sources if isinstance(sources, str) else ", ".join(map(str, sources))


def _share(value: Any) -> str:
    return f"{value * 100:.0f} %" if isinstance(value, float) and value <= 1 else f"{value:,}"


def _citable(results: TaskResults) -> list[str]:
    """Says why the figures should not be quoted as they stand, and that a hold-out is untouched where it is."""
    reasons = why_not_citable(results.task, results.rows)
    if reasons:
        return [f"Not to be quoted as they stand: {'; '.join(reasons)}."]
    opened = results.rows[0].provenance.get("holdout_openings") == 1
    return ["Sealed hold-out, opened for the first time."] if opened else []


def _power(compared: TaskComparisons) -> list[str]:
    """Says what difference to the second row would have shown, and how many items would make this one show."""
    if len(compared.ranking) < 2:
        return []
    pair = compared.with_leader(compared.ranking[1])
    if pair is None:
        return []
    items = items_of(compared.rows[0].family)
    first, second = (labels_of(compared.rows)[at] for at in compared.ranking[:2])
    facts = [f"{first} and {second}: {pair.warning}."] if pair.warning else []
    if pair.min_detectable is not None:
        shown = f"{pair.min_detectable:.3f}"
        facts.append(f"{pair.n:,} {items} show a difference of {shown} between the first two (power 0.8).")
    if pair.needed is not None and pair.needed > pair.n:
        facts.append(f"About {pair.needed - pair.n:,} more {items} like these would separate {first} from {second}.")
    return facts
