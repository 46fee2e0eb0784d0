#!/bin/bash
# Every input of the corpus once through its target: nothing crashes, nothing is
# said that does not hold.  Each crash that was found has its input there.
# time-limit: 240
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"

# Without leaks, and quicker, where the build has the sanitizers.
export ASAN_OPTIONS=quarantine_size_mb=8:malloc_context_size=10:${ASAN_OPTIONS:-}
export UBSAN_OPTIONS=print_stacktrace=1
fuzz=$TOP/tests/fuzz

replay()	# NAME
{
	"$BUILD/tests/fuzz/fuzz_$1" "$fuzz/corpus/$1" >"$W/$1.out" 2>&1
	# A target that looked at nothing has shown nothing.
	grep -qE '^[1-9][0-9]* inputs$' "$W/$1.out"
}

for f in "$fuzz"/fuzz_*.c; do
	name=${f##*/fuzz_}
	name=${name%.c}
	requires_program "tests/fuzz/fuzz_$name"
	if replay "$name"; then
		ok "$name: $(tail -n 1 "$W/$name.out")"
	else
		not_ok "$name: its corpus"
		show_output "$W/$name.out"
	fi
done
for f in "$fuzz"/corpus/*/; do
	check "$(basename "$f") of the corpus has a target" test -e "$fuzz/fuzz_$(basename "$f").c"
done
# Bytes, also to git, where some of it looks like text.
if git -C "$TOP" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
	is "$(cd "$TOP" && git ls-files tests/fuzz/corpus | git check-attr --stdin binary | grep -vc 'binary: set$')" 0 \
		"git takes each input as binary"
fi
size=$(du -sb "$fuzz/corpus" | cut -f 1)
check "the corpus stays small ($size bytes)" test "$size" -lt 1048576
done_testing
