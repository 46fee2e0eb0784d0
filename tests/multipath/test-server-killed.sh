#!/bin/bash
# kill -9 of rssrv, ten times under verified write load, restarted each time: no error,
# nothing that was acknowledged is lost.
# time-limit: 240
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd fio python3
requires_program rssrv rsiod

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

export TRAFFIC_SECONDS=90
start_stamp data "$vol/data" --blocks 2048 --jobs 16 --flush-every 100
start_stamp durable "$vol/durable" --blocks 512 --jobs 4 --dsync
start_fio fio "$vol/fio" 40

for i in 1 2 3 4 5 6 7 8 9 10; do
	goes_on data "before kill $i: writes go on" 20
	kill_server "$W/srv"
	verified data "$raw/data.raw" "kill $i: what was acknowledged is in the file" --buffered
	verified durable "$raw/durable.raw" "kill $i: and what was written with O_DSYNC" --buffered --flushed
	start_server "$W/srv"
done
goes_on data "after the last one writes go on" 20
goes_on durable "those with O_DSYNC too" 20
check "both paths are back" wait_for 15 paths_are "$W/clt" 2

# Restarted in order, the server says goodbye first: no error either.
for i in 1 2 3; do
	stop_server "$W/srv"
	start_server "$W/srv"
	goes_on data "restart $i in order: writes go on" 20
done

end_traffic fio
end_stamp data
end_stamp durable
for n in data durable; do
	verified $n "$raw/$n.raw" "$n: the server's file has what was acknowledged" --buffered
	verified $n "$vol/$n" "$n: and so it reads through the mount"
done
is "$(grep -c 'protocol error' "$W/clt/rsiod.out")" 0 "the client never met a protocol error"
is "$(grep -c 'volumes are opened anew' "$W/clt/rsiod.out")" 13 "it noticed each restart, once"
done_testing
