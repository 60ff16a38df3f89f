"""Replay: a turn's question asked again under another embedder or retriever, and what differs between the two."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag.errors import UsageError
from rag.schema import Hit
from ui.conversation import Chat, ChatTurn, Choices, Conversation

PERSISTENCE = 0.9
"""Of rank-biased overlap: the ten first ranks weigh 86 %."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A chunk that both have found, with its rank in each."""

    hit: Hit
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two rankings of the same corpus; `overlap` is the share of the longer one that both hold, 0 to 1."""

    shared: tuple[Shared, ...]
    only_before: tuple[Hit, ...]
    only_after: tuple[Hit, ...]
    overlap: float
    rbo: float


def replay(chat: Chat, conversation: Conversation, turn: ChatTurn, choices: Choices) -> ChatTurn:
    """Asks the question of a turn as it was asked there, after the same turns, under other choices.

    The conversation is left as it is. Raises UsageError for a turn that is still running.
    """
    if turn.running:
        raise UsageError("This answer is still being written. Wait for its end, then replay it.")
    earlier = [known for known in conversation.turns if known.number < turn.number]
    aside = Conversation(turns=earlier, asked=turn.number - 1)
    *_, again = Chat(chat.reader).ask(aside, turn.question, choices)
    return again


def compare(before: Sequence[Hit], after: Sequence[Hit]) -> Comparison:
    """Tells what two rankings share, by chunk, in the order of the second one."""
    ranks = {hit.chunk.id: hit.rank for hit in before}
    found = {hit.chunk.id for hit in after}
    shared = tuple(Shared(hit, ranks[hit.chunk.id], hit.rank) for hit in after if hit.chunk.id in ranks)
    longer = max(len(before), len(after))
    return Comparison(
        shared=shared,
        only_before=tuple(hit for hit in before if hit.chunk.id not in found),
        only_after=tuple(hit for hit in after if hit.chunk.id not in ranks),
        overlap=len(shared) / longer if longer else 1.0,
        rbo=rank_biased_overlap([hit.chunk.id for hit in before], [hit.chunk.id for hit in after]),
    )


def rank_biased_overlap(first: Sequence[str], second: Sequence[str], p: float = PERSISTENCE) -> float:
    """Returns the extrapolated rank-biased overlap of two rankings, from 0 (disjoint) to 1 (equal).

    Webber, Moffat and Zobel, "A similarity measure for indefinite rankings" (TOIS 2010), equation 32, which takes lists
    of different lengths. Two empty rankings are equal.

    >>> rank_biased_overlap("abc", "abc"), rank_biased_overlap("abc", "xyz")
    (1.0, 0.0)
    """
    shorter, longer = sorted((first, second), key=len)
    s, n = len(shorter), len(longer)
    if not s:
        return 1.0 if not n else 0.0
    seen_shorter: set[str] = set()
    seen_longer: set[str] = set()
    total, common, common_at_s = 0.0, 0, 0
    for depth in range(1, n + 1):
        seen_longer.add(longer[depth - 1])
        if depth <= s:
            seen_shorter.add(shorter[depth - 1])
        common = len(seen_shorter & seen_longer)
        if depth == s:
            common_at_s = common
        agreement = common / depth
        if depth > s:
            agreement += common_at_s * (depth - s) / (s * depth)
        total += agreement * p**depth
    tail = ((common - common_at_s) / n + common_at_s / s) * p**n
    return min(1.0, (1 - p) / p * total + tail)
