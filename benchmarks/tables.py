"""A table as plain text for the terminal and as Markdown for the docs."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Table:
    """A title, the columns' names, rows of cells, and notes below; the first column is text, the others are numbers."""

    title: str
    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Returns the table with aligned columns."""
        lines = [list(self.columns), *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]
        aligned = [
            "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
            for line in lines
        ]
        return "\n".join([self.title, *aligned, *self.notes])

    def markdown(self) -> str:
        """Returns the table as Markdown, under a heading of the third level."""
        lines = [self.columns, ["---", *("---:" for _ in self.columns[1:])], *self.rows]
        table = [f"| {' | '.join(line)} |" for line in lines]
        return "\n".join([f"### {self.title}", "", *table, "", *(f"- {note}" for note in self.notes)])
