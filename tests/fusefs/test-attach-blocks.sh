#!/bin/bash
# test-attach-blocks.sh - the device over a volume of several servers has that volume's
# blocks, so that nobody writes a part of one.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_loop
requires_cmd blockdev
requires_program rssrv rsiod rsconfig

big=big$$ plain=plain$$
truncate -s 16M "$W/image"
disk=$(losetup --show --sector-size 4096 -f "$W/image") || skip "needs loop devices with sectors of 4096 bytes"
cleanup_fn losetup -d "$disk"
write_server_conf "$W/srv"
make_volume "$W/srv" $plain 8M
printf '\n[volume %s]\npath = %s\nshared = yes\nuuid = %s\n' $big "$disk" \
	"$(cat /proc/sys/kernel/random/uuid)" >>"$W/srv/rssrvcfg"
write_client_conf "$W/clt" "$W/srv"
start_server "$W/srv"
start_client "$W/clt"
rsconfig() { timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }
detach_all() { rsconfig -d --force >/dev/null 2>&1 || true; }
cleanup_fn detach_all

check "a shared volume is attached" rsconfig -a osl:$big
is "$(blockdev --getss /dev/av0/$big)" 4096 "its device has the volume's blocks"
is "$(blockdev --getsize64 /dev/av0/$big)" 16777216 "and its size"
check_fails 1 "less than a block cannot be written" \
	dd if=/dev/zero of=/dev/av0/$big bs=512 count=1 oflag=direct conv=notrunc
check "a block can" dd if=/dev/zero of=/dev/av0/$big bs=4096 count=1 oflag=direct conv=notrunc
check "another volume is attached" rsconfig -a osl:$plain
is "$(blockdev --getss /dev/av0/$plain)" 512 "its blocks stay 512 bytes"
done_testing
