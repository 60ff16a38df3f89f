"""What an ingest should warn of: passages that a model cuts, and documents in languages that it does not read."""

from collections.abc import Iterator, Mapping, Sequence

from ingest.languages import language_name, unread_languages
from rag.cards import IndexCard
from rag.coverage import Coverage, coverage, languages
from rag.embedders.spec import EmbedderSpec
from rag.library import Library
from rag.settings import Settings


def shortfalls(
    library: Library, settings: Settings, cards: Sequence[IndexCard]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Returns sentences about the given indexes of one corpus, by (chunker, fingerprint)."""
    if not cards:
        return {}
    corpus = cards[0].corpus
    covered = {(each.card.chunker, each.card.fingerprint): each for each in coverage(library, corpus)}
    spoken = languages(library, corpus)
    return {
        key: (*_cut(covered[key]), *_unread(spoken, settings.embedders.get(card.embedder)))
        for card in cards
        if (key := (card.chunker, card.fingerprint)) in covered
    }


def _cut(covered: Coverage) -> Iterator[str]:
    """Yields how many passages the embedder cuts, where it cuts any, and how to avoid it."""
    if covered.cut:
        card = covered.card
        share = f"{100 * covered.cut_share:.0f} %" if covered.cut_share >= 0.01 else "Less than 1 %"
        yield (
            f"{share} of passages ({covered.cut} of {covered.chunks}) are cut at {card.max_tokens} tokens by "
            f"{card.embedder}. Chunks that it reads whole: --chunker token-{card.embedder}"
        )


def _unread(spoken: Mapping[str, int], spec: EmbedderSpec | None) -> Iterator[str]:
    """Yields which documents are in languages that the embedder was not made for, where there are any."""
    unread = unread_languages(spoken, spec) if spec else {}
    if spec and unread:
        told = ", ".join(f"{count} in {language_name(code)}" for code, count in unread.items())
        reads = " and ".join(language_name(code) for code in spec.languages)
        yield (
            f"{spec.name} reads {reads}, but some documents are in other languages: {told}. Lexical search finds them; "
            "for dense search add an embedder that reads them."
        )
