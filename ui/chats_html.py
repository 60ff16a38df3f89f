"""The list of saved conversations as HTML. Pure functions; the page's script listens to its links and buttons."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rag.chats import SavedChat
from ui.render import escaped
from ui.words import count_text

NONE = '<p class="rag-none-saved">Conversations are saved here as they grow.</p>'


def chats_html(chats: Sequence[SavedChat], current: str | None, unsaved: str = "", now: datetime | None = None) -> str:
    """Returns the list, the current conversation marked; `unsaved` says why it could not be saved."""
    now = now or datetime.now(UTC)
    told = ""
    if unsaved:
        told = (
            f'<p class="rag-unsaved" role="status" title="{escaped(unsaved)}">Not saved: the library cannot be written '
            "now. It is tried again after the next answer.</p>"
        )
    rows = "".join(_row_html(chat, chat.id == current, now) for chat in chats)
    return f'<div class="rag-chats">{told}<div class="rag-chats-rows">{rows or NONE}</div></div>'


def _row_html(chat: SavedChat, is_current: bool, now: datetime) -> str:
    title = escaped(chat.title) or "Untitled"
    facts = f"{count_text(chat.turns, 'question')} · {age_text(chat.updated, now)}"
    return (
        f'<div class="rag-chat{" rag-current" if is_current else ""}" id="chat-{escaped(chat.id)}">'
        f'<a class="rag-chat-open" href="#chat-{escaped(chat.id)}" title="{title}" dir="auto">'
        f"<b>{title}</b><small>{facts}</small></a>"
        f"{_icon_html('rename', title)}{_icon_html('delete', title)}</div>"
    )


def _icon_html(action: str, title: str) -> str:
    """Returns a button that the style sheet draws as a sign; its words are for who cannot see that."""
    told = f"{action.capitalize()} {title}"
    return f'<button type="button" class="rag-icon rag-chat-do rag-chat-{action}" title="{told}"><i>{told}</i></button>'


def age_text(time: str, now: datetime) -> str:
    """Returns how long ago something was, as people say it.

    >>> now = datetime(2026, 3, 5, 12, tzinfo=UTC)
    >>> [age_text(f"2026-03-05T{clock}+00:00", now) for clock in ("11:59:30", "11:20:00", "09:00:00")]
    ['just now', '40 min ago', '3 h ago']
    >>> age_text("2026-03-04T08:00:00+00:00", now), age_text("2025-12-24T08:00:00+00:00", now)
    ('yesterday', '2025-12-24')
    """
    then = datetime.fromisoformat(time)
    seconds = (now - then).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 86_400 and then.date() == now.date():
        return f"{seconds / 3600:.0f} h ago"
    days = (now.date() - then.date()).days
    if days == 1:
        return "yesterday"
    return f"{days} days ago" if days < 14 else then.date().isoformat()
