"""Comparisons without their face: one question to several contestants, a vote, and how the contestants stand."""

import random
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from eval.metrics import JUDGED, score
from eval.ratings import Ballot, Rating, rate
from eval.runner import DEPTH, fold_to_documents
from eval.statistics import Interval, mean_interval
from eval.tasks.retrieval import RetrievalTask, load_retrieval_task
from rag.embedders.registry import load_embedder
from rag.errors import RagError, UsageError, unknown_name
from rag.labels import LabelTable, LabelTask, plain_question, task_name_of
from rag.reader import Reader
from rag.schema import AnswerPart, Hit
from rag.task_folders import write_folder
from rag.votes import LETTERS, Found, Side, Vote, VoteTable, check_verdict, contestant_name
from ui.embedder_states import EmbedderStates

SEED = 13
FEWEST, MOST = 2, len(LETTERS)
MOST_FOUND = 20
ROUNDS = 500
"""Rounds that may wait for their vote; of more, the oldest are forgotten."""

METRIC = "nDCG@10"


@dataclass(frozen=True, slots=True)
class Contestant:
    """An embedder under a retriever; `embedder` is "" where words alone are compared."""

    embedder: str
    retriever: str

    @property
    def name(self) -> str:
        """Its name, such as `hybrid minilm`, or `lexical`."""
        return contestant_name(self.embedder, self.retriever)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a contestant found and answered, and how long its search took."""

    contestant: Contestant
    hits: tuple[Hit, ...]
    answer: tuple[AnswerPart, ...]
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Round:
    """A question with its sides in the order in which they are shown; `verdict` is "" before the vote.

    Whoever knows the id may vote, once; the names of a blind round leave the server with the vote only.
    """

    id: str
    corpus: str
    question: str
    sides: tuple[Shown, ...]
    blind: bool
    user: str
    verdict: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the names may be seen."""
        return not self.blind or bool(self.verdict)


@dataclass(frozen=True, slots=True)
class Standing:
    """A contestant's rating by blind votes, beside its score on the labels of a task; None where it has none."""

    rating: Rating
    score: Interval | None
    judged: float | None


@dataclass(frozen=True, slots=True)
class Standings:
    """How the contestants of a corpus stand; `queries` counts the labelled questions that the scores are means of."""

    votes: int
    rows: tuple[Standing, ...]
    task: str
    queries: int


class Comparing:
    """Plays rounds for any number of visitors, and keeps their secrets."""

    def __init__(self, reader: Reader, states: EmbedderStates) -> None:
        self._reader = reader
        self._library = reader.library
        self._states = states
        self._votes = VoteTable(self._library.database)
        self._rounds: OrderedDict[str, Round] = OrderedDict()
        self._lock = threading.Lock()
        self._scores = _Scores(reader)
        self._warm: set[tuple[str, Contestant]] = set()

    def contestants(self, corpus: str) -> list[Contestant]:
        """Returns whoever can search the corpus now: each embedder with and without words, and words alone."""
        serving = [state.name for state in self._states.look(corpus) if state.serves]
        pairs = [Contestant(name, retriever) for name in serving for retriever in ("hybrid", "dense")]
        return [*pairs, Contestant("", "lexical")]

    # --- a round

    def ask(self, corpus: str, question: str, wanted: Sequence[str], blind: bool, k: int = 5, user: str = "") -> Round:
        """Asks the wanted contestants, by name; "" is one drawn at random. The sides of a blind round are shuffled.

        Raises UsageError for names that are unknown, or twice there, and where there are too few or too many.
        """
        question, corpus = plain_question(question), self._library.corpus_or_only(corpus)
        chosen = draw(self.contestants(corpus), wanted, blind)
        sides = tuple(self._search(corpus, question, each, max(1, min(k, MOST_FOUND))) for each in chosen)
        asked = Round(secrets.token_urlsafe(18), corpus, question, sides, blind, user)
        with self._lock:
            self._rounds[asked.id] = asked
            while len(self._rounds) > ROUNDS:
                self._rounds.popitem(last=False)
        return asked

    def _search(self, corpus: str, question: str, contestant: Contestant, k: int) -> Shown:
        if contestant.embedder:  # loaded outside of the reader, whose lock would hold up every other question meanwhile
            load_embedder(contestant.embedder, self._reader.settings.embedders)
        opened = self._reader.open(
            corpus, contestant.embedder or None, contestant.retriever, reranker="", mmr=1.0
        )  # what is compared stands alone, as where it is evaluated
        if (corpus, contestant) not in self._warm:  # whoever searches first would seem slow
            opened.retriever.rank(["warm up"], 1)
            self._warm.add((corpus, contestant))
        started = time.perf_counter()
        hits = tuple(opened.retriever.retrieve(question, k))
        took = (time.perf_counter() - started) * 1000
        return Shown(contestant, hits, tuple(opened.answerer().answer(question, hits, [])), took)

    def vote(self, round_id: str, verdict: str, user: str = "") -> Round:
        """Takes the one vote of a round, keeps it, and returns the round with its names.

        Raises UsageError for a round that is not there, or not this person's, or was voted on before.
        """
        with self._lock:
            asked = self._rounds.get(round_id)
            if asked is None or asked.user != user:
                raise UsageError("This comparison is not there any more. Compare again.")
            if asked.verdict:
                raise UsageError("This comparison has its vote already. Compare again.")
            check_verdict(verdict, len(asked.sides))
            voted = self._rounds[round_id] = replace(asked, verdict=verdict)
        try:
            self._keep(voted)
        except BaseException:
            with self._lock:
                self._rounds[round_id] = asked  # a vote that is not kept is not given
            raise
        return voted

    def _keep(self, voted: Round) -> None:
        sides = tuple(
            Side(
                shown.contestant.embedder,
                shown.contestant.retriever,
                round(shown.milliseconds, 3),
                tuple(Found(hit.source, hit.chunk.start, hit.chunk.end) for hit in shown.hits),
            )
            for shown in voted.sides
        )
        self._votes.add(Vote(voted.corpus, voted.question, sides, voted.verdict, voted.blind, voted.user))
        task = LabelTask(task_name_of(voted.corpus), voted.corpus)
        LabelTable(self._library.database).add(task, [], [])
        write_folder(self._library, task.name)

    # --- how they stand

    def standings(self, corpus: str, task: str = "") -> Standings:
        """Rates the contestants by the blind votes on a corpus, beside their scores on the labels of a task.

        The task is by default the corpus's own, or the first that has a relevant document.
        """
        votes = [vote for vote in self._votes.votes(corpus) if vote.blind]
        ballots = [Ballot(tuple(side.name for side in vote.sides), _winner(vote)) for vote in votes]
        labelled = self._labelled(corpus, task)
        rows = []
        for rating in rate(ballots, SEED):
            values = self._scores.of(labelled, corpus, rating.name) if labelled else None
            mean = mean_interval(list(values[METRIC].values()), SEED) if values else None
            judged = sum(values[JUDGED].values()) / len(values[JUDGED]) if values else None
            rows.append(Standing(rating, mean, judged))
        return Standings(
            len(votes), tuple(rows), labelled.name if labelled else "", len(labelled.queries) if labelled else 0
        )

    def _labelled(self, corpus: str, wanted: str) -> RetrievalTask | None:
        names = [task.name for task in LabelTable(self._library.database).tasks(corpus)]
        if wanted and wanted not in names:
            raise unknown_name("task", wanted, names)
        for name in [wanted] if wanted else sorted(names, key=lambda name: name != task_name_of(corpus)):
            try:
                return load_retrieval_task(write_folder(self._library, name))
            except UsageError:  # nothing relevant was found for any question yet
                continue
        return None


def _winner(vote: Vote) -> str | None:
    return vote.winner.name if vote.winner else None


def draw(known: Sequence[Contestant], wanted: Sequence[str], blind: bool) -> list[Contestant]:
    """Returns the wanted contestants, in a random order if blind; those drawn at random are none of the others."""
    if not FEWEST <= len(wanted) <= MOST:
        raise UsageError(f"Compare {FEWEST} to {MOST} contestants, not {len(wanted)}.")
    by_name = {contestant.name: contestant for contestant in known}
    named = [name for name in wanted if name]
    for name in named:
        if name not in by_name:
            raise unknown_name("contestant", name, by_name)
    if len(set(named)) < len(named):
        raise UsageError("Each contestant can be compared once. Choose different ones.")
    rest = [name for name in by_name if name not in named]
    if len(rest) < len(wanted) - len(named):
        raise UsageError(f"There are only {len(by_name)} contestants for this corpus. Compare fewer, or ingest more.")
    chance = random.SystemRandom()
    drawn = iter(chance.sample(rest, len(wanted) - len(named)))
    chosen = [by_name[name or next(drawn)] for name in wanted]
    if blind:
        chance.shuffle(chosen)
    return chosen


class _Scores:
    """Scores contestants on labelled questions; what was ranked once for a state of the corpus is kept."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], tuple[str, dict[str, dict[str, float]]]] = {}

    def of(self, task: RetrievalTask, corpus: str, contestant: str) -> Mapping[str, Mapping[str, float]] | None:
        """Returns metric -> query id -> value, None for a contestant that cannot search any more."""
        with self._lock:
            try:
                ranked = self._rank(task, corpus, contestant)
            except RagError:  # its index or its key is gone since it was voted on
                return None
        run = {query_id: ranked[text] for query_id, text in task.queries.items()}
        return score(task.qrels, run, (METRIC, JUDGED))

    def _rank(self, task: RetrievalTask, corpus: str, contestant: str) -> dict[str, dict[str, float]]:
        retriever, _, embedder = contestant.partition(" ")
        library = self._reader.library
        state = library.state_of(corpus)
        kept = self._kept.get((corpus, contestant))
        ranked = kept[1] if kept and kept[0] == state else {}
        missing = [text for text in dict.fromkeys(task.queries.values()) if text not in ranked]
        if missing:
            opened = self._reader.open(corpus, embedder or None, retriever, search="exact", reranker="", mmr=1.0)
            documents = {chunk: source for chunk, _, source in library.chunk_passages(corpus, opened.card.chunker)}
            for text, hits in zip(missing, opened.retriever.rank(missing, DEPTH), strict=True):
                ranked[text] = fold_to_documents(hits, documents)
        self._kept[corpus, contestant] = (state, ranked)
        return ranked
