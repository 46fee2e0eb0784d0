#!/bin/bash
# time-limit: 150
# rsagent key rotate: a client's key becomes another one on two servers and here, while its
# volume is written and read.  Killed at any point, or with a server that cannot be
# reached, both sides can log in, and it goes on when it is done again.  No key is in an
# argument, an environment, a log or what is printed.

# shellcheck source=tests/deploy/server.sh
. "$(dirname "$0")/server.sh"
requires_program rsagent rssrv-static rsiod
requires_fuse
requires_cmd jq

hosts_start 2
for n in s1 s2; do
	host_add $n
	host_known $n
	server_add $n
done
client_conf s1 s2
VG="nsenter --net=/run/netns/$WS" start_client "$W" "$W/mnt"
serves() { [ -e "$W/mnt/osl/vol-s1" ] && [ -e "$W/mnt/osl/vol-s2" ]; }
wait_for 20 serves || bail "the client has both servers' volumes"

rotate() { rsagent key rotate --config "$W/rscltcfg" --run-dir "$W/run" root@s1 root@s2; }
key_here() { sed -n 's/^nodekey = //p' "$W/rscltcfg"; }
# shellcheck disable=SC2016  # it is awk's
keys_at() { on_host "$1" awk -v n="$NODE" '$1 == n { print $2 }' /etc/rssrvcfg | tr '\n' ' '; }	# HOST
# The client's key, as its file has it, opens both.
can_log_in() { [[ " $(keys_at s1)" == *" $(key_here) "* && " $(keys_at s2)" == *" $(key_here) "* ]]; }
only_that() { [ "$(keys_at s1)$(keys_at s2)" = "$(key_here) $(key_here) " ]; }
paths() {	# HOST: how many connections use its keys
	server_status "$1" | jq -r '[.sessions[] | select(.node == "ws") | .connections[]] | length'
}
connected() { [ "$(paths s1)" -ge 2 ] && [ "$(paths s2)" -ge 2 ]; }
wait_for 20 connected || bail "over both networks"

# What everybody on the hosts may look at, all the time: a key in it is written down.
: >"$W/secrets"
key_here >>"$W/secrets"
watch_processes()
{
	while :; do
		cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -aFf "$W/secrets" >>"$W/found"
	done
}
watch_processes &
watcher=$!
cleanup_fn end_process $watcher
new_secret() { cat "$W"/rscltcfg.new-key-* >>"$W/secrets" 2>/dev/null || :; key_here >>"$W/secrets"; }

# Somebody uses it.
"$BUILD/tests/stamp" write "$W/mnt/osl/vol-s1" "$W/log" --blocks 512 --jobs 4 --seconds 140 >"$W/stamp.out" 2>&1 &
writer=$!
cleanup_fn end_process $writer
writes() { [ -s "$W/log" ] && kill -0 $writer; }
wait_for 10 writes

old=$(key_here)
out=$(rotate 2>&1) && status=0 || status=$?
new_secret
is "$status" 0 "a new key on two servers and here"
[ "$status" = 0 ] || note "$out"
check_fails 1 "is another one" test "$(key_here)" = "$old"
check "and both have only that" only_that
check "the client is connected with it" wait_for 20 connected
check_fails 1 "nothing of it is left here" test -e "$W/rscltcfg.new-key-osl"
check_fails 1 "neither key is shown" grep -qF -e "$old" -e "$(key_here)" <<<"$out"

# A server that was forgotten.
old=$(key_here)
out=$(rsagent key rotate --config "$W/rscltcfg" --run-dir "$W/run" root@s1 2>&1) && status=0 || status=$?
new_secret
is "$status" 1 "one of two servers is not enough"
like "$out" "not taken at the portal s2-" "the other one is named"
is "$(key_here)" "$old" "the client's key stays"
check "and opens both" can_log_in
check "with both named it goes on" rotate
check "to the end" only_that

# One that cannot be reached.
old=$(key_here)
host_sshd_stop s2
check_fails 1 "a server that cannot be reached" rotate
new_secret
is "$(key_here)" "$old" "the client's key stays"
check "and opens both" can_log_in
host_sshd s2
check "when it can be, it goes on" rotate
check "to the end" only_that

# Killed at each step.
killed_at()	# REGEX: rsagent is killed when it says that
{
	local pid

	nsenter --net="/run/netns/$WS" "$BUILD/rsagent" key rotate --config "$W/rscltcfg" --run-dir "$W/run" root@s1 root@s2 \
		>"$W/killed" 2>&1 &
	pid=$!
	says() { grep -qE "$1" "$W/killed" || ! kill -0 "$pid" 2>/dev/null; }
	wait_for 30 says "$1"
	kill -9 "$pid" 2>/dev/null || :
	wait "$pid" 2>/dev/null || :
	new_secret
	like "$(cat "$W/killed")" "$1" "killed at: $1"
	check "both sides can log in" can_log_in
	check "the client is connected" wait_for 20 connected
}
for at in 's1: logging in' 's[12]: gives' 'trying the new key' 'this client uses' 's[12]: takes'; do
	killed_at "$at"
done
check "done again it goes on" rotate
new_secret
check "to the end" only_that

kill -0 $writer 2>/dev/null || not_ok "the writer goes on all the time"
status=0
kill $writer && wait $writer || status=$?
is "$status" 0 "no error came to who writes"
note "$(tail -n 2 "$W/stamp.out")"
check "and all is as it was written" "$BUILD/tests/stamp" verify "$W/mnt/osl/vol-s1" "$W/log"
stop_client "$W"
out=$(rotate 2>&1) && status=0 || status=$?
new_secret
is "$status" 0 "without rsiod"
like "$out" 'rsiod does not run' "which is said"
check "both have only the new key" only_that
end_process $watcher
is "$(cat "$W/found" 2>/dev/null)" "" "no key was in an argument or an environment"
check_fails 1 "nor is one in a log" grep -qaFf "$W/secrets" "$W/run/rsiod.log" "$W/killed"
on_host s1 rssrv --log --run-dir /run/rsio >"$W/s1.log"
check_fails 1 "nor there" grep -qaFf "$W/secrets" "$W/s1.log"
done_testing
