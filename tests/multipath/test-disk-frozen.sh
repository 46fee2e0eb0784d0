#!/bin/bash
# The file system under a pool is frozen for longer than detect, under verified load: I/O
# waits without an error, other pools and the paths do not notice, and it all goes on.
# time-limit: 120
# long-time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_loop
requires_cmd mkfs.ext4 fsfreeze python3
requires_program rssrv rsiod
test_seed
seconds=$(sample_or_all 4 20)
detect=$(sample_or_all 500 2000)

write_server_conf "$W/srv" portals=2
write_client_conf "$W/clt" "$W/srv"
printf '[defaults]\ndetect = %dms\n' "$detect" >>"$W/clt/rscltcfg"
make_volume "$W/srv" quick 2M
truncate -s 128M "$W/disk.img"
mkfs.ext4 -q "$W/disk.img"
mkdir "$W/disk"
mount_image "$W/disk.img" "$W/disk"
truncate -s 8M "$W/disk/cold.raw"
truncate -s 2M "$W/disk/durable.raw"
printf '\n[pool disk]\npath = %s\n' "$W/disk" >>"$W/srv/rssrvcfg"
start_server "$W/srv"
start_client "$W/clt"
vol=$W/clt/mnt/osl
thaw() { fsfreeze -u "$W/disk" 2>/dev/null || true; }
cleanup_fn thaw
check "both portals carry a path" wait_for 10 paths_are "$W/clt" 2

start_stamp cold "$vol/cold" --blocks 2048 --jobs 32 --flush-every 50
start_stamp durable "$vol/durable" --blocks 512 --jobs 4 --dsync
start_stamp quick "$vol/quick" --blocks 512 --jobs 4 --flush-every 50
run_traffic reader "$stamp" verify "$vol/cold" "$W/cold.log" --seconds 1000

for round in $(seq "$(sample_or_all 1 2)"); do
	sleep_up_to 1000
	fsfreeze -f "$W/disk"
	check "freeze $round: what writes there waits" wait_for 10 stands_still cold
	check "freeze $round: so does O_DSYNC" wait_for 10 stands_still durable
	end=$((SECONDS + seconds - 2))
	before=$(acknowledged quick)
	goes_on quick "freeze $round: another pool goes on"
	while [ $SECONDS -lt $end ]; do
		sleep 0.2
	done
	check "freeze $round: all the time" acknowledged_more quick $((before + 400))
	check "freeze $round: looking waits for nothing" timeout 5 ls -l "$vol"
	is "$(paths_up "$W/clt")" 2 "freeze $round: the paths are up"
	check "freeze $round: it still waits" stands_still cold
	thaw
	goes_on cold "freeze $round: thawed, it goes on" 20
	goes_on durable "freeze $round: O_DSYNC too" 20
done

for n in cold durable quick; do
	end_stamp $n
done
end_stamp reader
verified cold "$W/disk/cold.raw" "the server's file has what was acknowledged" --buffered
verified durable "$W/disk/durable.raw" "with O_DSYNC" --buffered
verified quick "$W/srv/pool/quick.raw" "in the other pool" --buffered
for n in cold durable quick; do
	verified $n "$vol/$n" "$n: and so it reads through the mount"
done
is "$(grep -c 'silent for' "$W/clt/rsiod.out" || true)" 0 "no path was taken for a failed one"
done_testing
