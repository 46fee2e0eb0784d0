#!/bin/bash
# test-snapshots-tree.sh - snapshots in the tree: mkdir takes one, rmdir removes it, in between it can
# be read, attached and is shown to two clients.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod rsconfig

try() { "$@" 2>&1 || true; }
write_server_conf "$W/srv" client=node1 client=node2 client=node3
printf 'manage = node1 node2\n' >>"$W/srv/rssrvcfg"
make_volume "$W/srv" vol 8M
make_volume "$W/srv" other 2M
for i in 1 2; do
	write_client_conf "$W/c$i" "$W/srv" node=node$i
done
start_server "$W/srv"
start_client "$W/c1"
start_client "$W/c2"
a=$W/c1/mnt/osl b=$W/c2/mnt/osl
exists() { [ -e "$1" ]; }
is_gone() { ! [ -e "$1" ]; }

head -c 8M /dev/urandom >"$W/monday"
head -c 8M /dev/urandom >"$W/tuesday"
fill() { dd if="$1" of="$2" bs=1M conv=notrunc status=none; }
fill "$W/monday" "$a/vol"
before=$(date +%s)
check "mkdir takes a snapshot" mkdir "$a/.snap/vol/monday"
fill "$W/tuesday" "$a/vol"
check "which is there at once" exists "$a/.snap/vol/monday/vol"
check "and has what was in the volume" cmp "$W/monday" "$a/.snap/vol/monday/vol"
check "which is another by now" cmp "$W/tuesday" "$b/vol"
check "another client sees it too" wait_for 5 exists "$b/.snap/vol/monday/vol"
check "and reads the same" cmp "$W/monday" "$b/.snap/vol/monday/vol"
taken=$(stat -c %Y "$b/.snap/vol/monday")
check "its time is that at which it was taken" test "$taken" -ge "$before" -a "$taken" -le "$(date +%s)"
is "$(stat -c %Y "$b/.snap/vol/monday/vol")" "$taken" "so is that of the file"
is "$(stat -c '%A %s' "$a/.snap/vol/monday/vol")" "-r--r----- 8388608" "which is read only, and as long"
like "$(try dd if=/dev/zero of="$a/.snap/vol/monday/vol" bs=512 count=1 conv=notrunc status=none)" 'Read-only' \
	"nobody writes to it"
like "$(try truncate -s 9M "$a/.snap/vol/monday/vol")" 'Read-only' "or makes it longer"
like "$(try touch "$a/.snap/vol/monday/new")" 'not permitted' "or puts something beside it"
like "$(try rm "$a/.snap/vol/monday/vol")" 'not permitted' "or takes the file out"
is "$(echo "$a"/.[!.]*)" "$a/.rsio" "it is not listed with the volumes"
is "$(ls "$a/.snap")" "other
vol" "there is a place for snapshots of each"
check "others follow" mkdir "$b/.snap/vol/tuesday" "$b/.snap/other/monday"
check "the other client sees them" wait_for 5 exists "$a/.snap/vol/tuesday/vol"
is "$(ls "$a/.snap/vol")" "monday
tuesday" "as they are"
check "each with its content" cmp "$W/tuesday" "$a/.snap/vol/tuesday/vol"
is "$(getfattr --absolute-names --only-values -n user.rsio.pool "$a/.snap/vol/monday/vol" 2>&1)" main "it has attributes"

# Names, and what is refused.
like "$(try mkdir "$a/.snap/vol/monday")" 'File exists' "a name stands for one"
like "$(try mkdir "$a/.snap/vol/17")" 'Invalid' "and is not a number"
like "$(try mkdir "$a/.snap/vol/.hidden")" 'Invalid' "nor with a dot in front"
like "$(try mkdir "$a/.snap/none")" 'not permitted' "a place for snapshots is not made"
like "$(try mkdir "$a/.snap/none/monday")" 'No such file' "and there is none without a volume"
like "$(try mkdir "$a/dir")" 'not permitted' "no other directory is made"
like "$(try rmdir "$a/.snap/vol")" 'not permitted' "none is removed"
like "$(try rmdir "$a/.snap/vol/none")" 'No such file' "nor what there is not"
like "$(try mv "$a/.snap/vol/monday" "$a/.snap/vol/sunday")" 'not permitted' "a snapshot keeps its name"
like "$(cat "$W/c1/rsiod.out")" "no name for a snapshot" "and the log explains"

# For the tools.
rsconfig() { "$BUILD/rsconfig" --run-dir "$W/c1/run" "$@"; }
is "$(rsconfig -q | grep -c disk)" 2 "snapshots are no disks"
is "$(rsconfig -q | grep -c monday)" 0 "and not shown with them"
like "$(rsconfig -qv)" '^      snapshots 2$' "but counted for who asks for more"
like "$(rsconfig -qvv)" '^        @monday +[0-9-]{10} [0-9:]{8} UTC, 16384 blocks$' "and named"
is "$(rsconfig -q --json | python3 -c '
import json, sys
s = json.load(sys.stdin)["namespaces"][0]
print(len(s["volumes"]), *sorted(v["name"] for v in s["snapshots"]))')" "2 other@monday vol@monday vol@tuesday" "likewise as JSON"
is "$(stat -f -c '%b %S' "$a" | awk '{ print $1 * $2 }')" 10485760 "df does not count them"

# With a device.
if losetup -f >/dev/null 2>&1 && ! exists /dev/av0/vol@monday && ! [ -L /dev/av0/vol@monday ]; then
	check "one is attached" rsconfig -a osl:vol@monday
	check "and can be read" cmp "$W/monday" /dev/av0/vol@monday
	is "$(blockdev --getro /dev/av0/vol@monday)" 1 "but not be written to"
	is "$(readlink /dev/av0/rvol@monday)" "$a/.snap/vol/monday/vol" "its raw name is the file"
	like "$(rsconfig -lvv)" '^osl:vol@monday@0$' "it is listed"
	like "$(rsconfig -lvvv)" 'ready' "as ready"
	check "and detached" rsconfig -d osl:vol@monday
	check "then it is gone" is_gone /dev/av0/vol@monday
else
	ok "attached snapshots # SKIP no loop device, or /dev/av0/vol@monday is somebody else's"
fi

# Removing.
exec 5<"$b/.snap/vol/monday/vol"
removed() { rmdir "$a/.snap/vol/monday" 2>"$W/rmdir.err"; }
if removed; then
	ok "rmdir removes one"
	like "$(try dd bs=512 count=1 of=/dev/null <&5)" 'error reading' "who has it open gets an error"
	exec 5<&-
else
	like "$(cat "$W/rmdir.err")" 'busy' "one that is open is not removed"
	exec 5<&-
	check "rmdir removes one" wait_for 5 removed
fi
check "it is gone" is_gone "$a/.snap/vol/monday"
check "for the other client too" wait_for 5 is_gone "$b/.snap/vol/monday"
check "the volume is as it was" cmp "$W/tuesday" "$a/vol"
check "and the other snapshot" cmp "$W/tuesday" "$a/.snap/vol/tuesday/vol"

# Over a restart of both.
stop_client "$W/c1"
stop_server "$W/srv"
start_server "$W/srv"
start_client "$W/c1"
check "a snapshot outlives a restart" wait_for 10 exists "$a/.snap/vol/tuesday/vol"
check "with its content" cmp "$W/tuesday" "$a/.snap/vol/tuesday/vol"
check "for who stayed too" wait_for 10 cmp "$W/tuesday" "$b/.snap/vol/tuesday/vol"
done_testing
