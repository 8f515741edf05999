#!/bin/sh
# Names every source file with its language, told by the end of its name.
set -eu
mkdir -p result
find source -type f | sort | awk '
BEGIN {
    split("rs:Rust sql:SQL proto:Protobuf md:Markdown toml:TOML yaml:YAML yml:YAML sh:Shell py:Python lock:Lockfile", pairs, " ")
    for (i in pairs) { split(pairs[i], pair, ":"); language[pair[1]] = pair[2] }
}
{
    n = split($0, parts, ".")
    end = n > 1 ? parts[n] : ""
    print (end in language ? language[end] : "Other") "\t" $0
}' > result/files.tsv
echo "$(wc -l < result/files.tsv) files in $(cut -f 1 result/files.tsv | sort -u | wc -l) languages"
