#!/bin/bash
# merge.sh [TARGET...]: takes over into tests/fuzz/corpus what $BUILD/corpus has found,
# as few and as short inputs as reach the same code.  Seeds and crashes stay.
set -euo pipefail
cd "$(dirname "$0")/../.."

BUILD=${BUILD:-build-fuzz}
# Longer ones are not worth their place.
LENGTH_MAX=${LENGTH_MAX:-400}
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
	for d in "$BUILD"/corpus/*/; do
		targets+=("$(basename "$d")")
	done
fi
for t in "${targets[@]}"; do
	kept=tests/fuzz/corpus/$t
	new=$(mktemp -d) found=$(mktemp -d)
	# A copy: a target that runs at this moment renames and removes.
	cp -r "$BUILD/corpus/$t/." "$found" 2>/dev/null || true
	"$BUILD/tests/fuzz/fuzz_$t" -merge=1 -use_counters=0 -max_len="$LENGTH_MAX" \
		"$new" "$kept" "$found" >"$BUILD/merge-$t.log" 2>&1 ||
		{ echo "$t: see $BUILD/merge-$t.log"; exit 1; }
	find "$kept" -type f ! -name 'seed-*' ! -name 'crash-*' -name '????????????????????????????????????????' -delete
	# The names are the contents' sums: a seed under that name is no news.
	known=" $(sha1sum "$kept"/* | cut -d ' ' -f 1 | tr '\n' ' ') "
	for f in "$new"/*; do
		case $known in *" ${f##*/} "*) ;; *) cp "$f" "$kept/" ;; esac
	done
	rm -r "$new" "$found"
	echo "$t: $(find "$kept" -type f | wc -l) inputs, $(du -sb "$kept" | cut -f 1) bytes"
done
