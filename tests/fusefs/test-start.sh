#!/bin/bash
# test-start.sh - rsiod's start and end: exit statuses, mount points, who else is there.
# time-limit: 180
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_program rssrv rsiod rsconfig

write_server_conf "$W/srv"
write_client_conf "$W/clt" "$W/srv"
make_volume "$W/srv" vol 8M
start_server "$W/srv"
port=$(awk '{ print $5 }' "$W/srv/portals")
m=$W/mnt
mkdir -p "$W/run"

# In the background; what is left of it is ended at the end.
rsiod() { timeout 30 "$BUILD/rsiod" -c "$W/clt/rscltcfg" --run-dir "$W/run" -m "$m"; }
pid() { cat "$W/run/rsiod.pid" 2>/dev/null || echo 0; }
end_it()
{
	local p
	p=$(pid)
	[ "$p" = 0 ] && return
	kill -TERM "$p" 2>/dev/null || true
	try_for 5 gone "$p" || kill -KILL "$p" 2>/dev/null || true
}
cleanup_fn unmount "$m"
cleanup_fn end_it
mounted() { grep -q " $m fuse.rsio " /proc/mounts; }
not_mounted() { ! mounted; }

# Start.
check "it starts in the background" rsiod
check "what it serves is there when it returns" test -s "$m/osl/vol"
first=$(pid)
check "it runs" kill -0 "$first"
out=$(rsiod 2>&1) && status=0 || status=$?
is "$status" 1 "a second one on the same run directory does not start"
like "$out" "already running, pid $first " "and is told who is there"
out=$(timeout 30 "$BUILD/rsiod" -c "$W/clt/rscltcfg" --run-dir "$W/run2" -m "$m" 2>&1) && status=0 || status=$?
is "$status" 1 "nor one with another run directory at the same place"
like "$out" "$m is in use by rsiod, pid $first, run directory $W/run" "and is told whose it is"
check "it ends with SIGTERM" end_it
check "nothing is mounted" not_mounted
check_fails 1 "the mount point that it made is gone" test -e "$m"
check_fails 1 "so is the pid file" test -e "$W/run/rsiod.pid"
check_fails 1 "and the socket" test -e "$W/run/rsiod.sock"
mkdir "$m"
rsiod && end_it
check "a mount point that was there stays" test -d "$m"
touch "$W/file"
out=$(timeout 30 "$BUILD/rsiod" -c "$W/clt/rscltcfg" --run-dir "$W/run" -m "$W/file" 2>&1) && status=0 || status=$?
is "$status" 1 "a file is no mount point"
like "$out" 'not a directory' "and that is said"

# Killed: nobody meets "Transport endpoint is not connected".
rsiod
kill -KILL "$(pid)"
check "when it is killed the mount is taken away" wait_for 2 not_mounted
check "its directory can be used" ls "$m"
check "and it starts again" rsiod
check "with its volumes" test -s "$m/osl/vol"
p=$(pid)
kill -KILL "$(pgrep -P "$p")"
kill -KILL "$p"
check "so it is when its helper was killed before: a spare went on" wait_for 2 not_mounted
rsiod
p=$(pid)
helper=$(pgrep -P "$p")
kill -KILL "$(pgrep -P "$helper")" "$helper"	# the spare first
kill -KILL "$p"
check "a mount that was left" wait_for 2 sh -c "! ls '$m' 2>/dev/null"
check "is taken away at the start" rsiod
check "and replaced" test -s "$m/osl/vol"

# The end waits for whoever uses it.
exec 5<"$m/osl/vol"
kill -TERM "$(pid)"
says_who() { grep -q "in use: .*(pid $$) has $m/osl/vol open" "$m/.rsio/log"; }
check "SIGTERM says who holds the mount" wait_for 3 says_who
check "and goes on" cat "$m/.rsio/status"
out=$("$BUILD/rsconfig" --run-dir "$W/run" -m stop 2>&1) && status=0 || status=$?
is "$status" 1 "rsconfig -m stop does not end it either"
like "$out" "pid $$" "and says who"
p=$(pid)
kill -TERM "$p"
check "a second SIGTERM ends it all the same" wait_for 5 gone "$p"
check "nothing is mounted then" not_mounted
exec 5<&-
rsiod
(cd "$m/osl" && exec sleep 100) &
sitter=$!
out=$("$BUILD/rsconfig" --run-dir "$W/run" -m stop 2>&1) || true
like "$out" "sleep \(pid $sitter\) works in $m/osl" "who only sits there is named too"
kill $sitter
p=$(pid)
check "without it the same command ends it" "$BUILD/rsconfig" --run-dir "$W/run" -m stop
check "in order" wait_for 5 gone "$p"
rsiod
p=$(pid)
umount "$m"
check "who unmounts it ends it" wait_for 5 gone "$p"
rsiod
p=$(pid)
kill -KILL "$(pgrep -P "$p")"
check "without its helper" wait_for 2 sh -c "! pgrep -P $p >/dev/null"
check "it still ends in order" end_it
check "and unmounts" not_mounted

# What is wrong is said, with a status for each.
run()	# SED-SCRIPT [ARGS...]: with a changed configuration; $out and $status
{
	sed "$1" "$W/clt/rscltcfg" >"$W/changed"
	chmod 600 "$W/changed"
	out=$(timeout 30 "$BUILD/rsiod" -c "$W/changed" --run-dir "$W/run" -m "$m" "${@:2}" 2>&1) && status=0 || status=$?
}
run 's/^nodekey.*/nodekey = wrong/'
is "$status" 3 "a wrong key: status 3"
like "$out" '^rsiod: namespace osl: .*key' "and a message"
like "$out" '\[clients\]' "and what to do"
run 's/^nodename.*/nodename = stranger/'
is "$status" 3 "an unknown node name: status 3"
run 's/namespace osl/namespace ols/'
is "$status" 4 "an unknown namespace: status 4"
like "$out" '^rsiod: namespace ols: .*namespace' "and a message"
run "s/^port.*/port = 1/"
is "$status" 5 "no server: status 5"
like "$out" '^rsiod: namespace osl: no server answers: .*refused' "and a message"
check "nothing is mounted after any of them" not_mounted
is "$(pgrep -f "^$BUILD/rsiod .* -m $m" || true)" "" "and nothing runs"
run "s/^port.*/port = 1/" --no-wait
is "$status" 0 "--no-wait starts all the same"
check "with an empty namespace" test -d "$m/osl"
check_fails 1 "that has no volumes" test -e "$m/osl/vol"
sed "s/^port.*/port = $port/" "$W/clt/rscltcfg" >"$W/changed"
kill -HUP "$(pid)"
check "and goes on when the server can be found" wait_for 5 test -s "$m/osl/vol"
end_it
run 's/^nodekey/nodekye/'
is "$status" 1 "a mistake in the configuration: status 1"
like "$out" "changed:[0-9]+: .*nodekye.*did you mean nodekey" "and a message"
check_fails 2 "wrong usage: status 2" "$BUILD/rsiod" --nothing

# --check.
check "--check of a good file" "$BUILD/rsiod" --check -c "$W/clt/rscltcfg"
check_fails 1 "--check of a bad one" "$BUILD/rsiod" --check -c "$W/file.not"
check "--check starts nothing" not_mounted

# The foreground.
"$BUILD/rsiod" -f -c "$W/clt/rscltcfg" --run-dir "$W/run" -m "$m" >out 2>&1 &
p=$!
check "-f" wait_for 5 test -s "$m/osl/vol"
kill -INT $p
status=0
wait $p || status=$?
is "$status" 0 "it ends with status 0"
check "and logs to standard error" grep -q 'mounted at' out
done_testing
