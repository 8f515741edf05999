#!/bin/sh
# Counts the commits of each day and of each author.
set -eu
mkdir -p result
cut -f 1 history.tsv | sort | uniq -c | awk '{ print $2 "\t" $1 }' > result/days.tsv
cut -f 2 history.tsv | sort | uniq -c | sort -rn |
    awk '{ count = $1; $1 = ""; print substr($0, 2) "\t" count }' > result/authors.tsv
echo "$(wc -l < history.tsv) commits on $(wc -l < result/days.tsv) days"
