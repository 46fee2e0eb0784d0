#!/bin/bash
# Draws what bench.py measured: plot.sh [CSV [PNG]].  One group of bars for each row of the table:
# the ratio reached, what is asked at least, and the aim.
set -euo pipefail

cd "$(dirname "$0")/.."
csv=${1:-${BUILD:-build}/bench/bench.csv}
png=${2:-${csv%.csv}.png}
if [ ! -s "$csv" ]; then
	echo "bench-plot: $csv is not there: make bench first" >&2
	exit 1
fi
if ! command -v gnuplot >/dev/null; then
	echo "bench-plot: gnuplot is not installed (dist/install-deps.sh bench installs it)" >&2
	exit 1
fi
data=$(mktemp)
trap 'rm -f "$data"' EXIT
bench/bench.py --ratios "$csv" >"$data"
gnuplot - <<EOF
set terminal pngcairo size 1400,900 font ',11'
set output '$png'
set title 'rsio beside its peers: ratios (medians), least and aim'
set style data histograms
set style histogram errorbars gap 2 lw 1
set style fill solid 0.8 border -1
set boxwidth 0.9
set xtics rotate by -35 left nomirror
set ytics nomirror
set grid ytics
set yrange [0:*]
set bmargin 12
set rmargin 14
set datafile separator '\t'
plot '$data' using 2:3:4:xtic(1) title 'reached' lc rgb '#2f6db5', \
	'' using 0:5 with points pt 9 ps 1.6 lc rgb '#c02020' title 'at least', \
	'' using 0:6 with points pt 5 ps 1.2 lc rgb '#208020' title 'aim'
EOF
echo "$png"
