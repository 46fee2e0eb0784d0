#!/bin/bash
# kill -9 of rssrv at random moments under verified load, restarted each time: no error,
# nothing that was acknowledged is lost.  Some of them come while it still starts.
# time-limit: 240
# long-time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd fio python3
requires_program rssrv rsiod
test_seed
kills=$(sample_or_all 8 50)

write_server_conf "$W/srv" portals=2
write_client_conf "$W/clt" "$W/srv"
make_volume "$W/srv" data 8M
make_volume "$W/srv" durable 2M
make_volume "$W/srv" fio 32M
start_server "$W/srv"
start_client "$W/clt"
vol=$W/clt/mnt/osl
raw=$W/srv/pool
check "both portals carry a path" wait_for 10 paths_are "$W/clt" 2

export TRAFFIC_SECONDS=240
start_stamp data "$vol/data" --blocks 2048 --jobs 16 --flush-every 100
start_stamp durable "$vol/durable" --blocks 512 --jobs 4 --dsync
start_fio fio "$vol/fio" "$(sample_or_all 15 100)"

wrong=0
right()		# NAME OPTIONS...: the file has what was acknowledged
{
	timeout 60 "$stamp" verify "$raw/$1.raw" "$W/$1.log" --buffered "${@:2}" >"$W/verify.out" && return
	wrong=$((wrong + 1))
	note "after kill $i, $1: $(cat "$W/verify.out")"
}

start_halfway()		# and killed before it is ready, or just then
{
	(
		trap - EXIT HUP INT TERM
		exec "$BUILD/rssrv" -f -c "$W/srv/rssrvcfg" --run-dir "$W/srv/run"
	) >>"$W/srv/rssrv.out" 2>&1 </dev/null &
	sleep_up_to 60
	kill -KILL $!
	wait $! 2>/dev/null || true
}

for ((i = 1; i <= kills; i++)); do
	# At times it has hardly begun, mostly it is in the midst of work.
	dice 3
	[ "$dice" = 0 ] || sleep_up_to 1200
	[ $((i % 4)) != 0 ] || goes_on data "before kill $i: writes go on" 20
	kill_server "$W/srv"
	right data
	right durable --flushed
	dice 4
	[ "$dice" != 0 ] || start_halfway
	start_server "$W/srv"
done
is $wrong 0 "what was acknowledged, and what was written with O_DSYNC, is in the file after each of $kills kills"
goes_on data "after the last one writes go on" 20
goes_on durable "those with O_DSYNC too" 20
check "both paths are back" wait_for 15 paths_are "$W/clt" 2

# Restarted in order, the server says goodbye first: no error either.
anew() { grep -c 'volumes are opened anew' "$W/clt/rsiod.out" || true; }
before=$(anew)
for i in 1 2 3; do
	stop_server "$W/srv"
	start_server "$W/srv"
	goes_on data "restart $i in order: writes go on" 20
done
is $(($(anew) - before)) 3 "the client noticed each of these, once"

end_traffic fio
end_stamp data
end_stamp durable
for n in data durable; do
	verified $n "$raw/$n.raw" "$n: the server's file has what was acknowledged" --buffered
	verified $n "$vol/$n" "$n: and so it reads through the mount"
done
is "$(grep -c 'protocol error' "$W/clt/rsiod.out")" 0 "the client never met a protocol error"
done_testing
