#!/bin/bash
# test-keys-hidden.sh - where no key may be: in a core file, a log, a status, an error, an
# argument or the environment of either daemon, with auth and with tls, after reloads too.
# time-limit: 90
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd python3 jq
requires_program rssrv rsiod rsconfig

new=$(new_key)
write_server_conf "$W/srv" portals=2
make_volume "$W/srv" vol 4M
start_server "$W/srv"
write_client_conf "$W/clt" "$W/srv"
start_client "$W/clt"
m=$W/clt/mnt
server=$(server_pid "$W/srv") client=$(client_pid "$W/clt")
connected() { [ "$("$BUILD/rssrv" --status --run-dir "$W/srv/run" | jq '[.sessions[].connections[]] | length')" = 2 ]; }
reload() { timeout 15 "$BUILD/rsconfig" --run-dir "$W/clt/run" -m reload; }
hidden() {	# WHEN
	check "$1: no key in a core file of the server" python3 "$TESTS_DIR/peer/dumped.py" "$server" "$TEST_KEY" "$new"
	check "$1: nor of the client" python3 "$TESTS_DIR/peer/dumped.py" "$client" "$TEST_KEY" "$new"
}

check "both paths are up" wait_for 10 connected
hidden "after the login"
sed -i "s/^node1 .*/&\nnode1 $new/" "$W/srv/rssrvcfg"
kill -HUP "$server"
sed -i "s/^nodekey = .*/nodekey = $new\nsecurity = tls/" "$W/clt/rscltcfg"
check "another key, and tls" reload
secure() { [ "$("$BUILD/rssrv" --status --run-dir "$W/srv/run" | jq -c '[.sessions[].connections[] | .key + " " + .security]')" = '["second tls","second tls"]' ]; }
check "are used" wait_for 20 secure
hidden "after that"
dd if="$m/osl/vol" of=/dev/null bs=64k count=4 status=none
sed -i "s/^nodekey = .*/nodekey = ${new}00/" "$W/clt/rscltcfg"
check "a wrong key" reload
{
	"$BUILD/rssrv" --status --run-dir "$W/srv/run"
	"$BUILD/rsconfig" --run-dir "$W/clt/run" -q --json
	"$BUILD/rsconfig" --run-dir "$W/clt/run" -m status --json
	timeout 10 cat "$m/osl/.rsio/status.json" "$m/.rsio/log" "$W/srv/rssrv.out" "$W/srv/run/rssrv.log" "$W/clt/run/rsiod.log"
	tr '\0' '\n' <"/proc/$server/cmdline"
	tr '\0' '\n' <"/proc/$client/cmdline"
	tr '\0' '\n' <"/proc/$server/environ"
	tr '\0' '\n' <"/proc/$client/environ"
} >"$W/said" 2>&1 || true
check "much was said" test "$(wc -c <"$W/said")" -gt 4000
check_fails 1 "and no key" grep -qa -e "$TEST_KEY" -e "$new" "$W/said"
done_testing
