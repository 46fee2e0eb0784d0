#!/bin/bash
# test-memory-pressure.sh - rsiod and a writer have little memory together, and the writer
# makes several times as much of it dirty on an attached device: it all gets there.  The
# kernel is not told whom not to wait for: that is the harder case.
# time-limit: 240
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_loop
requires_cmd mkfs.ext4 unshare setpriv
requires_program rssrv rsiod rsconfig

limit=128 data=512	# MiB
bound=$((64 << 10))	# KiB: what rsiod(8) says under Users

! grep -qs -e -fsanitize "$BUILD/.flags" || skip "a sanitizer needs more memory than that"

# One of the two kinds of cgroups.
if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
	group=/sys/fs/cgroup/rsio-test-$$
	limit_file=memory.max
	grep -qw memory /sys/fs/cgroup/cgroup.subtree_control ||
		echo +memory >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || skip "needs cgroups of its own"
elif [ -d /sys/fs/cgroup/memory ]; then
	group=/sys/fs/cgroup/memory/rsio-test-$$
	limit_file=memory.limit_in_bytes
else
	skip "needs the memory controller of cgroups"
fi
mkdir "$group" 2>/dev/null || skip "needs cgroups of its own"
drop_group() { rmdir "$group"; }
cleanup_fn drop_group
[ "$(wc -l </proc/swaps)" = 1 ] || skip "needs a machine without swap"

cat >"$W/inside" <<END
#!/bin/sh
echo \$\$ >$group/cgroup.procs
exec "\$@"
END
chmod +x "$W/inside"

vol=press$$
write_server_conf "$W/srv"
make_volume "$W/srv" $vol 1G
write_client_conf "$W/clt" "$W/srv"
start_server "$W/srv"
echo $((limit << 20)) >"$group/$limit_file"
VG="$W/inside setpriv --bounding-set -sys_resource --inh-caps -sys_resource" start_client "$W/clt"
client=$(client_pid "$W/clt")
dev=/dev/av0/$vol

rsconfig() { timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }
release()
{
	umount -l "$W/fs" 2>/dev/null || true
	rsconfig -d --force osl:$vol >/dev/null 2>&1 || true
}
cleanup_fn release

# Should they wait for each other, nothing but this ends it.
stuck=
rescue()
{
	local minor

	[ -n "$stuck" ] || return 0
	minor=$(awk -v m="$W/clt/mnt" '$5 == m { split($3, d, ":"); print d[2] }' /proc/self/mountinfo)
	unshare -m sh -c "mount -t fusectl none /sys/fs/fuse/connections &&
		echo 1 >/sys/fs/fuse/connections/$minor/abort" || true
}
cleanup_fn rescue

highest() { awk '/^VmHWM/ { print $2 }' "/proc/$client/status"; }

like "$(cat "$W/clt/rsiod.out")" 'CAP_SYS_RESOURCE is needed' "rsiod may not tell the kernel what it is for"
check "attached" rsconfig -a osl:$vol
mkfs.ext4 -q $dev
mkdir "$W/fs"
mount $dev "$W/fs"
dd if=/dev/urandom of="$W/data" bs=1M count=$data status=none
note "at rest: $(highest) KiB"

stuck=yes
"$W/inside" cp "$W/data" "$W/fs/copy" 2>"$W/cp.err" &
copy=$!
wait_for 150 gone $copy || bail "$data MiB are copied within $limit MiB of memory"
check "$data MiB are copied within $limit MiB of memory" wait $copy
check "and written" timeout 60 umount "$W/fs"
stuck=
note "highest: $(highest) KiB"
check "rsiod never had more than $bound KiB" test "$(highest)" -le $bound
mount $dev "$W/fs"
check "all of it is there" cmp "$W/data" "$W/fs/copy"
umount "$W/fs"
check "detached" rsconfig -d osl:$vol
done_testing
