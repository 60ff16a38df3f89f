"""Retrieval on the follow-up questions of mtRAG's conversations, as they were asked and completed by rules.

Every row is measured on the odd conversations; the rules were found on the even ones. A conversation is told by its
corpus and its first question, so that no turn of one is in both halves.
"""

import json
import random
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tables import Table
from eval.metrics import score
from eval.statistics import mean_interval, paired_interval, sign_flip_test
from rag.library import Library
from rag.reader import Reader
from rag.retrievers import Retriever
from rag.rewriting import rewrite
from rag.schema import Turn
from rag.settings import read_settings
from ui.ingesting import ingest_paths

TASK = Path(__file__).parents[2] / "shared" / "data" / "retrieval" / "mtragun-ref"
RETRIEVALS = (("lexical", None), ("hybrid", "wordllama"), ("hybrid", "minilm"))
METRICS = ("R@5", "nDCG@10")
SEED = 0


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A question with the turns before it; `half` is 0 for an even conversation and 1 for an odd one."""

    id: str
    half: int
    question: str
    history: tuple[Turn, ...]


def read_qrels() -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (TASK / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        qrels[query][document] = int(grade)
    return qrels


def read_follow_ups(judged: set[str]) -> list[FollowUp]:
    """Returns the judged questions that have turns before them."""
    conversations: dict[tuple[str, str], int] = {}
    found = []
    for line in (TASK / "conversations.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        texts = [turn["text"] for turn in record["turns"]]
        number = conversations.setdefault((record["collection"], texts[0].strip()), len(conversations))
        if len(texts) > 1 and record["_id"] in judged:
            history = tuple(Turn(*pair) for pair in zip(texts[:-1:2], texts[1:-1:2], strict=True))
            found.append(FollowUp(record["_id"], number % 2, texts[-1].strip(), history))
    return found


def completed(follow_up: FollowUp) -> str:
    return rewrite(follow_up.question, follow_up.history).text


def after_another(follow_ups: list[FollowUp]) -> dict[str, str]:
    """Completes each question from a conversation about something else: what rewriting costs where it is wrong."""
    chance = random.Random(SEED)
    texts = {}
    for each in follow_ups:
        others = [other for other in follow_ups if other.history[0] != each.history[0]]
        texts[each.id] = rewrite(each.question, chance.choice(others).history).text
    return texts


def measure(retriever: Retriever, texts: dict[str, str], qrels: dict[str, dict[str, int]]) -> dict[str, list[float]]:
    """Returns for each metric the values of all questions, in their order."""
    run = {name: {hit.source: 1 / hit.rank for hit in retriever.retrieve(text, 10)} for name, text in texts.items()}
    scores = score({name: qrels[name] for name in texts}, run, METRICS)
    return {metric: [scores[metric][name] for name in texts] for metric in METRICS}


def run(half: int = 1) -> None:
    if not TASK.is_dir():
        print(f"follow-ups: no test material at {TASK}")
        return
    qrels = read_qrels()
    follow_ups = [each for each in read_follow_ups(set(qrels)) if each.half == half]
    asked = {each.id: each.question for each in follow_ups}
    rewritten = {each.id: completed(each) for each in follow_ups}
    shifted = after_another(follow_ups)
    with tempfile.TemporaryDirectory() as home:
        settings = read_settings(home)
        library = Library(settings.home, create=True)
        ingest_paths(library, settings, [TASK], "mtrag", [name for _, name in RETRIEVALS if name], "whole")
        reader = Reader(library, settings)
        columns = ("retrieval", "metric", "as asked", "completed", "gain (95 %)", "p", "wrong history")
        table = Table("Follow-up questions of mtRAG", columns)
        for name, embedder in RETRIEVALS:
            retriever = reader.open("mtrag", embedder, name).retriever
            before, after, wrong = (measure(retriever, texts, qrels) for texts in (asked, rewritten, shifted))
            for metric in METRICS:
                gains = [new - old for new, old in zip(after[metric], before[metric], strict=True)]
                losses = [new - old for new, old in zip(wrong[metric], before[metric], strict=True)]
                table.rows.append(
                    [f"{name} {embedder or ''}".strip(), metric, value(before[metric]), value(after[metric]),
                     gain(gains), f"{sign_flip_test(gains, SEED):.4f}", gain(losses)]
                )  # fmt: skip
        library.close()
    changed = sum(rewritten[name] != asked[name] for name in asked)
    table.notes += [
        f"{len(asked)} judged questions with turns before them, of the odd conversations; {changed} are completed.",
        "Intervals: BCa bootstrap over questions; p: sign-flip test of the gain.",
        "Wrong history: the same questions completed from a conversation about something else, against as asked.",
    ]
    print(table.text())


def value(values: list[float]) -> str:
    interval = mean_interval(values, SEED)
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def gain(values: list[float]) -> str:
    interval = paired_interval(values, SEED)
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


if __name__ == "__main__":
    run()
