#!/bin/bash
# The disk under a pool returns EIO, for writes and for reads, also to its own file system:
# who uses it gets errors and no wrong data, the daemons neither die nor hang, other volumes
# go on, what was flushed is there; mended and said so, the disk is used again.
# time-limit: 180
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_loop
requires_cmd mkfs.ext4 mkfs.xfs e2fsck jq python3
requires_program rssrv rsiod
test_seed

# A disk whose medium has less room than it says: what is written to a new place fails.
# Cut short, it fails to read what was there.
mkdir "$W/medium" "$W/disk"
mount -t tmpfs -o size=160m rsio-test "$W/medium"
# A loop device that anybody looks at is not gone until he has closed it.
cleanup_fn try_for 10 umount -q "$W/medium"
image=$W/medium/image
vol=$W/clt/mnt/osl

make_disk()
{
	truncate -s 320M "$image"
	case $fs in
	ext4) mkfs.ext4 -q -E nodiscard,lazy_itable_init=0 -J size=4 "$image" ;;
	xfs) mkfs.xfs -q -K "$image" ;;
	esac
	mount_disk
	truncate -s 8M "$W/disk/$sick.raw"
}

mount_disk()
{
	loop=$(losetup --show -f "$image")
	mount "$loop" "$W/disk"
}

drop_disk()
{
	! mountpoint -q "$W/disk" || umount "$W/disk" || umount -l "$W/disk"
	[ -z "${loop:-}" ] || losetup -d "$loop" 2>/dev/null || true
	loop=
}
cleanup_fn drop_disk

mend_disk()	# it has room again; its file system makes itself whole
{
	local status=0

	drop_disk
	rm "$W/medium/balloon"
	if [ "$fs" = ext4 ]; then
		e2fsck -fp "$image" || status=$?
		[ $status -le 1 ] || return
	fi
	mount_disk
}

says()		# VOLUME KEY: the server's status
{
	timeout 10 "$BUILD/rssrv" --status --run-dir "$W/srv/run" |
		jq --arg n "$1" --arg k "$2" '[.. | objects | select(.name? == $n and has("generation"))][0][$k]'
}
flush_failed() { [ "$(says "$sick" flush_failed)" = true ]; }

end_with_errors()	# NAME
{
	kill -TERM "${traffic_pid[$1]}" 2>/dev/null || true
	check "$fs: who wrote there ends when told" wait_for 30 gone "${traffic_pid[$1]}"
	wait "${traffic_pid[$1]}" || true
	unset "traffic_pid[$1]"
	like "$(tail -n 1 "$W/$1.out")" 'writes, [1-9][0-9]* errors' "$fs: it met errors"
	note "$1: $(tail -n 1 "$W/$1.out")"
}

write_server_conf "$W/srv" portals=2
write_client_conf "$W/clt" "$W/srv"
make_volume "$W/srv" well 2M
printf '\n[pool disk]\npath = %s\n' "$W/disk" >>"$W/srv/rssrvcfg"
for fs in ext4 xfs; do
	sick=sick-$fs raw=$W/disk/sick-$fs.raw
	make_disk
	start_server "$W/srv"
	[ -e "$vol" ] || start_client "$W/clt"
	check "$fs: the disk's volume is there" wait_for 15 test -e "$vol/$sick"
	server=$(server_pid "$W/srv") client=$(client_pid "$W/clt")

	# A part of it is on the medium; then the rest of the medium goes.
	check "$fs: it works" "$stamp" write "$vol/$sick" "$W/$sick.log" --volume "$sick" --random-size \
		--flush-every 20 --blocks 2048 --jobs 4 --seconds 0.3
	start_stamp well "$vol/well" --blocks 512 --jobs 4 --flush-every 50
	start_stamp "$sick" "$vol/$sick" --jobs 4 --flush-every 20 --go-on
	sleep_up_to 100
	dd if=/dev/zero of="$W/medium/balloon" bs=64k status=none 2>/dev/null || true
	check "$fs: a flush fails" wait_for 60 flush_failed
	goes_on well "$fs: the other pool's volume goes on" 20
	check "$fs: looking waits for nothing" timeout 5 ls -l "$vol"
	is "$(says well flush_failed)" false "$fs: the other's flushes are flushes"
	end_with_errors "$sick"
	is "$(gone "$server" || echo runs) $(gone "$client" || echo runs)" "runs runs" "$fs: both daemons live"

	# The disk is mended, and then it is said.
	STOP_SECONDS=20 stop_server "$W/srv"
	check "$fs: the disk has room again" mend_disk
	verified "$sick" "$raw" "$fs: what was flushed before is there" --buffered --flushed
	start_server "$W/srv"
	goes_on well "$fs: the other goes on" 20
	check_fails 1 "$fs: no flush covers up what failed" \
		dd if=/dev/zero of="$vol/$sick" bs=4k count=0 seek=0 conv=notrunc,fsync status=none
	verified "$sick" "$vol/$sick" "$fs: what was flushed reads through the mount as well" --flushed
	check "$fs: the administrator says that it was seen to" \
		"$BUILD/rssrv" --run-dir "$W/srv/run" --clear-flush-error "$sick"
	# Anew: of what was acknowledged and not flushed some is lost.
	fallocate -p -o 0 -l 8M "$vol/$sick"
	rm "$W/$sick.log"
	check "$fs: it is used again, without an error" "$stamp" write "$vol/$sick" "$W/$sick.log" \
		--volume "$sick" --random-size --flush-every 20 --blocks 2048 --jobs 4 --seconds 0.5
	verified "$sick" "$raw" "$fs: and it is right" --buffered

	# What was there cannot be read.
	server=$(server_pid "$W/srv")
	sync "$raw"
	truncate -s 1M "$image"
	dd if="$raw" iflag=nocache count=0 status=none
	check_fails 1 "$fs: reading what the disk lost is an error" timeout 30 \
		dd if="$vol/$sick" of=/dev/null bs=1M iflag=direct status=none
	goes_on well "$fs: the other goes on beside it" 20
	is "$(gone "$server" || echo runs) $(gone "$client" || echo runs)" "runs runs" "$fs: both daemons live on"
	end_stamp well
	verified well "$W/srv/pool/well.raw" "$fs: the other volume is right" --buffered
	STOP_SECONDS=20 stop_server "$W/srv"
	drop_disk
	rm -f "$W"/medium/*
done
is "$(grep -c 'silent for' "$W/clt/rsiod.out" || true)" 0 "no path was taken for a failed one"
done_testing
