#!/bin/bash
# Full load on two cores that something else keeps busy too: no path is given up, no server
# ends a session because its lease is over, nothing is sent again.  make check-long: for
# ten minutes.
# time-limit: 120
# long-time-limit: 800
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd jq python3 taskset
requires_program rssrv rsiod
seconds=$(sample_or_all 20 600)

# All that is started from here on shares two cores.
taskset -p -c 0,1 $$ >/dev/null 2>&1 || note "there are no two cores"

mkdir -p "$W/pool"
truncate -s 64M "$W/pool/data.raw"
truncate -s 2M "$W/pool/durable.raw"
for i in 1 2; do
	write_server_conf "$W/s$i" server=srv$i serverid=$i portals=2
	sed -i "s|^path = .*|path = $W/pool\nshared = yes|" "$W/s$i/rssrvcfg"
	RSIO_STATE_DIR=$W/s$i/state start_server "$W/s$i"
done
write_client_conf "$W/clt" "$W/s1" "$W/s2"
printf '[defaults]\npolicy = round-robin\ndetect = %ds\n' $((2 * ${RSIO_SLOW:-1})) >>"$W/clt/rscltcfg"
start_client "$W/clt"
vol=$W/clt/mnt/osl
check "both servers have two paths" wait_for 15 paths_are "$W/clt" 4

busy_ticks()	# of the first two cores
{
	awk '/^cpu[01] / { busy += $2 + $3 + $4 + $7 + $8 } END { print busy }' /proc/stat
}

for i in 1 2; do
	run_traffic "loop$i" sh -c 'while :; do :; done'
done
start_stamp data "$vol/data" --blocks 16384 --jobs 64 --flush-every 200
start_stamp durable "$vol/durable" --blocks 512 --jobs 4 --dsync
run_traffic reader "$stamp" verify "$vol/data" "$W/data.log" --seconds 10000
before=$(busy_ticks)
end=$((SECONDS + seconds))
while [ $SECONDS -lt $end ] && ! grep -qE 'silent for|lease is over' "$W/clt/rsiod.out" "$W/s1/rssrv.out" "$W/s2/rssrv.out"; do
	sleep 1
done
note "the cores were busy for $((($(busy_ticks) - before) / 2)) of $((seconds * $(getconf CLK_TCK))) ticks"

lines() { cat "$W/clt/rsiod.out" "$W/s1/rssrv.out" "$W/s2/rssrv.out" | grep -E "$1" || true; }	# REGEX
is "$(lines 'silent for|stopped transmit|no path to')" "" "no path was given up in $seconds s"
is "$(lines 'lease is over|took over')" "" "no server let go of the client"
is "$(timeout 5 cat "$vol/.rsio/volumes.json" | jq -c '[.[].resent]')" "[0,0]" "nothing was sent again"
for n in data durable reader; do
	end_stamp $n
done
note "| $seconds s: $(tail -n 1 "$W/data.out"); O_DSYNC: $(tail -n 1 "$W/durable.out")"
for n in data durable; do
	verified $n "$W/pool/$n.raw" "$n: the file has what was acknowledged" --buffered
done
done_testing
