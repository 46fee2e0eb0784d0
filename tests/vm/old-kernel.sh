#!/bin/bash
# old-kernel.sh - in the machine of test-old-kernel.sh: the static rssrv and the ordinary one serve
# a client there, what is written is read over a kill of the server, and what the
# kernel lacks is said and left out.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../functions.sh"
modprobe -a fuse loop
note "this is Linux $(uname -r)"

conf() { timeout -k 1 200 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }
vol() { timeout -k 1 200 "$BUILD/rsvol" --run-dir "$W/clt/run" "$@"; }
cleanup_fn conf -d --force osl:vol
write_server_conf "$W/srv" portals=2
write_client_conf "$W/clt" "$W/srv"
export RSSRV=rssrv-static
start_server "$W/srv"
start_client "$W/clt" "$W/clt/mnt" --no-wait
check "a volume is made at the static rssrv" wait_for 20 vol create vol 64M --if-missing
v=$W/clt/mnt/osl/vol
check "it is in the tree" wait_for 10 test -e "$v"
dd if=/dev/urandom of="$W/data" bs=1M count=8 status=none
check "it is written to" dd if="$W/data" of="$v" bs=1M oflag=direct conv=notrunc,fsync status=none
check "what was written is read" cmp -n $((8 << 20)) "$W/data" "$v"
confinement() { "$BUILD/rssrv" --status --run-dir "$W/srv/run" | jq -c "$1"; }
is "$(confinement .confinement.landlock)" 0 "the kernel has no Landlock"
is "$(confinement .confinement.seccomp)" true "system calls are limited all the same"
check "it is attached" conf -a osl:vol
load() { fio --name=load --filename=/dev/av0/vol --size=16M --rw=randrw --bs=8k --direct=1 --verify=crc32c --verify_fatal=1 "$@"; }
load --time_based --runtime=15 --rate_iops=60 >"$W/fio" 2>&1 &
fio=$!
cleanup_fn end_process $fio
kill_server "$W/srv"
RSSRV=rssrv start_server "$W/srv"
wait $fio && status=0 || status=$?
is "$status" 0 "the load goes on at the ordinary rssrv, over a kill" || show_output "$W/fio"
check "a snapshot" vol snapshot vol@one
check "a snapshot is read" wait_for 10 test -s "$W/clt/mnt/osl/.snap/vol/one/vol"
check "a clone" vol clone vol@one other
check "the volume grows" vol resize vol 96M
device_grown() { [ "$(blockdev --getsize64 /dev/av0/vol)" = $((96 << 20)) ]; }
check "with its device" wait_for 10 device_grown
check "it is detached" conf -d osl:vol
stop_client "$W/clt"
stop_server "$W/srv"
done_testing
