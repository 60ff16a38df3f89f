import asyncio
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from eval.context_metrics import CONTEXT_METRICS, score_contexts

TEXTS = {
    "d1": "the quick brown fox jumps over the lazy dog",
    "d2": "0123456789",
    "d3": "zzz",
    "d9": "%%%%%%%%%%%%%%%%%%%%%%%%%%%%",
}
QRELS = {"q": {"d1": 1, "d9": 2, "d3": 0}}
RUN = {"q": {"d1": 3.0, "d2": 2.0, "d3": 1.0}}


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        attempts.append(_args)
        raise OSError("no network in this test")

    attempts = []
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setenv("LANGSMITH_API_KEY", "none")
    return attempts


def test_values_are_ragas_own_and_nothing_leaves_the_machine(no_network):
    scores = score_contexts(QRELS, RUN, TEXTS.__getitem__)
    assert list(scores) == [f"{name}@10" for name in CONTEXT_METRICS]
    assert {name: score.value for name, score in scores.items()} == pytest.approx(
        {
            "ragas.IDBasedContextPrecision@10": 1 / 3,
            "ragas.IDBasedContextRecall@10": 0.5,
            "ragas.NonLLMContextRecall@10": 0.5,
            "ragas.NonLLMContextPrecision@10": 0.9999999999,
        },
        abs=1e-9,
    )
    assert no_network == []
    assert os.environ["RAGAS_DO_NOT_TRACK"] == "true"


def test_what_ragas_cannot_score_is_counted_and_not_averaged():
    qrels = QRELS | {"empty": {"d1": 1}}
    scores = score_contexts(qrels, RUN, TEXTS.__getitem__)
    alone = score_contexts(QRELS, RUN, TEXTS.__getitem__)
    for name in ("ragas.IDBasedContextPrecision@10", "ragas.NonLLMContextRecall@10"):
        assert (scores[name].n, scores[name].failed) == (1, 1)
        assert scores[name].per_query["empty"] is None
        assert scores[name].value == alone[name].value
    recall = scores["ragas.IDBasedContextRecall@10"]
    assert (recall.n, recall.failed, recall.value) == (2, 0, 0.25)


def test_a_metric_that_fails_everywhere_has_no_value():
    score = score_contexts({"q": {"d1": 1}}, {}, TEXTS.__getitem__)["ragas.IDBasedContextPrecision@10"]
    assert (score.value, score.n, score.failed) == (None, 0, 1)


def test_only_the_first_k_documents_count():
    scores = score_contexts(QRELS, RUN, TEXTS.__getitem__, k=1)
    assert scores["ragas.IDBasedContextPrecision@1"].value == 1.0


def test_it_can_be_called_inside_a_running_event_loop():
    async def inside():
        return score_contexts(QRELS, RUN, TEXTS.__getitem__)

    with ThreadPoolExecutor(1) as thread:  # a loop of our own: Playwright may have left one running in this thread
        scores = thread.submit(asyncio.run, inside()).result()
    assert scores["ragas.IDBasedContextRecall@10"].value == 0.5


def test_an_error_of_the_caller_s_texts_is_not_hidden():
    with pytest.raises(KeyError):
        score_contexts({"q": {"unknown": 1}}, RUN, TEXTS.__getitem__)


def test_ragas_is_imported_only_when_it_is_asked_for():
    code = "import sys, eval.context_metrics, eval.runner, eval.outputs, eval.leaderboard; print('ragas' in sys.modules, 'scipy' in sys.modules)"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
