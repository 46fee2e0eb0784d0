#!/bin/bash
# test-unequal-netns.sh - two networks, one four times as fast as the other: the policy
# adaptive carries the sum of both when there is much to carry, and leaves the slow one
# alone when there is little.  Round-robin is measured beside it.
# long: yes
# time-limit: 180
# shellcheck source=tests/multipath/lab.sh
. "$(dirname "$0")/lab.sh"
requires_program rssrv rsbench
for tool in tc jq; do command -v $tool >/dev/null || skip "needs $tool"; done

lab_two_networks
for n in 0 1; do
	rate=$((400 - 300 * n))mbit
	for ns in "$srv_ns" "$clt_ns"; do
		nsenter --net="/run/netns/$ns" tc qdisc replace dev eth$n root tbf rate $rate burst 128k latency 50ms
	done
done
mkdir -p "$W/srv/pool" "$W/clt/run"
truncate -s 1G "$W/srv/pool/vol.raw"
cat >"$W/srv/rssrvcfg" <<TXT
[namespace osl]
namespaceid = 0
[server srv]
serverid = 0
[interface if0]
address = 10.99.0.1
[interface if1]
address = 10.99.1.1
[clients]
clt $TEST_KEY
[pool main]
path = $W/srv/pool
TXT
chmod 600 "$W/srv/rssrvcfg"
NETNS=$srv_ns start_server "$W/srv"

conf()		# POLICY NETWORK...
{
	local n

	{
		printf '[defaults]\npolicy = %s\n' "$1"
		shift
		for n; do printf '[interface if%s]\naddress = 10.99.%s.2\n' "$n" "$n"; done
		printf '[namespace osl]\nnamespaceid = 0\nnodename = clt\nnodekey = %s\n' "$TEST_KEY"
		for n; do printf '[server srv-%s]\naddress = 10.99.%s.1\n' "$n" "$n"; done
	} >"$W/clt/rscltcfg"
	chmod 600 "$W/clt/rscltcfg"
}
measure()	# WHAT BLOCK DEPTH POLICY NETWORK...: of reads, mbps or latency_us.p99
{
	local what=$1 block=$2 depth=$3

	shift 3
	conf "$@"
	nsenter --net="/run/netns/$clt_ns" timeout 30 "$BUILD/rsbench" -c "$W/clt/rscltcfg" --run-dir "$W/clt/run" --json \
		--block "$block" --depth "$depth" --time 4 osl:vol | jq ".read.$what"
}
at_least() { jq -en "$1 >= $2 * $3" >/dev/null; }	# A B FACTOR

fast=$(measure mbps 128K 16 adaptive 0)
slow=$(measure mbps 128K 16 adaptive 1)
both=$(measure mbps 128K 16 adaptive 0 1)
turns=$(measure mbps 128K 16 round-robin 0 1)
echo "# 128 KiB reads, MB/s: $fast and $slow alone; adaptive $both, round-robin $turns"
check "adaptive carries 0.95 of both" at_least "$both" "($fast + $slow)" 0.95
check "round-robin is bound by the slow one" at_least "($slow + $slow)" "$turns" 0.9

# A machine that does other things is late now and then on any path: three tries.
calm()
{
	local alone both i

	for i in 1 2 3; do
		alone=$(measure latency_us.p99 8K 1 adaptive 0)
		both=$(measure latency_us.p99 8K 1 adaptive 0 1)
		echo "# 8 KiB reads at depth 1, p99 us: $alone over the fast one alone, $both with both"
		at_least "$alone" "$both" "(1 / 1.2)" && return
	done
	return 1
}
check "at depth 1 the p99 is within 1.2 of the fast path's" calm
done_testing
