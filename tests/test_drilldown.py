import json
from dataclasses import replace

import pytest

from eval.drilldown import (
    ALL_RIGHT,
    ALL_WRONG,
    BEYOND,
    DISAGREE,
    FOUND,
    LIMIT,
    LOST_LIMIT,
    LOW,
    LOWER,
    NOT_IN_CORPUS,
    query_details,
)
from eval.metrics import RETRIEVAL_METRICS, score, trec_order
from eval.results import conclude
from evaluated import (
    SEED,
    all_families,
    classification_evaluated,
    retrieval_evaluated,
    retrieval_row,
    retrieval_task,
    sts_evaluated,
    texts,
)


def details(*evaluated, **options):
    return query_details(conclude(list(evaluated), SEED), **options)["tasks"]


def row_with(task, run, embedder="minilm"):
    row = retrieval_row(retrieval_task(), embedder, "dense", with_ragas=False)
    return replace(row, run=run, per_query=score(task.qrels, run, RETRIEVAL_METRICS))


def test_ranks_and_first_ten_are_those_of_trec_eval():
    task, rows = retrieval_evaluated()
    [told] = details((task, rows), limit=None)
    assert told["of"] == told["told"] == len(told["queries"]) == len(task.queries)
    for query in told["queries"]:
        for at, row in enumerate(rows):
            order = trec_order(row.run[query["id"]])
            assert query["top"][at] == order[:10]
            assert query["values"][at] == pytest.approx(row.per_query["nDCG@10"][query["id"]], abs=1e-4)
            for gold in query["gold"]:
                expected = order.index(gold["id"]) + 1 if gold["id"] in order else None
                assert gold["ranks"][at] == expected


def test_what_most_rows_differ_on_comes_first():
    [told] = details(retrieval_evaluated())
    spreads = [max(query["values"]) - min(query["values"]) for query in told["queries"]]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] > spreads[-1]


def test_a_query_is_right_with_a_relevant_document_among_the_first_ten():
    task = retrieval_task(queries=3, documents=120)
    ideal = {"d0": 9.0, "d1": 9.0, "d2": 9.0, "d3": 9.0}
    filler = {f"x{at}": 5.0 - at / 100 for at in range(12)}
    good = row_with(task, dict.fromkeys(task.queries, ideal | filler))
    bad = row_with(task, {"q0": ideal | filler, "q1": filler, "q2": filler | {"d2": -1.0}}, "wordllama")
    [told] = details((task, [good, bad]))
    verdicts = {query["id"]: query["verdict"] for query in told["queries"]}
    assert verdicts == {"q0": ALL_RIGHT, "q1": DISAGREE, "q2": DISAGREE}
    assert told["counts"] == {ALL_RIGHT: 1, DISAGREE: 2}
    [nowhere] = details((task, [bad, replace(bad, embedder="hash")]))
    assert nowhere["counts"] == {ALL_RIGHT: 1, ALL_WRONG: 2}


def test_each_miss_has_its_reason():
    task = replace(
        retrieval_task(queries=1), qrels={"q0": {"d0": 1, "low": 1, "lower": 1, "beyond": 1, "d5": 1, "unjudged": 0}}
    )
    run = {f"x{at:03}": 1000.0 - at for at in range(150)}
    run |= {"d0": 2000.0, "low": 950.5, "lower": 880.5}
    [told] = details((task, [row_with(task, {"q0": run})]), text_of=texts().of)
    [query] = told["queries"]
    assert query["relevant"] == 5
    reasons = {gold["id"]: (gold["ranks"], gold["misses"]) for gold in query["gold"]}
    assert reasons == {
        "d0": ([1], [FOUND]),
        "low": ([52], [LOW]),
        "lower": ([123], [LOWER]),
        "beyond": ([None], [NOT_IN_CORPUS]),  # the corpus of the texts lacks it
        "d5": ([None], [NOT_IN_CORPUS]),
    }
    [without] = details((task, [row_with(task, {"q0": run})]))
    assert {gold["id"]: gold["misses"] for gold in without["queries"][0]["gold"]}["beyond"] == [BEYOND]


def test_texts_are_cut_and_do_not_repeat_their_title():
    task, rows = retrieval_evaluated()
    long = {"d0": ("Bird 0", f"# Bird 0\n\nIt   sings\n{'and sings ' * 100}")}
    [told] = details((task, rows), text_of=lambda _, id_: long.get(id_, ("", "plain")))
    told_of = told["documents"]["d0"]
    assert told_of["title"] == "Bird 0"
    assert told_of["snippet"].startswith("It sings and sings")
    assert len(told_of["snippet"]) <= 220
    assert told["documents"]["d1"] == {"title": "", "snippet": "plain"}


def test_large_tasks_tell_the_queries_that_differ_those_that_all_lose_and_those_asked_for():
    size = LIMIT + 200
    items = {f"t{at}": f"text {at}" for at in range(size)}
    task, rows = classification_evaluated(size)
    disagreeing = {f"t{at}" for at in range(LIMIT // 2)}
    lost = {f"t{at}" for at in range(LIMIT // 2, LIMIT // 2 + 120)}
    made = []
    for at, row in enumerate(rows):
        values = {item: float(item not in lost and (item not in disagreeing or at == 0)) for item in items}
        made.append(replace(row, per_query={"accuracy": values}))
    asked = f"t{size - 1}"
    [told] = details((task, made), keep=[asked])
    ids = [query["id"] for query in told["queries"]]
    assert disagreeing <= set(ids)
    assert asked in ids
    assert LIMIT < len(ids) <= LIMIT + LOST_LIMIT + 1
    assert told["told"] == len(ids) and told["of"] == size
    assert told["counts"] == {DISAGREE: LIMIT // 2, ALL_WRONG: 120, ALL_RIGHT: size - LIMIT // 2 - 120}


def test_families_that_score_all_items_together_have_no_verdict_on_one():
    [told] = details(sts_evaluated())
    assert all(query["verdict"] == "" and query["right"] == [None, None] for query in told["queries"])
    assert told["counts"] == {}
    assert all(query["label"] is not None for query in told["queries"])


def test_it_is_json_for_every_family():
    told = query_details(all_families(), texts().of)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert [each["family"] for each in told["tasks"]] == ["retrieval", "classification", "clustering", "anomaly", "sts"]
    for each in told["tasks"]:
        assert sorted(each["ranking"]) == list(range(len(each["rows"])))


def test_outputs_on_scales_of_their_own_are_compared_by_their_ranks():
    task, rows = sts_evaluated()
    alike = replace(rows[0], embedder="wordllama", per_query={"cosine_spearman": {}})
    alike.per_query["cosine_spearman"].update({p: v * 7 + 100 for p, v in rows[0].per_query["cosine_spearman"].items()})
    alike.per_query["cosine_spearman"]["p7"] = -100.0
    [told] = details((task, [rows[0], alike]))
    assert told["queries"][0]["id"] == "p7"
