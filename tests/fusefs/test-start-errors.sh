#!/bin/bash
# test-start-errors.sh - what rsiod says, and its exit status, when it cannot
# start as it should.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod

write_server_conf "$W/srv"
write_client_conf "$W/good" "$W/srv"
make_volume "$W/srv" vol 8M
start_server "$W/srv"

# Runs rsiod, which must not stay; $out is what it said, $status how it ended.
refused()	# DIR [ARGS...]
{
	local dir=$1 pid=$1/run/rsiod.pid
	shift
	mkdir -p "$dir/run" "$dir/mnt"
	status=0
	out=$(timeout 30 "$BUILD/rsiod" -c "$dir/rscltcfg" --run-dir "$dir/run" -m "$dir/mnt" "$@" 2>&1) || status=$?
	if mountpoint -q "$dir/mnt"; then
		not_ok "nothing stays mounted"
		kill "$(cat "$pid")"
	fi
}

write_client_conf "$W/key" "$W/srv" "key=$(new_key)"
refused "$W/key"
is $status 3 "a wrong key: exit status 3"
like "$out" 'node1.*(key|login)' "it names the node and the key"
is "$(grep -c "$(sed -n 's/^nodekey = //p' "$W/key/rscltcfg")" <<<"$out")" 0 "it does not show the key"
like "$("$BUILD/rsslogcat" --run-dir "$W/srv/run")" 'node1' "the server's log names the node that was refused"

write_client_conf "$W/ns" "$W/srv"
sed -i 's/^\[namespace osl\]/[namespace ulm]/' "$W/ns/rscltcfg"
refused "$W/ns"
is $status 4 "an unknown namespace: exit status 4"
like "$out" 'ulm' "it names the namespace"

write_client_conf "$W/none" "$W/srv"
sed -i "s/^port = .*/port = $(free_port)/" "$W/none/rscltcfg"
refused "$W/none"
is $status 5 "a server that is not there: exit status 5"
like "$out" '127\.0\.0\.1' "it names the address"
like "$out" 'rssrv' "and what to look at"

mkdir -p "$W/bad"
sed 's/^nodename/nodname/' "$W/good/rscltcfg" >"$W/bad/rscltcfg"
chmod 600 "$W/bad/rscltcfg"
refused "$W/bad"
is $status 1 "a mistake in the configuration: exit status 1"
like "$out" 'rscltcfg:[0-9]+: .*nodname.*nodename' "with file, line, key and the nearest known one"
chmod 644 "$W/good/rscltcfg"
refused "$W/good"
like "$out" 'chmod|0600|readable' "a file with keys that others can read is refused, with what to do"
chmod 600 "$W/good/rscltcfg"
check_fails 2 "a wrong option: exit status 2" "$BUILD/rsiod" --no-such-option

# And the one that is right works, a second one on its run directory does not.
start_client "$W/good"
check "with nothing wrong it mounts" test -f "$W/good/mnt/osl/vol"
status=0
out=$("$BUILD/rsiod" -c "$W/good/rscltcfg" --run-dir "$W/good/run" -m "$W/good/mnt" 2>&1) || status=$?
is $status 1 "a second one: exit status 1"
like "$out" "$(client_pid "$W/good")" "it names the first one"
done_testing
