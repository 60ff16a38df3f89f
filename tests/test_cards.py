"""What an index card answers about the index it belongs to."""

import pytest

from rag.cards import IndexCard
from rag.embedders.registry import find_spec


@pytest.mark.parametrize(
    ("chunker", "names", "others"),
    [
        ("heading-800-100", ["heading", "heading-800-100"], ["heading-800", "head", "recursive", "heading-80-100"]),
        ("whole", ["whole"], ["heading", "who"]),
        (
            "token-240-32-minilm",
            ["token", "token-240-32", "token-minilm", "token-240-32-minilm"],
            ["token-240", "token-mini", "token-240-32-minilm-int8", "semantic-minilm"],
        ),
        # an embedder's name may have numbers, and begin with another's
        (
            "token-240-32-voyage-4-large",
            ["token", "token-voyage-4-large", "token-240-32-voyage-4-large"],
            ["token-voyage-4", "token-240-32-voyage-4", "token-voyage-large"],
        ),
    ],
)
def test_a_chunker_may_be_named_in_full_by_kind_or_without_its_numbers(chunker, names, others):
    card = IndexCard.blank("corpus", chunker, find_spec("hash"))
    assert card.is_cut_by(None)
    assert [name for name in [*names, *others] if card.is_cut_by(name)] == names
