#!/usr/bin/env bash
# Fails where this run is worse than BASELINE, or cannot be compared with it. A repository without one passes, with a warning.
set -euo pipefail
if [ ! -f "$BASELINE" ]; then
    echo "::warning title=edgedeploy gate::there is no baseline $BASELINE: commit head.json of the artifact edgedeploy-gate as it"
    exit 0
fi
edgedeploy compare --require-trust "$BASELINE" edgedeploy-gate/head.json
