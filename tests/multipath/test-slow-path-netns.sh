#!/bin/bash
# A path at 4 Mbit/s carries writes of 1 MiB, for each of which it is silent longer than
# detect: it is neither suspected nor given up, alone or beside a fast one.  What is really
# silent is noticed as ever: a network, a link, a server that stands still.
# time-limit: 200
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd fio python3 tc
requires_program rssrv rsiod

lab_two_networks
for ns in "$srv_ns" "$clt_ns"; do
	nsenter --net="/run/netns/$ns" tc qdisc replace dev eth1 root tbf rate 4mbit burst 32k latency 200ms
done
write_server_conf "$W/srv" address=10.99.0.1 address=10.99.1.1
write_client_conf "$W/clt" "$W/srv" address=10.99.0.2 address=10.99.1.2
printf '[defaults]\npolicy = round-robin\n' >>"$W/clt/rscltcfg"
make_volume "$W/srv" data 64M
printf '\n[volume shared]\npath = %s\nshared = yes\nuuid = 5f0c6a1e-6f0f-4b43-9c0e-3a9d4c1f7b22\n' "$W/shared.raw" >>"$W/srv/rssrvcfg"
truncate -s 64M "$W/shared.raw"
NETNS=$srv_ns start_server "$W/srv"
NETNS=$clt_ns start_client "$W/clt"
vol=$W/clt/mnt/osl/data
check "both networks carry a path" wait_for 10 paths_are "$W/clt" 2

slow()	# EXPRESSION: true of the slow path, as p
{
	timeout 5 cat "$W/clt/mnt/osl/.rsio/paths.json" | python3 -c "
import json, sys
p = [p for p in json.load(sys.stdin) if p['interface'] == 'if1' and p['portal'] == '10.99.1.1'][0]
sys.exit(not ($1))"
}
big_writes()	# NAME
{
	run_traffic "$1" fio --name="$1" --filename="$vol" --rw=write --bs=1m --direct=1 --ioengine=libaio \
		--iodepth=4 --thread --size=64m --time_based --runtime=600 --fallocate=none --allow_file_create=0
}
never_late()	# so many MiB were written over the slow path, none of it in doubt
{
	local from

	from=$(written)
	wait_for 60 carried_more "$((from + ($1 << 20)))"
}
written() { timeout 5 cat "$W/clt/mnt/osl/.rsio/paths.json" |
	python3 -c 'import json, sys; print([p["write_bytes"] for p in json.load(sys.stdin) if p["portal"] == "10.99.1.1" and p["interface"] == "if1"][0])'; }
carried_more()
{
	! slow 'p["suspect"]' || doubts=$((doubts + 1))
	[ "$(written)" -ge "$1" ]
}
closed() { ! timeout 5 cat "$W/clt/mnt/osl/.rsio/volumes.json" | grep -q '"opens": [1-9]'; }

doubts=0
big_writes both
check "beside a fast path: 6 MiB of writes" never_late 6
is "$doubts" 0 "it was never suspected"
check "nor given up" slow 'p["state"] == "up" and not p["errors"]'

net_silent 1
check "its network falls silent: it is given up" wait_for 6 slow 'p["lost_reason"] and "while another" in p["lost_reason"]'
net_heard 1
check "and is back" wait_for 15 paths_are "$W/clt" 2
wait_for 20 carried_more $(($(written) + 1048576))
link_down 1
check "its link goes: it is given up" wait_for 3 slow 'p["state"] != "up"'
link_up 1
check "and is back" wait_for 15 paths_are "$W/clt" 2

link_down 0
check "the fast one is gone" wait_for 5 paths_are "$W/clt" 1
before=$(grep -c 'silent for' "$W/clt/rsiod.out" || true)
check "as the only path: 6 MiB of writes" never_late 6
is "$(grep -c 'silent for' "$W/clt/rsiod.out" || true)" "$before" "it was not given up"

# What the stopped server's kernel still takes is in front of the ping: four writes at most.
kill -STOP "$(server_pid "$W/srv")"
check "the server stands still: the path is given up" wait_for 20 paths_are "$W/clt" 0
kill -CONT "$(server_pid "$W/srv")"
check "and is back" wait_for 20 paths_are "$W/clt" 1
link_up 0
check "the fast one too" wait_for 15 paths_are "$W/clt" 2
drop_traffic both
check "the writer ends" wait_for 40 closed

# A server that shares the volume lets go of it when no ping comes back in time.  Behind
# megabytes that was so all the time; that the path is slow is learned once.
vol=$W/clt/mnt/osl/shared
link_down 0
wait_for 5 paths_are "$W/clt" 1
big_writes shared
before=$(grep -c 'does not know the session' "$W/clt/rsiod.out" || true)
check "a shared volume: 6 MiB of writes" never_late 6
anew=$(($(grep -c 'does not know the session' "$W/clt/rsiod.out" || true) - before))
check "the session was made anew $anew times, once at most" test "$anew" -le 1
drop_traffic shared
check "the writer ends" wait_for 40 closed
link_up 0
done_testing
