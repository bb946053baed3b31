#!/usr/bin/env bash
# One leg of training on a machine that has torch, numpy, e3nn and safetensors; everything else comes from gpu-bundle/.
#   scripts/gpu_leg.sh symphony --out runs/leg --max-minutes 9 [--init-from symphony-qm9] [key.path=value ...]
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --no-index --find-links gpu-bundle/wheels --target "$site" pydantic omegaconf typer rich
PYTHONPATH="$site:src" "$python" -m atomweave train "$@" --data gpu-bundle/qm9.safetensors
