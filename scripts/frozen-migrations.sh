#!/bin/sh
# Fails where a numbered migration that has landed was changed, renamed or removed: databases that
# have applied it would differ from new ones.
#
#   POSTQ_BASE   the commit that has landed; default: origin/main, else HEAD
set -eu
cd "$(dirname "$0")/.."

if ! git rev-parse --git-dir > /dev/null 2>&1; then
    echo "frozen migrations: not a git repository; nothing to compare with"
    exit 0
fi
base=${POSTQ_BASE:-}
if [ -z "$base" ]; then
    base=$(git merge-base HEAD origin/main 2> /dev/null || git rev-parse HEAD)
fi
changed=$(git diff --name-only --no-renames --diff-filter=MDT "$base" -- 'migrations/[0-9]*.sql')
if [ -n "$changed" ]; then
    echo "frozen migrations: changed since $base; add a new migration instead:" >&2
    echo "$changed" >&2
    exit 1
fi
