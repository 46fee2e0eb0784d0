#!/bin/bash
# One client, as many servers as a namespace may have (a few of them, but in make
# check-long): each a session with its volume, all in use at once.
# time-limit: 120
# long-time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd jq
requires_program rssrv rsiod rsconfig

many=$(sample_or_all 12 256)
rsconfig() { timeout -k 1 60 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }
servers_up() { rsconfig -q --json | jq '[.namespaces[].servers[] | select(.state == "up")] | length'; }
up_are() { [ "$(servers_up)" = "$1" ]; }

servers=()
for ((i = 0; i < many; i++)); do
	write_server_conf "$W/s$i" server="srv$i" serverid="$i" address="127.0.$((i / 250)).$((i % 250 + 1))"
	make_volume "$W/s$i" "v$i" 1M
	start_server "$W/s$i" --loops 1
	servers+=("$W/s$i")
done
write_client_conf "$W/clt" "${servers[@]}" address=127.0.100.1
start_client "$W/clt"
check "$many sessions are up" wait_for 60 up_are "$many"
vol=$W/clt/mnt/osl
all_there() { [ "$(find "$vol" -maxdepth 1 -type f | wc -l)" = "$many" ]; }
check "$many volumes are in the tree" wait_for 30 all_there

# Each is written and read at once with all others.
for ((i = 0; i < many; i++)); do
	{ yes "server $i" || true; } | head -c 65536 >"$W/s$i/text"
	dd if="$W/s$i/text" of="$vol/v$i" bs=4k conv=notrunc,fsync status=none 2>"$W/s$i/dd" &
	writers[i]=$!
done
failed=0
for ((i = 0; i < many; i++)); do
	wait "${writers[i]}" || failed=$((failed + 1))
done
is "$failed" 0 "all can be written to"
wrong=0
for ((i = 0; i < many; i++)); do
	cmp -s -n 65536 "$W/s$i/text" "$vol/v$i" && cmp -s -n 65536 "$W/s$i/text" "$W/s$i/pool/v$i.raw" || wrong=$((wrong + 1))
done
is "$wrong" 0 "each has what was written to it, on its own server"

# One goes and comes; the others do not notice.
others=$(rsconfig -q --json | jq -c '[.namespaces[].servers[] | select(.name != "srv3") | .paths[].connection]')
kill_server "$W/s3"
check "a server is killed: the others are up" wait_for 20 up_are $((many - 1))
start_server "$W/s3" --loops 1
check "it is back" wait_for 30 up_are "$many"
is "$(rsconfig -q --json | jq -c '[.namespaces[].servers[] | select(.name != "srv3") | .paths[].connection]')" "$others" \
	"the others have kept their connections"
check "and what was written is there" cmp -n 65536 "$W/s3/text" "$vol/v3"
note "rsiod with $many sessions: $(awk '/VmRSS/ { print $2, $3 }' "/proc/$(client_pid "$W/clt")/status")"
stop_client "$W/clt"
done_testing
