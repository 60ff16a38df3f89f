import numpy as np
import pytest

from rag.embedders import registry
from rag.embedders.registry import find_spec
from rag.embedders.spec import unit_rows
from rag.errors import IndexMismatchError, IndexNotFoundError, UsageError
from rag.index import recall
from rag.reader import Reader
from rag.retrievers import LEG_DEPTH, MAX_QUERY_CHARACTERS, ExactSearch, look_up
from rag.schema import Scored
from rag.settings import read_settings

QUERIES = ["how is green tea brewed", "moons of Saturn", "the chain of my bicycle skips", "capital of Peru", "向量模型"]

RETRIEVERS = [
    {"retriever": "dense", "embedder": "hash"},
    {"retriever": "dense", "embedder": "wordllama"},
    {"retriever": "lexical"},
    {"retriever": "hybrid", "embedder": "hash", "fusion": "weighted", "weight": 0.3},
    {"retriever": "hybrid", "embedder": "wordllama"},
]


@pytest.fixture(scope="module")
def reader(small_library):
    return Reader(small_library.library, small_library.settings)


@pytest.fixture(params=RETRIEVERS, ids=lambda options: "-".join(map(str, options.values())))
def retriever(request, reader):
    return reader.open("small", **request.param).retriever


# --- the contract of every retriever


@pytest.mark.parametrize("k", [0, 1, 3, 500])
def test_hits_are_ranked_whole_and_no_more_than_k(small_library, retriever, k):
    for query in QUERIES:
        hits = retriever.retrieve(query, k)
        assert len(hits) <= k
        assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
        order = [(np.float32(hit.score), hit.chunk.id) for hit in hits]
        assert order == sorted(order, reverse=True)
        assert len({hit.chunk.id for hit in hits}) == len(hits)
        for hit in hits:
            document = small_library.library.document(hit.chunk.document_id)
            assert document.text[hit.chunk.start : hit.chunk.end] == hit.chunk.text
            assert (hit.source, hit.title) == (document.source, document.title)


def test_a_longer_list_begins_with_the_shorter_one(retriever):
    for query in QUERIES:
        ids = [hit.chunk.id for hit in retriever.retrieve(query, 100)]
        assert [hit.chunk.id for hit in retriever.retrieve(query, 2)] == ids[:2]


def test_each_hit_tells_what_its_legs_contributed(reader, retriever):
    legs = {"dense", "lexical"} if retriever.name == "hybrid" else {retriever.name}
    for query in QUERIES:
        hits = retriever.retrieve(query, 50)
        assert hits
        for hit in hits:
            assert set(hit.legs) <= legs
            assert hit.legs
            if retriever.name != "hybrid":
                assert (hit.legs[retriever.name].rank, hit.legs[retriever.name].score) == (hit.rank, hit.score)


def test_many_queries_at_once_give_what_each_gives_alone(retriever):
    together = retriever.rank(QUERIES * 20, 5)  # more than one block of the exact search
    assert len(together) == len(QUERIES) * 20
    for position, query in enumerate(QUERIES * 20):
        alone = retriever.rank([query], 5)[0]
        assert [result.chunk_id for result in together[position]] == [result.chunk_id for result in alone]


def test_finds_what_is_asked_for(retriever):
    hits = retriever.retrieve("the ice rings of Saturn and its moon Titan", 3)
    assert hits[0].source == "planets.md"
    assert "Titan" in hits[0].chunk.text


def test_no_queries_give_no_rankings(retriever):
    assert retriever.rank([], 5) == []


def test_a_very_long_query_is_read_up_to_its_limit(retriever):
    start = "green tea " * (MAX_QUERY_CHARACTERS // 10)
    assert len(start) == MAX_QUERY_CHARACTERS
    assert retriever.rank([start + "bread " * 20_000], 3) == retriever.rank([start], 3)


def test_a_query_of_unknown_words_finds_nothing_by_words_and_abstains_from_fusion(reader):
    assert reader.open("small", retriever="lexical").retriever.retrieve("zzyzx", 5) == []
    dense = reader.open("small", embedder="wordllama", retriever="dense").retriever.rank(["zzyzx"], 5)[0]
    hybrid = reader.open("small", embedder="wordllama", retriever="hybrid").retriever.rank(["zzyzx"], 5)[0]
    assert [result.chunk_id for result in hybrid] == [result.chunk_id for result in dense]


def test_the_weight_goes_from_one_leg_to_the_other(reader):
    for query in QUERIES:
        for weight, leg in ((1.0, "dense"), (0.0, "lexical")):
            alone = reader.open("small", "wordllama", leg).retriever.rank([query], LEG_DEPTH)[0]
            fused = reader.open("small", "wordllama", "hybrid", weight=weight).retriever.rank([query], LEG_DEPTH)[0]
            assert [r.chunk_id for r in fused][: len(alone)] == [r.chunk_id for r in alone]


def test_a_chunk_deleted_since_it_was_ranked_is_left_out_and_ranks_close_up(small_library):
    ids, _ = vectors_of(small_library, "hash")
    ranking = [Scored(ids[0], 0.9), Scored("gone", 0.8), Scored(ids[1], 0.7)]
    hits = look_up(small_library.library, ranking)
    assert [(hit.chunk.id, hit.rank) for hit in hits] == [(ids[0], 1), (ids[1], 2)]


# --- dense search: exact and Chroma's


def card_of(made, embedder):
    return made.library.cards.find(made.report.corpus, embedder)


def vectors_of(made, embedder):
    card = card_of(made, embedder)
    return made.library.vectors.of_index(card.corpus, card.chunker, card.fingerprint)


def test_exact_search_equals_brute_force():
    chance = np.random.default_rng(7)
    vectors, queries = unit_rows(chance.normal(size=(300, 24))), unit_rows(chance.normal(size=(150, 24)))
    ids = [f"{number:03}" for number in range(len(vectors))]
    for k in (1, 10, 1000):
        for query, found in zip(queries, ExactSearch(ids, vectors)(queries, k), strict=True):
            cosines = vectors.astype(np.float64) @ query
            expected = np.argsort(-cosines)[:k]
            assert [chunk_id for chunk_id, _ in found] == [ids[position] for position in expected]
            np.testing.assert_allclose([score for _, score in found], cosines[expected], atol=1e-6)
    assert ExactSearch([], np.zeros((0, 0), dtype=np.float32))(queries[:2], 3) == [[], []]


def test_equal_vectors_are_ordered_by_id_descending():
    vectors = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (5, 1))
    (found,) = ExactSearch(list("abcde"), vectors)(vectors[:1], 3)
    assert [chunk_id for chunk_id, _ in found] == ["e", "d", "c"]


def test_recall_is_the_share_of_true_neighbours():
    assert recall([["a", "b"], ["c"], []], [["b", "x"], ["c"], []]) == 0.75
    assert recall([], []) == 1.0


# --- opening: names, and the guard against another model


def test_a_chunker_may_be_named_in_full_or_by_its_kind(reader):
    full = reader.open(embedder="hash", retriever="dense").card.chunker
    kind = full.partition("-")[0]
    assert kind != full
    for name in (full, kind, None):
        assert reader.open(embedder="hash", retriever="dense", chunker=name).card.chunker == full
        assert reader.open(retriever="lexical", chunker=name).card.chunker == full
    with pytest.raises(IndexNotFoundError):
        reader.open(embedder="hash", retriever="dense", chunker=kind[:-1])


def test_what_is_not_said_is_taken_from_the_settings_or_is_the_only_choice(reader):
    opened = reader.open()
    assert (opened.retriever.name, opened.card.corpus) == ("hybrid", "small")
    assert opened.card.embedder in ("hash", "wordllama")  # the settings' minilm has no index here
    assert reader.open(retriever="lexical").embedder is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"corpus": "smal"}, UsageError, "No corpus 'smal'. Did you mean 'small'"),
        ({"embedder": "hsh"}, UsageError, "No embedder 'hsh'. Did you mean 'hash'"),
        ({"retriever": "densse"}, UsageError, "No retriever 'densse'. Did you mean 'dense'"),
        ({"search": "exakt"}, UsageError, "No search 'exakt'. Did you mean 'exact'"),
        ({"search": "ann"}, UsageError, "Approximate search needs Chroma"),
        ({"weight": 1.5}, UsageError, "weight of the dense leg is 1.5"),
        ({"embedder": "minilm"}, IndexNotFoundError, "no index under 'minilm'.*hash.*--embedder minilm"),
        ({"embedder": "hash", "chunker": "whole"}, IndexNotFoundError, "--embedder hash --chunker whole"),
        ({"retriever": "lexical", "chunker": "whole"}, IndexNotFoundError, "no documents under the chunker 'whole'"),
    ],
)
def test_what_cannot_be_opened_says_so(reader, options, error, message):
    with pytest.raises(error, match=message):
        reader.open(**{"corpus": "small", **options})


@pytest.fixture
def own_model(tmp_path, ingest, monkeypatch):
    """A corpus under an embedder of the user's own; returns what writes its weights and its entry in rag.toml."""
    from safetensors.numpy import save_file

    home = tmp_path / "home"
    home.mkdir()
    weights = tmp_path / "own.safetensors"

    def configure(seed=1, revision="1"):
        monkeypatch.setattr(registry, "_loaded", {})  # as a process that starts
        save_file({"table": np.random.default_rng(seed).normal(size=(32_000, 16)).astype(np.float32)}, weights)
        tokenizer = find_spec("wordllama").tokenizer
        (home / "rag.toml").write_text(
            f"[embedders.own]\nprovider = 'static'\nmodel = '{weights}'\ntokenizer = '{tokenizer}'\n"
            f"revision = '{revision}'\ndimension = 16\nmax_tokens = 0\nquery_prefix = ''\npassage_prefix = ''\n"
            "usd_per_million_tokens = 0.0\nlanguages = ['any']\nlicence = 'none'\nsource = 'here'\n"
        )
        return read_settings(home)

    configure()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("The heron waits motionless at the edge of the pond.")
    made = ingest(tmp_path / "docs", embedders=["own"])
    return made, configure


def test_the_same_weights_open(own_model):
    made, configure = own_model
    opened = Reader(made.library, configure()).open("c", "own", "dense")
    assert opened.retriever.retrieve("heron", 1)[0].source == "a.txt"


def test_an_entry_of_the_same_name_and_width_that_means_another_model_is_refused(own_model):
    made, configure = own_model
    settings = configure(revision="2")
    old, new = made.settings.embedders["own"], settings.embedders["own"]
    assert old.dimension == new.dimension
    with pytest.raises(IndexMismatchError) as caught:
        Reader(made.library, settings).open("c", "own", "dense")
    assert old.fingerprint in str(caught.value)
    assert new.fingerprint in str(caught.value)
    assert "rag ingest PATH --corpus c --embedder own" in str(caught.value)


def test_other_weights_behind_the_same_entry_are_caught_by_the_canary(own_model, ingest, tmp_path):
    made, configure = own_model
    settings = configure(seed=2)
    assert settings.embedders["own"].fingerprint == made.settings.embedders["own"].fingerprint
    with pytest.raises(IndexMismatchError, match=r"built with other weights: its canary has cosine -?0\.\d+ .*'own'"):
        Reader(made.library, settings).open("c", "own", "hybrid")

    (tmp_path / "docs" / "b.txt").write_text("A kingfisher dives.")
    with pytest.raises(IndexMismatchError, match="other weights"):  # and nothing is added under them either
        ingest(tmp_path / "docs", embedders=["own"])
    assert list(made.library.sources("c")) == ["a.txt"]


def test_the_remedy_builds_an_index_of_its_own_beside_the_old_one(own_model, ingest, tmp_path):
    made, configure = own_model
    settings = configure(seed=2, revision="2")
    report = ingest(tmp_path / "docs", embedders=["own"]).report
    assert report.embedded == {"own": 1}
    opened = Reader(made.library, settings).open("c", "own", "dense")
    assert opened.card.fingerprint == settings.embedders["own"].fingerprint
    assert len(made.library.cards.all("c")) == 2


# --- a fusion that is moved


def test_what_was_fetched_once_is_fused_under_any_weight_without_the_library(reader, small_library, monkeypatch):
    hybrid = reader.open("small", "wordllama", "hybrid").retriever
    for query in QUERIES:
        fetched = hybrid.fetch(query)
        expected = {
            (method, weight): reader.open("small", "wordllama", "hybrid", fusion=method, weight=weight).retriever
            for method in ("rrf", "weighted")
            for weight in (0.0, 0.2, 0.5, 1.0)
        }
        wanted = {choice: retriever.retrieve(query, 5) for choice, retriever in expected.items()}
        with monkeypatch.context() as patched:
            patched.setattr(type(small_library.library), "chunks", None)
            for (method, weight), hits in wanted.items():
                assert fetched.hits(5, weight, method) == hits


def test_a_chunk_deleted_since_it_was_fetched_is_left_out(ingest, docs):
    made = ingest(docs)
    hybrid = Reader(made.library, made.settings).open("c", "hash", "hybrid").retriever
    made.library.delete("c", ["bread.txt"])
    found = hybrid.fetch("bread and tea").hits(5, 0.5)
    assert "bread.txt" not in {hit.source for hit in found}
    assert [hit.rank for hit in found] == list(range(1, len(found) + 1))
