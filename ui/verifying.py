"""What `rag eval verify` says of a saved evaluation."""

from pathlib import Path

import click

from eval.bundle import Verification, verify
from ui.options import print_json
from ui.shapes import Json
from ui.words import count_text

LISTED = 20


def tell_verification(folder: Path, as_json: bool) -> int:
    """Checks, prints and returns the exit status: 1 where anything differs."""
    found = verify(folder)
    if as_json:
        print_json(verification_document(folder, found))
    else:
        for line in verification_lines(folder, found):
            click.echo(line)
    return 0 if found.agrees else 1


def verification_document(folder: Path, found: Verification) -> Json:
    """Returns the document of `rag eval verify --json`."""
    return {
        "folder": str(folder),
        "agrees": found.agrees,
        "figures": found.figures,
        "differences": [each._asdict() | {"written": each.written, "found": each.found} for each in found.differences],
        "as_written": found.as_written,
        "notes": found.notes,
        "tasks": {name: {"citable": not reasons, "reasons": reasons} for name, reasons in found.reasons.items()},
    }


def verification_lines(folder: Path, found: Verification) -> list[str]:
    """Returns the same as a person reads it."""
    lines = [str(each) for each in found.differences[:LISTED]]
    if len(found.differences) > LISTED:
        lines.append(f"and {len(found.differences) - LISTED} more differences")
    if found.agrees:
        lines.append(f"{folder}: {count_text(found.figures, 'figure')} agree{'s' if found.figures == 1 else ''}")
    else:
        lines.append(f"{folder}: {count_text(len(found.differences), 'difference')}; {found.figures:,} figures agree")
    if found.as_written:
        lines.append(f"taken as written, item by item: {', '.join(found.as_written)}, and costs")
    lines += found.notes
    for name, reasons in found.reasons.items():
        lines.append(f"{name}: not citable: {'; '.join(reasons)}" if reasons else f"{name}: citable")
    return lines
