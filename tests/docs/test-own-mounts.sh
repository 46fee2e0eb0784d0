#!/bin/bash
# own-mounts.sh: what it runs does not hold what another test has mounted, and sees what its own has.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_cmd unshare losetup mkfs.ext4
requires_loop

another=$(mktemp -d /tmp/rsio-test-XXXXXX)
cleanup_fn rmdir "$another"
mkdir "$another/a b" "$W/own"
cleanup_fn rmdir "$another/a b"
truncate -s 8M "$W/image"
mkfs.ext4 -q "$W/image"
loop=$(losetup -f --show "$W/image")
cleanup_fn losetup -d "$loop"
mount "$loop" "$another/a b"
cleanup_fn umount -q "$another/a b"
mount -t tmpfs tmpfs "$W/own"
cleanup_fn umount "$W/own"

# A process that stays in there, as a daemon does.
inside() { [ -e "$W/inside" ]; }
start_daemon "inside:$W" "$W/inside.out" inside "$TESTS_DIR/own-mounts.sh" sh -c "cat /proc/self/mountinfo >$W/seen; : >$W/inside; exec sleep 1000"
is "$(grep -c "$another" "$W/seen")" 0 "what another test has mounted is not there"
is "$(grep -c " $W/own " "$W/seen")" 1 "what its own has is"
check "nor is it held: the other one unmounts it" umount "$another/a b"
check "and the device is free" fsck.ext4 -fn "$loop"
is "$(cat "/proc/fs/ext4/${loop#/dev/}/options" 2>/dev/null)" "" "its file system has ended"
stop_daemon "inside:$W"
done_testing
