#!/bin/bash
# test-boot.sh - a file system on an attached volume in /etc/fstab, at boot and at shutdown, under a
# real systemd: boot.sh says what.
# time-limit: 400
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../functions.sh"
. "$(dirname "$0")/machine.sh"
vm_requires
requires_cmd mkfs.ext4 udevadm
requires_program rssrv rsiod rsconfig rsvol
vm_kernel 6.1
make -s -C "$TOP" BUILD="$BUILD" DESTDIR="$W/root" install >"$W/install" 2>&1 || bail "make install: $(cat "$W/install")"
vm_test 360 "$TESTS_DIR/vm/boot.sh" init=systemd
