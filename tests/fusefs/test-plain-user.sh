#!/bin/bash
# test-plain-user.sh - rsiod for a user who is not root.
#
# /dev/fuse is everybody's where udev made it; here it may be root's alone.  In a mount
# namespace of its own another node can stand in its place.
if [ -z "${PLAIN_USER_INSIDE:-}" ] && unshare -m true 2>/dev/null; then
	PLAIN_USER_INSIDE=yes exec "$(dirname "$0")/../own-mounts.sh" "$0" "$@"
fi
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd setpriv prlimit fusermount3 unshare
requires_program rssrv rsiod rsconfig
setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$BUILD/rsiod" ||
	skip "$BUILD cannot be entered by others"

[ -n "${PLAIN_USER_INSIDE:-}" ] || skip "needs mount namespaces"
mknod "$W/fuse" c 10 229
chmod 666 "$W/fuse"
mount --bind "$W/fuse" /dev/fuse

write_server_conf "$W/srv"
make_volume "$W/srv" vol 8M
write_client_conf "$W/clt" "$W/srv"
start_server "$W/srv"
home=$W/user
mkdir -p "$home/.config/rsio" "$home/run"
cp "$W/clt/rscltcfg" "$home/.config/rsio/"
chown -R 65534:65534 "$home"
chmod 755 "$W"

as_user()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups \
		env -i PATH="$PATH" HOME="$home" XDG_RUNTIME_DIR="$home/run" RSIO_TEST_DIR="$W" LC_ALL=C \
		timeout 20 "$@"
}
end_it()
{
	local p
	p=$(cat "$home/run/rsio/rsiod.pid" 2>/dev/null) || return 0
	kill -TERM "$p" 2>/dev/null || true
	try_for 5 gone "$p" || kill -KILL "$p" 2>/dev/null || true
	umount -l "$home/rsio" 2>/dev/null || true
}
cleanup_fn end_it

check "it starts with no option at all" as_user "$BUILD/rsiod"
p=$(cat "$home/run/rsio/rsiod.pid")
is "$(as_user stat -c '%A %u' "$home/rsio/osl/vol")" "-rw------- 65534" "a volume is the user's"
dd if=/dev/urandom of="$W/data" bs=1M count=8 status=none
chmod 644 "$W/data"
check "it can be written" as_user dd if="$W/data" of="$home/rsio/osl/vol" bs=64k conv=notrunc,fsync status=none
check "and read" as_user cmp "$W/data" "$home/rsio/osl/vol"
check "what was written is on the server" cmp "$W/data" "$W/srv/pool/vol.raw"
check_fails 2 "root may not look into it" ls "$home/rsio/osl"
out=$(as_user "$BUILD/rsconfig" -a osl:vol 2>&1) || true
like "$out" 'need an rsiod that root started' "block devices are root's"
like "$(as_user cat "$home/rsio/.rsio/log")" 'KiB are locked in memory' "how much memory is locked is said"
as_user sh -c "exec 5<'$home/rsio/osl/vol'; echo \$\$ >'$home/sitter'; exec sleep 20" &
wait_for 3 test -s "$home/sitter"
out=$(as_user "$BUILD/rsconfig" -m stop 2>&1) || true
like "$out" "$home/rsio is in use: .* has $home/rsio/osl/vol open" "who holds the mount is named"
kill "$(cat "$home/sitter")"
wait %% 2>/dev/null || true
check "it ends" as_user "$BUILD/rsconfig" -m stop
check "in order" wait_for 5 gone "$p"
check_fails 1 "and takes its directory away" test -e "$home/rsio"

# With little memory that may be locked it says so, and works.
check "with 64 KiB that may be locked it starts" as_user prlimit --memlock=65536 "$BUILD/rsiod"
p=$(cat "$home/run/rsio/rsiod.pid")
locked=$(as_user cat "$home/rsio/.rsio/log" |
	sed -n 's/.*WARNING (memory): \([0-9]*\) \(of [0-9]* \)\?KiB are locked.*/\1/p' | tail -n 1)
check "it warns how little is locked: ${locked:-it does not} KiB" test "${locked:-65}" -le 64
check "the kernel says no more" test "$(awk '/^VmLck/ { print $2 }' "/proc/$p/status")" -le 64
dd if=/dev/urandom of="$W/data" bs=1M count=8 status=none
check "it can be written to" as_user dd if="$W/data" of="$home/rsio/osl/vol" bs=1M conv=notrunc,fsync status=none
check "and read" as_user cmp "$W/data" "$home/rsio/osl/vol"
check "it ends" as_user "$BUILD/rsconfig" -m stop
check "in order" wait_for 5 gone "$p"

as_user "$BUILD/rsiod"
p=$(cat "$home/run/rsio/rsiod.pid")
kill -KILL "$p"
not_mounted() { ! grep -q " $home/rsio " /proc/self/mounts; }
check "killed, it leaves no mount" wait_for 3 not_mounted
done_testing
