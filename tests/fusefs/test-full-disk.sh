#!/bin/bash
# test-full-disk.sh - a full disk under the pool: the application gets ENOSPC,
# what was there stays, and writing goes on when there is space again.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod

write_server_conf "$W/srv"
write_client_conf "$W/clt" "$W/srv"
mount -t tmpfs -o size=24m rsio-test "$W/srv/pool"
cleanup_fn umount "$W/srv/pool"
make_volume "$W/srv" small 8M
make_volume "$W/srv" large 64M		# promised, not there
start_server "$W/srv"
start_client "$W/clt"
m=$W/clt/mnt/osl

dd if=/dev/urandom of="$W/data" bs=1M count=8 status=none
check "the small volume is written" dd if="$W/data" of="$m/small" bs=1M conv=notrunc,fsync status=none
like "$(dd if=/dev/urandom of="$m/large" bs=1M count=32 conv=notrunc oflag=direct 2>&1 || true)" \
	'No space left on device' "beyond the disk's end a write fails with ENOSPC"
check "what was there is undamaged" cmp "$W/data" "$m/small"
check "what has its space can be written" dd if="$W/data" of="$m/small" bs=1M conv=notrunc,fsync status=none
like "$("$BUILD/rsslogcat" --run-dir "$W/srv/run")" 'large.*[Nn]o space|[Nn]o space.*large' "the server's log says so"
check "discarding gives the space back" fallocate -p -o 0 -l 64M "$m/large"
check "and writing goes on" dd if="$W/data" of="$m/large" bs=1M conv=notrunc,fsync status=none
check "with the right data" cmp -n $((8 << 20)) "$W/data" "$m/large"
done_testing
