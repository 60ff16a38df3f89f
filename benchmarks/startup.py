"""What a command costs from a cold process: CPU-seconds, the median of five."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RAG = Path(sys.executable).with_name("rag")
ROUNDS = 5


def cpu_seconds(*command: str) -> float:
    """Runs a command and returns the CPU-seconds that it and its children took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([str(RAG), *command], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run() -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ["RAG_HOME"] = home
        first = cpu_seconds("ingest", "corpus/documents", "--corpus", "demo")
        again = cpu_seconds("ingest", "corpus/documents", "--corpus", "demo")
        print(f"ingest of the demo corpus   first {first:6.2f} s   second {again:5.2f} s   ratio {first / again:.0f}")
        commands = {
            "rag --help": ["--help"],
            "search, lexical": ["search", "reciprocal rank fusion", "--retriever", "lexical"],
            "search, hash": ["search", "reciprocal rank fusion", "--embedder", "hash"],
            "search, wordllama": ["search", "reciprocal rank fusion", "--embedder", "wordllama"],
            "search, minilm": ["search", "reciprocal rank fusion", "--embedder", "minilm"],
        }
        for name, command in commands.items():
            seconds = statistics.median(cpu_seconds(*command) for _ in range(ROUNDS))
            print(f"{name:<26}  {seconds:6.2f} CPU-s")
