"""What outlives a removed document: the passages that saved conversations show and that labels judge."""

from collections.abc import Sequence

from rag.chats import ChatTable
from rag.labels import LabelTable
from rag.library import Library
from ui.words import count_text


def kept_notes(library: Library, corpus: str, sources: Sequence[str]) -> list[str]:
    """Says in sentences how much keeps passages of a corpus's documents, which are still there, and what deletes it."""
    known = library.sources(corpus)
    chats = ChatTable(library.database).count_showing([known[source] for source in sources if source in known])
    labels = LabelTable(library.database).count_of(corpus, sources)
    notes = []
    if chats:
        count, verb = count_text(chats, "saved conversation"), "shows" if chats == 1 else "show"
        notes.append(f"{count} still {verb} what is removed; delete them in the chat.")
    if labels:
        count, verb = count_text(labels, "label"), "holds" if labels == 1 else "hold"
        notes.append(f"{count} still {verb} what is removed; delete their tasks: rag labels.")
    return notes
