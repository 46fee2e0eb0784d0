#!/bin/bash
# time-limit: 150
# rsagent on eight hosts at once: one refuses, one drops all packets, one takes connections
# and says nothing, one is not who it was; the others are done, and the table, the JSON and
# the exit status say so.

# shellcheck source=tests/deploy/server.sh
. "$(dirname "$0")/server.sh"
requires_program rsagent rssrv-static
requires_cmd jq

hosts_start 1
for n in 1 2 3 4 5 6 7 8; do
	host_add "s$n"
	host_known "s$n"
done
for n in 1 2 6 8; do
	server_add "s$n"
done
host_sshd_stop s3
# Its neighbours know where it is, and nothing gets there.
ip -n "$WS" neigh replace "$(host_addr s4)" dev eth0 nud permanent \
	lladdr "$(ip -n "${host_netns[s4]}" -j link show eth0 | jq -r '.[0].address')"
host_link s4 0 lost
# shellcheck disable=SC2016  # for the shell there
on_host s5 sh -c 'kill -STOP $(cat /run/sshd.pid)'
on_host s7 sh -c 'rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key'
host_sshd s7
all=(s1 s2 s3 s4 s5 s6 s7 s8)
mkdir -p "$HOME/.config/rsio"
printf '[host %s]\nuser = root\nrole = lab, %s\n' s1 well s2 ill s3 ill s4 x s5 x s6 well s7 x s8 well \
	>"$HOME/.config/rsio/hosts"

of() { jq -r --arg h "$2" ".hosts[] | select(.host == \$h) | $1" "$W/json"; }	# FILTER HOST
status=0
rsagent status --json --timeout 8s @lab >"$W/json" 2>"$W/progress" || status=$?
is "$status" 1 "some of eight hosts fail"
is "$(jq -r '[.hosts[].host] | join(" ")' "$W/json")" "${all[*]}" "each is spoken of, in order"
is "$(jq -r '[.hosts[] | select(.done) | .host] | join(" ")' "$W/json")" "s1 s2 s6 s8" "the others are done"
is "$(of .status.server s6)" s6 "with what their servers say"
like "$(of .error s3)" 'refuse' "one refuses"
like "$(of .error s4)" 'within|no answer|timed out' "one does not answer"
like "$(of .error s5)" 'within|no answer|timed out|says nothing' "one says nothing"
like "$(of .error s7)" 'key' "one has another key"
for n in 3 4 5 7; do
	like "$(of .next "s$n")" . "s$n: with what to do"
done
like "$(cat "$W/progress")" '^s8: logging in$' "with progress, a line each"

status=0
rsagent restart --timeout 8s -q "${all[@]}" >"$W/table" 2>"$W/errors" || status=$?
is "$status" 1 "all eight are told to restart"
for n in 1 2 6 8; do
	like "$(cat "$W/table")" "^s$n +done .* rssrv .* runs" "s$n has"
done
for n in 3 4 5 7; do
	like "$(cat "$W/table")" "^s$n +failed " "s$n has not"
	like "$(cat "$W/errors")" "^rsagent: s$n: " "and it is said once more at the end"
done

is "$(rsagent ls --json -q @well s2 | jq -r '[.hosts[].volumes[].name] | join(" ")')" "vol-s1 vol-s6 vol-s8 vol-s2" "their volumes"
check_fails 1 "a role of which one is not well" rsagent status -q @ill
check_fails 2 "no hosts" rsagent status
check_fails 1 "a role that there is not" rsagent status @none

# The logs.
like "$(rsagent log s1)" ' \(main\): ready$' "the log"
is "$(rsagent log -n 1 s1 s2 | sed 's/: .*//' | sort | tr '\n' ' ')" "s1 s2 " "of two hosts, with their names"
is "$(rsagent log -n 1 --json s1 s2 | jq -r .host | sort | tr '\n' ' ')" "s1 s2 " "as JSON"
nsenter --net="/run/netns/$WS" "$BUILD/rsagent" log -f -n 1 s1 s2 >"$W/followed" 2>&1 &
follower=$!
cleanup_fn end_process $follower
both() { [ "$(cut -d: -f1 "$W/followed" | sort -u | tr '\n' ' ')" = "s1 s2 " ]; }
wait_for 20 both
on_host s2 sh -c "kill -HUP $(server_pid s2)"
reloaded() { grep -q '^s2: .*(audit): reload by .* done' "$W/followed"; }
check "and what comes" wait_for 20 reloaded
status=0
kill -INT $follower
wait $follower || status=$?
is "$status $(grep -c '^rsagent:' "$W/followed")" "0 0" "until it is ended, which is no failure"
gone() { [ -z "$(on_host "$1" pgrep -f -- --follow)" ]; }
check "ended, nothing of it is left there" wait_for 20 gone s1
check "on neither" wait_for 20 gone s2

# A server that does not run, and a host without one.
on_host s1 sh -c "kill $(server_pid s1)"
check_fails 1 "a server that does not run" rsagent status -q s1
check "is started" rsagent restart -q s1
on_host s2 sh -c 'echo nonsense >>/etc/rssrvcfg'
pid=$(server_pid s2)
out=$(rsagent restart -q s2 2>&1) || true
like "$out" "rssrvcfg:[0-9]+:" "one whose configuration has mistakes is told of them"
is "$(server_pid s2)" "$pid" "and runs on"
on_host s6 sh -ec 'mkdir -p /run/systemd/system; cat >/usr/local/sbin/systemctl; chmod 755 /usr/local/sbin/systemctl' <<'END'
#!/bin/sh
echo "$*" >>/run/told
END
check "with systemd" rsagent restart -q s6
is "$(on_host s6 cat /run/told | tail -n 1)" "restart rssrv.service" "it is the unit that is restarted"
on_host s8 rm /usr/local/sbin/rssrv
out=$(rsagent status -q s8 2>&1) || true
like "$out" "there is no rssrv" "a host without rssrv"
like "$out" "rsagent deploy" "and what to do"
done_testing
