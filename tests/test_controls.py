"""Embedders that know nothing of a text must come last, on every task and for every source of labels."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.comparisons import compare
from eval.controls import embedder_controls, retrieval_controls
from eval.embedding_runner import evaluate_embedder
from eval.metrics import score, trec_order
from eval.tasks.registry import load_task
from rag.embedders.controls import CONTROLS, control_specs
from rag.embedders.registry import TABLES, load_embedder, table_specs
from rag.errors import UsageError
from rag.library import Library
from rag.settings import read_settings
from ui.evaluating import SEED, Evaluation

ROOT = Path(__file__).parents[1]
TOPICS = {
    "birds": ["heron", "owl", "swift", "robin", "finch", "sparrow", "eagle", "wing", "feather", "nest", "beak", "egg"],
    "ships": ["hull", "mast", "sail", "keel", "anchor", "deck", "rudder", "port", "cargo", "crew", "tide", "harbour"],
    "bread": ["flour", "yeast", "oven", "crust", "dough", "loaf", "rye", "wheat", "salt", "knead", "bake", "crumb"],
}


def control(name):
    return load_embedder(name, control_specs())


def test_controls_give_unit_rows_that_tell_nothing():
    texts = [f"text {number}" for number in range(400)]
    constant, random = (control(name).embed_passages(texts) for name in CONTROLS)
    for vectors in (constant, random):
        assert vectors.shape == (400, 64)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(400), abs=1e-6)
        assert vectors.dtype == np.float32
    assert (constant == constant[0]).all()
    similar = random @ random.T
    assert np.abs(similar[~np.eye(400, dtype=bool)]).mean() == pytest.approx(np.sqrt(2 / np.pi / 64), rel=0.05)


def test_a_random_vector_is_decided_by_its_text_alone():
    random = control("random")
    assert (random.embed_passages(["a", "b"])[1] == random.embed_passages(["b"])[0]).all()
    assert abs(float(random.embed_passages(["a"])[0] @ random.embed_queries(["a"])[0])) < 0.6
    assert random.embed_queries([]).shape == (0, 64)


def test_controls_are_in_no_menu():
    assert not set(CONTROLS) & set(table_specs())
    assert not any(path.name == "controls.toml" for path in TABLES)
    assert not set(CONTROLS) & set(read_settings(Path("nowhere")).embedders)


def test_another_model_of_the_provider_is_refused():
    with pytest.raises(UsageError, match="constant"):
        load_embedder("odd", {"odd": replace(control_specs()["constant"], name="odd", model="constnat")})


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo corpus under the bag of words, the weakest embedder that reads."""
    from rag.lock import writer_lock
    from ui.ingesting import ingest_paths
    from ui.progress import Bars

    settings = read_settings(tmp_path_factory.mktemp("home"))
    library = Library(settings.home, create=True)
    with writer_lock(settings.home), Bars() as bars:
        ingest_paths(library, settings, [ROOT / "corpus" / "documents"], "demo", ["hash"], "heading", bars)
    yield library, settings
    library.close()


@pytest.fixture(scope="module")
def demo_rows(demo):
    library, settings = demo
    task = load_task(ROOT / "corpus" / "task")
    evaluation = Evaluation(library, settings, lambda line: None)
    cells = evaluation.cells(task, ["hash"], ["dense"], None, with_ragas=False)
    rows = list(evaluation.score(cells))
    return task, rows + evaluation.control_rows(task, [cells[0].place])


def test_controls_come_last_on_the_demo_task_beyond_chance(demo_rows):
    _, rows = demo_rows
    compared = compare(rows, SEED)
    assert [rows[at].embedder for at in compared.ranking] == ["hash", "random", "constant"]
    assert compared.not_separable == ()
    assert compared.metric == "nDCG@10"
    assert rows[1].provenance["control"] is True


def test_random_ranks_by_chance_and_constant_gains_nothing_from_ids(demo_rows):
    task, rows = demo_rows
    constant, random = rows[1:]
    assert set(constant.per_query["nDCG@10"].values()) == {0.0}
    documents = len(constant.run[next(iter(constant.run))])
    by_chance = []
    generator = np.random.default_rng(1)
    names = list(constant.run[next(iter(constant.run))])
    for _ in range(20):
        run = {
            query: {name: float(place) for place, name in enumerate(generator.permutation(names).tolist())}
            for query in task.queries
        }
        by_chance.append(np.mean(list(score(task.qrels, run, ["R@10"])["R@10"].values())))
    found = np.mean(list(score(task.qrels, random.run, ["R@10"])["R@10"].values()))
    # a document of many chunks is found more often than one of few, so chance is not the same for all
    assert found == pytest.approx(np.mean(by_chance), abs=0.12)
    assert documents > 20


def test_controls_come_last_for_every_kind_of_query_and_source_of_labels(demo_rows):
    task, rows = demo_rows
    sources = {query: ("human", "vote", "synthetic")[number % 3] for number, query in enumerate(task.queries)}
    for groups in (task.kinds, sources):
        for group in sorted(set(groups.values())):
            means = [
                np.mean([row.per_query["nDCG@10"][query] for query in task.queries if groups[query] == group])
                for row in rows
            ]
            assert means[0] > max(means[1:]), group


def toy_retrieval(tmp_path, relevant):
    """Returns a task of twelve documents in which every query has one and the same relevant document."""
    folder = tmp_path / "toy"
    (folder / "qrels").mkdir(parents=True)
    queries = [{"_id": f"q{number}", "text": f"question {number}"} for number in range(8)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    (folder / "corpus.jsonl").write_text("")
    lines = "".join(f"q{number}\t{relevant}\t1\n" for number in range(8))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    return load_task(folder)


@pytest.mark.parametrize("relevant", ["d00", "d05", "d29"])
def test_no_id_helps_a_constant_embedder(tmp_path, relevant):
    task = toy_retrieval(tmp_path, relevant)
    chunks = {f"d{number:02}": f"text {number}" for number in range(30)}
    rows = retrieval_controls(task, chunks, {chunk: chunk for chunk in chunks}, "none", {})
    constant = rows[0]
    assert set(constant.per_query["nDCG@10"].values()) == {0.0}
    assert trec_order(constant.run["q0"])[-1] == relevant  # all others come before it
    # as trec_eval breaks ties, the highest id would have won every query
    tied = {query: dict.fromkeys(chunks, 1.0) for query in task.queries}
    lucky = score(task.qrels, tied, ["nDCG@10"])["nDCG@10"]["q0"]
    assert lucky == (1.0 if relevant == "d29" else 0.0)


def write_family(folder, family):
    """Writes a small task of a family whose texts share words where they belong together."""
    folder.mkdir()
    generator = np.random.default_rng(2)

    def text(topic):
        return " ".join(generator.choice(TOPICS[topic], 8, replace=False))

    topics = list(TOPICS)
    if family == "sts":
        records = []
        for number in range(90):
            one, shared = text(topics[number % 3]).split(), number % 6
            other = one[:shared] + text(topics[(number + 1) % 3]).split()[shared:]
            records.append({"sentence1": " ".join(one), "sentence2": " ".join(other), "score": shared})
        files = {"test.jsonl": records}
    elif family == "anomaly":
        train = [{"text": text("birds"), "label": "normal"} for _ in range(40)]
        train += [{"text": text("ships"), "label": "odd"} for _ in range(4)]
        test = [{"text": text("ships" if n % 4 == 0 else "birds"), "label": "normal" if n % 4 else "odd"}
                for n in range(80)]  # fmt: skip
        files = {"train.jsonl": train, "test.jsonl": test}
        (folder / "task.toml").write_text('normal = "normal"\n')
    else:
        train, test = (
            [{"text": text(topics[n % 3]), "label": topics[n % 3]} for n in range(size)] for size in (60, 90)
        )
        files = {"train.jsonl": train, "test.jsonl": test}
    for name, records in files.items():
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return load_task(folder, family=family)


@pytest.mark.parametrize("family", ["classification", "clustering", "anomaly", "sts"])
def test_controls_come_last_in_every_family(tmp_path, family):
    task = write_family(tmp_path / "toy", family)
    rows = [evaluate_embedder(task, load_embedder("hash"), seed=SEED), *embedder_controls(task, SEED)]
    compared = compare(rows, SEED, gold=task.gold)
    assert rows[compared.ranking[0]].embedder == "hash"
    assert compared.not_separable == ()
    assert [row.provenance.get("control") for row in rows] == [None, True, True]


def test_one_frequent_label_does_not_help_a_constant_embedder(tmp_path):
    task = write_family(tmp_path / "toy", "classification")
    frequent = {item: each._replace(label="birds") for item, each in task.test.items()}
    rows = embedder_controls(replace(task, test=frequent), SEED)
    assert set(rows[0].per_query["accuracy"].values()) == {0.0}  # birds is the first of the classes that tie
    assert 0.1 < np.mean(list(rows[1].per_query["accuracy"].values())) < 0.6


def test_a_command_adds_them_and_stores_nothing_of_them(demo, tmp_path):
    from click.testing import CliRunner

    from ui.cli import rag

    library, settings = demo
    before = [card.embedder for card in library.cards.all()]
    arguments = ["--home", str(settings.home), "eval", str(ROOT / "corpus" / "task"), "--embedder", "hash"]
    arguments += ["--retriever", "dense", "--no-ragas", "--controls", "--json"]
    found = CliRunner().invoke(rag, arguments, catch_exceptions=False)
    assert found.exit_code == 0
    rows = json.loads(found.stdout)["rows"]
    assert [row["embedder"] for row in rows] == ["hash", "constant", "random"]
    assert [card.embedder for card in library.cards.all()] == before
