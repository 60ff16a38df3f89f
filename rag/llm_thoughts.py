"""Some models write their thoughts into their answer, before it and between tags; they are no part of it."""

BEGIN, END = "<think>", "</think>"


class Thoughts:
    """Leaves out what stands between `<think>` and `</think>` at the beginning of a text, while it is being written."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking = self._over = False

    def feed(self, text: str) -> str:
        """Takes in what has come and returns what of it belongs to the answer."""
        if self._over:
            return text
        self._held += text
        if not self._thinking:
            begun = self._held.lstrip()
            if BEGIN.startswith(begun):
                return ""  # the tag is there, or may come to be
            self._thinking = begun.startswith(BEGIN)
        if not self._thinking:
            return self._end(self._held)
        _, _, answer = self._held.partition(END)
        return self._end(answer.lstrip()) if answer.strip() else ""

    def rest(self) -> str:
        """Returns, at the end, what was held back; thoughts that found no end stay out."""
        thought = self._thinking or self._held.lstrip().startswith(BEGIN)
        return "" if thought else self._end(self._held)

    def _end(self, text: str) -> str:
        self._over = True
        self._held = ""
        return text
