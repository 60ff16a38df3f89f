"""Names that say what they are: a file's name or a title may hold characters that turn it or hide parts of it."""

import html
import re

# Control characters (C0, C1), directions (Unicode Standard Annex 9), and what has no width but for the joiners, which
# several scripts and emoji need.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(name: str) -> str:
    r"""Returns a name with every character that is not seen written out.

    >>> visible("invoice\u202efdp.exe"), visible("a\x1b[31m\tb")
    ('invoice⟨U+202E⟩fdp.exe', 'a⟨U+001B⟩[31m⟨U+0009⟩b')
    """
    return _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", name)


def shown(name: str) -> str:
    """Returns a name as HTML, also for an attribute, with what is not seen written out."""
    return html.escape(visible(name))
