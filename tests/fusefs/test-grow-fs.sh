#!/bin/bash
# test-grow-fs.sh - a volume grows under a mounted file system that is written to: its file, its
# device, and with --grow-fs the file system, without an error and without a new mount.  For a
# snapshot it is brought to rest, and goes on, whoever dies.
# time-limit: 120
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_loop
requires_cmd fio mkfs.ext4 mkfs.xfs mkfs.btrfs dumpe2fs jq
requires_program rssrv rsiod rsvol rsconfig

MiB=$((1 << 20))
m=$W/fs
mkdir "$m"
rsvol() { timeout -k 1 40 "$BUILD/rsvol" --run-dir "$W/clt/run" "$@"; }
rsconfig() { timeout -k 1 20 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@" >/dev/null; }
away() {
	fsfreeze -u "$m" 2>/dev/null	# one that was left frozen could not be got rid of
	umount -l "$m" 2>/dev/null
	for v in growext4 growxfs growbtrfs; do
		rsconfig -d --force osl:$v 2>/dev/null
	done
	true
}
cleanup_fn away

write_server_conf "$W/srv"
write_client_conf "$W/clt" "$W/srv"
start_server "$W/srv"
start_client "$W/clt"

size_of_fs() { echo $(($(stat -f -c '%b * %S' "$m"))); }
size_of_device() { blockdev --getsize64 "$1"; }
may_grow_ext4() { [ $((0x$(awk '/^CapEff/ { print $2 }' /proc/self/status) >> 24 & 1)) = 1 ]; }	# CAP_SYS_RESOURCE
has_fs() { grep -qw "$1" /proc/filesystems || modprobe "$1" 2>/dev/null; }

load()	# DIR: random writes that are read back and compared
{
	fio --name=load --directory="$1" --size=24M --rw=randrw --bs=8k --ioengine=libaio --direct=1 --iodepth=4 \
		--verify=crc32c --verify_fatal=1 --time_based --runtime=4 --rate_iops=400 >"$W/fio" 2>&1
}

grows()	# FS MKFS...
{
	local fs=$1 vol=grow$1 pid before out dev
	shift

	if ! rsvol create "$vol" 320M >/dev/null || ! rsconfig -a osl:"$vol"; then
		bail "a volume for $fs"
	fi
	dev=/dev/av0/$vol
	"$@" "$dev" >/dev/null 2>&1 || bail "mkfs for $fs"
	mount "$dev" "$m" || bail "mount $fs"
	before=$(size_of_fs)
	load "$m" &
	pid=$!
	out=$(rsvol resize "$vol" +64M --grow-fs --json 2>&1) || true
	if [ "$fs" = ext4 ] && ! may_grow_ext4; then
		like "$out" "CAP_SYS_RESOURCE" "ext4: growing needs a right that is not there, and it is said"
	else
		is "$(jq -r '.grown | [.filesystem, .mount] | join(" ")' <<<"$out")" "$fs $m" "$fs: grown, and where"
		check "$fs has more" test "$(size_of_fs)" -gt $((before + 32 * MiB))
		check "$fs: a second time" rsvol resize "$vol" 448M --grow-fs
		check "$fs has more again" test "$(size_of_fs)" -gt $((before + 96 * MiB))
		check "$fs: it has that size" rsvol resize "$vol" 448M --grow-fs
	fi
	rsvol resize "$vol" 512M >/dev/null
	check "$fs: the file has the volume's size" test "$(stat -c %s "$W/clt/mnt/osl/$vol")" = $((512 * MiB))
	device_grown() { [ "$(size_of_device "$dev")" = $((512 * MiB)) ]; }
	check "$fs: so does the device, by itself" wait_for 10 device_grown
	check_fails 1 "$fs: less is refused while it is attached" rsvol resize "$vol" 64M --confirm="$vol"
	check "$fs: nothing of the load failed" wait $pid
	like "$(cat "$W/fio")" "err= 0" "$fs: all that was read is what was written"
}

# The load is a child of this shell, which check's is not.
check()
{
	local name=$1
	shift
	if "$@" >"$W/check" 2>&1; then
		ok "$name"
	else
		not_ok "$name"
		note "$* failed: $(cat "$W/check")"
	fi
}

leave()	# VOLUME
{
	umount "$m" && rsconfig -d osl:"$1"
}

for fs in xfs btrfs; do
	if has_fs $fs; then
		grows $fs mkfs.$fs -q -f
		check "$fs: unmounted, detached" leave grow$fs
	else
		ok "$fs # SKIP the kernel has none"
	fi
done
grows ext4 mkfs.ext4 -q

# At rest.
journal() { dumpe2fs -h "$1" 2>/dev/null | grep -c needs_recovery; }	# 1: it was in use, as after a crash
snap=$W/clt/mnt/osl/.snap/growext4
echo before >"$m/file"
check "a snapshot under the mounted file system" rsvol snapshot growext4@used
out=$(rsvol snapshot growext4@rested --freeze --json)
is "$(jq -c '.frozen.count' <<<"$out")" 1 "one with the file system at rest"
note "at rest for $(jq '.frozen.seconds' <<<"$out") s"
is "$(journal "$snap/used/growext4")$(journal "$snap/rested/growext4")" 10 "that one has nothing to recover"
check "the file system goes on" touch "$m/after"
truncate -s 16M "$W/other"
mkfs.ext4 -q "$W/other"
mount -o loop "$W/other" "$m" || bail "another file system above it"
like "$(rsvol snapshot growext4@above --freeze 2>&1)" "leads to something else" "one that is mounted above it is not brought to rest"
like "$(rsvol resize growext4 512M --grow-fs 2>&1)" "leads to something else" "nor grown"
umount "$m"
check "nor is the one below" touch "$m/above"
rsvol create nofs 1M >/dev/null
like "$(rsvol snapshot nofs@x --freeze 2>&1)" "not attached to this machine" "nothing is mounted from that one"
like "$(rsvol resize nofs 2M --grow-fs 2>&1)" "not attached to this machine" "nothing to grow either"

# What ends the rest when nobody does.  The variable is read by rsiod: it is another one.
leave growext4
stop_client "$W/clt"
RSIO_TEST_REST=60 start_client "$W/clt"
rests() { grep -c 'are at rest' "$W/clt/rsiod.out" || true; }
before=$(rests)
rested() { [ "$(rests)" = $((before + $1)) ]; }
rest()	# NUMBER: the file system is at rest for the NUMBERth time, and somebody waits for it
{
	rsvol snapshot growext4@rest"$1" --freeze >"$W/rest$1" 2>&1 &
	resting=$!
	cleanup_fn end_process $resting
	wait_for 10 rested "$1" || bail "at rest"
	touch "$m/rest$1" &
	waiting=$!
}
end_rest()
{
	kill $resting 2>/dev/null || true
	wait $resting || true
}
went_on() { gone $waiting && [ -e "$m/rest$1" ]; }

if ! rsconfig -a osl:growext4 || ! mount /dev/av0/growext4 "$m"; then
	bail "mounted again"
fi
rest 1
blocked() { grep -q '^State:.*D' "/proc/$waiting/status"; }
check "who writes waits" wait_for 5 blocked
helper=$(pgrep -o -P "$(client_pid "$W/clt")")
freezer=$(pgrep -P "$helper" -x rsiod-helper)
check "it is one process that froze it" kill -9 "$freezer"
check "that is killed: the file system goes on" wait_for 5 went_on 1
end_rest
rest 2
check "nobody ends it: it goes on after 10 seconds" wait_for 14 went_on 2
end_rest
rest 3
kill_client "$W/clt"
check "rsiod is killed: who waits goes on" wait_for 5 gone $waiting
umount -l "$m"
done_testing
