#!/bin/bash
# test-write-limit.sh - more is written than there is room for: who waits can be killed,
# names are answered until a write waits for room, and no write is lost or torn.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd python3
requires_program rssrv rsiod rsconfig

# Room for eight large requests; one is what /dev/fuse is read into.
export RSIO_TEST_WRITE_LIMIT=$((8 * (1048576 + 8192)))
fit=7
vol=vol$$
write_server_conf "$W/srv" client=node1 client=node2
make_volume "$W/srv" $vol 64M
write_client_conf "$W/clt" "$W/srv"
start_server "$W/srv"
start_client "$W/clt"
m=$W/clt/mnt
v=$m/osl/$vol
raw=$W/srv/pool/$vol.raw
server=$(server_pid "$W/srv")
dd if=/dev/urandom of="$W/data" bs=1M count=16 status=none

rsconfig() { timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }

# By the control socket: the tree may have to wait.
memory()	# MEMBER
{
	python3 - "$W/clt/run/rsiod.sock" "$1" <<-'END'
	import json, socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.connect(sys.argv[1])
	s.sendall(len(b'{"do":"status"}').to_bytes(4, "big") + b'{"do":"status"}')
	f = s.makefile("rb")
	answer = json.loads(f.read(int.from_bytes(f.read(4), "big")))
	print(answer["memory"][sys.argv[2]])
	END
}
in_hand() { [ "$(memory requests)" = "$1" ]; }
paused() { [ "$(memory paused)" -gt "$1" ]; }

# Mebibytes FIRST to LAST are written, each by a process; $pids.
start_writers()	# FIRST LAST
{
	local i

	for ((i = $1; i <= $2; i++)); do
		dd if="$W/data" of="$v" bs=1M count=1 skip=$i seek=$i conv=notrunc status=none 2>>"$W/dd.err" &
		pids+=($!)
	done
}

all_gone()	# PID...
{
	local p

	for p; do
		gone "$p" || return 1
	done
}

none_gone()	# PID...
{
	local p

	for p; do
		! gone "$p" || return 1
	done
}

reap()
{
	local p

	for p in "${pids[@]}"; do
		wait "$p" 2>/dev/null || true
	done
	pids=()
}

stop_it() { kill -STOP "$server"; }
go_on() { kill -CONT "$server" 2>/dev/null || true; }
cleanup_fn go_on

# All room is used up, and nothing waits for some.
pids=()
stop_it
start_writers 0 $((fit - 1))
check "as many writes as fit are taken" wait_for 5 in_hand $fit
check "names and attributes are answered" timeout 2 ls -l "$m/osl" "$m/.rsio"
check "and texts" timeout 2 grep -c . "$m/osl/.rsio/status"
is "$(memory paused)" 0 "since no write waits for room"

# One more than fits, and others behind it.
start_writers $fit 11
check "a further write waits for room" wait_for 5 paused 0
is "$(memory requests)" $fit "outside"
kill -KILL "${pids[@]}"
check "all who wait end within 2 s of being killed" try_for 2 all_gone "${pids[@]}"
is "$(memory interrupted)" $((fit + 1)) "those in hand, and the one that waited for room"
reap
check "names are answered again" timeout 2 ls -l "$m/osl"
go_on
check "what was under way ends" wait_for 20 in_hand 0

# Nothing is torn by waiting for room.
before=$(memory paused)
stop_it
start_writers 0 11
for i in 12 13 14 15; do
	dd if="$W/data" of="$v" bs=64K count=16 skip=$((16 * i)) seek=$((16 * i)) conv=notrunc status=none &
	pids+=($!)
done
check "writes wait again" wait_for 5 paused "$before"
kill -USR1 "${pids[0]}"	# dd's own: harmless
kill -WINCH "${pids[@]}"
sleep 0.3
check "a signal that does not kill ends nobody" none_gone "${pids[@]}"
go_on
check "they are written when the server answers" wait_for 20 all_gone "${pids[@]}"
reap
check "as they were meant" cmp -n 16777216 "$W/data" "$raw"
is "$(cat "$W/dd.err")" "" "without an error"
check "nothing is left in hand" wait_for 5 in_hand 0

# An administrator ends those too.
before=$(memory paused)
stop_it
start_writers 0 $fit
check "a write waits for room" wait_for 5 paused "$before"
check "-m fail" rsconfig -m fail osl:$vol
check "ends the one that waited for room too" wait_for 2 all_gone "${pids[@]}"
reap
is "$(grep -c 'Input/output error' "$W/dd.err")" $((fit + 1)) "with EIO"
go_on
check "what was under way ends" wait_for 20 in_hand 0

# A loop device's requests come from threads of the kernel: they wait, whatever becomes of those.
if losetup -f >/dev/null 2>&1; then
	detach() { rsconfig -d --force osl:$vol >/dev/null 2>&1 || true; }
	cleanup_fn detach
	check "attached" rsconfig -a osl:$vol
	before=$(memory paused)
	stop_it
	dd if="$W/data" of=/dev/av0/$vol bs=16M count=1 seek=1 oflag=direct status=none 2>"$W/dd.err" &
	pids=($!)
	check "a device's write waits for room" wait_for 5 paused "$before"
	sleep 0.5
	go_on
	check "and goes on" wait_for 20 all_gone "${pids[@]}"
	reap
	check "as it was meant" cmp -n 16777216 -i 0:16777216 "$W/data" "$raw"
	is "$(cat "$W/dd.err")" "" "without an error"
	check "detached" rsconfig -d osl:$vol
else
	ok "a block device # SKIP no loop devices"
fi

# What waits for room when give-up passes meets the volume's on-loss as those in hand do.
write_client_conf "$W/clt2" "$W/srv" node=node2
printf '[defaults]\ndetect = 0.5\ngive-up = 1\non-loss = read-only\n' >>"$W/clt2/rscltcfg"
start_client "$W/clt2"
v=$W/clt2/mnt/osl/$vol
exec 7<"$v"	# so that it is open at the server, and all in hand is under way
dd of=/dev/null bs=4k count=1 status=none <&7
stop_it
: >"$W/dd.err"
start_writers 0 $fit
check "after give-up nobody waits" wait_for 20 all_gone "${pids[@]}"
reap
is "$(grep -c 'Read-only file system' "$W/dd.err")" $((fit + 1)) "with on-loss = read-only all end with EROFS"
exec 7<&-
go_on
stop_client "$W/clt2"
v=$m/osl/$vol
check "the first client writes again" wait_for 20 dd if="$W/data" of="$v" bs=1M count=1 conv=notrunc status=none

# While a write waits the mount is taken away from outside: that is noticed.
before=$(memory paused)
stop_it
start_writers 0 $fit
wait_for 5 paused "$before"
minor=$(awk -v m="$m" '$5 == m { split($3, d, ":"); print d[2] }' /proc/self/mountinfo)
if unshare -m sh -c "mount -t fusectl none /sys/fs/fuse/connections &&
	echo 1 >/sys/fs/fuse/connections/$minor/abort" 2>"$W/abort.err"; then
	check "rsiod ends" wait_for 15 gone "$(client_pid "$W/clt")"
else
	ok "an aborted mount # SKIP $(tail -n 1 "$W/abort.err")"
	kill -KILL "${pids[@]}"
fi
go_on
reap
done_testing
