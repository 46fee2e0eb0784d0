#!/bin/bash
# Between a client and one of two servers of the same storage is a relay that holds back
# what the client sends, pings too.  The client goes on over the other server; what is
# delivered late must not land on the newer data.  The same with a server that is stopped
# meanwhile, for which I/O waits, and one that is killed, for which it does not.
# time-limit: 240
# long-time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/matrix.sh"
test_seed

# The first server listens on its host's loopback alone, so that nobody finds a way around
# the relay, which is on that host too.
matrix_hosts 2 2
truncate -s 4M "$W/data.raw"
write_server_conf "$W/s1" server=srv1 serverid=1 portals=2 client=node1 client=node2
write_server_conf "$W/s2" server=srv2 serverid=2 address=10.99.0.2 address=10.99.1.2 client=node1 client=node2
for i in 1 2; do
	printf '\n[volume data]\npath = %s\nshared = yes\n' "$W/data.raw" >>"$W/s$i/rssrvcfg"
	matrix_server $i
done
mkdir -p "$W/relayed"
: >"$W/relayed/portals"
ways=()
while read -r ns id server address port; do
	ways+=("10.99.${#ways[@]}.1:$port=$address:$port")
	echo "$ns $id $server ${ways[-1]%%:*} $port" >>"$W/relayed/portals"
done <"$W/s1/portals"
coproc RELAY { trap - EXIT; exec nsenter --net="/run/netns/${host_ns[s1]}" \
	python3 "$TESTS_DIR/peer/holdback.py" "${ways[@]}" 2>"$W/relay.err"; }
# shellcheck disable=SC2153
relay_pid=$RELAY_PID
exec {said}<&"${RELAY[0]}" {tell}>&"${RELAY[1]}"
cleanup_fn end_process "$relay_pid"
read -rt 10 line <&"$said"
is "$line" ready "the relay listens"

write_client_conf "$W/c1" "$W/relayed" "$W/s2" node=node1
write_client_conf "$W/c2" "$W/s2" node=node2
for c in c1 c2; do
	printf '[defaults]\npolicy = round-robin\nretry = 100ms\ndetect = 3s\nprobation = 0\n' >>"$W/$c/rscltcfg"
	NETNS=${host_ns[$c]} start_client "$W/$c"
done
vol=$W/c1/mnt/osl/data other=$W/c2/mnt/osl/data
check "both servers have two paths" wait_for 10 paths_are "$W/c1" 4

relay()		# WORD: prints what it has to say
{
	echo "$1" >&"$tell"
	read -rt 60 line <&"$said"
}

# Nobody writes any more: what lands now stays, and is found.
released()	# WHAT
{
	end_stamp data
	relay release
	note "$line bytes"
	held=$((held + ${line#released }))
	verified data "$W/data.raw" "$1: nothing has landed" --buffered
	check "$1: all paths are back" wait_for 20 paths_are "$W/c1" 4
	verified data "$W/data.raw" "$1: nor has it then" --buffered
	verified data "$other" "$1: and so the other client reads it"
}

# Each block is written again, several times.
all_anew() { goes_on_by 3000 "$@"; }	# TEXT SECONDS
goes_on_by()	# WRITES TEXT SECONDS
{
	local before
	before=$(acknowledged data)
	check "$2" wait_for "$3" acknowledged_more data $((before + $1))
}
load()
{
	start_stamp data "$vol" --blocks 1024 --jobs 64 --seed $((${RSIO_SEED:-1} + round))
	is_used 1 1
	sleep_up_to 300
}

held=0
for ((round = 1; round <= $(sample_or_all 1 10); round++)); do
	load
	relay hold
	all_anew "held back $round: all is written anew over the other" 40
	released "held back $round"
done

for ((round = 1; round <= $(sample_or_all 1 5); round++)); do
	load
	relay hold
	kill -STOP "$(server_pid "$W/s1")"
	check "stopped $round: the paths to that server are given up" wait_for 15 paths_are "$W/c1" 2
	check "stopped $round: I/O waits" wait_for 15 stands_still data
	sleep 2
	check "stopped $round: longer than its lease" stands_still data
	is "$(paths_up "$W/c1")" 2 "stopped $round: though the other server is there"
	kill -CONT "$(server_pid "$W/s1")"
	all_anew "stopped $round: when it goes on all is written anew over the other" 30
	released "stopped $round"
done

for ((round = 1; round <= $(sample_or_all 1 5); round++)); do
	load
	relay hold
	kill_server "$W/s1"
	all_anew "killed $round: I/O does not wait for it" 30
	check "killed $round: its paths are down" wait_for 10 paths_are "$W/c1" 2
	matrix_server 1
	released "killed $round"
done
check "something was held back" test "$held" -gt 65536
is "$(cat "$W/relay.err")" "" "the relay itself is well"
echo quit >&"$tell"
check "and ends" wait_for 5 gone "$relay_pid"
exec {tell}>&- {said}<&-
done_testing
