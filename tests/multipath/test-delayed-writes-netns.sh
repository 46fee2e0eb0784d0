#!/bin/bash
# Writes that the network holds back while newer ones are acknowledged over the other
# path, and then delivers: they must not land.  Only one direction is held back: a
# late reply would end the client's old connection before it could deliver anything.
# time-limit: 180
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd python3 ss
requires_program rssrv rsiod

lab_two_networks
write_server_conf "$W/srv" address=10.99.0.1 address=10.99.1.1
write_client_conf "$W/clt" "$W/srv" address=10.99.0.2 address=10.99.1.2
make_volume "$W/srv" data 2M
NETNS=$srv_ns start_server "$W/srv"
NETNS=$clt_ns start_client "$W/clt"
vol=$W/clt/mnt/osl/data
raw=$W/srv/pool/data.raw
check "both networks carry a path" wait_for 10 paths_are "$W/clt" 2

# Somebody has it open all the time: without a handle late writes would be refused anyway.
exec {held_open}<"$vol"

# What the client's kernel has not got rid of: data of connections that were closed.
nothing_on_its_way()
{
	[ -z "$(nsenter --net="/run/netns/$clt_ns" ss -Htn state fin-wait-1 state closing state last-ack)" ]
}
held_back()
{
	nsenter --net="/run/netns/$clt_ns" ss -Htn state fin-wait-1 | awk '$2 > 0 { n += $2 } END { print n + 0 }'
}

total=0
for round in 1 2 3 4; do
	n=$((round % 2))
	start_stamp data "$vol" --blocks 512 --jobs 64 --seed $((${RSIO_SEED:-1} + round))
	net_mute $n
	check "round $round: the path over network $n is given up" wait_for 15 paths_are "$W/clt" 1
	goes_on data "round $round: all blocks are written again over the other" 10
	end_stamp data
	verified data "$raw" "round $round: what was acknowledged is there" --buffered
	held=$(held_back)
	total=$((total + held))
	net_unmute $n
	check "round $round: what was held back ($held bytes) is delivered or refused" \
		wait_for 40 nothing_on_its_way
	check "round $round: the path is back" wait_for 15 paths_are "$W/clt" 2
	verified data "$raw" "round $round: nothing of it has landed" --buffered
done
exec {held_open}<&-
check "something was held back" test "$total" -gt 4096
verified data "$vol" "and so it reads through the mount"
done_testing
