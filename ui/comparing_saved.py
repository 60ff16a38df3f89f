"""What `rag eval compare` says of two saved evaluations."""

from pathlib import Path

import click

from eval.comparisons import A_BETTER, B_BETTER, TOO_FEW
from eval.matching import EQUAL, Match, Matching, Side, match, matching_document
from eval.saved import load_saved
from eval.text_table import fill, table
from ui.evaluating import SEED
from ui.options import print_json

WORDS = {A_BETTER: "A is better", B_BETTER: "B is better", TOO_FEW: "too few pairs"}


def tell_comparison(a: Path, b: Path, metric: str | None, as_json: bool) -> int:
    """Compares, prints and returns the exit status, 0 whatever the difference."""
    sides = [Side.saved(name, load_saved(folder, with_runs=False)) for name, folder in (("A", a), ("B", b))]
    matching = match(sides[0], sides[1], SEED, metric)
    if as_json:
        print_json({"a_folder": str(a), "b_folder": str(b), **matching_document(matching)})
    else:
        click.echo("\n".join(comparison_lines(a, b, matching)))
    return 0


def comparison_lines(a: Path, b: Path, matching: Matching) -> list[str]:
    """Returns the comparison as a person reads it."""
    lines = [f"A: {a}", f"B: {b}", ""]
    if matching.matches:
        is_cut = len({each.key.chunker for each in matching.matches} - {None}) > 1
        header = ["task", "row", "metric", "n", "A", "B", "B - A [95 %]", "p", ""]
        lines += [table(header, [_cells(each, is_cut) for each in matching.matches], elastic=(0, 1), left=3), ""]
        better = [sum(each.verdict == side for each in matching.matches) for side in (A_BETTER, B_BETTER)]
        total = len(matching.matches)
        lines.append(
            fill(
                f"{total} rows compared, paired item by item; p corrected by Holm over them, 5 %: B is better in "
                f"{better[1]}, A in {better[0]}, {total - sum(better)} are not separable. Seed {SEED}."
            )
        )
    else:
        lines.append("No row of A can be compared with one of B.")
    lines += [f"not comparable: {key}: {reason}" for key, reason in matching.refused]
    lines += [f"only in A: {key}" for key in matching.only_a] + [f"only in B: {key}" for key in matching.only_b]
    return lines


def _cells(each: Match, is_cut: bool) -> list[str]:
    pair = each.pair
    difference = f"{each.gain:+.3f}"
    low, high = each.interval
    if low is not None and high is not None:
        difference += f" [{low:+.3f}, {high:+.3f}]"
    cut = f" ({each.key.chunker})" if is_cut and each.key.chunker else ""
    return [
        each.key.task,
        " ".join(filter(None, (each.key.retriever, each.key.embedder))) + cut,
        each.metric,
        str(pair.n),
        f"{pair.mean_a:.3f}",
        f"{pair.mean_b:.3f}",
        difference,
        "-" if each.verdict == EQUAL else "< 0.001" if pair.p_holm < 0.001 else f"{pair.p_holm:.2g}",
        WORDS.get(each.verdict, each.verdict),
    ]
