#!/usr/bin/env bash
# Builds the wheel, installs it into a clean venv and uses it from a folder that is not the checkout.
# PYTHON names a Python that has hatchling.
set -eu
project=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$PYTHON" -m pip wheel --quiet --no-deps --no-build-isolation -w "$work/dist" "$project"
"$PYTHON" -m venv "$work/venv"
bin=$work/venv/bin
wheel=$(echo "$work"/dist/avfd-*.whl)

echo "== base install"
"$bin/python" -m pip install --quiet -c "$project/constraints.txt" "$wheel"
cd "$work"
"$bin/avfd" --version
"$bin/avfd" --help >/dev/null
"$bin/avfd" doctor

echo "== with [extract]: index a folder"
"$bin/python" -m pip install --quiet -c "$project/constraints.txt" "$wheel[extract]"
"$bin/python" "$project/scripts/tiny_folder.py" media
"$bin/avfd" index tiny --root media --json
"$bin/avfd" index tiny --root media --json | "$bin/python" -c 'import json, sys; json.load(sys.stdin)'
echo "wheel: ok"
