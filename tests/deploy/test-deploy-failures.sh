#!/bin/bash
# What stops a deploy, before it changes anything or at its very end: the host is what it was, and the message says
# what was wrong and what to do.  test-deploy-undone.sh has each step in between.
# shellcheck source=tests/deploy/deploy.sh
. "$(dirname "$0")/deploy.sh"

hosts_start 1
host_add s1
host_known s1
before=$(tree s1)

fails()		# TEST-NAME EXTENDED-REGEX DEPLOY-ARGS...: the host is what it was
{
	local name=$1 regex=$2 out status=0
	shift 2
	out=$(deploy "$@" 2>&1) || status=$?
	is "$status" 1 "$name: it fails"
	like "$out" "$regex" "$name: it says why"
	same_tree s1 "$before" "$name: the host is what it was"
	check "$name: so is the client" test ! -e "$clt/rscltcfg"
}

# Found before anything is changed.
fails "no right" "sudo" plain@s1
cp "$BUILD/rssrv-static" "$W/other"
printf '\xb7\x00' | dd of="$W/other" bs=1 seek=18 conv=notrunc status=none
fails "another architecture" "it is x86_64, and .* is for aarch64" root@s1 --binary "$W/other"
fails "not static" "not static" root@s1 --binary "$BUILD/rssrv"
on_host s1 python3 -c 'import socket, time
s = socket.create_server(("0.0.0.0", 5000)); time.sleep(1000)' &
listener=$!
cleanup_fn end_process "$listener"
wait_for 10 host_listens s1 5000
fails "port taken" "port 5000 is taken there, by python3 at every address.*" root@s1
on_host s1 pkill -f create_server	# of the host's own processes
end_process "$listener"
host_read_only s1
fails "read-only" "the file system of .* is read-only" root@s1
host_writable s1

# In the middle.  useradd stands still, so that it is known where things are.
on_host s1 sh -c 'mv /usr/sbin/useradd /usr/sbin/useradd.real
	printf "%s\n" "#!/bin/sh" ": >/run/stuck" "while [ -e /run/stuck ]; do sleep 0.1; done" \
		"exec useradd.real \"\$@\"" >/usr/sbin/useradd; chmod 755 /usr/sbin/useradd'
before=$(tree s1)
stuck() { on_host s1 test -e /run/stuck; }
start_stuck()
{
	on_host s1 rm -f /run/stuck
	deploy root@s1 >"$W/out" 2>&1 &
	deploying=$!
	wait_for 60 stuck || bail "a deploy that stands still"
}

start_stuck
# shellcheck disable=SC2016  # for the shell there
on_host s1 sh -c 'kill -9 $(pgrep -f -- "[-]-steps /")'
on_host s1 rm /run/stuck		# what it had started goes on to its end, and is undone then
status=0; wait "$deploying" || status=$?
is "$status" 1 "rssrv --steps killed: it fails"
like "$(cat "$W/out")" "undone" "rssrv --steps killed: it says that all is undone"
same_tree s1 "$before" "rssrv --steps killed: the host is what it was"

start_stuck
out=$(deploy root@s1 2>&1) || true
like "$out" "[Aa]nother|at it|busy" "two at once: the second one is refused"
on_host s1 rm /run/stuck
status=0; wait "$deploying" || status=$?
is "$status" 0 "two at once: the first one is done all the same"
agent undeploy root@s1 --yes >"$W/out" 2>&1 || show_output "$W/out"
rm -f "$clt/rscltcfg"
same_tree s1 "$before" "undeployed: the host is what it was"

# Everything is done, and the server does not serve: its side of the handshake is another.
on_host s1 mv /usr/sbin/useradd.real /usr/sbin/useradd
before=$(tree s1)
sed 's/rsio tls psk/rsio tls psx/g' "$BUILD/rssrv-static" >"$W/deaf"
fails "it does not serve" "does not serve this host at 10\.66\.0\.1.*undone" root@s1 --binary "$W/deaf"

done_testing
