#!/bin/bash
# The pool is full and freed again, under verified load: the writer gets ENOSPC and goes on
# when there is room, who has his space notices nothing, and no error is more than that.
# time-limit: 120
# long-time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_loop
requires_cmd mkfs.ext4 fallocate jq python3
requires_program rssrv rsiod
test_seed
rounds=$(sample_or_all 3 15)

write_server_conf "$W/srv" portals=2
write_client_conf "$W/clt" "$W/srv"
truncate -s 96M "$W/disk.img"
mkfs.ext4 -q -m 0 "$W/disk.img"
mount_image "$W/disk.img" "$W/srv/pool"
raw=$W/srv/pool
fallocate -l 4M "$raw/thick.raw"
start_server "$W/srv"
start_client "$W/clt"
vol=$W/clt/mnt/osl
check "both portals carry a path" wait_for 10 paths_are "$W/clt" 2

fill()		# KIB: all but so much of the pool's space
{
	local free

	sync -f "$raw"		# what is promised to delayed writes
	free=$(df --output=avail -k "$raw" | tail -n 1)
	[ "$free" -le "$1" ] || fallocate -l $((free - $1))K "$raw/balloon$((balloons++))"
}
balloons=0
free_all() { rm -f "$raw"/balloon*; }

says()		# VOLUME KEY: the server's status
{
	timeout 10 "$BUILD/rssrv" --status --run-dir "$W/srv/run" |
		jq --arg n "$1" --arg k "$2" '[.. | objects | select(.name? == $n and has("generation"))][0][$k]'
}

more_errors() { [ "$(says "$1" errors)" -gt "$2" ]; }

end_with_errors()	# NAME: some, but its blocks are what they should be
{
	kill -TERM "${traffic_pid[$1]}" 2>/dev/null || true
	wait_for 60 gone "${traffic_pid[$1]}"
	unset "traffic_pid[$1]"
	like "$(tail -n 1 "$W/$1.out")" 'writes, [1-9][0-9]* errors' "$1: the writer met errors"
	note "$1: $(tail -n 1 "$W/$1.out")"
}

start_stamp thick "$vol/thick" --blocks 1024 --jobs 4 --flush-every 50
for ((i = 1; i <= rounds; i++)); do
	thin=thin$i
	truncate -s 32M "$raw/$thin.raw"	# promised, not there
	wait_for 10 test -e "$vol/$thin"
	dice 4096
	fill $((1024 + dice))
	start_stamp "$thin" "$vol/$thin" --blocks 8192 --jobs 8 --flush-every 50 --go-on
	run_traffic "reader$i" "$stamp" verify "$vol/$thin" "$W/$thin.log" --seconds 1000
	check "round $i: the pool is full" wait_for 30 more_errors "$thin" 100
	goes_on thick "round $i: who has his space goes on" 20
	sleep_up_to 800
	free_all
	goes_on "$thin" "round $i: freed, the writer goes on" 20
	end_with_errors "$thin"
	end_stamp "reader$i"
	verified "$thin" "$raw/$thin.raw" "round $i: the server's file has what was acknowledged" --buffered
	verified "$thin" "$vol/$thin" "round $i: and so it reads through the mount"
	# And not one more: a second writer ends at the first error.
	check "round $i: no later write fails" "$stamp" write "$vol/$thin" "$W/$thin.log" \
		--random-size --flush-every 20 --seconds 0.5
	verified "$thin" "$raw/$thin.raw" "round $i: the file has that too" --buffered --flushed
	rm "$raw/$thin.raw"
done
end_stamp thick
verified thick "$raw/thick.raw" "who had his space lost nothing" --buffered
is "$(says thick flush_failed)" false "no flush failed for it"
like "$(cat "$W/srv/rssrv.out")" 'thin1: No space left on device' "the server's log says what it was"
is "$(grep -c 'silent for' "$W/clt/rsiod.out" || true)" 0 "no path was lost"
done_testing
