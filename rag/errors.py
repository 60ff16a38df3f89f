"""The errors that a person can act on: each message says what happened, with which value, and what to do next."""

import difflib
from collections.abc import Iterable

LISTED = 20
"""Names that an error lists in full."""


class RagError(Exception):
    """Something failed and the message tells what to do; the command line prints it as one line and exits with 1."""


class UsageError(RagError):
    """The request itself is wrong, such as an unknown embedder; the command line exits with 2."""


class IndexNotFoundError(RagError):
    """No index exists for the asked-for corpus, chunker and embedder."""


class IndexMismatchError(RagError):
    """An index was built by another embedder than the one that opens it."""


class LibraryLockedError(RagError):
    """Another process is the library's one writer."""


class CacheError(RagError):
    """Chroma or a BM25 index, which can be built anew from the library, could not be opened or written."""


class MissingDependencyError(RagError):
    """A package or model that the asked-for part needs is not installed."""


def unknown_name(kind: str, name: str, known: Iterable[str], where: str = "") -> UsageError:
    """Builds the error for a name that is not in a table, with the nearest known name, and the others if they are few.

    >>> str(unknown_name("embedder", "minlm", ["hash", "minilm"]))
    "No embedder 'minlm'. Did you mean 'minilm'? Known: hash, minilm."
    >>> str(unknown_name("number", "n1", [f"n{number}" for number in range(100, 200)]))
    "No number 'n1'. Did you mean 'n199'? Known: 100, among them n198, n197, n196."
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=4, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    listed = f" Known: {', '.join(names)}." if names else ""
    if len(names) > LISTED:
        among = f", among them {', '.join(near[1:])}" if near[1:] else ""
        listed = f" Known: {len(names)}{among}."
    return UsageError(f"No {kind} '{name}'{where}.{hint}{listed}")
