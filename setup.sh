#!/usr/bin/env bash
# Makes .venv from requirements.lock. Does nothing when the lock and pyproject.toml are unchanged since the last time.
set -euo pipefail
cd "$(dirname "$0")"
venv=${VENV:-.venv}
want=$(cat requirements.lock pyproject.toml setup.sh | sha256sum | cut -d' ' -f1)
if [ "$(cat "$venv/.installed" 2>/dev/null)" = "$want" ]; then exit 0; fi

python=""
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
  if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
  echo "setup: no Python 3.11, 3.12 or 3.13 found (python3 is $(python3 --version 2>&1)). Install one, or name it: make setup PYTHON=/path/to/python3.12" >&2
  exit 1
fi

echo "setup: installing into $venv with $("$python" --version), about 2.5 GB, a minute or two" >&2
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.9

# PyTorch's CPU build: from a local wheel folder where pip is configured with one, from PyTorch's CPU index elsewhere.
# uv does not read pip's configuration, and a missing find-links folder is a hard error for it.
torch_source=(--torch-backend cpu)
tag=$("$venv/bin/python" -c 'import sys; print(f"cp{sys.version_info.major}{sys.version_info.minor}")')
for folder in $("$venv/bin/python" -m pip config get global.find-links 2>/dev/null) ${PIP_FIND_LINKS:-}; do
  if compgen -G "$folder/torch-*-$tag-*.whl" >/dev/null; then torch_source=(--find-links "$folder"); fi
done
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --compile-bytecode "${torch_source[@]}" -r requirements.lock
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps -e .
echo "$want" > "$venv/.installed"
