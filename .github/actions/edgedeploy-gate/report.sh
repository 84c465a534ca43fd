#!/usr/bin/env bash
# Writes the report as a page, JUnit and Markdown, and the Markdown to the job's summary: against BASELINE, or without one.
set -euo pipefail
base=()
[ ! -f "$BASELINE" ] || base=(--base "$BASELINE")
for format in html junit markdown; do
    case $format in junit) file=report.xml ;; markdown) file=report.md ;; *) file=report.html ;; esac
    edgedeploy report edgedeploy-gate/head.json "${base[@]}" --format "$format" --output "edgedeploy-gate/$file"
done
if [ ! -f "$BASELINE" ]; then
    cat >>edgedeploy-gate/report.md <<END

There is no baseline \`$BASELINE\`, so nothing was compared. To store this run as the baseline, download the artifact
\`edgedeploy-gate\` of this job, commit its \`head.json\` as \`$BASELINE\`, and say in the commit why these counts are right.
END
fi
cat edgedeploy-gate/report.md >>"$GITHUB_STEP_SUMMARY"
