#!/bin/bash
# test-new-key.sh - a client's key is changed under I/O: the server takes both for a while,
# the client's paths log in anew one by one, and nobody gets an error.
# time-limit: 90
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod rsconfig

new=$(new_key)
write_server_conf "$W/srv" portals=2
make_volume "$W/srv" vol 4M
start_server "$W/srv"
write_client_conf "$W/clt" "$W/srv"
start_client "$W/clt"
m=$W/clt/mnt
keys() {
	"$BUILD/rssrv" --status --run-dir "$W/srv/run" | jq -c '[.sessions[].connections[].key]'
}
times_read() { grep -c 'configuration read again' "$W/srv/rssrv.out"; }
read_more() { [ "$(times_read)" -gt "$1" ]; }
hup() {	# the server's, and waits until it has read
	local n
	n=$(times_read)
	kill -HUP "$(server_pid "$W/srv")"
	wait_for 5 read_more "$n"
}
keys_are() { [ "$(keys)" = "$1" ]; }

exec 5<>"$m/osl/vol"
while dd if=/dev/zero of="$m/osl/vol" bs=64k count=16 oflag=direct conv=notrunc status=none; do
	[ ! -e "$W/enough" ] || exit 0
done >"$W/load" 2>&1 &
load=$!
check "both paths are up" wait_for 10 keys_are '["first","first"]'
sed -i "s/^node1 .*/&\nnode1 $new/" "$W/srv/rssrvcfg"
check "the server gets a second key" hup
is "$(keys)" '["first","first"]' "nothing else changes"
sed -i "s/^nodekey = .*/nodekey = $new/" "$W/clt/rscltcfg"
check "the client gets it too" timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" -m reload
check "its paths take it, one after another" wait_for 20 keys_are '["second","second"]'
sed -i "/^node1 $TEST_KEY/d" "$W/srv/rssrvcfg"
check "the server lets the old one go" hup
is "$(keys)" '["first","first"]' "the new one is the only one"
touch "$W/enough"
check "the load goes on to its end" wait_for 20 gone $load
is "$(cat "$W/load")" "" "and got no error"
check "a file that was open all the time is good" dd of=/dev/null bs=4k count=1 status=none <&5
check "the client's log says why" grep -q 'its key changed, its paths log in anew' "$m/.rsio/log"
check_fails 1 "no key in the client's log" grep -q -e "$new" -e "$TEST_KEY" "$m/.rsio/log"
exec 5>&-

# A wrong one is refused, and mended at once: nobody waits until a refused login is tried again,
# which is after 5 s.
set_key() {
	sed -i "s/^nodekey = .*/nodekey = $1/" "$W/clt/rscltcfg"
	timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" -m reload
}
states() { jq -r '[.servers[].paths[] | .refused // .state] | unique | join(" ")' "$m/osl/.rsio/status.json"; }
states_are() { [ "$(states)" = "$1" ]; }
check "a key that the server does not have" set_key "$(new_key)"
check "is refused, and one path stays as it was" wait_for 10 states_are "key up"
check "the right one" set_key "$new"
check "is tried at once" try_for 4 states_are up
done_testing
