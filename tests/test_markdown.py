import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from attacks import ATTACKS
from eval import latex as latex_tables
from eval.latex import latex
from eval.markdown import escape, markdown
from eval.results import conclude
from evaluated import SEED, all_families, retrieval_evaluated

RESULTS = conclude([retrieval_evaluated()], SEED)
PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")


def cells(text):
    """Returns the cells of all tables as HTML, line by line."""
    lines = re.findall(r"<tr>(.*?)</tr>", PARSER.render(text), re.DOTALL)
    return [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", line, re.DOTALL) for line in lines]


def test_the_table_holds_every_row_with_the_best_in_bold_and_tie_letters():
    head, *body = cells(markdown(RESULTS))
    assert head == ["#", "row", "nDCG@10 [95 %]", "R@100", "RR@10", "AP", "P@5", "ms p50"]
    [compared] = [each.compared for each in RESULTS.tasks]
    assert [line[0] for line in body] == ["1", "2", "3", "4"]
    assert [line[1] for line in body] == [compared.rows[at].label for at in compared.ranking]
    assert body[0][2].startswith("<strong>0.873 [") and body[0][2].endswith("<sup>a</sup>")
    assert not any("<strong>" in line[2] for line in body[1:])
    for column in range(3, 7):
        values = {line[column].removeprefix("<strong>").removesuffix("</strong>"): line[column] for line in body}
        best = max(values)
        assert values[best] == f"<strong>{best}</strong>"


def test_several_tasks_begin_with_the_ranks():
    text = markdown(all_families())
    assert text.index("## Across tasks") < text.index("## birds")
    rows = {line[0]: line[1:] for line in cells(text)[1:6]}
    assert rows["hash"] == ["-", "<strong>0.917 (#1)</strong>", "-", "-", "-"]
    assert "- 1 pair changes places beyond chance" in text


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_hostile_names_are_shown_as_they_are(attack):
    hostile = attack.text("http://stranger.test")
    shown = PARSER.render(f"| {escape(hostile)} | x |\n| --- | --- |")
    assert re.findall(r"<(?!/?(?:table|thead|tr|th|p)\b)[^>]*>", shown) == []


def test_latex_has_a_table_for_each_task_with_booktabs():
    text = latex(all_families())
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 6
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 6
    for block in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        shape, body = block
        for line in body.splitlines():
            if line.endswith(r"\\"):
                assert len(re.split(r"(?<!\\)&", line)) == len(shape)
    assert r"\textbf{0.873}$^{a}$" in text
    assert text.count("{") == text.count("}")


def test_latex_escapes_every_special_character():
    shown = latex_tables.escape("50 % of $x_1$ & {y} #2 ~ ^ \\input{/etc/passwd} < > |")
    for character in "%$&#_":
        assert re.search(rf"(?<!\\){re.escape(character)}", shown) is None
    assert r"\input" not in shown.replace(r"\textbackslash{}input", "")
    assert r"\textasciitilde{} \textasciicircum{}" in shown


def test_a_hostile_name_of_a_task_stays_in_its_place():
    task, rows = retrieval_evaluated("a|b\n# c \\end{table} %")
    results = conclude([(task, [replace(row, task=task.name) for row in rows])], SEED)
    assert "\n# c" not in markdown(results)
    assert latex(results).count(r"\end{table}") == 1
