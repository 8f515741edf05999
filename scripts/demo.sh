#!/bin/sh
# Runs the demo job on this repository: two agents that share nothing, one private Postgres.
set -eu
cd "$(dirname "$0")/.."

work=${POSTQ_DEMO_DIR:-.postq/demo}
bin=${CARGO_TARGET_DIR:-target}/debug
rm -rf "$work"
mkdir -p "$work"
scripts/demo-input.sh "$work/input"

job=examples/repository/job.yaml
if ! docker version > /dev/null 2>&1; then
    echo "demo: no Docker engine answers; running the job without its Docker task"
    job=examples/repository/job.shell.yaml
elif ! scripts/demo-image.sh; then
    echo "demo: no image for the Docker task; running the job without it"
    job=examples/repository/job.shell.yaml
fi

# One task at a time on each agent, so that both have work.
set -x
"$bin/postq" run "$job" --workspace "$work/input" --out "$work/out" --agents 2 --slots 1
set +x
echo
echo "The job's files, in $work/out:"
find "$work/out" -type f | sort
