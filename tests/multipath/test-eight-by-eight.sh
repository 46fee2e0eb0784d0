#!/bin/bash
# As many paths as a session may have: eight interfaces of the client with eight portals of
# the server, of which the configuration names one.  All carry their part; portals and the
# server go and come.
# time-limit: 150
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd jq
requires_program rssrv rsiod rsconfig

rsconfig() { timeout -k 1 40 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }
status() { rsconfig -m status --json; }
up_are() { [ "$(status | jq '[.paths[] | select(.state == "up")] | length')" = "$1" ]; }
paths_there() { [ "$(status | jq '.paths | length')" = "$1" ]; }

portals=() interfaces=()
for i in 1 2 3 4 5 6 7 8; do
	portals+=("address=127.0.9.$i")
	interfaces+=("address=127.0.8.$i")
done
write_server_conf "$W/srv" "${portals[@]}"
port=$(sed -n '1s/.* //p' "$W/srv/portals")
sed -i "s/^port = .*/port = $port/" "$W/srv/rssrvcfg"
sed -i 1q "$W/srv/portals"
write_client_conf "$W/clt" "$W/srv" "${interfaces[@]}"
printf '\n[defaults]\npolicy = round-robin\nretry = 0.1s\n' >>"$W/clt/rscltcfg"
make_volume "$W/srv" data 8M
start_server "$W/srv"
start_client "$W/clt"
vol=$W/clt/mnt/osl

check "64 paths are up" wait_for 30 up_are 64
check "and no more are tried" paths_there 64
is "$(status | jq -r '[.paths[] | .name] | unique | length')" 64 "each has a name of its own"
is "$(status | jq -r '[.paths[] | .local + " " + .portal] | unique | length')" 64 "each is a pair of its own"
is "$(status | jq -r '[.paths[] | select(.learned)] | length')" 56 "56 of them the configuration does not name"
is "$("$BUILD/rssrv" --run-dir "$W/srv/run" --status | jq '[.sessions[].connections[]] | length')" 64 \
	"the server has 64 connections of one client"

start_stamp data "$vol/data" --blocks 2048 --jobs 64
all_carry() { status | jq -e 'all(.paths[]; .commands > 20)' >/dev/null; }
check "all carry their part" wait_for 30 all_carry

sed '/^\[interface if[567]\]/,/^$/d' "$W/srv/rssrvcfg" >"$W/five"
cp "$W/srv/rssrvcfg" "$W/eight"
cat "$W/five" >"$W/srv/rssrvcfg"
kill -HUP "$(server_pid "$W/srv")"
check "three portals go: 40 paths are left" wait_for 30 up_are 40
check "the others are not there any more" wait_for 10 paths_there 40
goes_on data "and writes go on"
cat "$W/eight" >"$W/srv/rssrvcfg"
kill -HUP "$(server_pid "$W/srv")"
check "they come: 64 again" wait_for 30 up_are 64
is "$(status | jq '[.paths[].errors] | add')" 0 "no path was lost for that"

kill_server "$W/srv"
check "the server is killed" wait_for 20 up_are 0
start_server "$W/srv"
check "it comes back: 64 again" wait_for 30 up_are 64
goes_on data "and writes go on" 30

end_stamp data
verified data "$W/srv/pool/data.raw" "the server's file has what was acknowledged" --buffered
note "rsiod with 64 paths: $(awk '/VmRSS/ { print $2, $3 }' "/proc/$(client_pid "$W/clt")/status")"
check "as status" test "$(rsconfig -m status | grep -c 'rep: .* connected')" = 64
done_testing
