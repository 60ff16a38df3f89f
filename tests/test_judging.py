"""Judged answers as `rag eval --judge` makes them: what is answered, sampled, said, and written."""

import json

import pytest

from eval.judge import FOLDER
from eval.judged_metrics import JUDGED_METRICS, NEEDS_REFERENCE
from eval.references import references_of
from eval.tasks.registry import load_task
from eval.tasks.retrieval import load_retrieval_task
from rag.errors import RagError, UsageError
from rag.keys import MissingKeyError
from rag.library import Library
from rag.settings import read_settings
from scripted_judge import bare, given, kind, server, verdict  # noqa: F401
from scripted_llm import Reply, ScriptedLlm
from ui.evaluating import Evaluation
from ui.judge_options import JudgeAsked
from ui.judging import AnswerJudging, judging_of, plan_judging, sampled

DOCUMENTS = {
    "d1": ("Herons", "Herons fish at dawn in shallow water."),
    "d2": ("Owls", "Owls hunt by night with silent wings."),
    "d3": ("Swifts", "Swifts sleep in flight above the clouds."),
    "d4": ("Terns", "Terns cross the ocean twice each year."),
}
QUERIES = {
    "q1": "When do herons fish?",
    "q2": "How do owls hunt?",
    "q3": "Where do swifts sleep?",
    "q4": "How often do terns cross the ocean?",
}
RELEVANT = dict(zip(QUERIES, DOCUMENTS, strict=True))
ANSWERS = {"q1": "at dawn", "q2": "by night", "q3": "in flight"}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "birds"
    (made / "qrels").mkdir(parents=True)
    write(made / "corpus.jsonl", [{"_id": key, "title": t, "text": text} for key, (t, text) in DOCUMENTS.items()])
    write(made / "queries.jsonl", [{"_id": key, "text": text} for key, text in QUERIES.items()])
    write(made / "answers.jsonl", [{"_id": q, "doc": RELEVANT[q], "answers": [text]} for q, text in ANSWERS.items()])
    lines = "".join(f"{query}\t{document}\t1\n" for query, document in RELEVANT.items())
    (made / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    return made


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


@pytest.fixture
def home(tmp_path, folder, server):
    """A library that holds the documents, and settings whose language model is the scripted server."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "rag.toml").write_text(f'[llm]\nmodel = "openai:judge"\nbase_url = "{server.url}/v1"\n')
    return tmp_path / "home"


@pytest.fixture
def setting(home, folder):
    """The library, the task and its rows, and what was said; `judge` judges them as it is asked to."""

    class Setting:
        settings = read_settings(home)
        library = Library(settings.home, create=True)
        task = load_retrieval_task(folder)

        def __init__(self):
            self.said = []

        def rows(self, *retrievers):
            evaluation = Evaluation(self.library, self.settings, self.said.append)
            return evaluation.rows(self.task, ["hash"], retrievers or ["dense"], with_ragas=False)

        def judge(self, rows=None, **asked):
            wish = JudgeAsked(**{"judge": "openai:judge", "judge_embedder": "hash", **asked})
            judging = judging_of(self.library, self.settings, wish, self.said.append)
            [(_, judged)] = judging.judged([(self.task, rows or self.rows())])
            return judged

    made = Setting()
    yield made
    made.library.close()


# --- what is judged


def test_the_answer_over_the_hits_is_judged_under_what_it_was_given(setting, server):
    [row] = setting.judge()
    prompts = [request.last for request in server.asked]
    answers = [given(prompt)["answer"] for prompt in prompts if kind(prompt) == "statements"]
    assert sorted(answers) == sorted(text for _, text in DOCUMENTS.values())  # quoted, without the markers
    verdicts = [given(prompt) for prompt in prompts if kind(prompt) == "verdicts"]
    assert all(answer in "".join(text["context"] for text in verdicts) for answer in answers)
    assert any("Herons\nHerons fish at dawn" in text["context"] for text in verdicts)
    assert row.context["ragas.Faithfulness"].value == 1.0
    assert row.context["ragas.Faithfulness"].n == 4


def test_metrics_that_need_a_reference_are_judged_where_there_is_one_and_that_is_said(setting):
    [row] = setting.judge()
    assert set(row.context) == set(JUDGED_METRICS)
    for metric in NEEDS_REFERENCE:
        assert set(row.context[metric].per_query) == set(ANSWERS)
    assert row.context["ragas.ContextRecall"].value == 1.0
    assert any("1 of 4 queries have no reference answer" in line for line in setting.said)


def test_context_precision_sees_the_rank(setting):
    [row] = setting.judge()
    assert row.context["ragas.ContextPrecision"].per_query == dict.fromkeys(ANSWERS, 1.0)


def test_rows_of_every_retriever_are_judged_on_the_same_queries(setting):
    rows = setting.judge(setting.rows("dense", "lexical", "hybrid"), sample=2)
    asked = [set(row.context["ragas.Faithfulness"].per_query) for row in rows]
    assert len(asked[0]) == 2
    assert asked[0] == asked[1] == asked[2]
    assert asked[0] == set(sampled(setting.task, 2, 13))


def test_a_sample_is_seeded_and_takes_all_of_a_small_task(setting):
    assert sampled(setting.task, 2, 13) == sampled(setting.task, 2, 13)
    assert {tuple(sampled(setting.task, 2, seed)) for seed in range(20)} != {tuple(sampled(setting.task, 2, 13))}
    assert sampled(setting.task, 50, 13) == sorted(QUERIES)


def test_what_was_measured_before_stays(setting):
    [before] = setting.rows()
    [after] = setting.judge([before])
    assert after.per_query == before.per_query
    assert after.run == before.run
    assert {name: value for name, value in after.provenance.items() if name != "judge"} == before.provenance


def test_the_provenance_says_who_judged_and_how(setting):
    [row] = setting.judge(sample=3, judge_repeats=2, judge_limit=500)
    facts = row.provenance["judge"]
    assert (facts["model"], facts["embedder"], facts["answerer"]) == ("openai:judge", "hash", "extractive")
    assert (facts["sample"], facts["repeats"], facts["limit_calls"], facts["temperature"]) == (3, 2, 500, 0.0)
    assert (facts["contexts"], facts["ragas"]) == (setting.settings.k, "0.4.3")


def test_a_second_run_asks_nothing_and_says_the_same(setting, server):
    rows = setting.rows("dense", "lexical")
    first = setting.judge(rows)
    number = len(server.asked)
    assert setting.judge(rows) == first
    assert len(server.asked) == number
    assert any("0 requests" in line for line in setting.said)
    assert list((setting.settings.home / FOLDER).rglob("*.json"))


def test_the_number_of_requests_is_told_before_the_first(setting, server):
    setting.judge()
    at = next(number for number, line in enumerate(setting.said) if "at most" in line)
    told = int(setting.said[at].split("at most ")[1].split(" ")[0])
    assert told == len(server.asked)
    assert at < next(number for number, line in enumerate(setting.said) if line.startswith("judged: "))


def test_a_limit_ends_it_and_says_how_many_were_judged(setting, server):
    [row] = setting.judge(judge_limit=9)
    assert len(server.asked) == 9
    failed = sum(score.failed for score in row.context.values())
    assert failed > 0
    assert any(f"{failed} without one; 9 requests" in line for line in setting.said)
    assert any("not judged: the limit of 9 requests was reached" in line for line in setting.said)


# --- answers by a language model


def test_a_language_model_s_answers_are_written_once_and_judged(setting, server):
    def reply(messages):
        if messages[0][0] == "system":
            return "They fish at dawn [1]."
        return verdict(messages)

    server.say(Reply(reply))
    [row] = setting.judge(llm="openai:writer", sample=2)
    written = [request for request in server.asked if request.body["model"] == "writer"]
    answers = [given(request.last)["answer"] for request in server.asked
               if request.body["model"] == "judge" and kind(request.last) == "statements"]  # fmt: skip
    assert len(written) == 2
    assert set(answers) == {"They fish at dawn."}
    assert row.provenance["judge"]["answerer"] == "openai:writer"
    number = len(server.asked)
    assert setting.judge(llm="openai:writer", sample=2) == [row]
    assert len(server.asked) == number


def test_where_the_answerer_fails_the_answer_s_metrics_fail_and_the_contexts_are_judged(setting, server):
    with ScriptedLlm(Reply(status=401)) as broken:
        [row] = setting.judge(llm="openai:writer", llm_base_url=f"{broken.url}/v1")
    faithful = row.context["ragas.Faithfulness"]
    assert (faithful.value, faithful.n, faithful.failed) == (None, 0, 4)
    assert all(reason.startswith("there is no answer: ") for reason in faithful.reasons.values())
    assert row.context["ragas.ContextRecall"].n == 3


# --- references


def test_references_of_the_folder_come_before_spans(folder):
    write(folder / "references.jsonl", [{"_id": "q1", "reference": "At dawn."}, {"_id": "q4", "reference": "Twice."}])
    references = references_of(load_retrieval_task(folder))
    assert references == {"q1": "At dawn.", "q2": "by night", "q3": "in flight", "q4": "Twice."}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "references.jsonl, line 2 is malformed"),
        ('{"_id": "q1"}', "references.jsonl, line 2 is malformed"),
        ('{"_id": "q9", "reference": "x"}', "line 2 names the query 'q9'"),
    ],
)
def test_a_malformed_reference_is_told_with_its_line(folder, line, told):
    (folder / "references.jsonl").write_text('{"_id": "q1", "reference": "x"}\n' + line + "\n")
    with pytest.raises(UsageError, match=told):
        references_of(load_retrieval_task(folder))


# --- plans


def test_a_plan_checks_names_keys_and_prices(setting, home):
    settings = setting.settings
    for asked, told in (
        (JudgeAsked("open:x"), "openai"),
        (JudgeAsked("openai:x", judge_embedder="minlm"), "minilm"),
        (JudgeAsked("openai:judge", judge_budget=1.0), "No price of 'openai:judge' is known"),
        (JudgeAsked("openai:x", llm="nonsense"), "PROVIDER:MODEL"),
    ):
        with pytest.raises(UsageError, match=told):
            plan_judging(settings, asked)
    (home / "rag.toml").write_text('[llm]\nmodel = "openai:a"\nusd_per_million_input = 1\nusd_per_million_output = 2\n')
    assert plan_judging(read_settings(home), JudgeAsked("openai:a", judge_budget=1.0)).usd == 1.0


def test_a_missing_key_is_told_before_anything_is_evaluated(setting):
    plan = plan_judging(setting.settings, JudgeAsked("openai:x"))
    from dataclasses import replace

    elsewhere = replace(plan, judge=replace(plan.judge, base_url=""))
    with pytest.raises(MissingKeyError):
        AnswerJudging(setting.library, setting.settings, elsewhere, print)
    assert issubclass(MissingKeyError, RagError)


def test_tasks_that_retrieve_nothing_are_left_as_they_are(setting, tmp_path, server):
    other = tmp_path / "pairs"
    other.mkdir()
    write(other / "test.jsonl", [{"sentence1": "a b", "sentence2": "a c", "score": at} for at in range(5)])
    task = load_task(other, "test", None)
    judging = judging_of(setting.library, setting.settings, JudgeAsked("openai:judge"), setting.said.append)
    assert judging.judged([(task, [])]) == [(task, [])]
    assert server.asked == []
    assert any("nothing is judged" in line for line in setting.said)


# --- the command


def test_the_command_writes_the_judged_metrics(rag, home, folder, tmp_path):
    asked = ("--embedder", "hash", "--retriever", "dense", "--retriever", "lexical", "--judge", "openai:judge")
    options = ("--judge-embedder", "hash", "--judge-repeats", "2", "--no-ragas")
    done = rag("--home", str(home), "eval", str(folder), *asked, *options, "--out", str(tmp_path / "out"))
    assert done.status == 0, done.err
    assert "at most" in done.err
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    for row in results["rows"]:
        faithful = row["metrics"]["ragas.Faithfulness"]
        assert (faithful["value"], faithful["n"], faithful["failed"], faithful["spread"]) == (1.0, 4, 0, 0.0)
        assert row["per_query"]["ragas.Faithfulness"] == dict.fromkeys(QUERIES, 1.0)
        assert row["judgements"]["ragas.Faithfulness"] == {"reasons": {}, "repeats": [dict.fromkeys(QUERIES, 1.0)] * 2}
    comparisons = json.loads((tmp_path / "out" / "comparisons.json").read_text())
    judged = comparisons["tasks"][0]["judged"]
    assert {pair["metric"] for pair in judged} == set(JUDGED_METRICS)
    assert {pair["n"] for pair in judged} == {3, 4}
    first = (tmp_path / "out" / "results.json").read_bytes()
    rag("--home", str(home), "eval", str(folder), *asked, *options, "--out", str(tmp_path / "again"))
    again = json.loads((tmp_path / "again" / "results.json").read_text())
    assert [row["metrics"] for row in again["rows"]] == [row["metrics"] for row in json.loads(first)["rows"]]


def test_an_option_of_judging_without_a_judge_is_a_mistake(rag, home, folder):
    done = rag("--home", str(home), "eval", str(folder), "--judge-repeats", "3")
    assert done.status == 2
    assert "--judge PROVIDER:MODEL" in done.err
