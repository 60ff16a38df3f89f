"""The peers that we are measured against: one script each, run as its own process by the interpreter of .bench-venv."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".bench-venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "benchmarks" / "peers.txt"
MAKE = "python -m benchmarks.peers --make"
