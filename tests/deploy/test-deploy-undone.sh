#!/bin/bash
# Each step of a deploy made to fail in turn, and the way there: what is said has the reason, and the host's
# tree is what it was before.
# time-limit: 300

# shellcheck source=tests/deploy/deploy.sh
. "$(dirname "$0")/deploy.sh"

hosts_start 2
for h in s1 s2 s3; do
	host_add $h
	host_known $h
	on_host $h mkdir -p /run/mount	# mount's own
done
before=$(tree s1) before2=$(tree s2) before3=$(tree s3)

# In the background, so that it can be killed: $agent.
start_deploy()	# HOST: what it says goes to $W/HOST.said
{
	nsenter --net="/run/netns/$WS" "$BUILD/rsagent" deploy --config "$W/$1.cfg" --run-dir "$clt/run" --namespace lab \
		--yes --no-start "root@$1" >"$W/$1.said" 2>&1 </dev/null &
	agent=$!
}

kill_deploy()	# it, and its part for the host
{
	local parts

	parts=$(cat "/proc/$agent/task/$agent/children" 2>/dev/null) || parts=''
	# shellcheck disable=SC2086  # several
	kill -9 $agent $parts 2>/dev/null || true
	wait $agent 2>/dev/null || true
}

is_before() { [ "$(tree "${1:-s1}")" = "${2:-$before}" ]; }

fails()		# NAME REGEX COMMAND...: it fails and says so; then the tree is what it was, soon
{
	local name=$1 words=$2 out status=0
	shift 2
	out=$("$@" 2>&1) || status=$?
	is $status 1 "$name: fails"
	like "$out" "$words" "$name: says why"
	try_for 25 is_before || true
	same_tree s1 "$before" "$name: the tree is what it was"
	check "$name: nor has the client anything of it" test ! -e "$clt/rscltcfg"
}

# What stands in the way is taken away before the trees are compared.
fails_with()	# NAME REGEX "COMMAND THERE" "COMMAND THAT UNDOES IT"
{
	local out status=0

	on_host s1 sh -c "$3"
	out=$(deploy root@s1 2>&1) || status=$?
	on_host s1 sh -c "$4"
	is $status 1 "$1: fails"
	like "$out" "$2" "$1: says why"
	same_tree s1 "$before" "$1: the tree is what it was"
}

# In mid-copy, to slow networks so that it is in there: the link is lost, and rsagent killed.  Both hosts find out
# by themselves, while the first one is used for the rest; what came of them is looked at in the end.
copying() { [ "$(on_host "$1" sh -c 'cat /usr/local/lib/rsio/.staging/rssrv.* 2>/dev/null | wc -c')" -gt 500000 ]; }
for h in s2 s3; do
	ip netns exec "$host_switch" tc qdisc add dev $h-0 root tbf rate 8mbit burst 32kb latency 400ms
done
start_deploy s3
wait_for 30 copying s3 || bail "the copy begins"
kill_deploy
start_deploy s2
wait_for 30 copying s2 || bail "the copy begins"
host_link s2 0 lost
lost=$agent

# The steps.
fails_with "the user" 'useradd ended with status 9: no numbers left.*undone' \
	'mv /usr/sbin/useradd /usr/sbin/useradd.x; printf "#!/bin/sh\necho no numbers left; exit 9\n" >/usr/sbin/useradd; chmod 755 /usr/sbin/useradd' \
	'mv /usr/sbin/useradd.x /usr/sbin/useradd'
fails_with "the program's link" '/usr/local/sbin/rssrv' 'mkdir /usr/local/sbin/rssrv' 'rmdir /usr/local/sbin/rssrv'
fails_with "the configuration" '/etc/rssrvcfg' 'ln -s /etc/hosts /etc/rssrvcfg' 'rm /etc/rssrvcfg'
fails_with "the state directory" '/var/lib/rsio' 'touch /var/lib/rsio' 'rm /var/lib/rsio'
fails_with "the run directory" '/run/rsio' 'touch /run/rsio' 'rm /run/rsio'
fails_with "a place that even root cannot write to" 'read-only' \
	'mkdir -p /usr/local/lib/rsio; mount -t tmpfs -o ro tmpfs /usr/local/lib/rsio' \
	'umount /usr/local/lib/rsio; rmdir /usr/local/lib/rsio'

# The disk.
used() { df -k --output=used "$W/hosts/s1" | tail -n 1; }
size=$(($(stat -c %s "$BUILD/rssrv-static") / 1024))
sizes=(0 $((size / 2)) $((size * 2 + 8)) 64 $((size + 16)) $((size * 2 - 64)))
for kib in "${sizes[@]:0:$(sample_or_all 3 6)}"; do
	host_space s1 "$kib"
	fails "$kib KiB left" 'No space left|KiB|room' deploy root@s1
	host_space s1 200000
done
host_read_only s1
fails "a read-only file system" 'ead-only' deploy root@s1
host_writable s1

# Others in the way.
on_host s1 sh -c 'python3 -c "
import socket,time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((\"0.0.0.0\", 5000)); s.listen()
time.sleep(600)" >/dev/null 2>&1 & echo $! >/run/taker'
wait_for 10 host_listens s1 5000
out=$(deploy root@s1 2>&1) && not_ok "a port that is taken: fails"
like "$out" '5000' "a port that is taken: says so"
# shellcheck disable=SC2016  # for the shell there
on_host s1 sh -c 'kill $(cat /run/taker); rm /run/taker'
same_tree s1 "$before" "a port that is taken: the tree is what it was"

# No right.
fails "a user without sudo" 'sudo|root' deploy plain@s1
fails "a user whose sudo wants a password, and nobody to ask" 'sudo|password' deploy admin@s1

# Killed in mid-way, here and there.
test_seed
for ((i = 0; i < $(sample_or_all 2 20); i++)); do
	start_deploy s1
	wait_for 30 on_host s1 test -e /usr/local/lib/rsio/.staging || break
	sleep_up_to 1500
	kill_deploy
	wait_for 60 on_host s1 test ! -e /usr/local/lib/rsio/.staging
	if [ -e "$W/s1.cfg" ] || on_host s1 test -e /usr/local/lib/rsio/deployed.json; then
		ok "killed too late: it was done"
		agent undeploy root@s1 --yes --with-volumes --confirm s1 >/dev/null 2>&1 || true
		rm -f "$W"/s1.cfg*
	fi
	same_tree s1 "$before" "killed here in mid-way, time $i: the tree is what it was"
done
# rssrv killed there: the shell that started it has it undone.
steps_pid()	# prints it
{
	# shellcheck disable=SC2016  # for the shell there
	on_host s1 sh -c 'for p in /proc/[0-9]*; do
		case $(tr "\\0" " " <$p/cmdline) in */rssrv.*" --steps "*) echo ${p#/proc/}; exit ;; esac; done' 2>/dev/null
}
steps_begun() { on_host s1 test -e /usr/local/lib/rsio/.staging/journal; }

start_deploy s1
wait_for 30 steps_begun || bail "the steps begin"
pid=$(steps_pid)
[ -z "$pid" ] || on_host s1 kill -9 "$pid"
status=0
wait $agent || status=$?
is "$status ${pid:+killed}" "1 killed" "rssrv killed there in mid-way: fails"
like "$(cat "$W/s1.said")" 'rsagent: s1: ' "rssrv killed there in mid-way: says so"
note "$(grep '^rsagent: s1: ' "$W/s1.said")"
wait_for 60 is_before || true
same_tree s1 "$before" "rssrv killed there in mid-way: the tree is what it was"

# By way of sudo.
on_host s1 mkdir /usr/local/sbin/rssrv
out=$(deploy nopw@s1 2>&1) && not_ok "a step that fails, with sudo: fails"
like "$out" '/usr/local/sbin/rssrv' "a step that fails, with sudo: says why"
on_host s1 rmdir /usr/local/sbin/rssrv
same_tree s1 "$before" "a step that fails, with sudo: the tree is what it was"

# The power goes there; nobody is left to undo anything before the next command.
start_deploy s1
wait_for 30 steps_begun || bail "the steps begin"
host_kill s1
status=0
wait $agent || status=$?
is $status 1 "no power in mid-way: fails"
rm -f "$W"/s1.cfg*
host_boot s1
host_sshd s1
on_host s1 mkdir -p /run/mount
check "no power in mid-way: something is left" test "$(tree s1)" != "$before"
out=$(deploy root@s1 2>&1) || note "$out"
like "$out" 'undid what an earlier run' "no power in mid-way: the next deploy undoes it"
like "$out" 'serves over' "no power in mid-way: and is done"
agent undeploy root@s1 --yes --with-volumes --confirm s1 >"$W/undeploy" 2>&1 || note "$(cat "$W/undeploy")"
same_tree s1 "$before" "no power in mid-way: and taken away the tree is what it was"

status=0
wait "$lost" || status=$?
is $status 1 "the link lost in mid-copy: fails"
like "$(cat "$W/s2.said")" "is lost|takes nothing more" "the link lost in mid-copy: says so"
wait_for 60 is_before s2 "$before2" || true
same_tree s2 "$before2" "the link lost in mid-copy: the tree is what it was"
wait_for 60 is_before s3 "$before3" || true
same_tree s3 "$before3" "killed in mid-copy: the tree is what it was"
done_testing
