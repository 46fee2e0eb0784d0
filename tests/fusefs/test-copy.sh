#!/bin/bash
# test-copy.sh - copy_file_range between volumes of one server is done by the server: the data is right,
# holes stay holes, and it does not cross the network; between two servers it is done here.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod

write_server_conf "$W/srv"
printf 'manage = node1\n' >>"$W/srv/rssrvcfg"
write_server_conf "$W/two" server=two serverid=2
make_volume "$W/srv" a 160M
make_volume "$W/srv" b 160M
make_volume "$W/srv" small 1M
make_volume "$W/two" far 160M
write_client_conf "$W/clt" "$W/srv" "$W/two"
start_server "$W/srv"
start_server "$W/two"
start_client "$W/clt"
m=$W/clt/mnt/osl
exists() { [ -e "$1" ]; }
check "all are there" wait_for 10 exists "$m/far"

# From to [offset offset length]: what each call copied.
cat >"$W/copy.py" <<'END'
import os, sys
a = os.open(sys.argv[1], os.O_RDONLY)
b = os.open(sys.argv[2], os.O_WRONLY)
at, to, left = (int(n) for n in sys.argv[3:6])
out = []
try:
    while left:
        n = os.copy_file_range(a, b, left, at, to)
        if not n:
            break
        out.append(n)
        at, to, left = at + n, to + n, left - n
except OSError as e:
    out.append(os.strerror(e.errno))
print(*out)
END
copy() { python3 "$W/copy.py" "$@"; }
# Bytes that crossed the network to or from a server.
moved() { jq "[.namespaces[].servers[] | select(.name == \"$1\") | .paths[] | .read_bytes + .write_bytes] | add" \
	"$W/clt/mnt/.rsio/status.json"; }
M=1048576

head -c 160M /dev/urandom >"$W/data"
dd if="$W/data" of="$m/a" bs=1M conv=notrunc status=none
before=$(moved srv)
is "$(copy "$m/a" "$m/b" 0 0 $((160 * M)))" "$((64 * M)) $((64 * M)) $((32 * M))" "all of a volume, 64 MiB at a time"
check "hardly anything of it crossed the network" test $(($(moved srv) - before)) -lt $M
check "the copy has the same" cmp "$W/data" "$m/b"
is "$(copy "$m/a" "$m/b" 4097 12345678 7654321)" 7654321 "a part of it, of odd size and place"
dd if="$W/data" of="$W/want" bs=1M status=none
dd if="$W/data" of="$W/want" bs=64k iflag=skip_bytes,count_bytes oflag=seek_bytes skip=4097 seek=12345678 count=7654321 \
	conv=notrunc status=none
check "goes where it belongs, and nowhere else" cmp "$W/want" "$m/b"
is "$(copy "$m/b" "$m/b" 0 $((80 * M)) $((10 * M)))" $((10 * M)) "within a volume"
dd if="$W/want" of="$W/want" bs=1M count=10 seek=80 conv=notrunc status=none
check "is right too" cmp "$W/want" "$m/b"
like "$(copy "$m/b" "$m/b" 0 4096 8192)" 'Invalid' "over itself nothing is copied"
is "$(copy "$m/small" "$m/b" $((M - 512)) 0 4096)" 512 "it ends where the source does"
like "$(copy "$m/a" "$m/small" 0 $((M - 512)) 4096)" '^512 No space' "or where the target does"

# Holes.
fallocate -p -o $((16 * M)) -l $((128 * M)) "$m/a"
fallocate -p -o 0 -l $((160 * M)) "$m/b"
check "a volume with a hole" test "$(copy "$m/a" "$m/b" 0 0 $((160 * M)))" = "$((64 * M)) $((64 * M)) $((32 * M))"
check "has the same in the copy" cmp "$m/a" "$m/b"
check "and a hole there" test "$(du -k "$W/srv/pool/b.raw" | cut -f 1)" -lt $((48 * 1024))

# By habit.
before=$(moved srv)
cp --sparse=never "$m/a" "$m/b"
check "cp is done by the server" test $(($(moved srv) - before)) -lt $((2 * M))
check "a snapshot of one" mkdir "$m/.snap/a/monday"
dd if="$W/data" of="$m/a" bs=1M count=8 conv=notrunc status=none
is "$(copy "$m/.snap/a/monday/a" "$m/b" 0 0 $((8 * M)))" $((8 * M)) "a part of it is brought back"
check "as it was" cmp -n $((8 * M)) "$m/.snap/a/monday/a" "$m/b"
like "$(copy "$m/a" "$m/.snap/a/monday/a" 0 0 4096 2>&1)" 'Read-only' "nothing is copied into it"

# While it is written to elsewhere, many at a time.
dd if="$W/data" of="$m/a" bs=1M conv=notrunc status=none
for i in 0 1 2 3 4 5 6 7; do
	copy "$m/a" "$m/b" $((i * 20 * M)) $(((7 - i) * 20 * M)) $((20 * M)) >"$W/copied.$i" &
	jobs[i]=$!
done
wait "${jobs[@]}"
right=0
for i in 0 1 2 3 4 5 6 7; do
	cmp -n $((20 * M)) -i $((i * 20 * M)):$(((7 - i) * 20 * M)) "$W/data" "$m/b" && right=$((right + 1))
done
is $right 8 "several at once"

# Two servers have nothing in common.
is "$(copy "$m/a" "$m/far" 0 0 $((3 * M)) | tr ' ' '\n' | awk '{ n += $1 } END { print n }')" $((3 * M)) \
	"between two servers it is copied all the same"
check "and is right" cmp -n $((3 * M)) "$W/data" "$m/far"

# What is lost on the way is done again, once.
fallocate -p -o 0 -l $((160 * M)) "$m/b"
copy "$m/a" "$m/b" 0 0 $((160 * M)) >"$W/copied" &
copier=$!
for _ in 1 2 3; do
	stop_server "$W/srv"
	start_server "$W/srv"
done
wait "$copier"
is "$(tr ' ' '\n' <"$W/copied" | awk '{ n += $1 } END { print n }')" $((160 * M)) "while the server is restarted again and again"
check "all is there" cmp "$W/data" "$m/b"
done_testing
