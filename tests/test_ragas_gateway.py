"""RAGAS with a judge that is a real server: its metrics by hand, malformed replies, loops that run already."""

import asyncio
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from eval.own_loop import in_own_thread
from eval.ragas_gateway import (
    NOT_A_NUMBER,
    Judged,
    Judging,
    MalformedReplyError,
    UnjudgedError,
    judge,
)
from rag.errors import RagError

CONTEXTS = ["Titan is the largest moon. It is cold.", "Rhea is icy."]
SAMPLE = {
    "user_input": "Which moon is the largest?",
    "response": "Titan is the largest moon. It is cold. It is green.",
    "retrieved_contexts": CONTEXTS,
    "reference": "Titan",
}
WANTED = {
    "ragas.Faithfulness": ("user_input", "response", "retrieved_contexts"),
    "ragas.AnswerRelevancy": ("user_input", "response"),
    "ragas.ContextPrecision": ("user_input", "reference", "retrieved_contexts"),
    "ragas.ContextRecall": ("user_input", "reference", "retrieved_contexts"),
    "ragas.FactualCorrectness": ("response", "reference"),
}


def judging(metric, **changes):
    given = {name: (SAMPLE | changes)[name] for name in WANTED[metric]}
    return Judging(0, "q", metric, 0, given)


def judged(metric, replies, embed=None, **changes):
    """Judges one sample; `replies` are the judge's words in the order of ragas' questions."""
    asked, told = [], []
    queue = iter(replies)

    def ask(request, read):
        asked.append(request)
        try:
            return read(next(queue))
        except MalformedReplyError as error:
            raise UnjudgedError(str(error)) from None

    judge([judging(metric, **changes)], ask, embed or vectors, 1, lambda one, found: told.append(found), lambda: None)
    return told[0], asked


def vectors(texts):
    """Vectors at 60 degrees to that of the sample's question, which is the first axis."""
    return np.array([[1.0, 0.0] if text == SAMPLE["user_input"] else [0.5, math.sqrt(0.75)] for text in texts])


def said(**reply):
    return json.dumps(reply)


def statements(*verdicts):
    return said(statements=[{"statement": "s", "reason": "r", "verdict": verdict} for verdict in verdicts])


def test_faithfulness_is_the_share_of_supported_statements():
    found, asked = judged("ragas.Faithfulness", [said(statements=["a", "b", "c"]), statements(1, 1, 0)])
    assert found.value == 2 / 3
    assert [request.form for request in asked] == ["StatementGeneratorOutput", "NLIStatementOutput"]
    assert '"context": "Titan is the largest moon. It is cold.\\nRhea is icy."' in asked[1].prompt


def test_answer_relevancy_is_the_mean_cosine_of_three_questions():
    question = said(question="What is Titan?", noncommittal=0)
    same = said(question=SAMPLE["user_input"], noncommittal=0)
    found, asked = judged("ragas.AnswerRelevancy", [question, question, same])
    assert found.value == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert [request.occurrence for request in asked] == [0, 1, 2]


def test_an_answer_that_commits_to_nothing_three_times_is_irrelevant():
    evasive = said(question="What is Titan?", noncommittal=1)
    assert judged("ragas.AnswerRelevancy", [evasive] * 3)[0].value == 0.0
    assert judged("ragas.AnswerRelevancy", [evasive, evasive, said(question="Q", noncommittal=0)])[0].value > 0


def test_context_precision_is_average_precision():
    found, _ = judged("ragas.ContextPrecision", [said(reason="", verdict=0), said(reason="", verdict=1)])
    assert found.value == 0.5
    found, _ = judged("ragas.ContextPrecision", [said(reason="", verdict=1), said(reason="", verdict=1)])
    assert found.value == 1.0  # and not 0.9999999999


def test_context_recall_is_the_share_of_attributed_sentences():
    record = {"statement": "s", "reason": "r"}
    reply = said(classifications=[record | {"attributed": 1}, record | {"attributed": 0}])
    assert judged("ragas.ContextRecall", [reply])[0].value == 0.5


def test_factual_correctness_is_f1_of_claims():
    replies = [said(claims=["a", "b"]), statements(1, 0), said(claims=["c"]), statements(1)]
    assert judged("ragas.FactualCorrectness", replies)[0].value == 0.67  # 1 of 2 right, none missing; ragas rounds


@pytest.mark.parametrize(
    ("metric", "replies", "reason"),
    [
        ("ragas.Faithfulness", ["I would rather not."], "no JSON object"),
        ("ragas.Faithfulness", ['{"statements": ["a",}'], "not JSON"),
        ("ragas.Faithfulness", ['{"sentences": ["a"]}'], "statements: Field required"),
        ("ragas.Faithfulness", [said(statements=["a", "b", "c"]), statements(1, 1)], "judges 2 statements of 3"),
        ("ragas.Faithfulness", [said(statements=["a"]), statements(7)], "verdict is 7"),
        ("ragas.AnswerRelevancy", [said(question="", noncommittal=0)], "question is empty"),
        ("ragas.AnswerRelevancy", [said(question="Q", noncommittal=2)], "noncommittal is 2"),
        ("ragas.ContextPrecision", [said(reason="", verdict=-1)], "verdict is -1"),
        ("ragas.FactualCorrectness", [said(claims=[])], "finds no claim"),
        ("ragas.FactualCorrectness", [said(claims=["a"]), statements()], "judges 0 statements of 1"),
    ],
)
def test_a_reply_that_does_not_say_what_was_asked_does_not_count(metric, replies, reason):
    found, _ = judged(metric, replies)
    assert found.value is None
    assert reason in found.reason


@pytest.mark.parametrize("wrapped", ["```json\n{}\n```", "Here it is: {} Anything else?", "\ufeff{}"])
def test_a_reply_may_stand_among_other_words(wrapped):
    reply = wrapped.replace("{}", said(reason="", verdict=1))
    assert judged("ragas.ContextPrecision", [reply, reply])[0].value == 1.0


def test_nan_is_told_as_such():
    assert judged("ragas.Faithfulness", [said(statements=[])])[0].reason == NOT_A_NUMBER
    assert judged("ragas.ContextRecall", [said(classifications=[])])[0].reason == NOT_A_NUMBER
    zero = judged(
        "ragas.AnswerRelevancy", [said(question="Q", noncommittal=0)] * 3, lambda texts: np.zeros((len(texts), 2))
    )
    assert zero[0].reason == NOT_A_NUMBER


def test_an_embedder_that_cannot_be_reached_is_a_failure_with_its_reason():
    def embed(texts):
        raise RagError("Voyage did not answer. Try again later.")

    found, _ = judged("ragas.AnswerRelevancy", [said(question="Q", noncommittal=0)] * 3, embed)
    assert found == Judged(None, "Voyage did not answer. Try again later.")


def test_a_fault_of_ours_is_not_taken_for_a_failure_of_the_judge():
    def embed(texts):
        raise ZeroDivisionError("in the embedder")

    with pytest.raises(ZeroDivisionError, match="in the embedder"):
        judged("ragas.AnswerRelevancy", [said(question="Q", noncommittal=0)] * 3, embed)


def test_what_hears_may_end_it_and_nothing_more_is_begun():
    begun, cancelled = [], []

    def ask(request, read):
        begun.append(request)
        return read(said(reason="", verdict=1))

    def tell(one, found):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        judge([judging("ragas.ContextPrecision")] * 50, ask, vectors, 2, tell, lambda: cancelled.append(True))
    assert cancelled == [True]
    assert len(begun) <= 6


def test_as_many_run_at_once_as_are_allowed():
    now, most, lock = [0], [0], threading.Lock()

    def ask(request, read):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1
        return read(said(reason="", verdict=1))

    told = []
    judge(
        [judging("ragas.ContextPrecision")] * 12, ask, vectors, 3, lambda one, found: told.append(found), lambda: None
    )
    assert len(told) == 12
    assert most[0] == 3


# --- loops and the network


def test_it_runs_on_a_loop_of_its_own_inside_a_running_one():
    async def inside():
        outer = asyncio.get_running_loop()

        async def work():
            return asyncio.get_running_loop()

        inner = in_own_thread(work)
        assert inner is not outer
        return judged("ragas.ContextPrecision", [said(reason="", verdict=1)] * 2)[0].value

    thread_result = []
    thread = threading.Thread(target=lambda: thread_result.append(asyncio.run(inside())))
    thread.start()
    thread.join()
    assert thread_result == [1.0]


def test_nothing_is_looked_up_or_written_at_home(tmp_path):
    code = """
import os, socket
seen = []
real = socket.getaddrinfo
socket.getaddrinfo = lambda *a, **k: (seen.append(a[0]), real(*a, **k))[1]
import sys; sys.path.insert(0, "tests")
import test_ragas_gateway as t
for metric in ("ragas.ContextPrecision",):
    assert t.judged(metric, [t.said(reason="", verdict=1)] * 2)[0].value == 1.0
from ragas._analytics import do_not_track
print(do_not_track(), seen, "nest_asyncio" in sys.modules)
"""
    environment = {**os.environ, "HOME": str(tmp_path), "LANGSMITH_TRACING": "true", "LANGSMITH_API_KEY": "none"}
    environment.pop("RAGAS_DO_NOT_TRACK", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.split("\n")[0] == "True [] False", done.stderr
    assert not any((tmp_path / ".local").rglob("uuid.json"))


def test_importing_the_gateway_does_not_import_ragas():
    code = (
        "import sys, eval.ragas_gateway, eval.judged_metrics; print('ragas' in sys.modules, 'langchain' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_result_and_an_error_of_the_thread_reach_the_caller():
    async def answer():
        return 42

    async def fail():
        raise socket.gaierror("no such host")

    assert in_own_thread(answer) == 42
    with pytest.raises(socket.gaierror):
        in_own_thread(fail)
