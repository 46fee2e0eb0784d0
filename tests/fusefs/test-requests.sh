#!/bin/bash
# test-requests.sh - what an application does with a volume, and what the server is asked for.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
# shellcheck source=tests/fusefs/recorder.sh
. "$TESTS_DIR/fusefs/recorder.sh"
requires_root
requires_fuse
requires_cmd xfs_io
requires_program rsiod
start_recorder

put() { dd if=/dev/zero of="$v" bs=4096 count=1 conv=notrunc status=none "$@"; }
io() { xfs_io "${@:2}" -c "$1" "$v" >/dev/null; }

# With direct I/O the kernel sends no FSYNC for these: the flag is in the write.
put
is "$(commands)" "write 0 4096" "a write is not made stable on its own"
put oflag=dsync
is "$(commands)" "write 0 4096 fua" "O_DSYNC goes out as FUA"
put oflag=sync
is "$(commands)" "write 0 4096 fua" "O_SYNC too"
put oflag=direct,dsync
is "$(commands)" "write 0 4096 fua" "and with O_DIRECT"
io "pwrite -V 1 -D -q 8192 512"
is "$(commands)" "write 8192 512 fua" "RWF_DSYNC too"
io "pwrite -q 8192 512"
is "$(commands)" "write 8192 512" "but only for that write"
put conv=notrunc,fsync
is "$(commands)" "write 0 4096, flush" "fsync is a flush"
put conv=notrunc,fdatasync
is "$(commands)" "write 0 4096, flush" "fdatasync too"

# As on a block device nothing is truncated.
: >"$v"
is "$(commands)" "" "> vol changes nothing"
is "$(stat -c %s "$v")" 4194304 "nor the size"
echo kept | dd of="$v" bs=512 seek=9 conv=notrunc status=none
commands >/dev/null
printf x >"$W/x"
cp "$W/x" "$v"
is "$(commands)" "write 0 1" "cp a vol writes what a has"
dd if="$W/x" of="$v" status=none
is "$(commands)" "write 0 1" "dd of=vol too"
is "$(dd if="$v" bs=512 skip=9 count=1 status=none | head -c 4)" kept "what is behind it is kept"
check "truncation to its own size is fine" truncate -s 4194304 "$v"
for size in 0 1 8388608; do
	check_fails 1 "ftruncate to $size is refused" io "truncate $size"
done
check_fails 1 "a shrink by name is refused" truncate -s 1024 "$v"
is "$(stat -c %s "$v")" 4194304 "the size is what it was"
commands >/dev/null

# The end.
full() { "$@" 2>&1 || true; }
like "$(full dd if=/dev/zero of="$v" bs=8192 seek=512 count=1 conv=notrunc)" 'No space left' \
	"a write behind the end fails as on a disk"
like "$(full bash -c "echo more >>'$v'")" 'No space left' "so does one that appends"
is "$(commands)" "" "without asking the server"
like "$(full dd if=/dev/zero of="$v" bs=8192 seek=4190208 oflag=seek_bytes count=1 conv=notrunc)" \
	'4096 bytes' "one over the end is cut"
is "$(commands)" "write 4190208 4096" "and goes out as far as there is room"
is "$(dd if="$v" bs=8192 skip=511 status=none | wc -c)" 8192 "a read ends at the end"
is "$(dd if="$v" bs=4096 skip=1024 status=none 2>/dev/null | wc -c)" 0 "there is nothing behind it"
commands >/dev/null

# Large ones.
dd if=/dev/urandom of="$W/data" bs=1M count=4 status=none
dd if="$W/data" of="$v" bs=4M conv=notrunc status=none
is "$(commands | tr ',' '\n' | wc -l)" 4 "4 MiB are four commands"
check "and are read back" cmp "$W/data" "$v"
commands >/dev/null

# Ranges.
io "fpunch 4096 8192"
is "$(commands)" "discard 4096 8192" "punching a hole is a discard"
io "fzero -k 65536 100"
is "$(commands)" "write-zeroes 65536 100" "zeroing a range"
io "fpunch 4190208 100m"
is "$(commands)" "discard 4190208 4096" "a range is cut at the end"
like "$(full fallocate -l 8192 "$v")" 'not supported' "allocating is not supported"
like "$(full fallocate -c -o 0 -l 4096 "$v")" 'not supported' "nor is collapsing"
is "$(commands)" "" "nothing is asked for in vain"
seek() { xfs_io -r -c "seek -$1 $2" "$v" | awk 'NR > 0 { print $NF }' | tail -n 1; }
is "$(seek h 0)" 4096 "SEEK_HOLE finds the hole"
is "$(seek d 5000)" 12288 "SEEK_DATA finds its end"
is "$(seek h 4190000)" 4190208 "and the one at the end"
is "$(seek d 4190208)" EOF "behind it is no data"
commands >/dev/null

# What the server cannot do reaches the application.
echo flush >"$W/rec/refuse"
like "$(full put conv=notrunc,fsync)" 'Input/output error' "a flush that fails makes fsync fail"
echo write >"$W/rec/refuse"
like "$(full put)" 'Input/output error' "so does a write"
echo discard >"$W/rec/refuse"
like "$(full fallocate -p -o 0 -l 4096 "$v")" 'Input/output error' "so does a discard"
rm "$W/rec/refuse"

# ioctl, mmap, attributes.
is "$(blockdev --getsize64 "$v")" 4194304 "BLKGETSIZE64 gives the size"
like "$(full blockdev --getss "$v")" 'Inappropriate ioctl' "ioctls without a size are not for files"
like "$(full xfs_io -c 'mmap -s 0 4096' -c 'mmap -w 0 4096' "$v")" 'mmap.*No such device|mmap: ' "a shared mapping is refused"
like "$(full cp --reflink=always "$v" "$v.copy")" 'not permitted|not supported|cannot create' "cp --reflink does not work"
like "$(full setfattr -n user.a -v b "$v")" 'not supported' "there are no extended attributes"
done_testing
