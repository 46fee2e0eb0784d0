#!/bin/bash
# test-manage-tree.sh - what is changed in the tree by habit: truncate grows a volume, getfattr and
# setfattr show and set what it is, and where the mount is for that touch, mv and rm make, rename
# and remove volumes.  Two clients see the same.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod
requires_cmd getfattr setfattr setpriv

write_server_conf "$W/srv" client=node1 client=node2 client=node3
printf 'manage = node1 node2\n' >>"$W/srv/rssrvcfg"
make_volume "$W/srv" vol 4M
make_volume "$W/srv" ro 1M
for i in 1 2 3; do
	write_client_conf "$W/c$i" "$W/srv" node=node$i
done
start_server "$W/srv"
start_client "$W/c1"
start_client "$W/c2" "$W/c2/mnt" -o manage
start_client "$W/c3" "$W/c3/mnt" -o manage
a=$W/c1/mnt/osl b=$W/c2/mnt/osl c=$W/c3/mnt/osl
log1=$W/c1/rsiod.out log2=$W/c2/rsiod.out log3=$W/c3/rsiod.out

size() { stat -c %s "$1"; }
has_size() { [ "$(size "$1")" = "$2" ]; }
attr() { getfattr --absolute-names --only-values -n "user.rsio.$2" "$1" 2>&1; }
is_attr() { [ "$(attr "$1" "$2")" = "$3" ]; }
try() { "$@" 2>&1 || true; }
cannot_write() { [ "$(stat -c %A "$1")" = -r--r----- ]; }
exists() { [ -e "$1" ]; }
is_gone() { ! [ -e "$1" ]; }

# Growing, while it is written to.
head -c 4M /dev/urandom >"$W/data"
dd if="$W/data" of="$a/vol" bs=1M conv=notrunc status=none
exec 5<>"$b/vol"
check "truncate makes it longer" truncate -s 6M "$a/vol"
is "$(size "$a/vol")" 6291456 "as is seen at once"
check "and by another client" wait_for 5 has_size "$b/vol" 6291456
is "$(stat -Lc %s /proc/self/fd/5)" 6291456 "also of a file that was open before"
check "what was in it stays" cmp -n 4194304 "$W/data" "$b/vol"
check "what came is zeroes" cmp -n 2097152 -i 4194304:0 "$b/vol" /dev/zero
printf 'at the end' | dd of="$b/vol" bs=1 seek=$((6291456 - 10)) conv=notrunc status=none
is "$(tail -c 10 "$a/vol")" "at the end" "and can be written"
exec 5<&-
is "$(stat -c %s "$W/srv/pool/vol.raw")" 6291456 "the file on the server is as long"
like "$(try truncate -s 5M "$a/vol")" 'Operation not permitted' "it is not made shorter"
like "$(cat "$log1")" 'rsvol resize' "and the log says where it is"
like "$(try truncate -s 6291457 "$a/vol")" 'Invalid argument' "nor half a block longer"
like "$(try truncate -s 9000T "$a/vol")" 'No space left|File too large' "nor longer than the pool"
is "$(size "$a/vol")" 6291456 "after which it is as it was"
: >"$a/vol"
is "$(size "$a/vol")" 6291456 "opening it with O_TRUNC changes nothing"
setfattr -n user.rsio.clients -v 'node1:ro node2' "$a/ro"
check "what a client may only read it sees so" wait_for 5 cannot_write "$a/ro"
like "$(try truncate -s 8M "$a/ro")" 'Read-only|not permitted' "it does not grow"
like "$(try truncate -s 8M "$c/vol")" 'Permission denied|not permitted' "nor for a client that may not manage the pool"
like "$(cat "$log3")" 'manage' "whose log says which right is missing"
is "$(size "$c/vol")" 6291456 "of which nothing is left"

# What it is.
is "$(attr "$a/vol" uuid)" "$(sed -n 's/^uuid *= *//p' "$W/srv/pool/vol.meta")" "its UUID"
is "$(attr "$a/vol" pool)" main "its pool"
is "$(attr "$a/vol" server)" srv "its server"
is "$(attr "$a/vol" state)" ready "its state"
like "$(getfattr -d -m '^user\.rsio\.' "$a/vol" 2>&1)" 'user.rsio.generation="[0-9]+"' "all of them at once"
is "$(getfattr -d -m '^user\.rsio\.' "$a/vol" 2>&1 >/dev/null | grep -v Removing)" "" "each has a value"
check "a label is set" setfattr -n user.rsio.label -v 'for the books' "$a/vol"
is "$(attr "$a/vol" label)" "for the books" "and shown"
is "$(attr "$b/vol" label)" "for the books" "also by another client"
check "it is taken away" setfattr -x user.rsio.label "$b/vol"
check "as the other sees soon" wait_for 5 is_attr "$a/vol" label ""
check "who may see it is set" setfattr -n user.rsio.clients -v 'node1 node2:ro' "$a/vol"
is "$(attr "$a/vol" clients)" "node1 node2:ro" "and shown"
check "a client that is not among them does not see it any more" wait_for 5 is_gone "$c/vol"
check "all may again" setfattr -x user.rsio.clients "$a/vol"
check "and the client sees it" wait_for 5 exists "$c/vol"
check "a limit is set" setfattr -n user.rsio.iops -v 50000 "$a/vol"
check "and another one" setfattr -n user.rsio.mbps -v 400.5 "$a/vol"
is "$(attr "$a/vol" iops) $(attr "$a/vol" mbps)" "50000 400.5" "both are shown"
check "one is taken away" setfattr -x user.rsio.iops "$a/vol"
is "$(attr "$a/vol" iops) $(attr "$a/vol" mbps)" "0 400.5" "the other stays"
check "then that one" setfattr -x user.rsio.mbps "$a/vol"
like "$(try setfattr -n user.rsio.uuid -v x "$a/vol")" 'not permitted' "a UUID is not set"
like "$(try setfattr -n user.rsio.iops -v many "$a/vol")" 'Invalid' "nor a limit that is no number"
like "$(try setfattr -n user.mine -v x "$a/vol")" 'not supported' "other attributes are not kept"
like "$(try getfattr -n user.mine "$a/vol")" 'No such attribute' "and there are none"
is "$(getfattr -d "$a/.rsio/status" 2>&1)" "" "a text has none"

# Volumes that are made and go: only where the mount is for that.
like "$(try touch "$a/new")" 'not permitted' "no volume is made where the mount is not for that"
like "$(cat "$log1")" 'manage = yes' "and the log says how it would be"
like "$(try rm "$a/vol")" 'not permitted' "none is removed"
like "$(try mv "$a/vol" "$a/lov")" 'not permitted' "none renamed"
check "where it is, touch plans one" touch "$b/new"
is "$(size "$b/new")" 0 "that has no size"
is "$(ls "$b")" "new
ro
vol" "and is listed"
check_fails 2 "the server has none yet" ls "$W/srv/pool/new.raw"
like "$(try dd if=/dev/zero of="$b/new" bs=512 count=1 status=none conv=notrunc)" 'No space' "nothing can be written to it"
check "and the log says what to do" grep -q 'new cannot be written to: it has no size yet; truncate -s SIZE makes it a volume' "$log2"
check "truncate makes it" truncate -s 3M "$b/new"
is "$(size "$b/new")" 3145728 "of that size"
is "$(stat -c %s "$W/srv/pool/new.raw")" 3145728 "on the server too"
check "another client sees it" wait_for 5 exists "$a/new"
check "and writes to it" dd if="$W/data" of="$a/new" bs=1M count=3 conv=notrunc status=none
check "what the first one reads" cmp -n 3145728 "$W/data" "$b/new"
check "in one step" truncate -s 1M "$b/another"
is "$(size "$b/another")" 1048576 "a volume is made"
# The file that is open while the volume is made is the volume's.
exec 5<>"$b/third"
check "through a file that is open" truncate -s 1M "/proc/self/fd/5"
printf 'written through it' >&5
exec 5<&-
check "it is there for others" wait_for 5 exists "$a/third"
is "$(head -c 18 "$a/third")" "written through it" "with what was written through that file"
like "$(try touch "$b/.hidden")" 'Invalid' "a name has to be one"
touch "$b/plan"
check "a plan is given up" rm "$b/plan"
check "and is gone" is_gone "$b/plan"
like "$(try truncate -s 1M "$c/mine")" 'Permission denied|not permitted|Invalid' "who has no right makes none"
rm -f "$c/mine"

check "mv renames one" mv "$b/another" "$b/renamed"
check "for others too" wait_for 5 exists "$a/renamed"
check "the name before is gone" wait_for 5 is_gone "$a/another"
like "$(try mv "$b/renamed" "$b/new")" 'File exists|exists' "but removes none"
exec 5<"$a/renamed"
check "who has it open is shown" wait_for 5 is_attr "$b/renamed" open_by node1
like "$(try rm "$b/renamed")" 'busy' "one that is open is not removed"
like "$(cat "$log2")" 'node1' "and the log names who has it open"
exec 5<&-
removed() { rm "$b/renamed" 2>"$W/rm.err"; }
check "rm removes one" wait_for 5 removed
check "it is gone" is_gone "$b/renamed"
check "for others too" wait_for 5 is_gone "$a/renamed"
check_fails 2 "and on the server" ls "$W/srv/pool/renamed.raw"

# Not for everybody who may write to the file.
chmod 666 "$a/vol"
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
check "whoever may write does" nobody dd if=/dev/zero of="$a/vol" bs=512 count=1 conv=notrunc status=none
like "$(try nobody truncate -s 7M "$a/vol")" 'not permitted' "but changes no size"
is "$(size "$a/vol")" 6291456 "it has the one it had"
chmod 666 "$b/vol"
check "and reads what there is to know" nobody getfattr -n user.rsio.pool "$b/vol"
for attribute in clients label iops; do
	like "$(try nobody setfattr -n user.rsio.$attribute -v 1 "$b/vol")" 'not permitted' "but sets no $attribute"
	like "$(try nobody setfattr -x user.rsio.$attribute "$b/vol")" 'not permitted' "nor takes it away"
done
like "$(try nobody mkdir "$b/.snap/vol/theirs")" 'denied|not permitted' "takes no snapshot"
like "$(try nobody rm "$b/vol")" 'denied|not permitted' "removes none"
like "$(try nobody mv "$b/vol" "$b/theirs")" 'denied|not permitted' "renames none"
like "$(try nobody touch "$b/theirs")" 'denied|not permitted' "and makes none"
done_testing
