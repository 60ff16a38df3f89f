"""The end of the report: what the figures were made of, and how anybody can check them."""

from eval.markup import Markup, element
from eval.results import Results
from eval.statistics import PERMUTATIONS, RESAMPLES

_CHECK = """\
# every figure anew, from runs and judgements; a changed byte is found
rag eval verify DIR

# the metrics of a ranking by another tool
awk -F'\\t' 'NR>1 {print $1, 0, $2, $3}' DIR/tasks/TASK/qrels/test.tsv > qrels
ir_measures qrels DIR/runs/RUN.trec nDCG@10 R@100"""


def provenance_section(results: Results) -> Markup:
    """Returns tasks with their digests, the indexes that were searched, the protocol, and the commands to verify."""
    tasks = [
        element(
            "tr",
            element("th", element("bdi", each.task.name), scope="row"),
            element("td", each.task.family),
            element("td", each.task.split),
            element("td", f"{len(each.task.items):,}", class_="num"),
            element("td", element("code", each.task.digest[:16])),
        )
        for each in results.tasks
    ]
    return element(
        "section",
        element("h2", "Provenance"),
        _table(("Task", "Family", "Split", "Items", "Digest"), tasks),
        _table(("Embedder", "Model", "Revision", "Dimensions", "Precision", "Fingerprint"), _indexes(results)),
        element(
            "p",
            f"Intervals are BCa bootstraps with {RESAMPLES:,} resamples; tests have {PERMUTATIONS:,} permutations and "
            f"are two-sided, paired, and corrected by Holm over all pairs of a task. Seed {results.seed}. Rankings "
            "break ties as trec_eval does; a document scores as its best chunk; a query without results scores 0.",
        ),
        element("h3", "How to verify"),
        element("pre", _CHECK),
        element(
            "p",
            "Beside this file: results.json (every value), comparisons.json (every pair), leaderboard.csv, rankings in "
            "TREC's format in runs/, queries and judgements in tasks/, and manifest.json with the digest of each.",
        ),
        id="provenance",
    )


def _indexes(results: Results) -> list[Markup]:
    """Returns a line for each embedder whose card a row brings, once."""
    lines: dict[tuple[str, ...], Markup] = {}
    for row in results.rows:
        card = row.provenance.get("index") or {}
        if not row.embedder or not card:
            continue
        facts = [str(card.get(key, "")) for key in ("model", "revision", "dimension", "precision", "fingerprint")]
        cells = [element("td", element("bdi", fact)) for fact in facts]
        lines[row.embedder, *facts] = element("tr", element("th", element("bdi", row.embedder), scope="row"), *cells)
    return list(lines.values())


def _table(heads: tuple[str, ...], lines: list[Markup]) -> Markup:
    if not lines:
        return Markup("")
    head = element("tr", *(element("th", name, scope="col", class_="left") for name in heads))
    return element("div", element("table", element("thead", head), element("tbody", *lines)), class_="scroll")
