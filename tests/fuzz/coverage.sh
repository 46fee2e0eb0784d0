#!/bin/bash
# coverage.sh CORPUS...: what the inputs of these directories (each with a directory
# for every target) reach, a line for each source file.  make fuzz-coverage calls it.
set -euo pipefail
cd "$(dirname "$0")/../.."

BUILD=${BUILD:-build-fuzz-cov}
profdata=$(command -v llvm-profdata || command -v llvm-profdata-14)
cov=$(command -v llvm-cov || command -v llvm-cov-14)
raw=$BUILD/profile
rm -rf "$raw"
mkdir -p "$raw"
objects=()
for f in tests/fuzz/fuzz_*.c; do
	name=${f##*/fuzz_}
	name=${name%.c}
	inputs=()
	for c; do
		[ ! -d "$c/$name" ] || inputs+=("$c/$name")
	done
	LLVM_PROFILE_FILE=$raw/$name.raw "$BUILD/tests/fuzz/fuzz_$name" "${inputs[@]}" >/dev/null
	objects+=(-object "$BUILD/tests/fuzz/fuzz_$name")
done
"$profdata" merge -o "$raw/all" "$raw"/*.raw
"$cov" report "${objects[@]:1}" -instr-profile="$raw/all" -show-region-summary=false \
	-show-branch-summary=false -ignore-filename-regex='tests/' 2>/dev/null |
	awk 'NR == 1 || /^(lib|agent|fusefs)\/|\.c / || /TOTAL/'
