#!/bin/bash
# rsbench: over a session and on a file; several clients and paths; what it
# says of itself and of the server; damaged data is noticed.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../functions.sh"
requires_cmd jq
requires_program rssrv rsbench

write_server_conf "$W"
sed -i "s/^node1 .*/&\nnode1-1 $TEST_KEY\nnode1-2 $TEST_KEY\nnode1-3 $TEST_KEY/" "$W/rssrvcfg"
make_volume "$W" vol 16M
start_server "$W"
write_client_conf "$W/one" "$W"
write_client_conf "$W/two" "$W" address=127.0.0.1 address=127.0.0.2

bench()		# CLIENT-DIR ARGS...
{
	local dir=$1
	shift
	"$BUILD/rsbench" -c "$dir/rscltcfg" --run-dir "$dir" --json --time 0.3 "$@"
}

is_true()	# JSON FILTER NAME
{
	if jq -e "$2" <<<"$1" >/dev/null; then
		ok "$3"
	else
		not_ok "$3"
		note "$2 is not so in: $1"
	fi
}

out=$(bench "$W/one" osl:vol)
is_true "$out" '.carrier == "session" and .read.count > 100 and .write.count == 0' "random reads"
is_true "$out" '(.read.iops * .seconds / .read.count | . > 0.99 and . < 1.01)' "IOPS are requests by time"
is_true "$out" '.read.latency_us | .p50 > 0 and .p50 <= .p99 and .p99 <= .max * 1.02' "latencies"
is_true "$out" '.cores > 0 and .server_cores > 0 and .errors == 0' "CPU of itself and of the server"
out=$(bench "$W/one" -r randrw -m 50 osl:vol)
is_true "$out" '.read.count / .write.count | . > 0.8 and . < 1.25' "a mixed load is mixed as asked for"
out=$(bench "$W/one" -r write -b 64K -d 4 -j 2 osl:vol)
is_true "$out" '.write.mbps * 1e6 / .write.iops | . > 65535 and . < 65537' "bytes are requests by size"
cmp -s <(head -c 1M "$W/pool/vol.raw") <(head -c 1M /dev/zero | tr '\0' Z)
is $? 0 "what was written is in the volume"
out=$(bench "$W/one" --clients 3 --depth 4 osl:vol)
is_true "$out" '.clients == 3 and .read.count > 100' "three clients"
out=$(bench "$W/two" --verify -r randrw --depth 16 osl:vol)
is_true "$out" '.damaged == 0 and .read.count > 0' "verified, over two paths"

paths()		# ARGS...: connections that the server saw
{
	bench "$W/two" "$@" osl:vol >"$W/paths.json" &
	try_for 5 connections "$W" || true
	wait $!
}

connections()	# DIR: remembers the most that were there
{
	local n

	n=$(ss -Htn state established "sport = :$(awk '{ print $5 }' "$1/portals")" | wc -l)
	[ "$n" -le "${most:-0}" ] || most=$n
	[ "$(jobs -r | wc -l)" = 0 ] || return 1
}

connections_are()	# N
{
	most=0
	connections "$W" || true
	[ "$most" = "$1" ]
}

most=0
paths
is "$most" 2 "both paths are used"
most=0
paths --paths 1
is "$most" 1 "--paths leaves one"

out=$(bench "$W/one" -s 1M -r randwrite --verify "$W/pool/vol.raw")
is_true "$out" '.carrier == "file" and .server_cores == null and .write.count > 10' "a file"

# The figures as text stay in their columns.
status=0
out=$("$BUILD/rsbench" -s 1M -r rw --time 0.2 "$W/pool/vol.raw") || status=$?
is $status 0 "as text"
like "$out" "^read .* IOPS .* MB/s$" "IOPS"
like "$out" "^ {7}mean [0-9.]+ [um]?s p50 [0-9.]+ [um]?s .* p99.9 .* max [0-9.]+ [um]?s$" "latencies"
is "$(awk 'length > 80' <<<"${out/#"$W/pool/vol.raw"/osl:oracle}")" "" "within 80 columns"
for o in "--paths 1" "--clients 2" "--crc 0"; do
	# shellcheck disable=SC2086  # a word and its argument
	check_fails 2 "a file has no ${o%% *}" "$BUILD/rsbench" $o "$W/pool/vol.raw"
done

# Everything fails: it does not go on with that for the time that it was given.
if [ "$(id -u)" = 0 ] && [ -c /dev/fuse ] && [ -x "$BUILD/rsiod" ]; then
	write_client_conf "$W/dead" "$W" node=node1-1
	start_client "$W/dead"
	SECONDS=0
	"$BUILD/rsbench" --time 1h "$W/dead/mnt/osl/vol" >"$W/dead.out" 2>&1 &
	pid=$!
	busy() { grep -q '"opens": 1' "$W/dead/mnt/osl/.rsio/volumes.json"; }
	wait_for 5 busy
	kill_client "$W/dead"
	check "the mount dies: it ends" wait_for 20 gone $pid
	status=0
	wait $pid || status=$?
	is $status 1 "as a failure"
	like "$(cat "$W/dead.out")" "ended early, since nothing succeeds: [0-9]+ requests failed, the first" "and says so"
else
	ok "a mount that dies # SKIP needs root, /dev/fuse and rsiod"
fi

spoil()
{
	while [ ! -e "$W/stop" ]; do
		dd if=/dev/zero of="$W/pool/vol.raw" bs=1M count=1 conv=notrunc status=none
	done
}
spoil &
spoiler=$!
status=0
out=$(bench "$W/one" -s 1M -r randrw --verify --time 1 osl:vol 2>"$W/err") || status=$?
touch "$W/stop"
wait $spoiler
is $status 1 "damaged data is a failure"
is_true "$out" '.damaged > 0' "and is counted"
like "$(cat "$W/err")" "blocks are not what was written" "and said"

check_fails 2 "a block that is no multiple of 512" "$BUILD/rsbench" -b 1000 /dev/null
check_fails 2 "an unknown load" "$BUILD/rsbench" -r randomread /dev/null
check_fails 2 "no time" "$BUILD/rsbench" -t 0 /dev/null
check_fails 2 "a number of seconds is not taken for the configuration's microseconds" "$BUILD/rsbench" --poll 50 /dev/null
like "$("$BUILD/rsbench" -c "$W/one/rscltcfg" --run-dir "$W/none/at/all" osl:vol 2>&1 || true)" \
  "the run directory $W/none/at/all cannot be made" "no run directory"
out=$("$BUILD/rsbench" -c "$W/one/rscltcfg" --run-dir "$W/made" --json --time 0.1 osl:vol)
is_true "$out" '.errors == 0' "a run directory is made"

# Another client holds the node name: it, not the volume, is what is wrong.
"$BUILD/rsbench" -c "$W/two/rscltcfg" --run-dir "$W/two" --time 30 osl:vol >"$W/holder.out" 2>&1 &
holder=$!
wait_for 5 connections_are 2
out=$("$BUILD/rsbench" -c "$W/one/rscltcfg" --run-dir "$W/made" osl:vol 2>&1 || true)
like "$out" "node name node1 is logged in from another" "a node name that is in use"
kill $holder
wait $holder 2>/dev/null || true

check_fails 1 "a volume that is not there" "$BUILD/rsbench" -c "$W/one/rscltcfg" --run-dir "$W/one" osl:none
done_testing
