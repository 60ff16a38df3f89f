"""Ingest side by side with the peers, ingesting again what has not changed, and the memory of large ingests.

Every contender runs as its own process on the same documents, model and two CPUs: benchmarks/contenders.py says who
they are, benchmarks/measuring.py what is measured. The peers need .bench-venv: python -m benchmarks.peers --make.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.contenders import CONTENDERS, PEERS, Contender, Contents, ingest
from benchmarks.datasets import beir_folder, is_there, size_of, text_files
from benchmarks.ingest_tables import Large, Result, again_table, bytes_under, memory_table, peers_table
from benchmarks.measuring import CommandError, Cost
from benchmarks.peers import MAKE, PYTHON, ROOT, VENV
from benchmarks.tables import Table

SHARED = ROOT.parent / "shared" / "data" / "retrieval"
DATA = (SHARED / "scifact", SHARED / "medquad")
PARTS = ("peers", "again", "memory")
USUAL_PARTS = ("peers", "again")
MEMORY_DOCUMENTS = (1_000, 5_000, 15_000)
MEMORY_EMBEDDERS = ("wordllama", "hash")


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks ingest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=USUAL_PARTS, help="the first two unless said")
    parser.add_argument("--data", nargs="+", type=Path, default=DATA, metavar="DIR", help="BEIR folders")
    parser.add_argument("--documents", type=int, default=200, metavar="N", help="the first N of each DIR (200)")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=tuple(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="in turns; the median by CPU-seconds counts")
    parser.add_argument(
        "--memory-documents", nargs="+", type=int, default=MEMORY_DOCUMENTS, metavar="N", help="of the last DIR"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown as well")
    return parser.parse_args(arguments)


def run(arguments: Sequence[str] = ()) -> None:
    asked = options_of(arguments)
    contenders = present([CONTENDERS[name] for name in asked.contenders])
    folders = [folder for folder in asked.data if is_there(folder)]
    for folder in set(asked.data).difference(folders):
        tell(f"{folder.name} is skipped: there is no {folder / 'corpus.jsonl'}. Name BEIR folders with --data DIR.")
    contest = Contest(contenders, asked.documents, asked.rounds)
    measurements: list[Callable[[Path], Table]] = []
    if "peers" in asked.parts:
        measurements += [partial(contest.table, folder) for folder in folders]
    if "again" in asked.parts:
        measurements += [partial(again, folder, asked.documents) for folder in folders]
    if "memory" in asked.parts and folders:
        measurements.append(partial(memory, folders[-1], asked.memory_documents))
    tables, failures = [], 0
    for measurement in measurements:
        try:
            with tempfile.TemporaryDirectory() as work:
                tables.append(measurement(Path(work)))
            print(f"{tables[-1].text()}\n", flush=True)
        except CommandError as error:
            failures += 1
            tell(str(error))
    if asked.markdown:
        asked.markdown.write_text("\n\n".join(table.markdown() for table in tables) + "\n", encoding="utf-8")
    if failures or contest.broken:
        sys.exit(f"{failures} tables missing, {len(contest.broken)} contenders left out; see above.")


def present(contenders: Sequence[Contender]) -> list[Contender]:
    """Leaves the peers out where they are not installed, and says so."""
    if PYTHON.is_file() or not any(contender in PEERS for contender in contenders):
        return list(contenders)
    tell(f"The peers are skipped: there is no {VENV.name} here. Make it once: {MAKE}")
    return [contender for contender in contenders if contender not in PEERS]


def tell(progress: str) -> None:
    """Writes what is going on to standard error."""
    print(progress, file=sys.stderr, flush=True)


class Contest:
    """The contenders side by side; what one document costs each of them is measured once, on the first folder.

    `broken` names those that could not ingest it, and are left out.
    """

    def __init__(self, contenders: Sequence[Contender], documents: int, rounds: int) -> None:
        self.broken: list[str] = []
        self._contenders = contenders
        self._documents = documents
        self._rounds = rounds
        self._starts: dict[str, Cost] = {}

    def table(self, folder: Path, work: Path) -> Table:
        """Measures every contender on the first documents of a folder, round after round."""
        one = beir_folder(folder, 1, work / "one")
        some = beir_folder(folder, self._documents, work / f"first-{self._documents}")
        self._contenders = [c for c in self._contenders if c.name in self._starts or self._starts_up(c, one, work)]
        if not self._contenders:
            raise CommandError("No contender is left.")
        costs: dict[str, list[Cost]] = {contender.name: [] for contender in self._contenders}
        contents: dict[str, Contents] = {}
        for turn in range(self._rounds):
            for contender in self._contenders:
                store = work / f"{contender.name}-{turn}"
                costs[contender.name].append(measured(contender, some, store))
                if turn == 0:
                    contents[contender.name] = contender.inspect(some, store)
        return peers_table(
            folder.name,
            [Result(c, self._starts[c.name], median(costs[c.name]), contents[c.name]) for c in self._contenders],
        )

    def _starts_up(self, contender: Contender, one: Path, work: Path) -> bool:
        """Measures one document twice, the first time to have its files in the page cache; tells what goes wrong."""
        try:
            for turn in ("cold", "warm"):
                self._starts[contender.name] = measured(contender, one, work / f"{contender.name}-{turn}")
        except CommandError as error:
            tell(f"{contender.name} is left out: {error}")
            self.broken.append(contender.name)
            return False
        return True


def measured(contender: Contender, folder: Path, store: Path) -> Cost:
    """Measures a contender and tells what it took."""
    cost = contender.build(folder, store)
    tell(f"{contender.name}, {folder.name}: {cost.cpu_seconds:.1f} CPU-s, {cost.wall_seconds:.1f} s")
    return cost


def median(costs: Sequence[Cost]) -> Cost:
    """Returns the cost in the middle by CPU-seconds; of two, the higher."""
    return sorted(costs, key=lambda cost: cost.cpu_seconds)[len(costs) // 2]


def again(folder: Path, documents: int, work: Path) -> Table:
    """Measures `rag ingest` at its defaults twice over the same documents, as a BEIR folder and as files."""
    beir = beir_folder(folder, documents, work / "beir")
    sources = {"BEIR folder": beir, "text files": text_files(beir, work / "files")}
    runs = {}
    for name, source in sources.items():
        home = work / f"home-{source.name}"
        first, second = ingest(source, home), ingest(source, home)
        if counts := changed(second):
            raise CommandError(f"The second ingest of unchanged documents ({name}) found changes: {counts}")
        tell(f"again, {name}: {first.cpu_seconds:.1f} and {second.cpu_seconds:.2f} CPU-s")
        runs[name] = (first, second)
    return again_table(folder.name, runs, size_of(beir))


def changed(cost: Cost) -> dict[str, int]:
    """Returns the counts of an ingest's report that say more than that a document is unchanged or skipped."""
    counts = json.loads(cost.output)["documents"]
    return {status: number for status, number in counts.items() if number and status in ("done", "failed", "deleted")}


def memory(folder: Path, sizes: Sequence[int], work: Path) -> Table:
    """Measures large ingests under the embedders that need little themselves, so that our own memory is seen."""
    runs = []
    for size in sizes:
        beir = beir_folder(folder, size, work / f"first-{size}")
        for embedder in MEMORY_EMBEDDERS:
            home = work / f"{embedder}-{size}"
            cost = ingest(beir, home, "--embedder", embedder)
            chunks = json.loads(cost.output)["chunks"]
            tell(f"memory, {embedder}, {size} documents: {cost.cpu_seconds:.1f} CPU-s, {cost.peak_mib:.0f} MiB")
            runs.append(Large(embedder, size_of(beir), chunks, cost, bytes_under(home)))
    return memory_table(folder.name, runs)
