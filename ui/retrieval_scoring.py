"""Scores the rows of one retrieval task over one corpus, cut by one chunker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from eval.context_metrics import score_contexts
from eval.controls import retrieval_controls
from eval.rows import EvalRow
from eval.runner import evaluate
from eval.spans import GoldenSpans, find_golden
from eval.tasks.retrieval import RetrievalTask, check_documents, identical_ids_note, missing_note
from rag.cards import IndexCard
from rag.embedders.spec import Embedder
from rag.index import recall
from rag.library import Library
from rag.reader import Opened, Reader
from rag.retrievers import Retriever
from rag.schema import Scored
from rag.stored_embedder import StoredEmbedder
from ui.evaluation_host import Host
from ui.task_indexes import Place

MOST_TEXTS = 2_000
"""Documents whose texts are held at a time: a corpus may be larger than the memory."""

ANN_DEPTH = 10


class RetrievalScorer:
    """Scores rows of one retrieval task at one place; what they share is read once, when it is first needed."""

    def __init__(
        self,
        library: Library,
        reader: Reader,
        host: Host,
        task: RetrievalTask,
        place: Place,
        say: Callable[[str], None],
    ) -> None:
        self._library = library
        self._reader = reader
        self._host = host
        self._task = task
        self._place = place
        self._say = say
        self._documents: Mapping[str, str] | None = None
        self._ids: Mapping[str, str] | None = None
        self._texts: dict[str, str] = {}
        self._golden: GoldenSpans | None = None
        self._remembering: dict[str, StoredEmbedder] = {}

    def row(self, embedder: str | None, retriever: str | None, with_ragas: bool) -> EvalRow:
        """Ranks, folds and scores; no query is embedded twice in the life of the library, but to be timed."""
        task, place = self._task, self._place
        documents = self._read_documents()
        # The settings' reranker and MMR are left out: retrievers are compared by what they themselves find.
        bare = self._reader.open(place.corpus, embedder, retriever, place.chunker, reranker="", mmr=1.0)
        opened = self._reader.open(
            place.corpus, embedder, retriever, place.chunker, reranker="", mmr=1.0, embed_with=self._remember
        )
        card = opened.card if embedder else None
        row = evaluate(
            task,
            _Checked(opened.retriever, self._host.check),
            documents,
            embedder=embedder,
            chunker=place.chunker,
            cost=_cost(card),
            provenance={"corpus": place.corpus, "index": _card_facts(card), "search": "exact"},
            golden=self._find_golden(),
            places_of=self._places_of,
            timed=bare.retriever,
        )
        if retriever == "dense":
            row = replace(row, cost={**row.cost, f"ann_recall@{ANN_DEPTH}": self._ann_recall(opened)})
        if with_ragas:
            row = replace(row, context=score_contexts(task.qrels, row.run, self._text_of, check=self._host.check))
        return row

    def control_rows(self) -> list[EvalRow]:
        """Returns the rows of the nonsense controls over the same chunks."""
        place = self._place
        passages = {chunk: text for chunk, text, _ in self._library.chunk_passages(place.corpus, place.chunker)}
        return retrieval_controls(
            self._task,
            passages,
            self._read_documents(),
            place.chunker,
            {"corpus": place.corpus},
            golden=self._find_golden(),
            places_of=self._places_of,
        )

    def _remember(self, model: Embedder) -> Embedder:
        """Returns the embedder that takes vectors of queries from the library where it has them."""
        name = model.spec.name
        if name not in self._remembering:
            self._remembering[name] = StoredEmbedder(
                self._library, model, purpose=self._task.name, check=self._host.check
            )
        return self._remembering[name]

    def _read_documents(self) -> Mapping[str, str]:
        """Returns the source of every chunk, and tells what is judged but not there."""
        if self._documents is None:
            place = self._place
            found = self._library.chunk_passages(place.corpus, place.chunker)
            self._documents = {chunk: source for chunk, _, source in found}
            known = set(self._documents.values())
            missing = check_documents(self._task, known)
            notes = (missing_note(self._task, missing) if missing else "", identical_ids_note(self._task, known))
            for note in filter(None, notes):
                self._say(note)
        return self._documents

    def _find_golden(self) -> GoldenSpans:
        """Returns where the task's answers stand in the documents, and tells how many do not."""
        if self._golden is None:
            needed = bool(self._task.answers or self._task.cut_out)
            ids = self._library.sources(self._place.corpus) if needed else {}

            def text_of(source: str) -> str | None:
                document = self._library.document(ids[source]) if source in ids else None
                return document.text if document else None

            self._golden = find_golden(self._task, text_of)
            if self._golden.lost:
                self._say(f"{self._task.name}: {self._golden.lost} answers do not stand in their documents")
        return self._golden

    def _places_of(self, chunk_ids: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        found = self._library.chunks(chunk_ids)
        return {key: (stored.chunk.start, stored.chunk.end) for key, stored in found.items()}

    def _text_of(self, source: str) -> str:
        self._host.check()
        if self._ids is None:
            self._ids = self._library.sources(self._place.corpus)
        if source not in self._texts:
            while len(self._texts) >= MOST_TEXTS:
                del self._texts[next(iter(self._texts))]
            document = self._library.document(self._ids[source]) if source in self._ids else None
            # A judged document that the corpus lacks resembles nothing.
            self._texts[source] = f"{document.title} {document.text}" if document else ""
        return self._texts[source]

    def _ann_recall(self, opened: Opened) -> float | None:
        """Returns the share of the exact ten nearest chunks that Chroma finds; None where it cannot be opened."""
        if opened.embedder is None:
            return None
        queries = list(self._task.queries.values())
        vectors = opened.embedder.embed_queries(queries)
        exact = opened.retriever.rank(queries, ANN_DEPTH)
        with self._host.chroma() as chroma:
            if chroma is None:
                return None
            chroma.sync(opened.card)
            found = chroma.search(opened.card, vectors, ANN_DEPTH)
        return recall(
            [[result.chunk_id for result in ranking] for ranking in exact],
            [[c for c, _ in ranking] for ranking in found],
        )


class _Checked:
    """A retriever that asks before every batch of queries whether it should go on."""

    def __init__(self, retriever: Retriever, check: Callable[[], None]) -> None:
        self._retriever = retriever
        self._check = check
        self.name = retriever.name

    def rank(self, queries: Sequence[str], k: int) -> list[list[Scored]]:
        """Returns the rankings; raises what the check raises."""
        self._check()
        return self._retriever.rank(queries, k)


def _cost(card: IndexCard | None) -> Mapping[str, float | None]:
    if card is None:
        return {}
    return {"embed_seconds": card.seconds, "bytes_per_vector": 4 * card.dimension, "usd": card.usd}


def _card_facts(card: IndexCard | None) -> Mapping[str, object]:
    """Returns what of a card tells which vectors were searched; times are left out, so that equal runs are equal."""
    if card is None:
        return {}
    keys = ("fingerprint", "provider", "model", "revision", "dimension", "max_tokens", "query_prefix", "passage_prefix")
    return {key: getattr(card, key) for key in (*keys, "precision", "documents", "chunks")}
