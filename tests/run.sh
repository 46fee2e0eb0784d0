#!/bin/bash
# run.sh [--long] [--valgrind] [PATTERN...]: runs the tests that are built and
# the scenario scripts, two at a time, and ends with one line:
#   N passed, N failed, N skipped
# A PATTERN is a test's name, a part of names, or a glob: unit/test_ctl, log, agent/*.
# $BUILD says which build (default build); JOBS=1 runs one after another;
# KEEP=1 keeps the tests' directories; $RSIO_SEED chooses what is tried at random.
# tests/README.md has the rest.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
TOP=$PWD
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$TOP/$BUILD ;; esac
export BUILD
JOBS=${JOBS:-2}
long='' valgrind='' patterns=()
unset RSIO_LONG
for arg; do
	case $arg in
	--long) long=yes RSIO_LONG=yes ;;
	--valgrind) valgrind=yes ;;
	-*)
		echo "usage: tests/run.sh [--long] [--valgrind] [PATTERN...]" >&2
		exit 2
		;;
	*) patterns+=("$arg") ;;
	esac
done
[ -z "$long" ] || export RSIO_LONG

out=$BUILD/test-output
rm -rf "$out"
mkdir -p "$out"

# How many times slower all is than with the ordinary build: limits and waits
# grow with it, and what is only done often is done less often.
slow=1
case $(cat "$BUILD/.flags" 2>/dev/null) in
*-fsanitize=thread*) slow=5 ;;
*-fsanitize=address*) slow=3 ;;
esac
[ -z "$valgrind" ] || slow=10

# The place in a test's file where it says things about itself.
says()		# FILE KEY: the value, or nothing
{
	sed -n "1,25s/^[ #/*]*$2: *\([a-z0-9]*\).*/\1/p" "$1" | head -n 1
}

# Emulated machines are not everybody's: only where they are named.
vm=''
for p in "${patterns[@]}"; do
	[[ $p != vm/* ]] || vm=vm
done

# "NAME FILE COMMAND" a line.
all_tests()
{
	local f name

	for f in tests/unit/test_*.c; do
		name=$(basename "$f" .c)
		[ -e "$f" ] && echo "unit/$name $f $BUILD/tests/$name"
	done
	for f in tests/{docs,ops,wizard,agent,fusefs,multipath,deploy,fuzz,$vm}/test-*.sh; do
		[ -z "$valgrind" ] || [[ $f == tests/ops/* ]] || continue
		[ -e "$f" ] && echo "${f#tests/} $f $TOP/$f"
	done
}

selected()	# NAME
{
	local p

	[ ${#patterns[@]} -gt 0 ] || return 0
	for p in "${patterns[@]}"; do
		# A whole name is that test alone, though others begin with it.
		if [[ $names == *" $p "* ]]; then
			[ "$1" = "$p" ] && return 0
			continue
		fi
		# shellcheck disable=SC2053  # a glob is what is meant
		[[ $1 == *"$p"* || $1 == $p ]] && return 0
	done
	return 1
}

# Counts from the output of a cmocka program or a TAP script: three numbers.
count()		# LOG STATUS
{
	awk -v status="$2" '
	/^\[  PASSED  \] [0-9]+ test/ { passed += $4; said = 1 }
	/^\[  FAILED  \] [0-9]+ test/ { failed += $4; said = 1 }
	/^\[  SKIPPED \] [0-9]+ test/ { skipped += $4; said = 1 }
	/^ok [0-9]+ .*# SKIP/ { skipped++; said = 1; next }
	/^ok [0-9]+( |$)/ { passed++; said = 1 }
	/^not ok [0-9]+( |$)/ { failed++; said = 1 }
	END {
		if (status == 77) { passed = failed = 0; skipped = 1 }
		else if (status == 0 && !said) passed = 1
		else if (status != 0 && !failed) failed = 1
		printf "%d %d %d\n", passed, failed, skipped
	}' "$1"
}

reason()	# LOG: why it was skipped
{
	local r

	r=$(sed -n 's/^1\.\.0 # SKIP *//p; s/^skip: *//p' "$1" | head -n 1)
	echo "${r:-it does not say why}"
}

# What a sanitizer has to say goes to files in the test's directory, so that it
# is seen whoever it is about: a daemon that is killed afterwards, a tool whose
# output is not looked at.  Any user may write there.
sanitizers_write_to()	# DIR
{
	local to=log_path=$1/report quiet=suppressions=$TOP/tests/lsan.supp:print_suppressions=0

	mkdir "$1"
	chmod 1777 "$1"
	export ASAN_OPTIONS=$to:${ASAN_OPTIONS:-} LSAN_OPTIONS=$to:$quiet:${LSAN_OPTIONS:-}
	export UBSAN_OPTIONS=$to:print_stacktrace=1:${UBSAN_OPTIONS:-}
	export TSAN_OPTIONS=$to:history_size=4:${TSAN_OPTIONS:-}
}

# A build whose tools run under valgrind when a scenario calls them; the daemons
# and what only tests use are as they are.  Reports go to the test's directory.
memcheck=(valgrind -q --leak-check=full --error-exitcode=99 "--suppressions=$TOP/tests/valgrind.supp")
make_valgrind_build()	# DIR
{
	local f

	mkdir -p "$1"
	ln -sfn "$BUILD"/* "$1/"
	for f in ops/rs*.c; do
		f=$(basename "$f" .c)
		[ -x "$BUILD/$f" ] || continue
		rm -f "$1/$f"
		# shellcheck disable=SC2016  # it is the tool's to expand
		printf '#!/bin/sh\nTMPDIR=$RSIO_TEST_DIR/.sanitizer exec %s --log-file="$RSIO_TEST_DIR/.sanitizer/report.%%p" %s "$@"\n' \
			"${memcheck[*]@Q}" "${BUILD@Q}/$f" >"$1/$f"
		chmod +x "$1/$f"
	done
}
[ -z "$valgrind" ] || make_valgrind_build "$out/tools"

# Runs one test with its limit, in its directory.  The limit here is the last
# resort: a script that uses functions.sh ends itself before.
run_one()	# NAME FILE COMMAND SLOT
{
	local name=$1 file=$2 log=$out/${1//\//-}.log dir status=0 limit start=$SECONDS left said
	local command=("$3")

	dir=$(mktemp -d /tmp/rsio-test-XXXXXX)
	chmod 755 "$dir"
	limit=${long:+$(says "$file" long-time-limit)}
	limit=${limit:-$(says "$file" time-limit)}
	limit=$((${limit:-120} * slow))
	[ $slow = 1 ] || export RSIO_SLOW=$slow
	if [ -n "$valgrind" ] && [[ $file == *.sh ]]; then
		local -x BUILD=$out/tools
	elif [ -n "$valgrind" ]; then
		command=("${memcheck[@]}" --child-silent-after-fork=yes "$3")
	fi
	(
		cd "$dir" || exit 1
		export RSIO_TEST_DIR=$dir TIME_LIMIT=$limit PORT_BASE=$((16000 + 4000 * $4))
		sanitizers_write_to "$dir/.sanitizer"
		export TMPDIR=$dir MALLOC_PERTURB_=$((RSIO_SEED % 255 + 1))
		exec timeout -k 15 $((limit + 30)) "${command[@]}"
	) >"$log" 2>&1 </dev/null || status=$?
	left=$(tests/sweep.sh "$dir")
	# Lines with dashes: valgrind about itself, a system call that it does not know.
	said=$(find "$dir/.sanitizer" -name 'report.*' -exec grep -hv '^--[0-9]*-- ' {} +)
	if [ -n "$said" ]; then
		printf 'not ok 9998 - no sanitizer has anything to say\n%s\n' "$said" >>"$log"
		[ $status != 0 ] || status=1
	fi
	if [ -n "$left" ]; then
		printf 'not ok 9999 - nothing is left behind\n%s\n' "$left" >>"$log"
		[ $status != 0 ] || status=1
	fi
	case $status in
	124 | 137) echo "run.sh: ended after $((limit + 30)) s" >>"$log" ;;
	esac
	[ -n "${KEEP:-}" ] || rm -rf --one-file-system "$dir"
	echo "$status $((SECONDS - start)) $(count "$log" "$status")" >"$log.result"
}

# The command that runs one test as it was run now.
again()		# NAME
{
	[ "$BUILD" = "$TOP/build" ] || printf 'BUILD=%q ' "${BUILD#"$TOP/"}"
	echo "RSIO_SEED=$RSIO_SEED tests/run.sh ${long:+--long }${valgrind:+--valgrind }$1"
}

report()	# NAME
{
	local name=$1 log=$out/${1//\//-}.log status seconds p f s

	read -r status seconds p f s <"$log.result" || status=1 seconds=0 p=0 f=1 s=0
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [ "$f" != 0 ] || { [ "$status" != 0 ] && [ "$status" != 77 ]; }; then
		echo "FAILED   $name: $f of $((p + f)), status $status, $seconds s"
		tail -n "${TAIL:-40}" "$log" | sed 's/^/         | /'
		echo "         all of it: $log"
		echo "         alone: $(again "$name")"
	elif [ "$status" = 77 ]; then
		echo "SKIPPED  $name: $(reason "$log")"
	else
		echo "passed   $name: $p, $seconds s"
		[ -z "$long" ] || sed -n 's/^# | /         | /p' "$log"	# a table of what it measured
		[ "$s" = 0 ] || grep -E '^ok .*# SKIP|^\[  SKIPPED \] [a-z_]+$' "$log" | sort -u |
			sed 's/^/SKIPPED  in it: /'
	fi
}

passed=0 failed=0 skipped=0
declare -A running=() slot_of=()
slots=()
for ((i = 0; i < JOBS; i++)); do slots+=("$i"); done

collect()	# waits for one that ends
{
	local pid=

	wait -n -p pid "${!running[@]}"
	[ -n "$pid" ] || return
	report "${running[$pid]}"
	slots+=("${slot_of[$pid]}")
	unset "running[$pid]" "slot_of[$pid]"
}

# Whoever interrupts this means the tests too.
stop_all()
{
	local pid

	trap - INT TERM
	for pid in "${!running[@]}"; do
		pkill -TERM -P "$pid"
	done
	wait
	echo "interrupted"
	exit 130
}
trap stop_all INT TERM

# Each commit tries other cases, and all who test that commit the same ones.
if [ -z "${RSIO_SEED:-}" ]; then
	commit=$(git -c safe.directory='*' rev-parse -q --verify HEAD 2>/dev/null) || commit=1
	RSIO_SEED=$((16#${commit:0:7}))
fi
case $RSIO_SEED in
*[!0-9]* | ??????????*)
	echo "RSIO_SEED is a number of up to nine digits, not $RSIO_SEED" >&2
	exit 2
	;;
esac
export RSIO_SEED=$((10#$RSIO_SEED))
echo "RSIO_SEED=$RSIO_SEED"

names=" $(all_tests | cut -d' ' -f1 | tr '\n' ' ')"
started=0 left_out=0
while read -r name file command; do
	selected "$name" || continue
	if [ -z "$long" ] && [ "$(says "$file" long)" = yes ]; then
		left_out=$((left_out + 1))
		continue
	fi
	[ ${#slots[@]} -gt 0 ] || collect
	slot=${slots[0]}
	slots=("${slots[@]:1}")
	run_one "$name" "$file" "$command" "$slot" &
	running[$!]=$name
	slot_of[$!]=$slot
	started=$((started + 1))
done < <(all_tests)
while [ ${#running[@]} -gt 0 ]; do
	collect
done
if [ $started = 0 ] && [ $left_out -gt 0 ]; then
	echo "only with --long: ${patterns[*]}" >&2
elif [ $started = 0 ]; then
	echo "no test is called that: ${patterns[*]}" >&2
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $started -gt 0 ]
