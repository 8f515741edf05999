#!/bin/sh
# Submits a job of two tasks, watches it to its end, and prints what its tasks wrote. The coordinator
# tells grpcurl what its services are (reflection), so this needs no file of PostQ's.
set -eu

address=${POSTQ_ADDRESS:-localhost:7432}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

call() {
    method=$1
    shift
    if [ -n "${POSTQ_TOKEN:-}" ]; then
        set -- -H "authorization: Bearer $POSTQ_TOKEN" "$@"
    fi
    grpcurl -plaintext -max-time 60 "$@" "$address" "postq.v1.JobService/$method"
}

call SubmitJob -d @ > "$work/submitted" << 'JOB'
{"job": {
  "name": "from-grpcurl",
  "tasks": {
    "greet": {"command": "echo hello from grpcurl | tee greeting"},
    "shout": {"depends": ["greet"], "command": "tr a-z A-Z < greeting"}
  }
}}
JOB
id=$(sed -n 's/.*"id": "\([^"]*\)".*/\1/p' "$work/submitted")
echo "submitted $id"

# The stream of changes ends with the job.
call WatchJob -d "{\"id\": \"$id\"}" > "$work/changes"
grep '"state"' "$work/changes"

call GetJob -d "{\"id\": \"$id\"}" > "$work/job"
grep '"results"' "$work/job"
call ListTasks -d "{\"job_id\": \"$id\", \"states\": [\"SUCCEEDED\"]}" > "$work/tasks"
[ "$(grep -c '"snapshot"' "$work/tasks")" -eq 2 ]
call ReadLogs -d "{\"job_id\": \"$id\", \"tasks\": [\"shout\"]}"
