#!/bin/bash
# test-two-clients.sh - two clients of one volume see each other's completed
# writes at once.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd python3
requires_program rssrv rsiod

write_server_conf "$W/srv" portals=2
key2=$(new_key)
sed -i "s/^\[clients\]/[clients]\nnode2 $key2/" "$W/srv/rssrvcfg"
write_client_conf "$W/a" "$W/srv"
write_client_conf "$W/b" "$W/srv" node=node2 "key=$key2"
make_volume "$W/srv" both 16M
start_server "$W/srv"
start_client "$W/a"
start_client "$W/b"

# Each in turn writes what the other wrote, plus one: a stale read would be a wrong number.
cat >"$W/turns.py" <<'P'
import os, sys
fds = [os.open(p, os.O_RDWR | os.O_DIRECT) for p in sys.argv[1:3]]
import mmap
buf = mmap.mmap(-1, 4096)
for turn in range(500):
    offset = 4096 * (turn % 7)
    writer, reader = fds[turn % 2], fds[1 - turn % 2]
    buf[:8] = turn.to_bytes(8, "little")
    assert os.pwritev(writer, [buf], offset) == 4096
    buf[:8] = b"\0" * 8
    assert os.preadv(reader, [buf], offset) == 4096
    seen = int.from_bytes(buf[:8], "little")
    if seen != turn:
        sys.exit(f"turn {turn}: the other client sees {seen}")
P
check "500 turns, each sees the other's write" python3 "$W/turns.py" "$W/a/mnt/osl/both" "$W/b/mnt/osl/both"

# The same through page caches in between: a remount of the file system shows what the other wrote.
check "buffered readers too" sh -c "
	echo first | dd of='$W/a/mnt/osl/both' bs=512 count=1 conv=notrunc,sync status=none
	[ \"\$(head -c 5 '$W/b/mnt/osl/both')\" = first ] &&
	echo other | dd of='$W/b/mnt/osl/both' bs=512 count=1 conv=notrunc,sync status=none
	[ \"\$(head -c 5 '$W/a/mnt/osl/both')\" = other ]"
check "a flush of one covers the other's writes" sync "$W/a/mnt/osl/both"

# The same node name from elsewhere is another client: refused, by name, and harmless.
write_client_conf "$W/c" "$W/srv"
mkdir -p "$W/c/run" "$W/c/mnt"
status=0
out=$("$BUILD/rsiod" -c "$W/c/rscltcfg" --run-dir "$W/c/run" -m "$W/c/mnt" 2>&1) || status=$?
cleanup_fn sh -c "[ ! -e $W/c/run/rsiod.pid ] || kill \$(cat $W/c/run/rsiod.pid)"
like "$out" 'node1' "a second machine with the same node name is told why"
check "it is not served" test $status -ne 0
check "the first one goes on" dd if="$W/a/mnt/osl/both" of=/dev/null bs=1M status=none
done_testing
