#!/bin/bash
# kill -9 of rsiod at random moments while files are written to ext4 on an attached
# volume: the next rsiod clears the dead mount away, the device is attached anew, the file
# system is whole, and everything that was fsync'ed is there.  The server's store drops what
# was not flushed, and mostly the server is killed too: fsync is all that counts.
# time-limit: 120
# long-time-limit: 600
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_loop
requires_cmd mkfs.ext4 e2fsck pgrep python3
requires_program rssrv rsiod rsconfig
test_seed
kills=$(sample_or_all 3 20)

# Names in /dev/avN are the machine's: this is this test's.
vol=killed$$ dev=/dev/av0/killed$$
write_server_conf "$W/srv" portals=2
make_volume "$W/srv" $vol 48M
write_client_conf "$W/clt" "$W/srv"
export RSIO_TEST_LOSSY=1
start_server "$W/srv"
start_client "$W/clt"
mkdir "$W/fs"
: >"$W/record"
attach() { timeout 20 "$BUILD/rsconfig" --run-dir "$W/clt/run" -a osl:$vol; }
umount_fs() { umount "$W/fs" 2>/dev/null || umount -l "$W/fs" 2>/dev/null || true; }
detach_all() { timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" -d --force >/dev/null 2>&1 || true; }
cleanup_fn detach_all
cleanup_fn umount_fs
fsynced() { "$TESTS_DIR/fusefs/fsynced.py" "$1" "$W/fs" "$W/record" "${@:2}"; }

check "attached" attach
check "a file system is made" mkfs.ext4 -q -J size=4 "$dev"
check "and mounted" mount "$dev" "$W/fs"

changes()	# that were fsync'ed so far
{
	grep -c '^."done"' "$W/record" || true
}

has_changed()	# THAN
{
	[ "$(changes)" -gt "$1" ]
}

start_writer()
{
	dice 1000000
	(
		trap - EXIT HUP INT TERM
		exec "$TESTS_DIR/fusefs/fsynced.py" write "$W/fs" "$W/record" "$dice"
	) >"$W/writer.out" 2>&1 </dev/null &
	writer=$!
}

# All of it right, and whole, before it is used again.
look()
{
	local status=0

	dice 2
	if [ "$dice" = 0 ]; then
		mount "$dev" "$W/fs" && umount "$W/fs" || return
	else
		e2fsck -fp "$dev" || status=$?
		# 1: it mended what a crash leaves to be mended.
		[ $status -le 1 ] || return
	fi
	e2fsck -fn "$dev"
}

# Of the volume, without those that end with their last user: somebody else may have a copy
# of the mounts, whoever made a mount namespace meanwhile.  A dead device's name begins elsewhere.
devices_are()	# NUMBER
{
	local d n=0

	for d in /sys/block/loop*/loop; do
		if grep -qs "/osl/$vol\$" "$d/backing_file" && [ "$(cat "$d/autoclear" 2>/dev/null)" = 0 ]; then
			n=$((n + 1))
		fi
	done
	[ $n = "$1" ]
}

unmounted() { ! mountpoint -q "$W/fs"; }

for ((i = 1; i <= kills; i++)); do
	before=$(changes)
	start_writer
	wait_for 20 has_changed $((before + 5)) || bail "kill $i: files are written"
	sleep_up_to 1500
	# At times the process beside it, which would tidy up, goes too.
	dice 3
	[ "$dice" != 0 ] || kill -KILL "$(pgrep -P "$(client_pid "$W/clt")")"
	kill_client "$W/clt"
	# Some start it anew at once, others look at what happened and unmount first.
	dice 3
	if [ "$dice" != 0 ]; then
		kill_server "$W/srv"
		start_server "$W/srv"
	fi
	[ "$dice" != 1 ] || umount_fs
	start_client "$W/clt"
	check "kill $i: the writer ends" wait_for 20 gone $writer
	wait $writer || true
	note "$(cat "$W/writer.out")"
	umount_fs
	check "kill $i: the dead file system is unmounted" wait_for 10 unmounted
	check "kill $i: the dead device is gone, or will be" wait_for 5 devices_are 0
	check "kill $i: the volume is attached anew" attach
	devices_are 1 || not_ok "kill $i: and once"
	check "kill $i: the file system is whole" look
	mount "$dev" "$W/fs" || bail "kill $i: it is mounted again"
	check "kill $i: what was fsync'ed is there" fsynced check
done
note "$(fsynced check)"
umount "$W/fs"
check "detached at the end" timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" -d osl:$vol
check "no loop device stays" wait_for 5 devices_are 0
done_testing
