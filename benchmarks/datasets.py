"""The documents that ingests are measured on: the first ones of a BEIR folder, as such a folder or as files."""

from pathlib import Path

from benchmarks.peers.documents import read_records


def beir_folder(source: Path, documents: int, folder: Path) -> Path:
    """Makes a BEIR folder of the first documents of another, without its questions; returns it."""
    folder.mkdir()
    with (source / "corpus.jsonl").open(encoding="utf-8") as lines:
        first = [line for _, line in zip(range(documents), lines, strict=False)]
    (folder / "corpus.jsonl").write_text("".join(first), encoding="utf-8")
    (folder / "queries.jsonl").write_text("", encoding="utf-8")
    return folder


def text_files(beir: Path, folder: Path) -> Path:
    """Makes a folder with a text file for each document of a BEIR folder; returns it."""
    folder.mkdir()
    for number, record in enumerate(read_records(beir)):
        (folder / f"{number:06}.txt").write_text(f"{record.title}\n\n{record.text}\n".lstrip(), encoding="utf-8")
    return folder


def size_of(beir: Path) -> int:
    """Counts the documents of a BEIR folder that hold any text."""
    return len(read_records(beir))


def is_there(folder: Path) -> bool:
    """Tells whether a folder holds documents in BEIR's form."""
    return (folder / "corpus.jsonl").is_file()
