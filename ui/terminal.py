"""What documents say, on a terminal: their control characters could recolour it, move the cursor or set its title."""

import io
import re

# All of C0 and C1 but tab and line feed, and what turns the direction of a line.
_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    r"""Returns text in which nothing commands a terminal.

    >>> harmless("a\x1b]0;title\x07b\tc")
    'a�]0;title�b\tc'
    """
    return _COMMANDS.sub("\ufffd", text)


class TerminalOutput(io.TextIOWrapper):
    """Standard output as a person sees it: `rag` itself sends it no commands, so that all come from documents."""

    def write(self, text: str) -> int:
        """Writes text without what would command the terminal."""
        super().write(harmless(text))
        return len(text)
