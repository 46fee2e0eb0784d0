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
	new=$(mktemp -d)
	"$BUILD/tests/fuzz/fuzz_$t" -merge=1 -max_len="$LENGTH_MAX" "$new" "$kept" "$BUILD/corpus/$t" >/dev/null 2>&1
	find "$kept" -type f ! -name 'seed-*' ! -name 'crash-*' -name '????????????????????????????????????????' -delete
	# The names are the contents' sums: a seed under that name is no news.
	known=" $(sha1sum "$kept"/* | cut -d ' ' -f 1 | tr '\n' ' ') "
	for f in "$new"/*; do
		case $known in *" ${f##*/} "*) ;; *) cp "$f" "$kept/" ;; esac
	done
	rm -r "$new"
	echo "$t: $(find "$kept" -type f | wc -l) inputs, $(du -sb "$kept" | cut -f 1) bytes"
done
