#!/bin/sh
# Counts files and lines by language.
set -eu
tab=$(printf '\t')
while IFS="$tab" read -r language path; do
    printf '%s\t%s\n' "$language" "$(wc -l < "$path")"
done < result/files.tsv | awk -F '\t' '
{ files[$1]++; lines[$1] += $2 }
END { for (name in files) print lines[name] "\t" files[name] "\t" name }' |
    sort -rn > result/languages.tsv
awk -F '\t' '{ printf "%-10s %6d lines in %4d files\n", $3, $1, $2 }' result/languages.tsv
