#!/usr/bin/env bash
# Comments the report on pull request NUMBER, in one comment that later runs change. Where that is not allowed, the log and the
# job's summary say so, and the job goes on.
set -euo pipefail
mark="<!-- edgedeploy gate -->"
{ echo "$mark"; head -c 60000 edgedeploy-gate/report.md; } >edgedeploy-gate/comment.md # GitHub takes 65,536 characters
comments="repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments"
send() {
    local mine
    mine=$(gh api --paginate "$comments" --jq ".[] | select(.body | startswith(\"$mark\")) | .id") || return
    mine=${mine%%$'\n'*}
    if [ -n "$mine" ]; then
        gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$mine" --field body=@edgedeploy-gate/comment.md
    else
        gh api --method POST "$comments" --field body=@edgedeploy-gate/comment.md
    fi
}
if ! error=$(send 2>&1 >/dev/null); then
    message="The report could not be commented on the pull request. The job needs 'permissions: pull-requests: write'; a pull \
request from a fork never has it. GitHub said: ${error//$'\n'/ }"
    echo "::warning title=edgedeploy gate::$message"
    printf '\n%s\n' "$message" >>"$GITHUB_STEP_SUMMARY"
fi
