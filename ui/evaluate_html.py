"""The Evaluate tab as HTML: its frame, the list of finished evaluations, and the one that runs."""

from collections.abc import Sequence
from datetime import UTC, datetime

from eval.verdicts import number
from ui.evaluate_documents import Saved
from ui.evaluate_jobs import EvaluationJob
from ui.evaluate_progress import CellState, CellView, ProgressView
from ui.job_html import part
from ui.jobs import State
from ui.names import shown
from ui.render import embedder_chip, escaped
from ui.words import count_text, duration

ENDINGS = {
    State.DONE: "Evaluated",
    State.STOPPED: "Cancelled",
    State.FAILED: "Failed",
    State.INTERRUPTED: "Interrupted",
}
WORDS = {
    CellState.WAITING: "waiting",
    CellState.RUNNING: "scoring",
    CellState.DONE: "scored",
    CellState.STORED: "scored before",
    CellState.FAILED: "failed",
}
MOST_TASKS = 3
"""Names of tasks that the list shows of one evaluation."""


def shell_html(saved: Sequence[Saved], chosen: str, job: EvaluationJob | None, local: bool) -> str:
    """Returns the whole tab; its script fills the pane beside the list with the form, or with results."""
    open_folder = (
        '<details class="eva-open"><summary>Open a folder</summary><div class="eva-path"><input type="text" '
        'name="evaluation" autocomplete="off" spellcheck="false" placeholder="DIR of rag eval --out" '
        'aria-label="Folder that rag eval has written"><button type="button" class="lib-button" '
        'data-eva="open-folder">Open</button></div>'
        "</details>"
        if local
        else ""
    )
    return (
        '<div class="eva"><nav class="eva-side" aria-label="Evaluations"><button type="button" class="lib-button '
        f'lib-primary" data-eva="new">New evaluation</button>{part("eva-list", list_html(saved, chosen))}{open_folder}'
        f'</nav><div class="eva-main"><div class="eva-job">{job_html(job)}</div>'
        '<div class="eva-pane"></div></div></div>'
    )


# --- the list


def list_html(saved: Sequence[Saved], chosen: str) -> str:
    """Returns the finished evaluations, the newest first."""
    if not saved:
        return '<p class="eva-hint">Finished evaluations are kept here.</p>'
    return "".join(_saved_html(each, each.id == chosen) for each in saved)


def _saved_html(each: Saved, is_chosen: bool) -> str:
    names = ", ".join(each.tasks[:MOST_TASKS])
    more = f" and {len(each.tasks) - MOST_TASKS} more" if len(each.tasks) > MOST_TASKS else ""
    told = [when(each.created), count_text(each.rows, "row")]
    if len(each.leaders) == 1:
        told.append(f"{shown(each.leaders[0])} leads")
    if not each.is_own:
        told.append("a folder of yours")
    current = ' aria-current="true"' if is_chosen else ""
    return (
        f'<button type="button" class="eva-saved" data-eva="show" data-id="{shown(each.id)}"{current}>'
        f"<b>{shown(names)}{more}</b><small>{' · '.join(filter(None, told))}</small></button>"
    )


def when(created: str) -> str:
    """Returns a time as a person reads it, "" for what is none.

    >>> when("2026-11-23T18:43:52+00:00")[-5:]
    '18:43'
    """
    try:
        at = datetime.fromisoformat(created).astimezone(UTC)
    except ValueError:
        return ""
    today = datetime.now(UTC).date()
    return f"{at:%H:%M}" if at.date() == today else f"{at.day} {at:%b} {at:%Y}, {at:%H:%M}"


# --- the one that runs


def job_html(job: EvaluationJob | None) -> str:
    """Returns the parts of the panel, empty where there is no evaluation to speak of."""
    if job is None:
        return part("eva-head", "") + part("eva-rows", "")
    view = job.progress.view()
    return part("eva-head", _head_html(job, view)) + part("eva-rows", _rows_html(job, view))


def _head_html(job: EvaluationJob, view: ProgressView) -> str:
    note = f'<div class="rag-error job-note">{escaped(job.message)}</div>' if job.message else ""
    bars = ""
    if job.state is State.RUNNING:
        title = f"{'Cancelling: ' if view.stopping else ''}{escaped(view.said)}"
        left = f" · about {duration(view.left)} left" if view.left else ""
        clock = f"{duration(view.seconds)}{left}"
        buttons = "" if view.stopping else _button("stop", "Cancel")
        bars = _bars_html(view)
    else:
        title = f"{ENDINGS[job.state]}{_summary(view)}"
        clock = f"{view.seconds:.1f} s" if view.seconds < 60 else duration(view.seconds)
        buttons = {State.DONE: "", State.FAILED: _button("resume", "Try again")}.get(
            job.state, _button("resume", "Resume")
        )
        if job.saved:
            buttons += (
                f'<button type="button" class="lib-button lib-primary" data-eva="show" data-id="{shown(job.saved)}">'
                "Show results</button>"
            )
        buttons += _button("dismiss", "Close")
        if job.state in (State.STOPPED, State.INTERRUPTED):
            note = '<div class="job-note">Rows that were scored are kept: resuming scores only the others.</div>'
    time = f'<span class="job-time">{clock}</span>' if job.state is not State.INTERRUPTED else ""
    return (
        f'<div class="job-title job-{job.state.value}"><span class="job-what" role="status">{title}</span>{time}'
        f'<span class="job-buttons">{buttons}</span></div>{bars}{note}'
    )


def _summary(view: ProgressView) -> str:
    there = sum(cell.state in (CellState.DONE, CellState.STORED) for cell in view.cells)
    return f": {there:,} of {count_text(len(view.cells), 'row')}" if view.cells else ""


def _bars_html(view: ProgressView) -> str:
    share = 100 * view.done / len(view.cells) if view.cells else 0
    rows = (
        f'<div class="eva-bar"><span class="job-track"><i style="width:{share:.1f}%"></i></span>'
        f'<span class="job-told">{view.done:,} of {count_text(len(view.cells), "row")}</span></div>'
        if view.cells
        else ""
    )
    indexing = "".join(
        f'<div class="eva-bar">{embedder_chip(name)}<span class="job-track">'
        f'<i style="width:{100 * pace.share:.1f}%"></i></span>'
        f'<span class="job-told">{pace.done:,} of {pace.expected:,} vectors</span></div>'
        for name, pace in view.indexing.items()
    )
    return f'<div class="eva-bars">{rows}{indexing}</div>'


def _button(action: str, label: str) -> str:
    return f'<button type="button" class="lib-button" data-eva="{action}">{label}</button>'


def _rows_html(job: EvaluationJob, view: ProgressView) -> str:
    """Returns the rows as they come in, task by task; of a finished evaluation only those that could not be made."""
    if job.state is not State.RUNNING:
        failed = [cell for cell in view.cells if cell.state is CellState.FAILED]
        return "".join(f'<div class="lib-warn">{_cell_name(cell)}: {escaped(cell.error)}</div>' for cell in failed)
    if not view.cells:
        return ""
    parts = []
    for task in dict.fromkeys((cell.task, cell.family) for cell in view.cells):
        of_task = [cell for cell in view.cells if (cell.task, cell.family) == task]
        best = max((cell.value for cell in of_task if cell.value is not None), default=None)
        rows = "".join(_cell_html(cell, best) for cell in sorted(of_task, key=_order))
        parts.append(
            f'<tbody><tr class="eva-group"><th scope="rowgroup" colspan="3">{shown(task[0])} <small>{task[1]} · '
            f"{shown(of_task[0].metric)}</small></th></tr>{rows}</tbody>"
        )
    notes = "".join(f'<p class="lib-warn">{shown(note)}</p>' for note in view.notes)
    return f'<table class="lib-table eva-live">{"".join(parts)}</table>{notes}'


def _order(cell: CellView) -> tuple[bool, float]:
    return (cell.value is None, -(cell.value or 0.0))


def _cell_html(cell: CellView, best: float | None) -> str:
    value = ""
    if cell.value is not None:
        figure = number(cell.value)
        value = f"<b>{figure}</b>" if cell.value == best else figure
    state = WORDS[cell.state]
    if cell.state is CellState.DONE:
        state = f"{cell.seconds:.1f} s"
    wait = " rag-wait" if cell.state is CellState.RUNNING else ""
    told = f' title="{escaped(cell.error)}"' if cell.error else ""
    return (
        f'<tr><th scope="row">{_cell_name(cell)}</th><td class="lib-number">{value}</td>'
        f'<td class="lib-text"><span class="eva-{cell.state.value}{wait}"{told}>{state}</span></td></tr>'
    )


def _cell_name(cell: CellView) -> str:
    chip = embedder_chip(cell.embedder) if cell.embedder else ""
    retriever = f'<span class="rag-chip">{escaped(cell.retriever)}</span>' if cell.retriever else ""
    return f"{chip}{retriever}"
