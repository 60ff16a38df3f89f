"""A job as HTML: what it does, how far and how fast each part is, and what became of each file. Pure functions."""

from ingest.report import Outcome
from ui.jobs import Job, Kind, State
from ui.meter import STATUSES, Pace, Reading
from ui.names import shown
from ui.render import embedder_chip, escaped
from ui.words import count_text, duration, rate_text, size_text

MOST_ROWS = 100
"""Outcomes that reach the page, so that thousands of files do not make it slow; the counts are always full."""

TITLES = {Kind.INGEST: "Ingesting into", Kind.BACKFILL: "Embedding what is missing in", Kind.REMOVE: "Removing from"}
ENDINGS = {
    State.DONE: "Done",
    State.STOPPED: "Cancelled",
    State.FAILED: "Failed",
    State.INTERRUPTED: "Interrupted",
}


def job_html(job: Job | None, problems_only: bool) -> str:
    """Returns the parts of the job's panel, each empty where there is no job."""
    if job is None:
        return part("job-head", "") + part("job-bars", "") + part("job-rows", "")
    reading = job.meter.snapshot()
    return (
        part("job-head", _head_html(job, reading))
        + part("job-bars", _bars_html(job, reading))
        + part("job-rows", _outcomes_html(job, reading, problems_only))
    )


def part(name: str, content: str) -> str:
    """Returns a piece of the page that its script puts into the place of the same name, where it has changed."""
    return f'<div data-part="{name}">{content}</div>'


# --- the line on top


def _head_html(job: Job, reading: Reading) -> str:
    corpus = f"<b>{escaped(job.order.corpus)}</b>"
    if job.state is State.RUNNING:
        title, time = f"{_doing(job, reading)} {corpus}", duration(reading.seconds)
        buttons = "" if job.meter.stopping else _button("stop", "Cancel")
    else:
        title = f"{ENDINGS[job.state]}: {_summary(job, reading)} {corpus}"
        time = f"{reading.seconds:.1f} s" if reading.seconds < 60 else duration(reading.seconds)
        again = {State.DONE: "", State.FAILED: _button("resume", "Try again")}.get(
            job.state, _button("resume", "Resume")
        )
        buttons = again + _button("dismiss", "Close")
    clock = f'<span class="job-time">{time}</span>' if job.state is not State.INTERRUPTED else ""
    note = f'<div class="rag-error job-note">{escaped(job.message)}</div>' if job.message else ""
    if job.state in (State.STOPPED, State.INTERRUPTED):
        note = '<div class="job-note">What was done is kept: resuming goes on from there.</div>'
    return (
        f'<div class="job-title job-{job.state.value}"><span class="job-what" role="status">{title}</span>{clock}'
        f'<span class="job-buttons">{buttons}</span></div>{note}'
    )


def _doing(job: Job, reading: Reading) -> str:
    if job.meter.stopping:
        return "Cancelling, at the next step:"
    paces = (reading.size, *reading.embedders.values())
    if reading.items_expected and all(pace.done >= pace.expected for pace in paces):
        return "Bringing the search indexes up to date:"
    return TITLES[job.order.kind]


def _summary(job: Job, reading: Reading) -> str:
    if job.order.kind is Kind.REMOVE:
        return f"{count_text(len(job.order.sources), 'document')} removed from"
    vectors = sum(pace.done for pace in reading.embedders.values())
    if job.order.kind is Kind.BACKFILL:
        return f"{count_text(vectors, 'vector')} added to"
    if job.state is State.INTERRUPTED:
        return "an ingest into"
    return f"{count_text(reading.items, 'file')}, {count_text(vectors, 'new vector')} in"


def _button(action: str, label: str) -> str:
    return f'<button type="button" class="lib-button" id="job-{action}" data-action="{action}">{label}</button>'


# --- the bars


def _bars_html(job: Job, reading: Reading) -> str:
    if job.order.kind is Kind.REMOVE or job.state is State.INTERRUPTED:
        return ""
    rows = []
    if reading.items_expected:
        told = f"{reading.items:,} of {count_text(reading.items_expected, 'file')}"
        size = f"{size_text(reading.size.done)} of {size_text(reading.size.expected)}"
        rows.append(
            _bar_html("<span>Files</span>", reading.size, f"{told} · {size}", size_text(reading.size.rate), job)
        )
    for name, pace in reading.embedders.items():
        if pace.expected:
            told = f"{pace.done:,} of {pace.bound} {count_text(pace.expected, 'vector')}".replace("  ", " ")
            rows.append(_bar_html(embedder_chip(name), pace, told, rate_text(pace.rate), job))
        else:
            rows.append(_bar_html(embedder_chip(name), pace, "nothing was missing", "", job))
    if not rows and job.state is State.RUNNING:
        rows.append('<div class="rag-wait">Looking at the files …</div>')
    return f'<div class="job-bars">{"".join(rows)}</div>{_counts_html(reading)}'


def _bar_html(label: str, pace: Pace, told: str, rate: str, job: Job) -> str:
    speed = ""
    if job.state is State.RUNNING and pace.done < pace.expected:
        left = f"{pace.bound} {duration(pace.left)} left".lstrip() if pace.left is not None else "starting"
        speed = f"{rate}/s · {left}" if pace.done else left
    elif pace.done and rate and job.order.kind is not Kind.REMOVE:
        speed = f"{rate}/s"
    percent = f"{pace.share * 100:.1f}"
    return (
        f'<div class="job-bar"><span class="job-label">{label}</span>'
        f'<span class="job-track" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}" '
        f'aria-label="{escaped(told)}"><i style="width:{percent}%"></i></span>'
        f'<span class="job-told">{told}</span><span class="job-speed">{speed}</span></div>'
    )


def _counts_html(reading: Reading) -> str:
    counts = "".join(
        f'<span class="lib-status lib-{status}">{reading.counts[status]:,} {status}</span>'
        for status in STATUSES
        if reading.counts[status]
    )
    return f'<div class="job-counts">{counts}</div>' if counts else ""


# --- the files


def _outcomes_html(job: Job, reading: Reading, problems_only: bool) -> str:
    problems = reading.counts["skipped"] + reading.counts["failed"]
    shown = reading.problems if problems_only else reading.newest
    in_all = problems if problems_only else sum(reading.counts.values())
    if not sum(reading.counts.values()):
        return ""
    choices = "".join(
        f'<button type="button" id="outcomes-{value}" data-outcomes="{value}" aria-pressed="{str(pressed).lower()}">'
        f"{label}</button>"
        for value, label, pressed in (
            ("all", "All files", not problems_only),
            ("problems", f"Only problems ({problems:,})", problems_only),
        )
    )
    rows = "".join(map(_row_html, shown[:MOST_ROWS]))
    more = in_all - min(len(shown), MOST_ROWS)
    rest = f'<li class="job-more">and {more:,} more</li>' if more > 0 else ""
    empty = '<li class="job-more">No problems so far.</li>' if problems_only and not problems else ""
    listed = (
        f'<div class="lib-segments job-filter" role="group" aria-label="Which files to show">{choices}</div>'
        f'<ul class="job-list" data-keep-scroll tabindex="0" aria-label="Files, newest first">{rows}{rest}{empty}</ul>'
    )
    if job.state is State.RUNNING:
        return listed
    return f'<details class="job-files" data-keep-open><summary>What became of each file</summary>{listed}</details>'


def _row_html(outcome: Outcome) -> str:
    reason = f'<span class="job-reason">{escaped(outcome.reason)}</span>' if outcome.reason else ""
    return (
        f'<li><span class="lib-status lib-{outcome.status}">{outcome.status}</span>'
        f'<span class="job-file"><span title="{shown(outcome.path)}">{shown(outcome.source)}</span>{reason}</span>'
        "</li>"
    )
