#!/bin/sh
# Draws lines by language and commits by day as one SVG.
set -eu
{
    awk -F '\t' '{ print "language\t" $3 "\t" $1 }' result/languages.tsv
    tail -n 20 result/days.tsv | awk -F '\t' '{ print "day\t" $1 "\t" $2 }'
} | awk -F '\t' '
{ kind[NR] = $1; label[NR] = $2; value[NR] = $3; if ($3 > most[$1]) most[$1] = $3 }
END {
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n", NR * 20 + 40
    y = 20
    for (i = 1; i <= NR; i++) {
        if (i > 1 && kind[i] != kind[i - 1]) y += 20
        width = 400 * value[i] / most[kind[i]]
        colour = kind[i] == "day" ? "#b7410e" : "#336791"
        printf "<text x=\"100\" y=\"%d\" text-anchor=\"end\">%s</text>\n", y + 12, label[i]
        printf "<rect x=\"110\" y=\"%d\" width=\"%.1f\" height=\"14\" fill=\"%s\"/>\n", y, width, colour
        printf "<text x=\"%.1f\" y=\"%d\">%d</text>\n", 116 + width, y + 12, value[i]
        y += 20
    }
    print "</svg>"
}' > result/chart.svg
echo "drew $(grep -c '<rect' result/chart.svg) bars"
