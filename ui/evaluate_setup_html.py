"""The Evaluate tab's form as HTML: which tasks, embedders, retrievers and chunkers, and what that takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.verdicts import items_of
from ingest.budget import dollars
from rag.embedders.readiness import Lack
from rag.embedders.spec import EmbedderSpec
from rag.retrievers import NAMES
from ui.coverage_html import facts_of
from ui.embedder_menu import dot_html, need_html, price_of, remedy_of
from ui.evaluate_plan import Plan
from ui.evaluate_tasks import Offered, Origin
from ui.job_html import part
from ui.library_view import CHUNKERS
from ui.names import shown
from ui.render import escaped
from ui.words import about_time, count_text

ORIGINS = {
    Origin.LABELS: "Your labels",
    Origin.DEMO: "Comes with the program",
    Origin.UPLOADED: "Uploaded",
    Origin.FOLDER: "Folder of this computer",
}
RETRIEVERS = {
    "dense": "by vectors, exactly",
    "lexical": "by words (BM25), once for all embedders",
    "hybrid": "both, fused",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An embedder that can be chosen: what it lacks here, and the corpora that have an index of it."""

    name: str
    spec: EmbedderSpec
    lack: Lack | None
    corpora: tuple[str, ...]


def setup_html(tasks: Sequence[Offered], candidates: Sequence[Candidate], local: bool) -> str:
    """Returns the form; its script sends what is chosen, and asks what that costs."""
    return (
        '<form class="eva-setup"><div class="cmp-head"><h1>Which embedder is best on your data?</h1>'
        "<p>Choose a labelled task and the candidates. Every query is scored under every row, and rows are "
        "called different only where a test says so.</p></div>"
        f"{part('eva-tasks', tasks_html(tasks, local))}{_add_html(local)}"
        f"{_embedders_html(candidates)}{_retrievers_html()}{_more_html()}"
        '<div class="eva-go"><div data-part="eva-plan" class="eva-plan" aria-live="polite">'
        f"{NOTHING_CHOSEN}</div>"
        '<button class="lib-button lib-primary" data-eva="start">Evaluate</button></div></form>'
    )


NOTHING_CHOSEN = '<span class="eva-hint">Choose a task and an embedder to see what it takes.</span>'

# --- tasks

NO_TASK = (
    '<div class="lib-empty"><b>No task yet.</b> A task is questions with judged documents. Make one: '
    '<ul class="eva-ways"><li>give passages in the <a href="?tab=chat">chat</a> a thumb, or judge a question in '
    '<a href="?tab=labels">Labels</a></li><li>bring a CSV of questions and sources, or let questions be generated from '
    'your documents: <a href="?tab=labels">Labels</a>, or <code>rag labels --help</code></li>'
    "<li>add a folder in the format of BEIR, below</li></ul></div>"
)


def tasks_html(tasks: Sequence[Offered], local: bool, chosen: str = "") -> str:
    """Returns the tasks, each with a box; `chosen` is the id of one that was just added."""
    usable = [task.id for task in tasks if not task.problem]
    rows = "".join(_task_html(task, task.id == chosen or usable == [task.id]) for task in tasks)
    without = "" if any(task.origin is Origin.LABELS for task in tasks) else _NO_LABELS
    listed = f'<ul class="eva-tasks">{rows}</ul>{without}' if tasks else NO_TASK
    return f'<h2 class="cmp-title" id="eva-tasks-title">Tasks</h2>{listed}'


_NO_LABELS = (
    '<p class="eva-hint">A task of your own begins with a thumb: give one to passages in the '
    '<a href="?tab=chat">chat</a>, or judge a question in <a href="?tab=labels">Labels</a>.</p>'
)


def _task_html(task: Offered, chosen: bool) -> str:
    usable = not task.problem
    told = [ORIGINS[task.origin]]
    if task.corpus:
        told.append(f"over {shown(task.corpus)}")
    counted = items_of(task.families[0], task.items) if usable else ""
    problem = f'<span class="lib-warn">{escaped(task.problem)}</span>' if task.problem else ""
    remedy = _remedy(task)
    removable = task.origin in (Origin.UPLOADED, Origin.FOLDER)
    remove = (
        f'<button type="button" class="lib-icon" data-eva="forget" data-task="{shown(task.id)}" title="Take it '
        f'from the list" aria-label="Take {shown(task.name)} from the list">&times;</button>'
        if removable
        else ""
    )
    return (
        f'<li class="eva-task{"" if usable else " eva-broken"}"><label><input type="checkbox" name="task" '
        f'value="{shown(task.id)}"{" checked" if chosen and usable else ""}{"" if usable else " disabled"}>'
        f'<span class="eva-name"><b>{shown(task.name)}</b><small>{" · ".join(told)}</small>{problem}{remedy}</span>'
        f'<span class="eva-count">{counted}</span></label>'
        f'<span class="eva-picks">{_pick("family", "Family", task.families)}{_pick("split", "Split", task.splits)}'
        f"{remove}</span></li>"
    )


def _remedy(task: Offered) -> str:
    if task.corpus and task.problem:
        return (
            f'<span class="eva-hint">Add its documents in the <a href="?tab=library&amp;corpus={shown(task.corpus)}">'
            f"Library</a>, or: <code>rag ingest PATH --corpus {shown(task.corpus)}</code></span>"
        )
    return ""


def _pick(name: str, label: str, values: Sequence[str]) -> str:
    """Returns a menu where there is something to choose, else the one value, which the script reads all the same."""
    options = "".join(f'<option value="{shown(each)}">{shown(each)}</option>' for each in values)
    hidden = "" if len(values) > 1 else " hidden"
    return f'<select name="{name}" aria-label="{label}"{hidden}>{options}</select>' if values else ""


def _add_html(local: bool) -> str:
    folder = (
        '<div class="eva-path"><input type="text" name="folder" autocomplete="off" spellcheck="false" '
        'placeholder="Folder of this computer" aria-label="Folder of a task on this computer">'
        '<button type="button" class="lib-button" data-eva="add-folder">Add folder</button></div>'
        if local
        else ""
    )
    return (
        '<details class="eva-add"><summary>Add a task</summary><p class="eva-hint">A zip, or the files themselves: '
        "<code>queries.jsonl</code> and <code>test.tsv</code> (qrels) with <code>corpus.jsonl</code> or "
        "<code>task.toml</code>; <code>train.jsonl</code> and <code>test.jsonl</code> with text and label; "
        "<code>test.jsonl</code> with sentence1, sentence2 and score.</p>"
        '<div class="eva-path"><label class="lib-button">Choose files<input type="file" class="lib-file" multiple '
        'data-eva-files accept=".zip,.jsonl,.tsv,.toml"></label>'
        '<input type="text" name="upload" autocomplete="off" spellcheck="false" maxlength="120" placeholder="Name of '
        f'the task" aria-label="Name of the uploaded task"></div>{folder}</details>'
    )


# --- candidates


def _embedders_html(candidates: Sequence[Candidate]) -> str:
    usable = [each for each in candidates if each.lack is None]
    indexed = [each for each in usable if each.corpora]
    others = [each for each in usable if not each.corpora]
    lacking = [each for each in candidates if each.lack is not None]
    shown_first = indexed or others
    rest = others if indexed else []
    more = (
        f'<details class="eva-more"><summary>{count_text(len(rest), "more embedder")} usable here</summary>'
        f'<div class="eva-chips">{"".join(_chip(each, False) for each in rest)}</div></details>'
        if rest
        else ""
    )
    unusable = (
        f'<details class="eva-more"><summary>{count_text(len(lacking), "embedder")} not usable here yet</summary>'
        f'<ul class="eva-lacking">{"".join(map(_lacking_html, lacking))}</ul></details>'
        if lacking
        else ""
    )
    chips = "".join(_chip(each, bool(each.corpora)) for each in shown_first)
    return (
        f'<fieldset class="eva-field"><legend class="cmp-title">Embedders</legend><div class="eva-chips">{chips}</div>'
        f"{more}{unusable}</fieldset>"
    )


def _chip(each: Candidate, chosen: bool) -> str:
    held = f"indexed: {', '.join(each.corpora)}" if each.corpora else "no index yet: it is built first"
    name = shown(each.name)
    return (
        f'<label class="eva-chip" title="{shown(held)}"><input type="checkbox" name="embedder" value="{name}"'
        f"{' checked' if chosen else ''}>{dot_html(each.name)}<span>{name}<small>{facts_of(each.spec)} · "
        f"{price_of(each.spec)}</small></span></label>"
    )


def _lacking_html(each: Candidate) -> str:
    remedy = need_html(remedy_of(each.lack)) if each.lack else ""
    kind = each.lack.kind.value if each.lack else ""
    return f"<li><b>{shown(each.name)}</b> needs {escaped(kind)}: {remedy}</li>"


def _retrievers_html() -> str:
    chips = "".join(
        f'<label class="eva-chip"><input type="checkbox" name="retriever" value="{name}" checked>'
        f"<span>{name}<small>{RETRIEVERS[name]}</small></span></label>"
        for name in NAMES
    )
    return (
        '<fieldset class="eva-field"><legend class="cmp-title">Retrievers</legend>'
        f'<div class="eva-chips">{chips}</div></fieldset>'
    )


def _more_html() -> str:
    chunkers = "".join(
        f'<label class="eva-chip"><input type="checkbox" name="chunker" value="{name}">'
        f"<span>{name}<small>{escaped(told)}</small></span></label>"
        for name, told in CHUNKERS.items()
    )
    return (
        '<details class="eva-add"><summary>More</summary><fieldset class="eva-field"><legend>Chunkers</legend>'
        '<p class="eva-hint">None chosen: the cut that the corpus has, whole documents where the task brings its own. '
        "Each chosen one is a row of its own, and is indexed first where it is not yet.</p>"
        f'<div class="eva-chips">{chunkers}</div></fieldset>'
        '<label class="eva-switch"><input type="checkbox" name="controls"> <span>Nonsense controls<small>A constant '
        "and a random embedder: whatever does not rank above them is not to be believed</small></span></label>"
        '<label class="eva-switch"><input type="checkbox" name="ragas" checked> <span>RAGAS context metrics<small>'
        "Those that need no language model; they take most of the time of a small task</small></span></label></details>"
    )


# --- what it takes


def plan_html(plan: Plan) -> str:
    """Returns what an evaluation will do, in a sentence, and what of it costs money or leaves this computer."""
    if plan.problem:
        return f'<span class="eva-hint lib-warn">{escaped(plan.problem)}</span>'
    pieces = [f"<b>{count_text(plan.rows, 'row')}</b>"]
    if plan.stored:
        pieces.append(f"{plan.stored:,} of them scored before")
    if plan.passages:
        pieces.append(f"{count_text(plan.passages, 'passage')} to embed")
    if plan.texts:
        pieces.append(f"{plan.texts:,} texts of tasks to embed")
    pieces.append(about_time(plan.seconds))
    if plan.usd is None:
        pieces.append("<b>price unknown</b>")
    elif plan.usd:
        pieces.append(f"<b>about {dollars(plan.usd)}</b>")
    else:
        pieces.append("free")
    notes = "".join(f'<span class="eva-hint">{escaped(note)}</span>' for note in plan.notes)
    sent = (
        f'<label class="eva-switch eva-consent"><input type="checkbox" name="agreed"> <span>Texts are sent to '
        f"{escaped(', '.join(plan.receivers))}</span></label>"
        if plan.receivers
        else ""
    )
    usd = f' data-usd="{plan.usd}"' if plan.usd else ""
    return f'<span class="eva-sum"{usd}>{" · ".join(pieces)}</span>{notes}{sent}'
