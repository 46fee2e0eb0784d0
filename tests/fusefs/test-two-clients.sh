#!/bin/bash
# test-two-clients.sh - two clients of one volume see each other's completed writes at once.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod

write_server_conf "$W/srv" portals=2
printf '\n' >>"$W/srv/rssrvcfg"
sed -i "s/^node1 .*/&\nnode2 $TEST_KEY/" "$W/srv/rssrvcfg"
make_volume "$W/srv" vol 16M
write_client_conf "$W/one" "$W/srv"
write_client_conf "$W/two" "$W/srv" node=node2
start_server "$W/srv"
start_client "$W/one"
start_client "$W/two"
a=$W/one/mnt/osl/vol b=$W/two/mnt/osl/vol

is "$(stat -c %i "$a")" "$(stat -c %i "$b")" "the inode number is made from the names"
differences=0
for i in $(seq 200); do
	at=$((RANDOM % 4096))
	if [ $((i % 2)) = 0 ]; then from=$a to=$b; else from=$b to=$a; fi
	printf 'turn %08d' "$i" | dd of="$from" bs=13 seek="$at" conv=notrunc oflag=seek_bytes status=none
	got=$(dd if="$to" bs=13 skip="$at" count=1 iflag=skip_bytes status=none)
	[ "$got" = "$(printf 'turn %08d' "$i")" ] || differences=$((differences + 1))
done
is $differences 0 "each sees what the other wrote, 200 times"

# Also with both open all the time.
exec 5<>"$a" 6<"$b"
for i in 1 2 3; do
	dd if=/dev/urandom of="$W/block" bs=64k count=1 status=none
	dd if="$W/block" bs=64k count=1 status=none >&5
	check "through files that stay open ($i)" sh -c "dd bs=64k count=1 status=none <&6 | cmp - '$W/block'"
done
exec 5<&- 6<&-

# And of different parts of one block: unaligned writes are made whole by the server.
dd if=/dev/zero of="$a" bs=64k count=1 conv=notrunc status=none
write_odd()	# FILE FIRST CHARACTER: every second of 400 stretches of 7 bytes
{
	local i
	for ((i = $2; i < 400; i += 2)); do
		printf '%s' "$3$3$3$3$3$3$3" | dd of="$1" bs=7 seek="$i" conv=notrunc status=none
	done
}
write_odd "$a" 0 a &
writer=$!
write_odd "$b" 1 b
wait $writer
expected=$(for ((i = 0; i < 200; i++)); do printf aaaaaaabbbbbbb; done)
is "$(head -c 2800 "$a")" "$expected" "neighbours in a block do not undo each other's writes"
is "$(head -c 2800 "$b")" "$expected" "as both see it"
done_testing
