"""Makes the virtual environment of the peers: `python -m benchmarks.peers --make`, with the project's own Python."""

import argparse
import re
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.peers import PYTHON, REQUIREMENTS, VENV

INSTALLED = VENV / ".installed"


def torch_source() -> list[str]:
    """Returns where uv takes torch's CPU build from: a wheel folder that pip is configured with, else PyTorch's index.

    uv does not read pip's configuration, and without either it would fetch gigabytes of CUDA packages.
    """
    pip = subprocess.run([str(PYTHON), "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    folders = re.findall(r"find-links='([^']*)'", pip.stdout)
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    for folder in folders:
        if any(Path(folder).glob(f"torch-*-{tag}-*.whl")):
            return ["--find-links", folder]
    return ["--torch-backend", "cpu"]


def make() -> None:
    """Installs peers.txt into .bench-venv; does nothing where that was done with the same file before."""
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if INSTALLED.is_file() and INSTALLED.read_text(encoding="utf-8") == wanted:
        print(f"{VENV.name} is up to date.")
        return
    print(f"Installing {REQUIREMENTS.name} into {VENV.name}, about 2 GB, a minute or two", file=sys.stderr)
    venv.create(VENV, with_pip=True, clear=True)
    uv = Path(sys.executable).with_name("uv")
    install = [str(uv), "pip", "install", "--quiet", "--python", str(PYTHON), "--compile-bytecode", "--no-deps"]
    copied = ["--link-mode", "copy"]  # NLTK refuses to read data files that are hard links into uv's cache
    subprocess.run([*install, *copied, *torch_source(), "-r", str(REQUIREMENTS)], check=True)
    INSTALLED.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--make", action="store_true", required=True, help="make .bench-venv from benchmarks/peers.txt")
    parser.parse_args()
    make()
