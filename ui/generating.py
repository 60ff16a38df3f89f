"""Generates a labelled task from a corpus: synthetic, marked as such, and apart from what people labelled."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rag.errors import UsageError, unknown_name
from rag.labels import SYNTHETIC, THUMB, Label, LabelTable, LabelTask, Query, plain_question, query_id_of
from rag.library import Library
from rag.schema import Document, Usage, content_id
from rag.task_folders import UNFIT, write_folder
from ui.generated import Candidate, Sieve, choose
from ui.generating_plain import CLOZE, PLAIN, TRUSTED

if TYPE_CHECKING:
    from rag.llm import ChatModel
    from ui.generating_llm import Asked

COUNT = 50
SEED = 13
MOST_DOCUMENTS = 5_000
"""Documents that questions are made from: what they yield is held until it is chosen from."""

LLM = "llm"
METHODS = (*PLAIN, LLM)


@dataclass(frozen=True, slots=True)
class Generated:
    """A generated task: its questions by method, what was dropped by reason, and what a language model used.

    `failure` says why a language model was not asked any more.
    """

    task: LabelTask
    methods: Mapping[str, int]
    dropped: Mapping[str, int]
    requests: int = 0
    usage: Usage | None = None
    failure: str = ""

    @property
    def questions(self) -> int:
        """How many questions were made."""
        return sum(self.methods.values())


def synthetic_task_of(corpus: str) -> str:
    """Returns the name of the task that generated questions go to unless told otherwise."""
    return f"{corpus}-synthetic"


def generate(
    library: Library,
    corpus: str | None = None,
    count: int = COUNT,
    methods: Sequence[str] = (),
    seed: int = SEED,
    task: str | None = None,
    model: "ChatModel | None" = None,
    check: Callable[[], None] = lambda: None,
) -> Generated:
    """Makes `count` questions about a corpus, spread over methods and documents, into a task of the library.

    Without `methods` the trusted ones are used, or with `model` that alone. The same corpus, seed and count give the
    same questions. Raises UsageError for a task that holds labels of people or is over another corpus, for a method
    that is not known, and where the documents yield nothing.
    """
    corpus = library.corpus_or_only(corpus)
    methods = tuple(dict.fromkeys(methods)) or ((LLM,) if model else TRUSTED)
    for name in methods:
        if name not in METHODS:
            raise unknown_name("method", name, METHODS)
    if LLM in methods and model is None:
        raise UsageError("The method 'llm' needs a language model: --llm PROVIDER:MODEL")
    wanted = LabelTask(task or synthetic_task_of(corpus), corpus)
    _check_apart(library, wanted)
    sieve = Sieve()
    documents = _documents(library, corpus, seed)
    found = _plain(library, documents, [name for name in methods if name != LLM], sieve)
    share = count // len(methods) if LLM in methods else 0
    chosen = choose(found, count - share, seed)
    asked = _ask(library, corpus, model, count - len(chosen), seed, sieve, check) if LLM in methods and model else None
    if asked:
        chosen = choose([*chosen, *asked.candidates], count, seed)
    if not chosen:
        dropped = sieve.dropped + (asked.dropped if asked else Counter())
        why = ", ".join(f"{reason}: {number}" for reason, number in sorted(dropped.items()))
        raise UsageError(
            f"The documents of '{corpus}' yield no question by {' or '.join(methods)}{f' ({why})' if why else ''}. "
            "Try another --method, or import questions: rag labels import FILE.csv"
        )
    _keep(library, wanted, chosen, model)
    dropped = sieve.dropped + (asked.dropped if asked else Counter())
    counts = Counter(candidate.method for candidate in chosen)
    usage = Usage(asked.input_tokens, asked.output_tokens, asked.usd) if asked else None
    return Generated(
        wanted,
        {name: counts[name] for name in methods},
        dict(sorted(dropped.items())),
        asked.requests if asked else 0,
        usage,
        asked.failure if asked else "",
    )


def _check_apart(library: Library, task: LabelTask) -> None:
    """Raises UsageError for a task over another corpus, and for one with labels of people."""
    table = LabelTable(library.database)
    known = {each.name: each.corpus for each in table.tasks()}
    if known.get(task.name, task.corpus) != task.corpus:
        raise UsageError(
            f"The task '{task.name}' judges documents of '{known[task.name]}', not of '{task.corpus}'. "
            "Give the new one another name with --task NAME."
        )
    if any(label.origin != SYNTHETIC for label in table.labels(task.name)):
        raise UsageError(
            f"The task '{task.name}' holds labels that people gave, and generated ones are kept apart from those. "
            "Give them a task of their own: --task NAME"
        )


def _documents(library: Library, corpus: str, seed: int) -> Callable[[], Iterable[Document]]:
    """Returns what reads the documents one by one, by their sources: all, or so many of them as the seed chooses."""
    ids = {source: id_ for source, id_ in library.sources(corpus).items() if not UNFIT.intersection(source)}
    drawn = sorted(ids, key=lambda source: content_id(str(seed), source))[:MOST_DOCUMENTS]

    def read() -> Iterator[Document]:
        for source in sorted(drawn):
            document = library.document(ids[source])
            if document:
                yield document

    return read


def _plain(
    library: Library, documents: Callable[[], Iterable[Document]], methods: Sequence[str], sieve: Sieve
) -> list[Candidate]:
    candidates = [candidate for name in methods for candidate in PLAIN[name](documents())]
    by_source: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        by_source.setdefault(candidate.source, []).append(candidate)
    return [
        candidate
        for document in (documents() if by_source else ())
        for candidate in by_source.get(document.source, ())
        if sieve.passes(candidate, document.text)
    ]


def _ask(
    library: Library,
    corpus: str,
    model: "ChatModel",
    count: int,
    seed: int,
    sieve: Sieve,
    check: Callable[[], None],
) -> "Asked":
    from ui.generating_llm import SPARE, ask

    sources = library.sources(corpus)

    def text_of(source: str) -> str:
        document = library.document(sources[source])
        return document.text if document else ""

    passages = passages_of(library, corpus, max(count + 1, round(SPARE * count)), seed)
    return ask(model, passages, count, sieve, text_of, check)


def passages_of(library: Library, corpus: str, count: int, seed: int) -> list[Candidate]:
    """Returns chunks that can be asked about, spread evenly over the documents, as candidates without a question."""
    from ui.generating_llm import LEAST_PASSAGE

    cards = library.cards.all(corpus)
    if not cards:
        raise UsageError(f"The corpus '{corpus}' holds no documents yet. Add them: rag ingest PATH --corpus {corpus}")
    rows = library.database.query(
        """SELECT c.id, d.source FROM chunks c JOIN documents d ON d.id = c.document_id
           WHERE d.corpus = ? AND c.chunker = ? AND LENGTH(c.text) >= ? ORDER BY c.id""",
        (corpus, cards[0].chunker, LEAST_PASSAGE),
    )
    all_chunks = [Candidate(chunk, source, "", 0, LLM) for chunk, source in rows if not UNFIT.intersection(source)]
    drawn = choose(all_chunks, count, seed)
    chunks = library.chunks([each.question for each in drawn])
    return [
        Candidate("", each.source, chunks[each.question].chunk.text, chunks[each.question].chunk.start, LLM)
        for each in drawn
        if each.question in chunks
    ]


def _keep(library: Library, task: LabelTask, chosen: Sequence[Candidate], model: "ChatModel | None") -> None:
    """Writes the questions in place of those that the task held."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    queries, labels = [], []
    for candidate in chosen:
        question = plain_question(candidate.question)
        maker = model.settings.model if model and candidate.method == LLM else candidate.method
        query = Query(query_id_of(question), question, f"synthetic-{candidate.method}")
        queries.append(query)
        span, start = ("", 0) if candidate.method == CLOZE else (candidate.span, candidate.start)  # all but it is meant
        labels.append(Label(query.id, candidate.source, span, start, THUMB, SYNTHETIC, f"({maker})", now))
    table = LabelTable(library.database)
    if task.name in {each.name for each in table.tasks()}:
        table.delete(task.name)
    table.add(task, queries, labels)
    write_folder(library, task.name)
