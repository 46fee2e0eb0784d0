#!/bin/bash
# Two hosts, two networks: each is taken away, seen and unseen, then both, while fio
# verifies and stamped blocks are checked from the other side.
# time-limit: 240
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd fio python3
requires_program rssrv rsiod

lab_two_networks
write_server_conf "$W/srv" address=10.99.0.1 address=10.99.1.1
write_client_conf "$W/clt" "$W/srv" address=10.99.0.2 address=10.99.1.2
make_volume "$W/srv" data 8M
make_volume "$W/srv" fio 32M
NETNS=$srv_ns start_server "$W/srv"
NETNS=$clt_ns start_client "$W/clt"
vol=$W/clt/mnt/osl
raw=$W/srv/pool
check "both networks carry a path" wait_for 10 paths_are "$W/clt" 2

export TRAFFIC_SECONDS=90
start_stamp data "$vol/data" --blocks 2048 --jobs 8
start_fio fio "$vol/fio" 60
goes_on data "writes go on"
verified data "$raw/data.raw" "what was acknowledged is in the server's file" --buffered --seconds 2

for n in 0 1; do
	link_down $n
	goes_on data "network $n has no link: writes go on" 5
	check "and its path is known to be down" wait_for 5 paths_are "$W/clt" 1
	verified data "$raw/data.raw" "nothing is lost, old or torn" --buffered --seconds 1
	link_up $n
	check "network $n is back: so is its path" wait_for 10 paths_are "$W/clt" 2
done

for n in 0 1; do
	net_silent $n
	check "network $n is silent: its path is given up" wait_for 15 paths_are "$W/clt" 1
	goes_on data "and writes go on" 5
	verified data "$raw/data.raw" "nothing is lost, old or torn" --buffered --seconds 1
	net_heard $n
	check "network $n is heard again: its path is back" wait_for 15 paths_are "$W/clt" 2
done

# One dies unseen while the other comes back: no moment with both.
net_silent 0
wait_for 15 paths_are "$W/clt" 1 || true
net_silent 1
net_heard 0
goes_on data "the networks change places: writes go on" 20
net_heard 1
check "both are back" wait_for 15 paths_are "$W/clt" 2

net_silent 0
net_silent 1
check "both are silent: no path is left" wait_for 15 paths_are "$W/clt" 0
check "and nothing is acknowledged" stands_still data
verified data "$raw/data.raw" "nothing is lost, old or torn" --buffered
net_heard 1
goes_on data "one comes back: writes go on" 20
net_heard 0
check "both are back" wait_for 15 paths_are "$W/clt" 2

link_down 0
link_down 1
check "both have no link: no path is left" wait_for 10 paths_are "$W/clt" 0
link_up 0
link_up 1
goes_on data "both links come back: writes go on" 20

# Flapping, faster than a path can be made again.
for i in 1 2 3 4 5 6; do
	link_down $((i % 2))
	sleep 0.3
	link_up $((i % 2))
done
goes_on data "after flapping writes go on" 20
check "both are back" wait_for 15 paths_are "$W/clt" 2

end_traffic fio
end_stamp data
verified data "$raw/data.raw" "the server's file has what was acknowledged" --buffered
verified data "$vol/data" "and so it reads through the mount"
is "$(grep -c 'protocol error' "$W/clt/rsiod.out")" 0 "the client never met a protocol error"
done_testing
