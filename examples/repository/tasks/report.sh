#!/bin/sh
# Joins what the counts, the words and the history say.
set -eu
{
    echo '# The repository'
    echo
    awk -F '\t' '{ lines += $1; files += $2 } END { print files " files, " lines " lines" }' result/languages.tsv
    awk -F '\t' '{ commits += $2 } END { print commits + 0 " commits by " NR " authors" }' result/authors.tsv
    echo
    echo '| language | lines | files |'
    echo '|---|---|---|'
    awk -F '\t' '{ print "| " $3 " | " $1 " | " $2 " |" }' result/languages.tsv
    echo
    echo '| word | times | first in |'
    echo '|---|---|---|'
    head -n 20 result/words.tsv | awk -F '\t' '{ print "| " $2 " | " $1 " | " $3 " |" }'
} > result/report.md
sed -n '3,4p' result/report.md
