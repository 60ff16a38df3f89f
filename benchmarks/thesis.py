"""The thesis on real data: does the order of embedders change with the task, and beyond chance?

Retrieval, classification, clustering, anomaly detection and sentence similarity, by the functions of `rag bakeoff`.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.query import DATA
from benchmarks.similarity_tuned import BASE, tuned_for_similarity
from benchmarks.similarity_tuned import NAME as TUNED
from benchmarks.similarity_tuned import SEED as TUNED_SEED
from benchmarks.tables import Table
from eval.across import Across, across_tasks, listed, reversals_in_words
from eval.leaderboard import render_all
from eval.outputs import write_outputs
from eval.published import beside_published, published_in_words
from eval.report_charts import rank_chart
from eval.results import Results, conclude
from eval.reversals import RankChanges
from rag.library import Library
from rag.settings import Settings, read_settings
from ui.bakeoff import PROVENANCE, Bakeoff, Progress
from ui.evaluating import SEED
from ui.evaluation_options import Asked
from ui.task_selection import Selected, named_apart, select_task

ROOT = DATA.parent
TASKS = (
    ("retrieval/scifact", "retrieval"),
    ("retrieval/cranfield", "retrieval"),
    ("retrieval/medquad", "retrieval"),
    ("retrieval/xquad-en", "retrieval"),
    ("classification/banking77", "classification"),
    ("classification/trec_coarse", "classification"),
    ("classification/trec_coarse", "clustering"),
    ("classification/sms_spam", "anomaly"),
    ("sts/stsb", "sts"),
)
EMBEDDERS = ("minilm", "wordllama")
RETRIEVERS = ("dense", "lexical")
DOCS = Path(__file__).parents[1] / "docs"
PLOT, PAGE = "thesis-ranks.svg", "thesis.md"


def run(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks thesis", description=__doc__)
    parser.add_argument("--embedder", action="append", metavar="NAME", help=f"else {', '.join(EMBEDDERS)}")
    parser.add_argument(
        "--tuned", type=Path, metavar="DIR", help=f"add {TUNED}, trained into this folder unless it is there"
    )
    parser.add_argument("--tasks", nargs="+", metavar="NAME", help="folders' names; else all that are there")
    parser.add_argument("--home", type=Path, metavar="DIR", help="a library that keeps what was embedded and scored")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the report and the evidence there")
    parser.add_argument("--docs", action="store_true", help=f"write docs/{PAGE} and docs/{PLOT} anew")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as work:
        settings = read_settings(asked.home or work)
        embedders = list(asked.embedder or EMBEDDERS)
        if asked.tuned:
            spec = tuned_for_similarity(asked.tuned, ROOT / "sts" / "stsb" / "train.jsonl")
            settings = replace(settings, embedders={**settings.embedders, spec.name: spec})
            embedders.append(spec.name)
        results = evaluate(settings, embedders, asked.tasks)
    if results is None:
        print(f"skipped: there are no two tasks in {ROOT}.")
        return
    print(render_all(results))
    if asked.out:
        write_outputs(asked.out, results)
    if asked.docs:
        (DOCS / PAGE).write_text(page(results), encoding="utf-8")
        (DOCS / PLOT).write_text(plot(results), encoding="utf-8")


def evaluate(settings: Settings, embedders: Sequence[str], names: Sequence[str] | None) -> Results | None:
    """Scores every embedder, and words alone, on the tasks that are there; None for fewer than two."""
    library = Library(settings.home, create=True)
    try:
        tasks = list(named_apart(list(_tasks(library, names))))
        if len(tasks) < 2:
            return None
        asked = Asked(
            tasks=tuple(each.task.folder for each in tasks),
            embedders=tuple(embedders),
            retrievers=RETRIEVERS,
            ragas=False,
        )
        bakeoff = Bakeoff(library, settings, print)
        cells = bakeoff.plan(tasks, asked)
        stored = sum(map(bakeoff.evaluation.is_stored, cells))
        return conclude(bakeoff.run(tasks, cells, Progress(cells, stored, print)), SEED, PROVENANCE)
    finally:
        library.close()


def _tasks(library: Library, names: Sequence[str] | None) -> list[Selected]:
    wanted = [(ROOT / path, family) for path, family in TASKS if names is None or Path(path).name in names]
    return [select_task(library, folder, "test", family) for folder, family in wanted if folder.is_dir()]


def page(results: Results) -> str:
    """Returns the page of the docs: ranks, agreement, reversals, what is published, and how to do it again."""
    across = across_tasks(results)
    parts = [
        "# Does the order of embedders change with the task?",
        "An embedder that is good at retrieval need not be good at classification, clustering, anomaly detection or "
        "sentence similarity. Measured on public data by `python -m benchmarks thesis --docs`, which writes this page. "
        "`lexical` is BM25 for retrieval, and TF-IDF of words in an embedder's place elsewhere.",
        answer(results),
        f"![Ranks by task]({PLOT})",
        "A red dot marks where two lines cross between tasks that reverse them beyond chance.",
        ranks_table(across).markdown(),
        *([agreement_table(results.reversals).markdown()] if results.reversals else []),
        reversals(results.reversals),
        *_published(results),
        "### How it was measured",
        "\n".join(f"- {line}" for line in _method(results)),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def ranks_table(across: Across) -> Table:
    """Returns the main metric and the rank of every contestant in every task."""
    table = Table("Main metric and rank", ("task", "metric", *(entry.name for entry in across.entries)))
    for at, (task, metric) in enumerate(zip(across.tasks, across.metrics, strict=True)):
        cells = ["-" if not (place := e.places[at]) else f"{place.value:.3f} (#{place.rank:g})" for e in across.entries]
        table.rows.append([task, metric, *cells])
    return table


def agreement_table(changes: RankChanges) -> Table:
    """Returns Kendall's tau-b of every pair of tasks."""
    taus = {(each.a, each.b): each for each in changes.agreements}
    names = [each.name for each in changes.tasks]
    table = Table("Agreement of the orders: Kendall's tau", ("", *names[1:]))
    for first, a in enumerate(names[:-1]):
        cells = [taus[a, b].tau if second > first else None for second, b in enumerate(names[1:], start=1)]
        table.rows.append([a, *("" if tau is None else f"{tau:.2f}".replace("-", "−") for tau in cells)])
    table.notes.append("1 is the same order, −1 the opposite one.")
    if len(changes.contestants) == 3:
        table.notes.append("Of three contestants tau can only be −1, −0.33, 0.33 or 1.")
    return table


def answer(results: Results) -> str:
    """Answers the question of the page in a sentence or two."""
    across, changes = across_tasks(results), results.reversals
    leaders = [entry.name for entry in across.entries if any(place and place.rank == 1 for place in entry.places)]
    pairs = {(each.a, each.b) for each in changes.reversals} if changes else set()
    if not pairs:
        return "Not beyond chance, on these tasks and with these contestants."
    said = f"Yes. First places go to {listed(leaders)}" if leaders[1:] else f"Yes, though {leaders[0]} is always first"
    count = f"{len(pairs)} {'pair of contestants changes' if len(pairs) == 1 else 'pairs of contestants change'}"
    return f"{said}, and {count} places beyond chance."


def reversals(changes: RankChanges | None) -> str:
    """Returns the proven reversals as a list; that there is none is a result too."""
    head = "### Reversals beyond chance\n\n"
    if changes is None or not changes.reversals:
        return f"{head}None: no contestant is better than another on one task and worse than it on a second."
    tested = f"{changes.tested} tests, corrected together by Holm, 5 %."
    return head + "\n".join((tested, "", *(f"- {sentence}" for sentence in reversals_in_words(changes))))


def plot(results: Results) -> str:
    """Returns the chart of ranks as an SVG file with its own colours, light and dark."""
    across = across_tasks(results)
    ranks = {entry.name: [place.rank if place else None for place in entry.places] for entry in across.entries}
    at = {task: place for place, task in enumerate(across.tasks)}
    changes = results.reversals.reversals if results.reversals else ()
    turned = [(each.a, each.b, at[each.task_a], at[each.task_b]) for each in changes]
    style = (Path(__file__).parents[1] / "eval" / "plots.css").read_text(encoding="utf-8")
    ground = "<style>svg { background: var(--plot-page); }\n" + style + "</style>"
    head, rest = str(rank_chart(across.tasks, ranks, turned)).split(">", 1)
    return f"{head}>{ground}{rest}\n"


def _published(results: Results) -> list[str]:
    told = [f"- {sentence}" for sentence in published_in_words(beside_published(results))]
    return ["### What is published of the same embedders\n\n" + "\n".join(told)] if told else []


def _method(results: Results) -> list[str]:
    sizes = [f"{each.task.name} {len(each.task.items):,}" for each in results.tasks]
    tuned = (
        f"`{TUNED}` is {BASE} after one epoch on STS-B's train split (CoSENT loss, seed {TUNED_SEED}); `--tuned DIR`"
    )
    without = "No embedder that was tuned for similarity is among them; `--tuned DIR`"
    return [
        f"Items scored: {', '.join(sizes)}.",
        "Retrieval ranks whole documents by exact search; the protocols of the other families are in "
        "[task families](task-families.md).",
        f"{tuned if any(row.embedder == TUNED for row in results.rows) else without} makes it. `--embedder NAME`, once "
        "for each, takes others.",
        f"Tests and intervals as in [statistics](statistics.md), seed {results.seed}.",
    ]
