#!/usr/bin/env bash
# Writes the report against BASELINE as a page, JUnit and Markdown, and prints the Markdown.
set -euo pipefail
for format in html junit markdown; do
    case $format in junit) file=report.xml ;; markdown) file=report.md ;; *) file=report.html ;; esac
    edgedeploy report edgedeploy-gate/head.json --base "$BASELINE" --format "$format" --output "edgedeploy-gate/$file"
done
cat edgedeploy-gate/report.md
