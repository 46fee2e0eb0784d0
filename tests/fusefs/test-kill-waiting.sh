#!/bin/bash
# test-kill-waiting.sh - who waits for a server that does not answer can be killed, and
# is woken by nothing less; what cannot be killed ends with rsconfig -m fail.
# time-limit: 120
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
# shellcheck source=tests/fusefs/recorder.sh
. "$TESTS_DIR/fusefs/recorder.sh"
requires_root
requires_fuse
requires_cmd fio
requires_program rsiod rsconfig tests/tools/waiter
start_recorder

waiter=$BUILD/tests/tools/waiter
declare -A asks=([read]=read [write]=write [fsync]=flush [punch]=discard)

offset=0

# Starts one that waits: its request has reached the server.  $pid.  Each at an offset
# of its own, since a write waits for an abandoned one that it overlaps.
start_waiter()	# OUT ARGS...
{
	local out=$1 n what
	shift
	what=${asks[${*: -1}]}
	n=$(count_commands "$what")
	offset=$((offset + 4096))
	"$waiter" -o $offset "$@" "$v" >"$out" 2>&1 &
	pid=$!
	wait_for 5 asked_for $((n + 1)) "$what"
}

ends_with()	# PID STATUS NAME: within a second
{
	local status=0

	if ! try_for 1 gone "$1"; then
		not_ok "$3"
		note "it is still there after a second"
		return
	fi
	wait "$1" 2>/dev/null || status=$?
	is $status "$2" "$3"
}

touch "$W/rec/hold"

# Killed by what kills.
for what in read write fsync punch; do
	start_waiter out "$what"
	kill -KILL $pid
	ends_with $pid 137 "SIGKILL ends who waits in $what"
done
for sig in HUP:1 TERM:15 QUIT:3 SEGV:11; do
	start_waiter out -d "${sig#*:}" read
	kill "-${sig%:*}" $pid
	ends_with $pid $((128 + ${sig#*:})) "SIG${sig%:*} ends who waits"
done

# A signal that does not kill comes first: FUSE says INTERRUPT once only.
start_waiter out -t -d 3 read
sleep 0.3
check "a timer's signal ends no read" kill -0 $pid
kill -QUIT $pid
ends_with $pid 131 "and SIGQUIT does after it"
start_waiter out -t write
sleep 0.3
kill -TERM $pid
ends_with $pid 143 "and SIGTERM"

# Harmless signals do no harm.  (One after the other: the kernel has a file's fsync wait for
# its writes.)
for what in "read 4096" "write 4096" "fsync 0" "punch 0"; do
	touch "$W/rec/hold"
	start_waiter out -t "${what% *}"
	kill -STOP $pid
	kill -CONT $pid
	kill -CHLD $pid
	kill -WINCH $pid
	sleep 0.3
	rm "$W/rec/hold"
	ends_with $pid 0 "${what% *} ends"
	is "$(tail -n 1 out)" "${what#* }" "${what% *} is not broken by signals"
done

# The tree is answered meanwhile.
touch "$W/rec/hold"
start_waiter out read
check "ls is answered while I/O waits" timeout 1 ls -l "$m/osl" "$m/.rsio"
check "so are the texts" timeout 1 cat "$m/osl/.rsio/status" "$m/.rsio/metrics"
check "and open, stat and statfs" timeout 1 sh -c "exec 5<'$v' && stat '$v' && stat -f '$v'"
kill -KILL $pid
ends_with $pid 137 "the reader is gone"

# A killed writer's data is not what a later one overwrites with: it waits for the first.
start_waiter out write
kill -KILL $pid
ends_with $pid 137 "a writer is killed"
"$waiter" -o $offset write "$v" >out.second 2>&1 &
second=$!
sleep 0.3
is "$(count_commands "write $offset 4096")" 1 "a write that overlaps its own is held"
rm "$W/rec/hold"
check "until that is done" wait_for 5 gone $second
is "$(tail -n 1 out.second)" 4096 "and goes out then"

# What the kernel does not let be interrupted.
fail_ends()	# NAME COMMAND...
{
	local name=$1 p n
	shift
	touch "$W/rec/hold"
	n=$(count_commands read)
	"$@" >out.fail 2>&1 &
	p=$!
	wait_for 5 asked_for $((n + 1)) read
	check "$name: -m fail" timeout 5 "$BUILD/rsconfig" --run-dir "$W/clt/run" -m fail osl:vol
	check "$name: its wait ends" wait_for 2 gone $p
	like "$(cat out.fail)" 'Input/output error|EIO' "$name: with EIO"
	rm "$W/rec/hold"
}
for engine in libaio io_uring; do
	if fio --name=try --ioengine=$engine --filename="$W/try" --size=4k --rw=write >/dev/null 2>&1; then
		fail_ends $engine fio --name=$engine --ioengine=$engine --direct=1 --iodepth=4 --rw=read \
			--bs=4k --size=64k --filename="$v"
	else
		ok "$engine # SKIP not here"
	fi
done
fail_ends psync "$waiter" read "$v" || true
if losetup -f >/dev/null 2>&1; then
	check "a block device is attached" timeout 10 "$BUILD/rsconfig" --run-dir "$W/clt/run" -a osl:vol
	dev=$(jq -r '.devices[0].block' "$m/.rsio/status.json")
	[ -b "$dev" ] || dev=$(jq -r '.devices[0].loop' "$m/.rsio/status.json")
	fail_ends loop dd if="$dev" of=/dev/null bs=4k count=1 skip=64 iflag=direct
	check "it is detached again" timeout 10 "$BUILD/rsconfig" --run-dir "$W/clt/run" -d osl:vol
else
	ok "a block device # SKIP no loop devices"
fi
check "all is well afterwards" dd if="$v" of=/dev/null bs=1M status=none
is "$(jq .memory.requests "$m/.rsio/status.json")" 0 "and no request is left in hand"
done_testing
