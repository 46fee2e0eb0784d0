#!/bin/bash
# rsslogcat against a server's log: all of it, the end, JSON, followed over a
# crash and a restart; and what is no log.  rsclogcat is the same code.

# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_program rssrv rsslogcat rsclogcat
requires_cmd jq

logcat=("$BUILD/rsslogcat" --run-dir "$W/s/run")

write_server_conf "$W/s"
start_server "$W/s"
says_ready() { "${logcat[@]}" | grep -q '(main): ready$'; }
wait_for 5 says_ready		# its last line for a while
"${logcat[@]}" >"$W/all"
check "the log has lines" test -s "$W/all"
shape='^[^ @]+@rsio [0-9]{4}_[0-9]{2}_[0-9]{2}-[0-9:]{8} \(GMT\) [A-Z]+ \([^)]+\): .'
is "$(grep -cvE "$shape" "$W/all" || true)" 0 "each line has its shape"
is "$("${logcat[@]}" -n 1)" "$(tail -n 1 "$W/all")" "-n 1 is the last line"
is "$("${logcat[@]}" -n 0)" "" "-n 0 is nothing"
is "$("${logcat[@]}" -n 1000000 | wc -l)" "$(wc -l <"$W/all")" "-n with more than there is prints all"

server_log() { "$BUILD/rssrv" --log --run-dir "$W/s/run" "$@"; }
is "$(server_log)" "$(cat "$W/all")" "rssrv --log prints the same"
is "$(server_log --lines 2)" "$(tail -n 2 "$W/all")" "and the end of it"
check_fails 1 "a server that never ran has none" "$BUILD/rssrv" --log --run-dir "$W/none"
"$BUILD/rssrv" --log --run-dir "$W/s/run" --follow --lines 1 >"$W/server-followed" &
server_follower=$!
cleanup_fn end_process $server_follower
wait_for 5 test -s "$W/server-followed"

"${logcat[@]}" --json >"$W/json"
is "$(jq -s length "$W/json")" "$(wc -l <"$W/all")" "--json has an object a line"
is "$(jq -r '.node + "@rsio " + (.time | gsub("-"; "_") | sub("T"; "-") | sub("Z"; "")) +
	" (GMT) " + .level + " (" + .part + "): " + .text' "$W/json")" "$(cat "$W/all")" \
	"--json says what the lines say"

"${logcat[@]}" -f -n 1 >"$W/followed" &
follower=$!
cleanup_fn end_process $follower
wait_for 5 test -s "$W/followed"
kill_server "$W/s"
is "$("${logcat[@]}" -n 1)" "$(tail -n 1 "$W/all")" "the log of a killed server is read"
start_server "$W/s"
more_than_one() { [ "$(wc -l <"$W/followed")" -gt 1 ]; }
check "-f goes on with the next life's lines" wait_for 5 more_than_one
is "$(grep -cvE "$shape" "$W/followed" || true)" 0 "what is followed comes in whole lines"
server_more_than_one() { [ "$(wc -l <"$W/server-followed")" -gt 1 ]; }
check "as does rssrv --log --follow" wait_for 5 server_more_than_one
is "$(cat "$W/server-followed")" "$(tail -n "$(wc -l <"$W/server-followed")" < <("${logcat[@]}"))" "with the same lines"
ended_by_itself() { ! kill -0 "$pipe" 2>/dev/null; }
server_log --follow --lines 1 | head -n 1 >"$W/head" &
pipe=$!
check "and ends when nobody reads it" wait_for 5 ended_by_itself
check "both lives are in one log" test "$("${logcat[@]}" | wc -l)" -gt "$(wc -l <"$W/all")"

# A follower whose reader went away ends although nothing is logged.
"${logcat[@]}" -f -n 1 | head -n 1 >/dev/null &
piped=$!
check "-f ends with its reader" wait_for 5 gone $piped

is "$(XDG_RUNTIME_DIR=$W/xdg RSIO_RUN_DIR=$W/s/run "$BUILD/rsslogcat" -n 1)" \
	"$("${logcat[@]}" -n 1)" "RSIO_RUN_DIR is where it looks"

check_fails 1 "no log: status 1" "$BUILD/rsclogcat" --run-dir "$W/none"
like "$("$BUILD/rsclogcat" --run-dir "$W/none" 2>&1 || true)" "$W/none/rsiod.log.*No such file" \
	"no log: says which"
mkdir "$W/bad"
head -c 100000 /dev/zero >"$W/bad/rsiod.log"
like "$("$BUILD/rsclogcat" --run-dir "$W/bad" 2>&1 || true)" "is not a log" "a file that is no log: says so"
check_fails 2 "a wrong option: status 2" "${logcat[@]}" --linse 3
check_fails 1 "no room for the output: status 1" sh -c "'$BUILD/rsslogcat' --run-dir '$W/s/run' >/dev/full"

end_process $follower
stop_server "$W/s"
done_testing
