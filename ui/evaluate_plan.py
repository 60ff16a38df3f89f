"""What an evaluation would take before it begins: rows, passages and queries to embed, time and money."""

from dataclasses import dataclass

from rag.errors import RagError
from rag.library import Library
from rag.settings import Settings
from ui.bakeoff import Bakeoff
from ui.bakeoff_plan import plan_bakeoff
from ui.embedder_builds import receiver_of
from ui.evaluate_jobs import EvaluationOrder, asked_of
from ui.evaluate_tasks import TaskShelf
from ui.task_selection import named_apart

SECONDS_A_ROW = 2.0
"""What scoring a row of a small task takes about: nobody knows it before the first one."""
SECONDS_AN_ITEM = 0.02


@dataclass(frozen=True, slots=True)
class Plan:
    """What an evaluation takes. `usd` and `seconds` are None where nobody knows; `problem` says why it cannot begin.

    `stored` rows were scored before; `passages` have to be embedded for indexes, and so many `texts` of tasks.
    `receivers` are who gets texts that leave this computer.
    """

    rows: int = 0
    stored: int = 0
    passages: int = 0
    texts: int = 0
    seconds: float | None = 0.0
    usd: float | None = 0.0
    receivers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""


class Planner:
    """Plans evaluations over one library; writes and sends nothing."""

    def __init__(self, library: Library, settings: Settings, shelf: TaskShelf, local: bool) -> None:
        self._library = library
        self._settings = settings
        self._shelf = shelf
        self._local = local

    def plan(self, order: EvaluationOrder) -> Plan:
        """Tells what an order takes; one that cannot be carried out has a problem."""
        try:
            return self._plan(order)
        except RagError as error:
            return Plan(problem=str(error))

    def _plan(self, order: EvaluationOrder) -> Plan:
        bakeoff = Bakeoff(self._library, self._settings, lambda line: None)
        tasks = named_apart([self._shelf.open(wanted, self._local) for wanted in order.tasks])
        cells = bakeoff.plan(list(tasks), asked_of(order))
        found = plan_bakeoff(self._library, self._settings, bakeoff.evaluation, cells)
        left = [cell for cell, stored in found.cells if not stored]
        scoring = sum(SECONDS_A_ROW + SECONDS_AN_ITEM * len(cell.task.items) for cell in left)
        built = {corpus: [index.embedder for of, index in found.indexes if of == corpus] for corpus, _ in found.indexes}
        receivers = {receiver_of(self._settings.embedders[cell.embedder]) for cell in left if cell.embedder}
        return Plan(
            rows=len(found.cells),
            stored=found.stored,
            passages=found.passages,
            texts=sum(each.texts for each in found.texts),
            seconds=None if found.seconds is None else found.seconds + scoring,
            usd=found.usd,
            receivers=tuple(sorted(receivers - {""})),
            notes=tuple(f"'{corpus}' is indexed under {', '.join(names)} first." for corpus, names in built.items()),
        )
