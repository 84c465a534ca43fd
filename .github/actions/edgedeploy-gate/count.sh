#!/usr/bin/env bash
# Exports MODEL for TARGET and counts the Arm instructions of every artifact. INPUT is the shape of the network's input, or empty.
set -euo pipefail
mkdir -p edgedeploy-gate
input=()
[ -z "${INPUT:-}" ] || input=(--input "$INPUT")
edgedeploy export "$MODEL" --target "$TARGET" "${input[@]}" --output edgedeploy-gate/artifacts
edgedeploy bench edgedeploy-gate/artifacts --device qemu --profile --json edgedeploy-gate/head.json
