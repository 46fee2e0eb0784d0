#!/bin/bash
# run.sh SECONDS [RUNS [TARGET...]]: fuzzes one target after the other, each for so
# long, or for so many executions where RUNS is not empty.  make fuzz calls it.
#
# New inputs go to $BUILD/corpus/TARGET and are the next run's too; what crashed
# goes to $BUILD/crashes.  A line for each target, and status 1 when one failed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

BUILD=${BUILD:-build-fuzz}
seconds=$1 runs=${2:-}
shift
[ $# = 0 ] || shift
bin=$BUILD/tests/fuzz
# A small quarantine and short stacks: most of the time would go there.
export ASAN_OPTIONS=quarantine_size_mb=8:malloc_context_size=6:allocator_release_to_os_interval_ms=-1:detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1
failed=0
# What a target that crashed leaves behind.
TMPDIR=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)/rsio-fuzz-run-XXXXXX")
export TMPDIR
trap 'rm -rf --one-file-system "$TMPDIR"' EXIT
trap 'exit 130' INT TERM

# Longer inputs cost time and find nothing more.  FUZZ_LEN: still shorter ones.
max_len()	# TARGET
{
	case ${FUZZ_LEN:-$1} in
	[1-9]*) echo "$FUZZ_LEN" ;;
	frame | wire) echo 512 ;;
	conf) echo 1024 ;;
	*) echo 2048 ;;
	esac
}

fuzz()		# TARGET
{
	local name=$1 out=$BUILD/fuzz-$1.log found=$BUILD/corpus/$1 limit=(-max_total_time="$seconds") status=0

	[ -z "$runs" ] || limit=(-runs="$runs")
	[ ! -e "tests/fuzz/dict/$name" ] || limit+=(-dict="tests/fuzz/dict/$name")
	mkdir -p "$found" "$BUILD/crashes" "tests/fuzz/corpus/$name"
	nice -n 19 "$bin/fuzz_$name" "${limit[@]}" -max_len="$(max_len "$name")" -timeout=20 -rss_limit_mb=2048 \
		-print_final_stats=1 -verbosity="${FUZZ_VERBOSITY:-1}" -artifact_prefix="$BUILD/crashes/$name-" \
		"$found" "tests/fuzz/corpus/$name" >"$out" 2>&1 </dev/null || status=$?
	awk -v name="$name" -v status="$status" '
	/cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "ft:") ft = $(i + 1) } }
	/number_of_executed_units/ { runs = $2 }
	/average_exec_per_sec/ { speed = $2 }
	END { printf "%-14s %12d executions  %8d/s  cov %d ft %d  %s\n", name, runs, speed, cov, ft,
		status == 0 ? "ok" : status == 72 ? "interrupted" : "FAILED" }' "$out"
	if [ "$status" != 0 ] && [ "$status" != 72 ]; then
		failed=1
		grep -E 'ERROR:|SUMMARY:|does not hold|runtime error|Test unit written' "$out" | head -n 5 | sed 's/^/    /'
		echo "    all of it: $out"
	fi
}

targets=("$@")
if [ ${#targets[@]} = 0 ]; then
	for f in tests/fuzz/fuzz_*.c; do
		f=${f##*/fuzz_}
		targets+=("${f%.c}")
	done
fi
for t in "${targets[@]}"; do
	fuzz "$t"
done
exit $failed
