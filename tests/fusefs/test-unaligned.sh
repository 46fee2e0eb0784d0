#!/bin/bash
# test-unaligned.sh - reads, writes and holes at any offset and of any length.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod tests/tools/odd_io

write_server_conf "$W/srv" portals=2
make_volume "$W/srv" vol 8M
write_client_conf "$W/clt" "$W/srv"
start_server "$W/srv"
start_client "$W/clt"
v=$W/clt/mnt/osl/vol
dd if=/dev/urandom of="$v" bs=1M count=8 conv=notrunc status=none

for seed in 1 "${RSIO_SEED:-2}"; do
	check "1000 operations, seed $seed" "$BUILD/tests/tools/odd_io" "$v" 8388608 1000 "$seed"
done
sync "$v"
check "the server's file is what the client reads" cmp "$v" "$W/srv/pool/vol.raw"

# Two at once, in halves that meet within a block.
truncate -s 8M "$W/low"
"$BUILD/tests/tools/odd_io" "$v" 4000001 400 7 >out &
low=$!
status=0
for i in $(seq 100); do
	dd if=/dev/urandom of="$W/high" bs=999 count=1 status=none
	dd if="$W/high" of="$v" bs=999 seek=4000001 oflag=seek_bytes conv=notrunc status=none
	dd if="$v" bs=999 skip=4000001 iflag=skip_bytes count=1 status=none | cmp -s - "$W/high" || status=1
done
is $status 0 "a writer above the border is not disturbed"
status=0
wait $low || status=$?
is "$status: $(cat out)" "0: " "nor the one below"
done_testing
