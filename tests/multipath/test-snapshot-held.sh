#!/bin/bash
# A snapshot for which writes are held for longer than detect, since one of them hangs in the
# kernel: it is given up at its limit, no path is taken for a failed one, reads and other volumes
# go on, a path that goes meanwhile is made good by the other one, and nothing is lost.
# time-limit: 120
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd strace python3 jq
requires_program rssrv rsiod rsvol rsconfig
test_seed

write_server_conf "$W/srv" portals=2
write_client_conf "$W/clt" "$W/srv"
printf '[defaults]\ndetect = 500ms\n' >>"$W/clt/rscltcfg"
make_volume "$W/srv" held 8M
make_volume "$W/srv" other 2M
make_volume "$W/srv" quick 2M
start_server "$W/srv"
start_client "$W/clt"
vol=$W/clt/mnt/osl pool=$W/srv/pool
rsvol() { timeout -k 1 60 "$BUILD/rsvol" --run-dir "$W/clt/run" "$@" 2>&1; }
check "both portals carry a path" wait_for 10 paths_are "$W/clt" 2
path=$(timeout 5 jq -r '.[0].name' "$W/clt/mnt/osl/.rsio/paths.json")

start_stamp held "$vol/held" --blocks 2048 --jobs 16 --flush-every 50
start_stamp other "$vol/other" --blocks 512 --jobs 4 --flush-every 50
start_stamp quick "$vol/quick" --blocks 512 --jobs 4 --flush-every 50
check "a snapshot of both under load" rsvol snapshot osl:held osl:other --name first --hold 10s

# Each thread's next write to that file takes a minute.
strace -qq -o /dev/null -e trace=write -e inject=write:delay_enter=1000 true 2>/dev/null || skip "strace cannot trace here"
run_traffic hang strace -f -qq -o /dev/null -P "$pool/held.raw" -e trace=pwrite64,pwritev2 \
	-e inject=pwrite64,pwritev2:delay_enter=60000000:when=1 -p "$(server_pid "$W/srv")"
check "what is written to one of them hangs" wait_for 10 stands_still held
given_up()	# HOW
{
	local status=0
	wait $snapshot || status=$?
	check "$1: the snapshot is given up" test $status != 0
	like "$(cat "$W/never.out")" "held for longer than 4 s" "$1: with the reason"
}
before=$(acknowledged quick)
rsvol snapshot osl:held osl:other --name never --hold 4s >"$W/never.out" &
snapshot=$!
check "the other one waits with it" wait_for 10 stands_still other
given_up "longer than detect"
is "$(grep -c 'silent for' "$W/clt/rsiod.out" || true)" 0 "no path was taken for a failed one"
goes_on other "the other one goes on"

rsvol snapshot osl:held osl:other --name never --hold 4s >"$W/never.out" &
snapshot=$!
check "it waits again" wait_for 10 stands_still other
# What it says of the longest wait is about the one that hangs.
"$BUILD/rsconfig" --run-dir "$W/clt/run" -m drill "$path" --for 1s >"$W/drill.out" 2>&1 || true
given_up "without a path"
check "a third one did all the time" acknowledged_more quick "$((before + 100))"
kill "${traffic_pid[hang]}"
goes_on held "the first one goes on when it can" 20
goes_on other "and the other one, some of whose writes waited for the lost path's fence" 20
check "the same snapshot is taken then" rsvol snapshot osl:held osl:other --name never --hold 10s
for n in held other quick; do
	end_stamp $n
done
check "both portals carry a path again" wait_for 20 paths_are "$W/clt" 2
for n in held other quick; do
	verified $n "$pool/$n.raw" "the server's file of $n has what was acknowledged" --buffered
done
done_testing
