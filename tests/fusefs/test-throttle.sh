#!/bin/bash
# A volume with a very low limit: its reader waits, and no path, no other volume and no
# other client notices.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd dd

write_server_conf "$W/s" portals=2
make_volume "$W/s" slow 16M
make_volume "$W/s" fast 16M
start_server "$W/s"
write_client_conf "$W/c" "$W/s"
start_client "$W/c"
mnt=$W/c/mnt/osl
wait_for 10 test -f "$mnt/slow"

"$BUILD/rsvol" --run-dir "$W/c/run" limit osl:slow --iops 1 >/dev/null || bail "a limit is set"
read_blocks()	# VOLUME COUNT FIRST
{
	dd if="$mnt/$1" of=/dev/null bs=4k count="$2" skip="$3" iflag=direct status=none
}

# Eight readers of one block each: 7 s and more, three times what makes a path suspect.
began=$SECONDS
readers=()
for i in {1..8}; do
	read_blocks slow 1 "$i" &
	readers+=($!)
done
check "another volume is read meanwhile" read_blocks fast 500 0
took=$((SECONDS - began))
check "and does not wait" [ "$took" -le 5 ]
failed=0
for i in "${readers[@]}"; do
	wait "$i" || failed=$((failed + 1))
done
took=$((SECONDS - began))
is "$failed" 0 "each reader gets its block"
check "no sooner than the limit lets it" [ "$took" -ge 6 ]
is "$(grep -cE 'silent for|suspect|lost' "$W/c/rsiod.out")" 0 "and no path was lost"
"$BUILD/rsvol" --run-dir "$W/c/run" limit osl:slow --none >/dev/null
began=$SECONDS
check "without the limit" read_blocks slow 100 0
took=$((SECONDS - began))
check "it is as fast as ever" [ "$took" -le 20 ]
done_testing
