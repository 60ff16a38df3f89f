"""The tables of the ingest benchmark."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import DEFAULTS, OURS, Contender, Contents
from benchmarks.measuring import CPUS, Cost
from benchmarks.peers.contest import COMMON, MAX_TOKENS
from benchmarks.tables import Table


@dataclass(frozen=True, slots=True)
class Result:
    """What a contender's ingest cost, what that of one document cost, and what it made."""

    contender: Contender
    start: Cost
    cost: Cost
    contents: Contents

    @property
    def net_per_token(self) -> float:
        """CPU-seconds for a token, without what it costs to import everything, load the model and open the store."""
        return max(self.cost.cpu_seconds - self.start.cpu_seconds, 0) / self.contents.tokens

    @property
    def per_token(self) -> float:
        """CPU-seconds for a token, of the whole run."""
        return self.cost.cpu_seconds / self.contents.tokens


PEERS_COLUMNS = (
    "contender",
    "documents",
    "chunks",
    "vectors",
    "tokens",
    "CPU-s",
    "of one document",
    "wall s",
    "peak MiB",
    "CPU-ms a chunk",
    "tokens a CPU-s",
    "× CPU",
    "× CPU a token",
    "× net of start",
    "× peak",
    "self-queries",
)


def peers_table(data: str, results: Sequence[Result]) -> Table:
    """Returns the contenders side by side; × columns are against ours on minilm alone."""
    table = Table(f"Ingest of the first {results[0].contents.documents} documents of {data}", PEERS_COLUMNS)
    ours = [result for result in results if result.contender is OURS]
    for result in results:
        cost, contents = result.cost, result.contents
        table.rows.append(
            [
                result.contender.name,
                f"{contents.documents:,}",
                f"{contents.chunks:,}",
                f"{contents.vectors:,}",
                f"{contents.tokens:,}",
                f"{cost.cpu_seconds:.1f}",
                f"{result.start.cpu_seconds:.1f}",
                f"{cost.wall_seconds:.1f}",
                f"{cost.peak_mib:,.0f}",
                f"{1000 * cost.cpu_seconds / contents.chunks:.1f}",
                f"{1 / result.per_token:,.0f}",
                times(cost.cpu_seconds, [each.cost.cpu_seconds for each in ours]),
                times(result.per_token, [each.per_token for each in ours]),
                times(result.net_per_token, [each.net_per_token for each in ours]),
                times(cost.peak_mib, [each.cost.peak_mib for each in ours]),
                f"{contents.found} of {contents.questions}",
            ]
        )
    table.notes = [
        *(f"{result.contender.name}: {result.contender.settings} ({own_versions(result)})" for result in results),
        f"All: one copy of all-MiniLM-L6-v2, at most {MAX_TOKENS} tokens, {CPUS} CPUs and {CPUS} threads, offline.",
        f"× is against {OURS.name}, more than 1 is more than ours; {DEFAULTS.name} makes three vectors of each chunk.",
        "Tokens: what the model is given for all chunks, without padding. One document: imports, model and store.",
        "Self-queries: how many of some documents' beginnings find their document among the first three.",
        f"Python {platform.python_version()}, " + ", ".join(shared_versions(results)),
    ]
    return table


def times(value: float, ours: Sequence[float]) -> str:
    """Writes the ratio to ours, or a dash where ours was not measured or is nothing."""
    return f"{value / ours[0]:.2f}" if any(ours) else "-"


def own_versions(result: Result) -> str:
    """Writes the versions of the packages that are a contender's own."""
    return ", ".join(f"{name} {is_of}" for name, is_of in result.contents.versions.items() if name not in COMMON)


def shared_versions(results: Sequence[Result]) -> list[str]:
    """Writes the versions of the packages that all have, with a slash where they differ."""
    return [f"{name} {'/'.join(sorted({result.contents.versions[name] for result in results}))}" for name in COMMON]


def again_table(data: str, runs: Mapping[str, tuple[Cost, Cost]], documents: int) -> Table:
    """Returns what a second ingest of unchanged documents costs beside the first."""
    columns = ("source", "first CPU-s", "second CPU-s", "ratio", "first wall s", "second wall s", "ratio")
    table = Table(f"The same {documents} documents of {data} again, at our defaults", columns)
    for source, (first, second) in runs.items():
        table.rows.append(
            [
                source,
                f"{first.cpu_seconds:.1f}",
                f"{second.cpu_seconds:.2f}",
                f"{first.cpu_seconds / second.cpu_seconds:.0f}",
                f"{first.wall_seconds:.1f}",
                f"{second.wall_seconds:.2f}",
                f"{first.wall_seconds / second.wall_seconds:.0f}",
            ]
        )
    return table


@dataclass(frozen=True, slots=True)
class Large:
    """A large ingest under one embedder."""

    embedder: str
    documents: int
    chunks: int
    cost: Cost
    library_bytes: int


def memory_table(data: str, runs: Sequence[Large]) -> Table:
    """Returns how memory grows with the number of documents."""
    columns = ("embedder", "documents", "chunks", "CPU-s", "wall s", "peak MiB", "library MiB", "documents a CPU-s")
    table = Table(f"Memory of ours by the number of documents of {data}", columns)
    for run in runs:
        table.rows.append(
            [
                run.embedder,
                f"{run.documents:,}",
                f"{run.chunks:,}",
                f"{run.cost.cpu_seconds:.1f}",
                f"{run.cost.wall_seconds:.1f}",
                f"{run.cost.peak_mib:,.0f}",
                f"{run.library_bytes / 2**20:,.0f}",
                f"{run.documents / run.cost.cpu_seconds:,.0f}",
            ]
        )
    table.notes = ["Peak MiB: of the whole process tree, sampled each 50 ms."]
    return table


def bytes_under(folder: Path) -> int:
    """Returns the size of all files under a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
