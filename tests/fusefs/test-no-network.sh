#!/bin/bash
# test-no-network.sh - the tree is answered from what rsiod knows, whatever the network does.
# time-limit: 90
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod rsconfig

write_server_conf "$W/srv" portals=2
make_volume "$W/srv" vol 16M
write_client_conf "$W/clt" "$W/srv"
printf '\n[defaults]\ndetect = 1\ngive-up = 600\n' >>"$W/clt/rscltcfg"
start_server "$W/srv"
start_client "$W/clt"
m=$W/clt/mnt
dd if=/dev/urandom of="$W/data" bs=1M count=16 status=none
dd if="$W/data" of="$m/osl/vol" bs=1M conv=notrunc,fsync status=none

look()		# all that may not wait; fails when one round takes a second
{
	# shellcheck disable=SC2016
	timeout 1 bash -c '
		cd "$1" && ls -lR . >/dev/null && stat -f . >/dev/null &&
		cat .rsio/status .rsio/metrics .rsio/log osl/.rsio/* >/dev/null &&
		exec 5<>osl/vol && stat -Lc %s /proc/self/fd/5 >/dev/null && : >osl/vol' look "$m"
}

for i in 1 2 3; do
	check "with the server there ($i)" look
done
dd if="$m/osl/vol" of="$W/copy" bs=64k iflag=direct status=none &
kill -STOP "$(server_pid "$W/srv")"
reader=$!
dd if="$m/osl/vol" of="$W/copy2" bs=64k status=none &
reader2=$!
down() { grep -qE '"paths_up": ?0' "$m/osl/.rsio/servers.json"; }
for i in $(seq 10); do
	check "while it does not answer ($i)" look
done
check "its silence is noticed" wait_for 5 down
check "then too" look
like "$(cat "$m/osl/.rsio/volumes")" 'vol .*waiting' "the volume is shown to wait"
check "rsconfig answers" timeout 5 "$BUILD/rsconfig" --run-dir "$W/clt/run" -q
kill_server "$W/srv"
for i in 1 2 3; do
	check "with the server dead ($i)" look
done
check "who reads waits still" kill -0 $reader2
start_server "$W/srv"
check "and goes on when it is back" wait_for 10 gone $reader2
wait_for 10 gone $reader
check "with what was written" cmp "$W/data" "$W/copy2"
check "the other reader too" cmp "$W/data" "$W/copy"

# The end does not need the network either.
kill -STOP "$(server_pid "$W/srv")"
p=$(client_pid "$W/clt")
kill -TERM "$p"
check "rsiod ends within seconds though the server hangs" wait_for 4 gone "$p"
kill -CONT "$(server_pid "$W/srv")"
check_fails 32 "and nothing is mounted" mountpoint -q "$m"
done_testing
