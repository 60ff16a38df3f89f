"""What words alone can do where nothing is retrieved: TF-IDF rows, the lexical baseline of every other family."""

from collections.abc import Sequence
from typing import Any

from rag.errors import UsageError
from rag.segmentation import is_unspaced, pieces, words


class WordFeatures:
    """TF-IDF of the words of texts, unit rows in a sparse matrix; what is rare is learned from the given texts.

    Stop words stay: that a question begins with "who" tells what it asks for. Texts in scripts without spaces are cut
    as the lexical index cuts them. Weighting: `TfidfVectorizer` of scikit-learn, with its defaults.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(analyzer=_terms)
        try:
            self._vectorizer.fit(texts)
        except ValueError as error:  # an empty vocabulary
            raise UsageError(
                "No text of the task holds a word, so words alone have no row. Leave it out: --retriever dense"
            ) from error

    @property
    def vocabulary(self) -> int:
        """How many words are known, the width of the rows."""
        return len(self._vectorizer.vocabulary_)

    def embed(self, texts: Sequence[str]) -> Any:
        """Returns a sparse matrix (n, vocabulary); the row of a text without a known word is empty."""
        return self._vectorizer.transform(texts)


def _terms(text: str) -> list[str]:
    """Returns the words of a text, and what stands for words in a script without spaces.

    >>> _terms("Who was Galileo? 中文")
    ['who', 'was', 'galileo', '中文', '中', '文']
    """
    return [term for word in words(text) for term in (pieces(word) if is_unspaced(word) else [word])]
