#!/bin/bash
# SIGSTOP and SIGCONT of rssrv and rsiod under verified load, for longer than detect: the
# paths are given up, fenced and made anew, and nothing is lost, stale or overtaken, for the
# client that was stopped and for another one.
# time-limit: 180
# long-time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd python3
requires_program rssrv rsiod
test_seed
pauses=$(sample_or_all 6 24)
detect=$(sample_or_all 500 2000)

write_server_conf "$W/srv" portals=2 client=node1 client=node2
write_client_conf "$W/clt" "$W/srv" node=node1
write_client_conf "$W/other" "$W/srv" node=node2
for c in clt other; do
	printf '[defaults]\ndetect = %dms\nretry = 100ms\n' "$detect" >>"$W/$c/rscltcfg"
done
make_volume "$W/srv" data 8M
make_volume "$W/srv" durable 2M
start_server "$W/srv"
start_client "$W/clt"
start_client "$W/other"
vol=$W/clt/mnt/osl
raw=$W/srv/pool
check "both portals carry a path" wait_for 10 paths_are "$W/clt" 2

start_stamp data "$vol/data" --blocks 2048 --jobs 32 --flush-every 50
start_stamp durable "$vol/durable" --blocks 512 --jobs 4 --dsync
for c in clt other; do
	run_traffic "reader-$c" "$stamp" verify "$W/$c/mnt/osl/data" "$W/data.log" --seconds 1000
done

stopped()	# PID: all of it
{
	! grep -L '^State:.*T (stopped)' "/proc/$1"/task/*/status 2>/dev/null | grep -q .
}

pause()		# PID...: one after the other, and on again in this order
{
	local p

	for p; do
		kill -STOP "$p"
		wait_for 5 stopped "$p"
	done
	dice 1500
	sleep "$(awk -v d="$detect" -v r="$dice" 'BEGIN { print (d * 1.2 + 100 + r * d / 500) / 1000 }')"
	for p; do
		kill -CONT "$p"
		sleep_up_to 300
	done
}

server=$(server_pid "$W/srv") client=$(client_pid "$W/clt") other=$(client_pid "$W/other")
for ((i = 1; i <= pauses; i++)); do
	sleep_up_to 500
	case $((i % 3)) in
	1) what="the server" who=("$server") ;;
	2) what="the client" who=("$client") ;;
	*)
		what="both"
		dice 3
		[ "$dice" = 0 ] && who=("$client" "$server") || who=("$server" "$client")
		[ "$dice" != 2 ] || who+=("$other")
		;;
	esac
	pause "${who[@]}"
	goes_on data "pause $i, of $what: writes go on" 20
done
check "both paths are back" wait_for 15 paths_are "$W/clt" 2
check "the other client's too" wait_for 15 paths_are "$W/other" 2

end_stamp data
end_stamp durable
for c in clt other; do
	end_stamp "reader-$c"
	note "$(tail -n 1 "$W/reader-$c.out")"
done
for n in data durable; do
	verified $n "$raw/$n.raw" "$n: the server's file has what was acknowledged" --buffered
	verified $n "$vol/$n" "$n: and so it reads through the mount"
done
is "$(grep -c 'protocol error' "$W/clt/rsiod.out" || true)" 0 "the client never met a protocol error"
is "$(server_pid "$W/srv") $(client_pid "$W/clt")" "$server $client" "neither was started anew"
check "paths were given up, so the pauses were long enough" grep -q 'silent for' "$W/clt/rsiod.out"
check "and fenced" grep -q 'is fenced' "$W/clt/rsiod.out"
note "$(grep -c 'silent for' "$W/clt/rsiod.out") paths given up, $(grep -c 'is fenced' "$W/clt/rsiod.out") fences"
done_testing
