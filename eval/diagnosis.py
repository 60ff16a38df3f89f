"""Where a run ranks the relevant documents: what a reranker could lift into the first ten, and what it never sees."""

from dataclasses import dataclass

from eval.metrics import trec_order
from rag.schema import Qrels, Run

FIRST, DEEP = 10, 100


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The shares of all relevant documents, of any query, in the first ten, at 11 to 100, and lower or not found."""

    relevant: int
    first: float
    low: float
    beyond: float

    @property
    def shares(self) -> tuple[tuple[str, float], ...]:
        """The shares with their names, best place first; they add up to 1."""
        return (
            (f"in the first {FIRST}", self.first),
            (f"at {FIRST + 1} to {DEEP}", self.low),
            (f"below {DEEP} or not found", self.beyond),
        )

    @property
    def advice(self) -> str | None:
        """What would help most, None where nearly all is in the first ten."""
        if self.first >= 0.95:
            return None
        if self.low >= self.beyond:
            return "Most of what is missed is found but ranked low: a reranker, or hybrid search, can lift it."
        return "Most of what is missed is not found at all: another embedder, chunker or hybrid search is needed."


def diagnose(qrels: Qrels, run: Run) -> Diagnosis:
    """Returns where the documents with a positive grade rank, in the order in which trec_eval ranks them."""
    first = low = relevant = 0
    for query_id, grades in qrels.items():
        wanted = {document for document, grade in grades.items() if grade > 0}
        ranking = trec_order(run.get(query_id, {}))[:DEEP]
        relevant += len(wanted)
        first += len(wanted.intersection(ranking[:FIRST]))
        low += len(wanted.intersection(ranking[FIRST:]))
    total = max(relevant, 1)
    return Diagnosis(relevant, first / total, low / total, (relevant - first - low) / total)
