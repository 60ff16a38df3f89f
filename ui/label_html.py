"""The Labels tab as HTML: the queue of passages to judge, and the tasks that labels make."""

from collections.abc import Sequence

from rag.labels import GRADES
from rag.library import StoredChunk
from rag.schema import HEADING_SEPARATOR
from ui.generating import COUNT, Generated
from ui.generating_plain import TRUSTED
from ui.job_html import part
from ui.labelling import Queue, TaskState
from ui.names import shown
from ui.question_import import QuestionImport, Told
from ui.render import escaped
from ui.words import count_text

MOST_TEXT = 8_000
GRADE_LABELS = {0: "Not relevant", 1: "Relevant", 2: "Highly relevant"}
GRADE_TITLES = {
    0: "It does not help with the question",
    1: "It helps, but does not answer it by itself",
    2: "It answers the question by itself",
}
METHOD_LABELS = {"headings": "Headings", "definitions": "Definitions", "cloze": "Sentences", "llm": "A language model"}
METHOD_TITLES = {
    "definitions": "A sentence that defines a term becomes a question for it",
    "cloze": "A sentence asks for the rest of the document that it was cut out of (inverse cloze)",
    "headings": "A heading asks for the section below it; this favours embedders that only count words",
}
SYNTHETIC_NOTE = (
    "Generated questions are no substitute for people&#8217;s. They are kept in a task of their own and marked as "
    "synthetic."
)
TABLE_TITLE = "A CSV, TSV or XLSX file with the columns question and source, and if you like passage, page and grade"
ACCEPTED = ".csv,.tsv,.txt,.xlsx"
MOST_TOLD = 20
MOST_GENERATED = 500
GONE = "Judged passages that the corpus does not hold any more; they are kept, and count again if they return"


def shell_html(corpora: Sequence[str], corpus: str, tasks: Sequence[TaskState]) -> str:
    """Returns the whole tab; its script fills the queue and keeps the form as it is."""
    names = "".join(
        f'<option value="{escaped(name)}"{" selected" if name == corpus else ""}>{escaped(name)}</option>'
        for name in corpora
    )
    form = (
        f'<form class="lab-form"><label class="cmp-field">Corpus<select name="corpus">{names}</select></label>'
        '<input type="text" name="question" required maxlength="2000" autocomplete="off" placeholder="A question to '
        'judge passages for" aria-label="Question" dir="auto"><button type="button" class="lib-button" data-lab="next" '
        'title="The question of this corpus of which you have judged least">Next question</button>'
        '<button class="lib-button lib-primary" data-lab="start">Judge</button></form>'
        if corpora
        else '<div class="lib-empty">There are no documents to judge yet. '
        '<a href="?tab=library">Add documents</a></div>'
    )
    return (
        '<div class="lab-page"><div class="cmp-head"><h1>Labels</h1><p>Judge passages for a question, and '
        "<code>rag eval</code> ranks the embedders on it. Thumbs in the chat and in comparisons arrive here too."
        "</p></div>"
        f'{form}<div class="lab-queue"></div>{_making_html() if corpora else ""}{tasks_part(tasks)}</div>'
    )


# --- labels from a table, and from the documents


def _making_html() -> str:
    """Returns the two ways to a task that need no judging: a table of one's own, and questions that are generated."""
    methods = "".join(
        f'<label title="{title}"><input type="checkbox" name="method" value="{name}"'
        f"{' checked' if name in TRUSTED else ''}> {METHOD_LABELS[name]}"
        "</label>"
        for name, title in METHOD_TITLES.items()
    )
    return (
        '<div class="lab-make"><span>Questions from elsewhere</span>'
        f'<input type="file" class="lab-file" accept="{ACCEPTED}" aria-label="A table of questions and sources" hidden>'
        f'<button type="button" class="lib-button" data-lab="choose" title="{TABLE_TITLE}">Import a CSV</button>'
        '<button type="button" class="lib-button" data-lab="open" aria-expanded="false" aria-controls="lab-generate">'
        "Generate questions</button></div>"
        '<form class="lab-generate" id="lab-generate" hidden><label class="cmp-field">How many'
        f'<input type="number" name="count" value="{COUNT}" min="1" max="{MOST_GENERATED}" required></label>'
        f'<fieldset class="lab-methods"><legend>From</legend>{methods}</fieldset>'
        '<button class="lib-button lib-primary">Generate</button>'
        f'<p class="lib-quiet">{SYNTHETIC_NOTE}</p></form><div class="lab-told" role="status"></div>'
    )


def imported_html(name: str, done: QuestionImport) -> str:
    """Returns what came of a table; where rows could not be used, each with its line, and a way to take the others."""
    taken = f"{count_text(done.questions, 'question')} and {count_text(done.labels, 'label')}"
    repeated = f", {count_text(done.repeated, 'row')} repeated others" if done.repeated else ""
    title = f"{escaped(done.task.name)}: {taken}{repeated}" if done.task else f"{escaped(name)}: nothing was imported"
    keep = (
        f'<button type="button" class="lib-button" data-lab="partial">Import the other '
        f"{count_text(done.questions, 'question')}</button>"
        if done.labels and not done.task
        else ""
    )
    problems = _told_html(f"{count_text(len(done.problems), 'row')} could not be used", done.problems, "lib-warn")
    notes = _told_html(f"{count_text(len(done.notes), 'note')}", done.notes, "lib-quiet")
    return f'<div class="lab-report"><b>{title}</b>{problems}{notes}{keep}</div>'


def _told_html(title: str, told: Sequence[Told], kind: str) -> str:
    if not told:
        return ""
    lines = "".join(f"<li>Line {each.line}: {escaped(each.message)}</li>" for each in told[:MOST_TOLD])
    more = f"<li>and {len(told) - MOST_TOLD:,} more</li>" if len(told) > MOST_TOLD else ""
    return f'<p class="{kind}">{title}</p><ul class="lab-lines">{lines}{more}</ul>'


def generated_html(done: Generated) -> str:
    """Returns what was generated."""
    made = ", ".join(f"{number} from {METHOD_LABELS[name].lower()}" for name, number in done.methods.items() if number)
    return (
        f'<div class="lab-report"><b>{escaped(done.task.name)}: {count_text(done.questions, "synthetic question")}</b>'
        f'<p class="lib-quiet">{made}. {SYNTHETIC_NOTE}</p></div>'
    )


# --- the queue


def queue_html(queue: Queue) -> str:
    """Returns the passages of a queue, of which the script shows one at a time."""
    left = len(queue.chunks)
    failed = "".join(f'<p class="lib-warn">Left out: {escaped(each)}</p>' for each in queue.failed)
    if not left:
        told = (
            f"All {count_text(queue.pooled, 'passage')} of this question are judged."
            if queue.pooled
            else "Nothing was found for this question."
        )
        return f'<div class="lib-empty lab-done"><b>{told}</b>{failed}</div>'
    keys = "".join(
        f'<button type="button" class="lib-button lab-grade" data-grade="{grade}" title="{GRADE_TITLES[grade]}" '
        f'aria-keyshortcuts="{grade}"><kbd>{grade}</kbd> {GRADE_LABELS[grade]}</button>'
        for grade in GRADES
    )
    cards = "".join(_chunk_html(chunk, place) for place, chunk in enumerate(queue.chunks))
    return (
        f'<div class="lab-box" data-left="{left}" data-settled="{queue.settled}" data-pooled="{queue.pooled}">'
        f'<div class="lab-question" dir="auto">{escaped(queue.question)}</div>'
        '<div class="lab-progress"><span class="job-track"><i></i></span><span class="lab-count"></span></div>'
        f"{failed}{cards}"
        f'<div class="lab-keys" role="group" aria-label="Grade">{keys}<span class="lab-moves">'
        '<button type="button" class="lib-button" data-lab="back" aria-keyshortcuts="Backspace">Back <kbd>&#9003;</kbd>'
        '</button><button type="button" class="lib-button" data-lab="skip" aria-keyshortcuts="S">Skip <kbd>S</kbd>'
        "</button></span></div></div>"
    )


def _chunk_html(stored: StoredChunk, place: int) -> str:
    chunk = stored.chunk
    page = f" · page {chunk.page}" if chunk.page else ""
    headings = "".join(f"<span>{shown(each)}</span>" for each in chunk.heading.split(HEADING_SEPARATOR) if each)
    cut = f"{len(chunk.text) - MOST_TEXT:,} more characters" if len(chunk.text) > MOST_TEXT else ""
    return (
        f'<article class="lab-chunk" data-chunk="{chunk.id}"{" hidden" if place else ""} tabindex="-1">'
        f'<header><b class="lab-source">{shown(stored.source)}</b>{page} <a class="rag-open" '
        f'href="?document={chunk.document_id}&amp;chunk={chunk.id}">Open in document</a></header>'
        + (f'<div class="rag-headings" dir="auto">{headings}</div>' if headings else "")
        + f'<div class="lab-text" dir="auto">{escaped(chunk.text[:MOST_TEXT])}'
        + (f'<span class="rag-cut">{cut}</span>' if cut else "")
        + "</div></article>"
    )


# --- tasks


def tasks_part(tasks: Sequence[TaskState]) -> str:
    """Returns the list of tasks."""
    if not tasks:
        body = (
            '<div class="lib-empty">No labels yet. Judge a question above, or give a passage in the chat a thumb.</div>'
        )
    else:
        rows = "".join(map(_task_html, tasks))
        heads = "".join(
            f'<th scope="col" class="lib-number"{f" title={chr(34)}{title}{chr(34)}" if title else ""}>{name}</th>'
            for name, title in (
                ("Questions", ""),
                *((GRADE_LABELS[grade], GRADE_TITLES[grade]) for grade in GRADES),
                ("Gone", GONE),
                ("Votes", "Of comparisons"),
            )
        )
        body = (
            f'<div class="cmp-wide"><table class="lib-table lab-table"><thead><tr><th scope="col">Task</th>{heads}'
            f'<th scope="col"><span class="lib-unseen">Actions</span></th></tr></thead><tbody>{rows}</tbody></table>'
            "</div>"
        )
    return part("tasks", f'<h2 class="cmp-title">Tasks</h2>{body}')


def _task_html(state: TaskState) -> str:
    name = escaped(state.task.name)
    counts = [state.questions, *(state.grades[grade] for grade in GRADES), state.gone, state.votes]
    cells = "".join(f'<td class="lib-number">{count:,}</td>' for count in counts)
    kind = '<span class="lab-synthetic" title="Nobody has judged these">Synthetic</span>' if state.synthetic else ""
    brief = (
        f"{count_text(state.questions, 'question')} · {count_text(state.labels, 'label')} · "
        f"{count_text(state.votes, 'vote')}" + (f" · {state.gone:,} gone" if state.gone else "")
    )
    return (
        f'<tr><th scope="row" class="lib-name"><b>{name}</b>{kind}<span class="lib-source">over '
        f'{escaped(state.task.corpus)}</span><span class="lib-brief">{brief}</span>'
        f'<code class="lab-command">rag eval {escaped(str(state.folder))}</code></th>{cells}'
        f'<td class="lab-acts"><a class="lib-button" href="labels/export/{name}.zip" download '
        f'aria-label="Export {name}">Export</a><button type="button" class="lib-button" data-lab="delete" '
        f'data-task="{name}" data-labels="{state.labels}" aria-label="Delete {name}">Delete</button></td></tr>'
    )
