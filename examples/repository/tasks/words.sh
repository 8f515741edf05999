#!/bin/sh
# Indexes words: how often each occurs, and in which file first.
set -eu
cut -f 2 result/files.tsv | while read -r path; do
    tr -cs '[:alpha:]_' '\n' < "$path" | tr '[:upper:]' '[:lower:]' | awk -v path="$path" 'length > 3 { print $0 "\t" path }'
done | awk -F '\t' '
{ count[$1]++; if (!($1 in first)) first[$1] = $2 }
END { for (word in count) print count[word] "\t" word "\t" first[word] }' |
    sort -k 1,1nr -k 2,2 > result/words.tsv
echo "$(wc -l < result/words.tsv) different words; most frequent:"
head -n 5 result/words.tsv | awk -F '\t' '{ printf "%6d %s\n", $1, $2 }'
