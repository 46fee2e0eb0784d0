#!/bin/bash
# test-filesystems.sh - ext4 and XFS on an attached volume: a real tree is
# copied, found again after a remount and by another client, and fsck agrees.
# time-limit: 240
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_loop
requires_cmd mkfs.ext4 e2fsck mkfs.xfs xfs_repair sha256sum
requires_program rssrv rsiod rsconfig

write_server_conf "$W/srv" portals=2
write_client_conf "$W/clt" "$W/srv"
make_volume "$W/srv" ext 256M
make_volume "$W/srv" xfs 400M
start_server "$W/srv"
start_client "$W/clt"
rsconfig=("$BUILD/rsconfig" --run-dir "$W/clt/run")
mkdir "$W/fs"

sums()		# DIR: every file's checksum, in one order
{
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
}
sums "$TOP/lib" >"$W/expected"

mounted()	# DEVICE: mounts it; unmounted by the cleanup if the test ends here
{
	mount "$1" "$W/fs"
	cleanup_fn sh -c "! mountpoint -q $W/fs || umount $W/fs"
}

punched()	# VOLUME KIB: less than that is left of its file
{
	fstrim "$W/fs" && [ "$(du -k "$W/srv/pool/$1.raw" | cut -f1)" -lt "$2" ]
}

# what MKFS FSCK VOLUME
try_file_system()
{
	local mkfs=$1 fsck=$2 volume=$3 dev="" before
	check "$volume is attached" "${rsconfig[@]}" -a "osl:$volume"
	dev=$(readlink -f "/dev/av0/$volume")
	is "$(blockdev --getsize64 "$dev")" "$(stat -c %s "$W/clt/mnt/osl/$volume")" "$volume: the device has the volume's size"
	# shellcheck disable=SC2086  # a command of several words
	check "$volume: mkfs" $mkfs "$dev"
	mounted "$dev"
	check "$volume: a tree is copied" cp -r "$TOP/lib" "$W/fs/tree"
	check "$volume: sync" sync -f "$W/fs"
	umount "$W/fs"
	# shellcheck disable=SC2086  # a command of several words
	check "$volume: fsck" $fsck "$dev"
	mounted "$dev"
	is "$(sums "$W/fs/tree")" "$(cat "$W/expected")" "$volume: every file is what it was"
	dd if=/dev/urandom of="$W/fs/big" bs=1M count=40 conv=fsync status=none
	rm "$W/fs/big"
	sync -f "$W/fs"		# what is freed can be discarded when the journal has committed it
	before=$(du -k "$W/srv/pool/$volume.raw" | cut -f1)
	check "$volume: fstrim" fstrim "$W/fs"
	# XFS frees what was removed in the background, after the journal: it may take another trim.
	check "$volume: a discard on the device punched the server's file" wait_for 20 punched "$volume" $((before - 30000))
	like "$("${rsconfig[@]}" -d "osl:$volume" 2>&1 || true)" "$W/fs" "$volume: a detach names the mount that is in the way"
	check "$volume: and leaves it alone" test -e "$W/fs/tree/wire.h"
	umount "$W/fs"
	check "$volume is detached" "${rsconfig[@]}" -d "osl:$volume"
	check_fails 1 "$volume: its names are gone" test -e "/dev/av0/$volume"
	# What is in the pool is a plain image: the server's host finds the same in it.
	mount -o ro,loop "$W/srv/pool/$volume.raw" "$W/fs"
	is "$(sums "$W/fs/tree")" "$(cat "$W/expected")" "$volume: every file is there in the pool's plain file"
	umount "$W/fs"
}

try_file_system "mkfs.ext4 -q" "e2fsck -fn" ext
try_file_system "mkfs.xfs -q" "xfs_repair -n" xfs
done_testing
