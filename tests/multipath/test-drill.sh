#!/bin/bash
# rsconfig -m drill: a path or a server is silent for a while under verified load; what
# waited is measured, all comes back, and nothing was lost.
# time-limit: 180
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd jq
requires_program rssrv rsiod rsconfig

rsconfig() { timeout -k 1 40 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }
says() { rsconfig "$@" 2>&1; }

write_server_conf "$W/srv" portals=2 server=big-9
write_client_conf "$W/clt" "$W/srv"
printf '\n[defaults]\ndetect = 2s\nretry = 0.1s\ngive-up = 20s\n' >>"$W/clt/rscltcfg"
make_volume "$W/srv" data 8M
start_server "$W/srv"
start_client "$W/clt"
vol=$W/clt/mnt/osl
check "both portals carry a path" wait_for 10 paths_are "$W/clt" 2
path=$(rsconfig -m status --json | jq -r '[.paths[] | select(.state == "up") | .name] | sort | .[0]')

like "$(says -m drill "$path" --for 0.2)" "^rsconfig: no volume was in use meanwhile: nothing was measured$" "without load"
like "$(says -m drill nowhere)" "^rsconfig: no path and no server nowhere is connected$" "who is not there"
like "$(says -m drill big-9 --for 19)" "^rsconfig: nothing else leads to that server, and 19 s are too close to give-up: I/O would fail$" \
	"an end that would be an error"
like "$(says -m drill "$path" --for 0.01)" "^rsconfig: a drill takes from 0.1 to 600 seconds$" "too short"
check_fails 2 "--for without a drill" rsconfig -m status --for 3

export TRAFFIC_SECONDS=90
start_stamp data "$vol/data" --blocks 2048 --jobs 16 --flush-every 100
goes_on data "writes go on" 20

# One path of two: what it had under way goes on over the other.
asked() { grep -c 'drill asked for by' "$W/clt/rsiod.out"; }
before=$(asked)
drill=$(rsconfig -m drill "$path" --for 6 --json)
is "$(asked)" $((before + 1)) "it is in the log once"
check "a drill with a path passes" jq -e '.passed and .others and (.volumes | length) == 1' <<<"$drill"
check "what it had under way waited until the path was given up" jq -e '.volumes[0].longest > 1' <<<"$drill"
check "and no longer than it may" jq -e '.volumes[0].longest <= .limit' <<<"$drill"
lost() { rsconfig -m status -v | grep -q 'last lost .*: silent for .* s, while another path to the server is not$'; }
check "the path was lost meanwhile" lost
check "it is back" wait_for 15 paths_are "$W/clt" 2
goes_on data "writes go on after that" 20

# A path that comes back before it was given up: nothing was lost, not even the path.
before=$(rsconfig -m status --json | jq '[.paths[].errors] | add')
check "a short one passes too" rsconfig -m drill "$path" --for 0.3
is "$(rsconfig -m status --json | jq '[.paths[].errors] | add')" "$before" "and loses no path"

# The whole server: I/O waits, and goes on.
like "$(says -m drill osl:big-9 --for 3)" "^passed: big-9 was silent for 3 s, nothing else led to the server$" "the whole server"
check "all paths are back" wait_for 15 paths_are "$W/clt" 2
goes_on data "writes go on after that too" 20

# A server that is stopped meanwhile: what waits, waits for too long, and that is said.
rsconfig -m drill "$path" --for 4 >"$W/failed" 2>&1 &
drill=$!
begun() { grep -q 'is taken away for 4 s' "$W/clt/rsiod.out"; }
wait_for 5 begun
like "$(says -m drill "$path")" "^rsconfig: a drill with .* is under way$" "one at a time"
kill -STOP "$(server_pid "$W/srv")"
over() { grep -q "^FAILED: " "$W/failed"; }
wait_for 40 over
kill -CONT "$(server_pid "$W/srv")"
like "$(cat "$W/failed")" "^osl:data +longest wait +[0-9.]+ s of [0-9.]+ s$" "what waited is shown"
like "$(cat "$W/failed")" "^FAILED: .* was silent for 4 s" "a drill that fails"
check_fails 1 "its exit status" wait $drill
check "all paths are back after that" wait_for 20 paths_are "$W/clt" 2
goes_on data "writes go on at the end" 20

end_stamp data
verified data "$W/srv/pool/data.raw" "the server's file has what was acknowledged" --buffered
verified data "$vol/data" "and so it reads through the mount"
done_testing
