#!/bin/bash
# test-give-up.sh - no path is left: I/O waits until give-up, then each volume does what
# its on-loss says, and what it does once the server is back.
# time-limit: 90
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod

write_server_conf "$W/srv" portals=2
for v in fails refuses waits; do make_volume "$W/srv" $v 4M; done
write_client_conf "$W/clt" "$W/srv"
cat >>"$W/clt/rscltcfg" <<'EOT'

[defaults]
detect = 0.2
retry = 0.05
give-up = 8

[volume osl:refuses]
on-loss = read-only

[volume osl:waits]
on-loss = queue
EOT
start_server "$W/srv"
start_client "$W/clt"
osl=$W/clt/mnt/osl
head -c 64k /dev/zero | tr '\0' o >"$W/old"
head -c 64k /dev/zero | tr '\0' n >"$W/new"
state() { awk -v n="$1" '$2 == n { print $0 }' "$osl/.rsio/volumes"; }
is_in_state() { state "$1" | grep -q "$2"; }
for v in fails refuses waits; do dd if="$W/old" of="$osl/$v" bs=64k conv=notrunc,fsync status=none; done
# Somebody has them open all the time.
exec {f}<"$osl/fails" {s}<"$osl/refuses" {w}<"$osl/waits"

kill_server "$W/srv"
declare -A pid=()
begin()		# NAME COMMAND...: in the background
{
	local name=$1
	shift
	timeout 60 "$@" >"$W/$name.out" 2>&1 &
	pid[$name]=$!
}
ended_with()	# NAME STATUS TEXT
{
	local status=0

	if ! wait_for 20 gone "${pid[$1]}"; then
		not_ok "$3"
		return
	fi
	wait "${pid[$1]}" || status=$?
	is "$status" "$2" "$3"
}
for v in fails refuses waits; do
	begin "read-$v" dd if="$osl/$v" of="$W/copy-$v" bs=64k count=1 iflag=direct
	begin "write-$v" dd if="$W/new" of="$osl/$v" bs=64k conv=notrunc seek=1 oflag=direct
done
all_wait()
{
	is_in_state fails "waiting, gives up in [0-8] s" && is_in_state refuses "waiting, gives up in [0-8] s" &&
		is_in_state waits waiting
}
check "at first all of them wait" wait_for 10 all_wait

declare -A why=([fails]="Input/output error" [refuses]="Read-only file system")
for v in fails refuses; do
	ended_with read-$v 1 "$v: after give-up the read ends"
	like "$(cat "$W/read-$v.out")" "Input/output error" "$v: with EIO"
	ended_with write-$v 1 "$v: so does the write"
	like "$(cat "$W/write-$v.out")" "${why[$v]}" "$v: with ${why[$v]}"
done
check "the volume's state says so" is_in_state fails lost
check_fails 1 "who comes now does not wait" timeout 20 dd if="$osl/fails" of=/dev/null bs=4k count=1
check "but with on-loss = queue the read waits" kill -0 "${pid[read-waits]}"
check "and the write" kill -0 "${pid[write-waits]}"

start_server "$W/srv"
ended_with read-waits 0 "queue: the read goes on when the server is back"
ended_with write-waits 0 "and the write"
check "with the data" cmp "$W/copy-waits" "$W/old"
check "that is there" cmp -n 65536 -i 65536:0 "$osl/waits" "$W/new"
is_back() { dd if="$osl/fails" of=/dev/null bs=4k count=1 status=none 2>/dev/null; }
check "fail: reads go on" wait_for 10 is_back
check "and writes" dd if="$W/new" of="$osl/fails" bs=64k conv=notrunc,fsync status=none
check "read-only: reads go on" cmp -n 65536 "$osl/refuses" "$W/old"
like "$(dd if="$W/new" of="$osl/refuses" bs=64k conv=notrunc 2>&1 || true)" "Read-only file system" "writes are refused"
exec {s}<&-
opens() { dd if="$W/new" of="$osl/refuses" bs=64k conv=notrunc,fsync status=none 2>/dev/null; }
check "until nobody has it open any more" wait_for 5 opens
exec {f}<&- {w}<&-
done_testing
