#!/bin/sh
# Puts this repository's files and history into a directory, as the first files of the demo job.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 DIR" >&2
    exit 2
fi
input=$1
cd "$(dirname "$0")/.."

rm -rf "$input"
mkdir -p "$input/source"
git archive --format=tar HEAD | tar -xf - -C "$input/source"
git log --date=short --format='%ad%x09%an' > "$input/history.tsv"
cp -R examples/repository/tasks "$input/tasks"
