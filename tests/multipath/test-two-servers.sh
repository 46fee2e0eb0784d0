#!/bin/bash
# Two servers offer one volume on storage that both reach: one device.  A server that is
# killed loses nothing, and I/O goes on over the other; one that is stopped keeps what it was
# doing until it is killed or goes on; and a block is never older than it was.
# time-limit: 120
# long-time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd python3 jq
requires_program rssrv rsiod rsconfig
test_seed
rounds=$(sample_or_all 1 6)

mkdir "$W/store"
truncate -s 8M "$W/store/data.raw"
for n in 1 2; do
	write_server_conf "$W/s$n" portals=2 server=srv$n serverid=$n client=node1 client=node2
	printf '\n[volume data]\npath = %s\nshared = yes\n' "$W/store/data.raw" >>"$W/s$n/rssrvcfg"
	start_server "$W/s$n"
done
for c in 1 2; do
	write_client_conf "$W/c$c" "$W/s1" "$W/s2" node=node$c
	printf '[defaults]\npolicy = fail-over\nretry = 100ms\n' >>"$W/c$c/rscltcfg"
	start_client "$W/c$c"
done

servers_are()	# CLIENT N: that offer the volume
{
	[ "$("$BUILD/rsconfig" -q --run-dir "$W/c$1/run" --json | python3 -c '
import json, sys
print([v["servers"] for n in json.load(sys.stdin)["namespaces"] for v in n["volumes"]])')" = "[$2]" ]
}
check "it is one volume, of two servers" wait_for 10 servers_are 1 2
check "for the other client too" wait_for 10 servers_are 2 2

start_stamp data "$W/c1/mnt/osl/data" --blocks 2048 --jobs 32 --flush-every 50
run_traffic reader "$stamp" verify "$W/c2/mnt/osl/data" "$W/data.log" --seconds 1000
goes_on data "writes are under way" 20

# A rehearsal, longer than srv1's lease: it lets go, and srv2 takes over.
drill=$("$BUILD/rsconfig" -m drill srv1 --for 7 --json --run-dir "$W/c1/run") || note "$drill"
check "a drill with srv1 passes: srv2 took over" jq -e '.passed and .servers and .limit == 5' <<<"$drill"
check "not before srv1 had let go" jq -e '.volumes[0].longest > 2' <<<"$drill"
note "longest wait in the drill: $(jq '.volumes[0].longest' <<<"$drill") s"
goes_on data "and goes on"

for ((i = 1; i <= rounds; i++)); do
	kill_server "$W/s1"
	goes_on data "round $i: srv1 is killed, and I/O goes on over srv2" 20
	start_server "$W/s1"
	check "round $i: srv1 is back" wait_for 20 servers_are 1 2
	goes_on data "round $i: I/O goes on" 20

	kill -STOP "$(server_pid "$W/s1")"
	sleep 2.5	# longer than the client believes in it, shorter than its lease
	sleep_up_to 1000
	kill -CONT "$(server_pid "$W/s1")"
	goes_on data "round $i: srv1 stood still and goes on" 30

	kill -STOP "$(server_pid "$W/s1")"
	check "round $i: srv1 stands still, and the client says what it waits for" wait_for 30 \
		grep -q 'writes wait for srv1' "$W/c1/rsiod.out"
	kill_server "$W/s1"
	goes_on data "round $i: killed, it lets go" 20
	: >"$W/c1/rsiod.out"
	start_server "$W/s1"
	check "round $i: srv1 is back again" wait_for 20 servers_are 1 2
done

end_stamp reader
end_stamp data
verified data "$W/store/data.raw" "the storage has what was acknowledged" --buffered
verified data "$W/c2/mnt/osl/data" "and so it reads for the other client"

# A client that was killed, while a server that may still write for it stands still.
dd if=/dev/zero of="$W/c1/mnt/osl/data" bs=4k count=1 oflag=direct conv=notrunc status=none
kill -STOP "$(server_pid "$W/s1")"
kill_client "$W/c1"
check "the client's tree goes" wait_for 10 test ! -e "$W/c1/mnt/osl"
start_client "$W/c1"
volume() { jq -r '.volumes[0] | "\(.state), \(.waits_for)"' "$W/c1/mnt/osl/.rsio/status.json"; }
volume_is() { volume | grep -q "^$1"; }
dd if="$W/c1/mnt/osl/data" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null &
reader=$!
check "its next run waits, and says for what" wait_for 20 volume_is 'waiting, a server has it open for an earlier run'
kill -KILL $reader
check "with nobody who wants it nothing waits" wait_for 10 volume_is 'ready, null'
kill_server "$W/s1"
check "when that server has ended it is read" timeout 20 \
	dd if="$W/c1/mnt/osl/data" of=/dev/null bs=4k count=1 iflag=direct status=none
done_testing
